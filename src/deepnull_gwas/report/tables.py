"""A table as a small page of HTML that can be read in place, for Snakemake's report."""

from __future__ import annotations

import html
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from deepnull_gwas.tables import atomic_path
from deepnull_gwas.text import is_number

#: Rows that are shown, and characters of a cell before it is broken into lines.
ROWS, WIDE = 500, 60
#: Columns whose numbers are names: no separators of thousands.
NAMES = {"chromosome", "fold", "component", "sample_index_1", "sample_index_2"}
_STYLE = (
    "body{font:13px/1.45 system-ui,sans-serif;margin:1em;color:#222;background:#fff}"
    "h1{font-size:15px;margin:0 0 .6em}h2{font-size:13px;margin:1.2em 0 .4em}p{margin:.6em 0;color:#555}"
    "div{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.25em .7em;border-bottom:1px solid #e3e3e3;text-align:left;vertical-align:top;white-space:nowrap}"
    "th{border-bottom:2px solid #888;position:sticky;top:0;background:#fff}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "td.w{white-space:normal;min-width:22em}"
)


def write_table_page(tables: Mapping[str, str | Path], out: str | Path, title: str) -> None:
    """Write tab-separated tables as a page of HTML that needs nothing else.

    Parameters
    ----------
    tables
        Heading (empty for none) -> table; its first :data:`ROWS` rows are shown, and it is named where it has more.
    out
        The page.
    title
        Heading of the page.
    """
    body = "".join((f"<h2>{html.escape(heading)}</h2>" if heading else "") + _table(t) for heading, t in tables.items())
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _table(table: str | Path) -> str:
    """Return a table of HTML, and a word on rows that it leaves out."""
    with open(table, encoding="utf-8") as file:
        heads = _cells(next(file, ""))
        shown = [_cells(line) for line in islice(file, ROWS)]
        more = sum(1 for _ in file)
    numeric = [all(_is_missing(row[i]) or is_number(row[i]) for row in shown) for i in range(len(heads))]
    wide = [any(len(row[i]) > WIDE for row in shown) for i in range(len(heads))]
    kinds = ["n" if number else "w" if long else "" for number, long in zip(numeric, wide)]
    lines = [_row("th", heads, kinds)]
    lines += [_row("td", [_cell(*pair) for pair in zip(heads, row)], kinds) for row in shown]
    note = f"<p>and {more:,} rows more: {html.escape(Path(table).name)}</p>" if more else ""
    return f"<div><table>{''.join(lines)}</table></div>{note}" if shown else "<p>None.</p>"


def _cells(line: str) -> list[str]:
    """Return the cells of a line; some writers put those with quotes in quotes, others do not."""
    cells = line.rstrip("\n").split("\t")
    return [c[1:-1].replace('""', '"') if len(c) > 1 and c[0] == c[-1] == '"' else c for c in cells]


def _is_missing(text: str) -> bool:
    return text in ("", "NA", "#NA")


def _cell(name: str, text: str) -> str:
    """Return a cell for reading: missing values empty, numbers short, thousands separated.

    Examples
    --------
    >>> [_cell("n", "12345"), _cell("beta", "-0.01234567"), _cell("chromosome", "12"), _cell("reason", "NA")]
    ['12,345', '-0.01235', '12', '']
    """
    if _is_missing(text):
        return ""
    if name in NAMES or not is_number(text):
        return text
    return f"{int(text):,}" if text.lstrip("+-").isdigit() else f"{float(text):.4g}"


def _row(tag: str, cells: list[str], kinds: list[str]) -> str:
    def one(cell: str, kind: str) -> str:
        return f"<{tag}{f' class={kind}' if kind else ''}>{html.escape(cell)}</{tag}>"

    return f"<tr>{''.join(map(one, cells, kinds))}</tr>"

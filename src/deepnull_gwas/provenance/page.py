"""The record of a run as a page of HTML that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from deepnull_gwas.logs import duration

_STYLE = (
    "body{font:14px/1.5 sans-serif;margin:2em;max-width:70em;color:#222}"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "td,th{border-bottom:1px solid #ddd;padding:.2em .8em .2em 0;text-align:left;vertical-align:top}"
    "td.n{text-align:right}"
    "pre{background:#f5f5f5;padding:1em;overflow:auto}code{font-size:12px}"
)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, int | float):
            return f'<td class="n">{value:,}</td>'
        return f"<td>{html.escape(str(value))}</td>"

    lines = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>{lines}</table>"


def page(record: Mapping[str, Any]) -> str:
    """Return a record as a page of HTML that needs nothing else."""
    analysis, execution = record["analysis"], record["execution"]
    software, machine = analysis["software"], execution["host"]
    source = software["deepnull-gwas"]
    commit = source["commit"] or "not known"
    if source["changed_since_commit"]:
        commit += ", with changes since"
    size = f"{machine['cores']} cores, {machine['memory_mb'] or 0:,} MB"
    facts = [
        ("deepnull-gwas", f"{source['version']}; commit {commit}; library {source['library_sha256'][:16]}"),
        ("Snakemake, Python", f"{software['snakemake']}, {software['python']}"),
        ("Seed", str(analysis["seed"])),
        ("Configuration, SHA-256", analysis["config"]["sha256"]),
        ("Studies, SHA-256", analysis["studies"]["sha256"]),
        ("Recorded", execution["recorded"]),
        ("Machine", f"{machine['name']}: {machine['cpu']}, {size}; {machine['system']}"),
    ]
    files = [(f["path"], f["bytes"], f["sha256"]) for f in analysis["inputs"]]
    published = [(f["path"], f["bytes"], f["sha256"]) for f in analysis["published"]]
    rules = [
        (r["rule"], r["jobs"], duration(r["seconds"]), duration(r["longest_seconds"]), round(r["peak_mb"]))
        for r in execution["rules"]
    ]
    names = ("File", "Bytes", "SHA-256")
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Provenance</title>'
        f"<style>{_STYLE}</style></head><body>",
        "<h1>Where these results came from</h1>",
        _table(("What", ""), facts),
        "<p>To repeat the run: <code>deepnull-gwas repeat provenance.json --directory NEW</code></p>",
        "<h2>Inputs</h2>",
        _table(names, files) if files else "<p>None: all cohorts are simulated.</p>",
        "<h2>Published files</h2>",
        _table(names, published),
        "<h2>Time and memory by rule</h2>",
        _table(("Rule", "Jobs", "Time in all", "Longest job", "Peak memory, MB"), rules),
        f"<h2>Configuration</h2><pre>{html.escape(analysis['config']['text'])}</pre>",
        f"<h2>Studies</h2><pre>{html.escape(analysis['studies']['text'])}</pre>",
        "<h2>Packages</h2>",
        _table(("Package", "Version"), list(software["packages"].items())),
        "</body></html>\n",
    ]
    return "\n".join(parts)

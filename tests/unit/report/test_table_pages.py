"""Tables as pages of HTML."""

from __future__ import annotations

import html.parser

import pandas as pd

from deepnull_gwas.report.tables import ROWS, write_table_page
from deepnull_gwas.tables import write_tsv


class Cells(html.parser.HTMLParser):
    """Rows of cells of all tables, and tags met."""

    def __init__(self, text: str):
        super().__init__()
        self.rows, self.tags, self.inside = [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self.inside = False


def test_a_table_is_shown_as_it_is_and_names_are_no_markup(tmp_path):
    name = '<script>alert("x")</script>&amp;ä'
    frame = pd.DataFrame({"study": [name, "b"], "n": [12345, None], "beta": [0.012345678, -3.0], "chromosome": [1, 23]})
    write_tsv(frame.astype({"n": "Int64"}), tmp_path / "a.tsv")
    write_table_page({"": tmp_path / "a.tsv"}, tmp_path / "a.html", "A <b>title</b>")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    page = Cells(text)
    assert page.rows == [
        ["study", "n", "beta", "chromosome"],
        [name, "12,345", "0.01235", "1"],
        ["b", "", "-3", "23"],
    ]
    assert page.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "div", "table", "tr", "th", "td"}
    # nothing is fetched
    assert "src=" not in text and "url(" not in text and "http" not in text


def test_long_tables_are_cut_and_empty_ones_say_so(tmp_path):
    write_tsv(pd.DataFrame({"x": range(ROWS + 7)}), tmp_path / "long.tsv")
    write_tsv(pd.DataFrame({"x": []}), tmp_path / "none.tsv")
    write_table_page({"long": tmp_path / "long.tsv", "none": tmp_path / "none.tsv"}, tmp_path / "a.html", "t")
    text = (tmp_path / "a.html").read_text()
    assert len(Cells(text).rows) == ROWS + 1
    assert "and 7 rows more: long.tsv" in text and "<h2>none</h2><p>None.</p>" in text

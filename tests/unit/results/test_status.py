"""One screen about a run, however many studies it has."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from deepnull_gwas.results.status import _text


def frame(studies: int, failing: int) -> pd.DataFrame:
    rows = [
        {
            "cohort": "c",
            "study": f"s{i}",
            "arm": arm,
            "trait": "quantitative",
            "status": "failed" if i < failing else "ok",
            "stage": "associate" if i < failing else "",
            "reason": "no cases" if i < failing else "",
            "n": 100,
            "cases": pd.NA,
            "variants": 10,
            "lambda_gc": 1.0 + i / 1000,
            "loci": 0 if i < failing else i % 3,
            "notes": "",
        }
        for i in range(studies)
        for arm in ("baseline", "deepnull")
    ]
    return pd.DataFrame(rows).astype({"cases": "Int64"})


@pytest.mark.parametrize(("studies", "failing"), [(1, 0), (10, 3), (100, 0), (100, 100), (5000, 700)])
def test_it_fits_on_a_screen_and_says_what_failed_first(studies, failing):
    lines = _text(frame(studies, failing), Path("results")).splitlines()
    assert len(lines) <= 40
    assert f"{2 * (studies - failing)} of {2 * studies} analyses done." in lines
    if failing:
        assert lines[0] == "FAILED c/s0 (baseline) at associate: no cases"
        shown = sum(line.startswith("FAILED c/") for line in lines)
        more = [int(line.split()[2]) for line in lines if line.startswith("FAILED and")]
        assert shown + sum(more) == 2 * failing


def test_many_studies_are_counted_by_arm():
    text = _text(frame(100, 10), Path("results"))
    # studies 10 to 99 are done: 30 of them with one locus, 30 with two
    assert "baseline: 90 studies, 60 with hits, 90 loci in all" in text
    assert "deepnull: 90 studies, 60 with hits, 90 loci in all" in text


def test_of_many_studies_the_genome_is_summed_up():
    many = frame(100, 10)
    many["r2_genome"] = [i / 1000 if i % 4 else None for i in range(len(many))]
    # studies 10 to 99 are done: rows 20 to 199, of which one in four has no such model
    expected = "whole-genome regression of 135 analyses: R2 of the genome, out of fold, 0.110 (0.021 to 0.199)"
    assert expected in _text(many, Path("results")).splitlines()
    assert "whole-genome" not in _text(many.assign(r2_genome=None), Path("results"))


def test_notes_are_told_once_with_their_studies():
    noted = frame(10, 0)
    noted["notes"] = ["X not tested" if row.study != "s9" else "" for row in noted.itertuples()]
    lines = _text(noted, Path("results")).splitlines()
    assert [line for line in lines if line.startswith("NOTE")] == ["NOTE c/s0, c/s1, c/s2 and 6 more: X not tested"]

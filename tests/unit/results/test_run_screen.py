"""One screen about a run, however many studies it has."""

from __future__ import annotations

import pandas as pd
import pytest

from deepnull_gwas.results.advice import advice_on
from deepnull_gwas.results.run_screen import WIDTH, run_screen


def frame(studies: int, failing: int = 0) -> pd.DataFrame:
    rows = [
        {
            "cohort": "c",
            "study": f"s{i}",
            "arm": arm,
            "trait": "quantitative",
            "status": "failed" if i < failing else "ok",
            "stage": "associate" if i < failing else "",
            "reason": f"no cases {i}" if i < failing else "",
            "n": 100,
            "cases": pd.NA,
            "variants": 10,
            "lambda_gc": 1.0 + i / 1e6 if i >= failing else None,
            "loci": 0 if i < failing else i % 3,
            "notes": "",
        }
        for i in range(studies)
        for arm in ("baseline", "deepnull")
    ]
    return pd.DataFrame(rows).astype({"cases": "Int64", "lambda_gc": float})


def compared(gain: float | None = 0.1, gained: int = 2) -> dict:
    return {"loci": {"shared": 1, "gained": gained, "lost": 0}, "effective_sample_size_gained": gain}


@pytest.mark.parametrize(("studies", "failing"), [(1, 0), (10, 3), (16, 16), (100, 0), (100, 100), (5000, 700)])
def test_it_fits_on_a_screen_and_tells_every_failure(studies, failing):
    table = frame(studies, failing)
    lines = run_screen(table, "results", {("c", f"s{i}"): compared() for i in range(failing, studies)}).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= WIDTH
    assert f"{2 * (studies - failing)} of {2 * studies} analyses done." in lines
    if failing:
        # after the table, before the places
        told = lines[
            lines.index("FAILED") + 1 : lines.index(f"{2 * (studies - failing)} of {2 * studies} analyses done.")
        ]
        assert told[0] == "  c/s0 (baseline, deepnull) at associate: no cases 0"
        more = [int(line.split()[1]) for line in told if line.startswith("  and")]
        assert sum(line.startswith("  c/") for line in told) + sum(more) == failing


def test_the_table_is_aligned_and_has_both_arms_in_a_line():
    table = frame(2)
    table["study"] = ["lung", "lung", "asthma", "asthma"]
    table["lambda_gc"] = [1.0, 1.01234, 0.99, 1.1]
    table["loci"] = [9, 12, 100, 99]
    table["n"] = [1234, 1234, 99, 99]
    table["cases"] = pd.array([pd.NA, pd.NA, 33, 33], dtype="Int64")
    both = {("c", "lung"): compared(0.24, 3), ("c", "asthma"): compared(-0.004, 0)}
    assert run_screen(table, "results", both).splitlines()[:5] == [
        "study       n  cases  lambda          loci       gained  lost   gain",
        "------  -----  -----  --------------  ---------  ------  ----  -----",
        "lung    1,234         1.000 -> 1.012    9 -> 12       3     0  +24 %",
        "asthma     99     33  0.990 -> 1.100  100 -> 99       0     0   -0 %",
        "lambda, loci: baseline -> deepnull; gain: of effective sample size, from the loci of both arms",
    ]


def test_a_study_may_fail_in_one_arm_or_have_one():
    table = frame(2)
    table.loc[1, ["status", "stage", "reason", "lambda_gc"]] = ["failed", "train_folds", "a fold without cases", None]
    text = run_screen(table[:3], "results")
    assert "s0     100  1.000 -> failed   0 -> failed" in text
    assert "s1     100  1.000 (baseline)  1 (baseline)" in text
    assert "  c/s0 (deepnull) at train_folds: a fold without cases" in text.splitlines()


def test_many_studies_are_counted_by_arm():
    gains = {("c", f"s{i}"): compared(i / 1000) for i in range(10, 100)}
    text = run_screen(frame(100, 10), "results", gains)
    # studies 10 to 99 are done: 30 of them with one locus, 30 with two
    assert "baseline: 90 studies, 60 with hits, 90 loci in all" in text
    assert "deepnull: 90 studies, 60 with hits, 90 loci in all" in text
    assert "loci: 90 shared, 180 gained, 0 lost; gain +5 % (median)" in text


def test_of_many_studies_the_genome_is_summed_up():
    many = frame(100, 10)
    many["r2_genome"] = [i / 1000 if i >= 20 and i % 4 else None for i in range(len(many))]
    # studies 10 to 99 are done: rows 20 to 199, of which one in four has no such model
    expected = "whole-genome regression of 135 analyses: R2 of the genome, out of fold, 0.110 (0.021 to 0.199)"
    assert expected in run_screen(many, "results").splitlines()
    assert "whole-genome" not in run_screen(many.assign(r2_genome=None), "results")


def test_warnings_are_told_once_with_their_studies_and_what_to_do():
    noted = frame(10)
    noted["notes"] = ["X not tested; sex unknown" if row.study != "s9" else "" for row in noted.itertuples()]
    noted.loc[noted["study"] == "s9", "lambda_gc"] = [1.5, 1.0]
    text = run_screen(noted, "results", {("c", "s1"): compared(-0.2)}, {("c", "s2"): ["few people"]})
    lines = text[text.index("WARNINGS") :].split("\n\n")[0].splitlines()
    assert lines[1] == "  s0, s1, s2 and 6 more: X not tested; sex unknown"
    flat = " ".join(" ".join(lines).split())
    assert "s1 (loses power with DeepNull: -20 % chi-square at the loci): publish" in flat
    assert "s2: few people" in flat
    assert "s9 (lambda is 1.500 (baseline)): look at the QQ plot" in flat


def test_inflation_of_a_polygenic_trait_in_many_people_is_no_warning():
    assert not advice_on(400_000, {"baseline": 1.5})
    assert [a.what for a in advice_on(400_000, {"baseline": 80.0, "deepnull": 0.8})] == [
        "lambda is 80.000 (baseline)",
        "lambda is 0.800 (deepnull)",
    ]
    assert not advice_on(10, {"baseline": None, "deepnull": float("nan")})


def test_names_from_a_sheet_are_no_control_characters():
    table = frame(1)
    table["reason"], table["status"] = "\x1b[31m" + "x" * 5000, "failed"
    text = run_screen(table.assign(study="\x1b[2J" + "y" * 200), "results")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH

"""Summary statistics, calibration, loci, comparison of arms and state of the run."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pysam
import pytest
import yaml
from scipy import stats

from deepnull_gwas.errors import InputError
from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.compare import compare_arms, loci_of_both
from deepnull_gwas.results.loci import find_leads, lead_variants, read_leads
from deepnull_gwas.results.status import check_status, summarise_run
from deepnull_gwas.results.sumstats import COLUMNS, merge_sumstats, read_sumstats, significant
from deepnull_gwas.tables import read_json, write_json
from result_tables import write_results

INFO = {"cohort": "c", "genome_build": "GRCh38"}


def publish(folder, study_json, chunks, arm="baseline", name="sumstats.tsv.gz"):
    folder.mkdir(exist_ok=True)
    out = folder / name
    merge_sumstats(chunks, "s", arm, study_json, out, folder / f"{name}-meta.yaml", folder / "untested.tsv.gz", INFO)
    return out


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_sumstats_hold_what_was_estimated(tmp_path, trait):
    study, chunks, columns = write_results(tmp_path, ["1", "2", "X"], 200, trait=trait)
    out = publish(tmp_path / "o", study, chunks)
    table = read_sumstats(out)
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    tested = columns["s.baseline.reason"] == ""
    assert list(table["variant_id"]) == list(columns["id"][tested])
    assert list(table["effect_allele"]) == list(columns["effect_allele"][tested])
    assert list(table["other_allele"]) == list(columns["other_allele"][tested])
    assert set(table["chromosome"]) == {1, 2, 23}
    # seven significant digits are written
    np.testing.assert_allclose(table["beta"], columns["s.baseline.beta"][tested], rtol=1e-6)
    np.testing.assert_allclose(table["neg_log_10_p_value"], columns["s.baseline.neg_log10_p"][tested], rtol=1e-6)
    assert table["neg_log_10_p_value"].max() > 400
    with gzip.open(tmp_path / "o" / "untested.tsv.gz", "rt") as file:
        lines = file.read().splitlines()
    assert len(lines) == 1 + (~tested).sum()
    assert all(line.endswith("low_mac") for line in lines[1:])
    metadata = yaml.safe_load((tmp_path / "o" / "sumstats.tsv.gz-meta.yaml").read_text())
    assert metadata["adjusted_covariates"] == ["age"]
    assert metadata["samples"][0].get("case_count") == (300 if trait == "binary" else None)


def test_deepnull_arm_says_so(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1"], 50)
    publish(tmp_path / "o", study, chunks, "deepnull")
    metadata = yaml.safe_load((tmp_path / "o" / "sumstats.tsv.gz-meta.yaml").read_text())
    assert metadata["adjusted_covariates"][-1] == "DeepNull prediction (out of fold)"


def test_tabix_finds_a_region(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1", "2"], 100)
    out = publish(tmp_path / "o", study, chunks)
    with pysam.TabixFile(str(out)) as file:
        rows = [line.split("\t")[1] for line in file.fetch("2", 19_999, 40_000)]
    assert rows
    assert set(rows) <= {"20000", "30000", "40000"}


def test_rows_are_sorted_where_the_input_is_not(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["X", "2", "1"], 40)
    table = read_sumstats(publish(tmp_path / "o", study, chunks))
    assert table["chromosome"].is_sorted()


def test_same_input_same_bytes(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1", "2"], 100)
    one, two = publish(tmp_path / "a", study, chunks), publish(tmp_path / "b", study, chunks)
    for name in ("sumstats.tsv.gz", "sumstats.tsv.gz.tbi", "sumstats.tsv.gz-meta.yaml", "untested.tsv.gz"):
        assert (one.parent / name).read_bytes() == (two.parent / name).read_bytes(), name
    assert sorted(p.name for p in one.parent.iterdir()) == [
        "sumstats.tsv.gz",
        "sumstats.tsv.gz-meta.yaml",
        "sumstats.tsv.gz.tbi",
        "untested.tsv.gz",
    ]


def test_other_chunking_same_bytes(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "five").mkdir()
    study, two, _ = write_results(tmp_path / "two", ["1", "2"], 100, chunks=2)
    _, five, _ = write_results(tmp_path / "five", ["1", "2"], 100, chunks=5)
    one, other = (gzip.decompress(publish(tmp_path / n, study, c).read_bytes()) for n, c in (("a", two), ("b", five)))
    assert one == other


def test_failed_study_is_a_header_and_a_reason(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1"], 30, failed=True)
    out = publish(tmp_path / "o", study, chunks)
    assert gzip.decompress(out.read_bytes()).count(b"\n") == 1
    assert len(read_sumstats(out)) == 0
    metadata = yaml.safe_load((tmp_path / "o" / "sumstats.tsv.gz-meta.yaml").read_text())
    assert metadata["deepnull_gwas"]["status"] == "failed"
    assert metadata["deepnull_gwas"]["reason"] == "no cases"


def test_significant_digits():
    np.testing.assert_array_equal(
        significant(np.array([0.123456789, -1234567.89, 0.0, np.nan, 1e-9])), [0.1234568, -1234568.0, 0.0, np.nan, 1e-9]
    )


def test_chi2_and_lambda_against_scipy():
    p = np.array([0.9, 0.5, 1e-3, 1e-30, 1e-200])
    np.testing.assert_allclose(chi2_of_neg_log10_p(-np.log10(p)), stats.chi2.isf(p, 1), rtol=1e-9)
    # beyond float64 the round trip through the logarithm of the tail
    z = np.array([50.0, 200.0])
    np.testing.assert_allclose(chi2_of_neg_log10_p(-(stats.norm.logsf(z) + np.log(2)) / np.log(10)), z**2, rtol=1e-10)
    chi2 = stats.chi2.rvs(1, size=20001, random_state=3) * 1.3
    observed = lambda_gc(-np.log10(stats.chi2.sf(chi2, 1)))
    assert observed == pytest.approx(np.median(chi2) / stats.chi2.ppf(0.5, 1), rel=1e-6)
    assert np.isnan(lambda_gc(np.array([])))


def hits(rows):
    base = {
        "effect_allele": "A",
        "other_allele": "G",
        "effect_allele_frequency": 0.2,
        "beta": 0.1,
        "standard_error": 0.01,
        "n": 10,
    }
    return pl.DataFrame(
        [
            {"chromosome": c, "base_pair_location": p, "variant_id": f"{c}:{p}", "neg_log_10_p_value": s, **base}
            for c, p, s in rows
        ]
    )


def test_lead_variants():
    leads = lead_variants(hits([(1, 100, 9.0), (1, 150, 12.0), (1, 240, 10.0), (1, 700, 8.0), (2, 150, 9.0)]), 100)
    assert list(leads["variant_id"]) == ["1:150", "1:700", "2:150"]
    assert leads.row(0, named=True)["locus_start"] == 100
    assert leads.row(0, named=True)["locus_end"] == 240
    assert list(leads["hits"]) == [3, 1, 1]
    assert len(lead_variants(hits([(1, 1, 9.0)]).clear(), 100)) == 0


def test_gained_and_lost_loci():
    baseline = lead_variants(hits([(1, 100, 9.0), (3, 100, 8.0)]), 50)
    deepnull = lead_variants(hits([(1, 120, 11.0), (2, 100, 8.0)]), 50)
    assert list(loci_of_both(baseline, deepnull, 50)["verdict"]) == ["shared", "gained", "lost"]


def prepare(folder, **more):
    results = folder / "results"
    study_folder = results / "c" / "s"
    study_folder.mkdir(parents=True)
    chunk_folder = results / "c" / "associations" / "main"
    chunk_folder.mkdir(parents=True)
    study, chunks, columns = write_results(chunk_folder, ["1", "2"], 100, **more)
    study.rename(study_folder / "study.json")
    for arm in ("baseline", "deepnull"):
        out = publish(study_folder / arm, study_folder / "study.json", chunks, arm)
        find_leads(out, 5e-8, 500, study_folder / arm / "leads.tsv")
    return results, study_folder, columns


def compare(study_folder, metrics):
    write_json(metrics, study_folder / "metrics.json")
    both = [study_folder / arm / name for name in ("sumstats.tsv.gz", "leads.tsv") for arm in ("baseline", "deepnull")]
    compare_arms(
        *both, study_folder / "metrics.json", 500, study_folder / "comparison.json", study_folder / "comparison.tsv"
    )
    return read_json(study_folder / "comparison.json")


def test_comparison_of_arms(tmp_path):
    _, folder, _ = prepare(tmp_path)
    summary = compare(
        folder, {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": 0.1}, "deepnull": {"r2": 0.2}}
    )
    assert summary["loci"] == {"shared": 1, "gained": 0, "lost": 0}
    assert summary["chi2_ratio"] == pytest.approx(1.05**2, rel=1e-5)
    assert summary["chi2_ratio_expected"] == pytest.approx(0.9 / 0.8)
    assert read_leads(folder / "baseline" / "leads.tsv")["variant_id"].to_list() == ["v100"]


@pytest.mark.parametrize(
    ("linear", "deepnull", "expected", "gained"),
    # less lost is no gain; what is explained counts from 0
    [(-0.04, -0.01, 1.0, 0.0), (-0.04, -0.04, 1.0, 0.0), (-0.04, 0.1, 1 / 0.9, 0.1), (0.1, -0.02, 0.9, -0.1)],
)
def test_less_than_nothing_is_not_expected_to_gain(tmp_path, linear, deepnull, expected, gained):
    _, folder, _ = prepare(tmp_path)
    metrics = {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": linear}}
    summary = compare(folder, metrics | {"deepnull": {"r2": deepnull}})
    assert summary["chi2_ratio_expected"] == pytest.approx(expected)
    assert summary["r2_gained"] == pytest.approx(gained)


def test_nor_for_binary_traits(tmp_path):
    _, folder, _ = prepare(tmp_path)
    linear, deepnull = {"r2_mcfadden": -0.03, "auc": 0.48}, {"r2_mcfadden": -0.01, "auc": 0.5}
    head = {"study": "s", "trait": "binary", "status": "ok"}
    summary = compare(folder, head | {"linear": linear, "deepnull": deepnull})
    assert summary["r2_mcfadden_gained"] == summary["auc_gained"] == 0


def test_status_of_good_and_failed_studies(tmp_path):
    entry = [{"cohort": "c", "study": "s", "batch": "main", "arms": ["baseline", "deepnull"]}]
    results, _, _ = prepare(tmp_path / "good")
    summarise_run(results, entry, results / "status.tsv", results / "summary.txt")
    check_status(results / "status.tsv", results / "ok")
    assert (results / "ok").exists()
    assert "2 of 2 analyses done" in (results / "summary.txt").read_text()
    results, folder, _ = prepare(tmp_path / "bad", failed=True)
    compare(folder, {"study": "s", "trait": "quantitative", "status": "failed", "reason": "no cases"})
    summarise_run(results, entry, results / "status.tsv", results / "summary.txt")
    with pytest.raises(InputError, match="2 of 2 analyses failed") as error:
        check_status(results / "status.tsv", results / "ok")
    assert "c/s (baseline) at assemble_study: no cases" in str(error.value)
    assert not (results / "ok").exists()

"""Summary statistics, calibration, loci, comparison of arms and state of the run."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest
import yaml
from scipy import stats

from deepnull_gwas.errors import InputError
from deepnull_gwas.report.arms import plot_arms
from deepnull_gwas.report.manhattan import plot_manhattan
from deepnull_gwas.report.miami import plot_miami
from deepnull_gwas.report.qq import plot_qq
from deepnull_gwas.results import sumstats
from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.compare import KEY, compare_arms, join_arms, loci_of_both
from deepnull_gwas.results.loci import find_leads, lead_variants, read_leads
from deepnull_gwas.results.ssf import COLUMNS, significant
from deepnull_gwas.results.status import check_status, summarise_run
from deepnull_gwas.results.sumstats import BGZF_END, OTHER_ALLELES, points_of, read_sumstats
from deepnull_gwas.tables import read_json, read_metadata, read_table, write_json, write_table
from result_tables import compare, prepare, publish_and_count, write_results


def publish(folder, study_json, chunks, arm="baseline"):
    return publish_and_count(folder, study_json, chunks, arm)[0]


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
    assert metadata["adjusted_covariates"][-1].startswith("deepnull_covariate ")


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
    for name in (
        "sumstats.tsv.gz",
        "sumstats.tsv.gz.tbi",
        "sumstats.tsv.gz-meta.yaml",
        "other_alleles.tsv.gz",
        "untested.tsv.gz",
    ):
        assert (one.parent / name).read_bytes() == (two.parent / name).read_bytes(), name
    assert sorted(p.name for p in one.parent.iterdir()) == [
        "other_alleles.tsv.gz",
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
            {"chromosome": c, "base_pair_location": p, "neg_log_10_p_value": s, **base}
            | {"variant_id": f"{c}_{p}", "original_id": f"{c}:{p}"}
            for c, p, s in rows
        ]
    )


def test_lead_variants():
    leads = lead_variants(hits([(1, 100, 9.0), (1, 150, 12.0), (1, 240, 10.0), (1, 700, 8.0), (2, 150, 9.0)]), 100)
    assert list(leads["original_id"]) == ["1:150", "1:700", "2:150"]
    assert leads.row(0, named=True)["locus_start"] == 100
    assert leads.row(0, named=True)["locus_end"] == 240
    assert list(leads["hits"]) == [3, 1, 1]
    assert len(lead_variants(hits([(1, 1, 9.0)]).clear(), 100)) == 0


def test_gained_and_lost_loci():
    baseline = lead_variants(hits([(1, 100, 9.0), (3, 100, 8.0)]), 50)
    deepnull = lead_variants(hits([(1, 120, 11.0), (2, 100, 8.0)]), 50)
    assert list(loci_of_both(baseline, deepnull, 50)["verdict"]) == ["shared", "gained", "lost"]


def test_comparison_of_arms(tmp_path):
    _, folder, _ = prepare(tmp_path)
    summary = compare(
        folder, {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": 0.1}, "deepnull": {"r2": 0.2}}
    )
    assert summary["loci"] == {"shared": 1, "gained": 0, "lost": 0}
    assert summary["chi2_ratio"] == pytest.approx(1.05**2, rel=1e-5)
    assert summary["chi2_ratio_expected"] == pytest.approx(0.9 / 0.8)
    assert read_leads(folder / "baseline" / "leads.tsv")["variant_id"].to_list() == ["v100"]


def many_rows(path, rows, seed=0):
    """Write rows of summary statistics whose position, ID and alleles repeat now and then."""
    rng = np.random.default_rng(seed)
    names = list(hits([(1, 1, 1.0)]).columns)
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(("\t".join(names) + "\n").encode())
        for row in rows:
            values = hits([row[:3]]).row(0, named=True) | {"original_id": row[3], "beta": rng.normal()}
            file.write(("\t".join(str(values[n]) for n in names) + "\n").encode())


def test_arms_are_joined_block_by_block_as_they_are_as_a_whole(tmp_path, monkeypatch):
    # blocks of a few rows, so that repeated positions and IDs lie across their edges
    monkeypatch.setattr(sumstats, "BYTES_AT_A_TIME", 300)
    rng = np.random.default_rng(5)
    rows = [
        (c, int(p), 1.0, f"v{i}")
        for c in (1, 2, 23)
        for p in np.repeat(np.arange(1, 40), 3)
        for i in rng.integers(0, 2, 1)
    ]
    for left, right in (
        (rows, rows),
        (rows, rows[3:]),
        (rows[:-20], rows),
        (rows, [r for r in rows if rng.random() < 0.7]),
        ([], rows),
        ([], []),
    ):
        many_rows(tmp_path / "b.tsv.gz", left, 1)
        many_rows(tmp_path / "d.tsv.gz", right, 2)
        blocks = list(join_arms(tmp_path / "b.tsv.gz", tmp_path / "d.tsv.gz"))
        assert len(blocks) > 10 or not left
        found = pl.concat(blocks)
        key = [*KEY, "copy"]
        tables = [
            read_sumstats(tmp_path / f"{name}.tsv.gz").with_columns(pl.int_range(pl.len()).over(KEY).alias("copy"))
            for name in "bd"
        ]
        expected = tables[0].join(tables[1], on=key, how="full", coalesce=True, suffix="_deepnull")
        assert len(found) == len(expected)
        order = [*KEY, "beta_baseline", "beta_deepnull"]
        expected = expected.rename({"beta": "beta_baseline"}).select(order)
        assert found.select(order).sort(order).equals(expected.sort(order))
        assert found.select("chromosome", "base_pair_location").rows() == sorted(
            found.select("chromosome", "base_pair_location").rows()
        )


def test_a_file_is_never_in_memory_as_a_whole(tmp_path):
    # decompressing all blocks at once takes the text, and copies the rest of the file for each of them
    row = b"1\t%d\tA\tC\t0.1234567\t0.01234567\t0.5\t0.7654321\tv\tNA\n"
    size, head = (
        0,
        b"chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\teffect_allele_frequency",
    )
    with pysam.BGZFile(str(tmp_path / "s.tsv.gz"), "wb") as file:
        file.write(head + b"\tneg_log_10_p_value\tvariant_id\tmethod\n")
        for start in range(0, 1_200_000, 1000):
            text = b"".join(row % (start + i) for i in range(1000))
            size += len(text)
            file.write(text)
    assert size > 60_000_000
    tracemalloc.start()
    try:
        table = read_sumstats(tmp_path / "s.tsv.gz", ["neg_log_10_p_value"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table) == 1_200_000
    assert peak < 0.4 * size


def test_a_file_that_is_not_whole_is_set_aside(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1", "2"], 3000)
    out = publish(tmp_path / "o", study, chunks)
    good = out.read_bytes()
    # in the middle, between two blocks, a flipped bit
    first = struct.unpack("<H", good[16:18])[0] + 1
    for wrong in (good[: len(good) // 2], good[:first], good[: -len(BGZF_END)], good[:9000] + b"x" + good[9001:]):
        out.write_bytes(wrong)
        with pytest.raises(InputError, match="damaged"):
            read_sumstats(out)
        assert not out.exists()
    out.write_bytes(good)
    assert len(read_sumstats(out)) > 5000


def test_figures_and_comparison_share_one_read_of_each_file(tmp_path, monkeypatch):
    _, folder, _ = prepare(tmp_path)
    whole, read = sumstats.text_blocks, []
    monkeypatch.setattr(sumstats, "text_blocks", lambda path: read.append(Path(path)) or whole(path))
    files = {arm: folder / arm / "sumstats.tsv.gz" for arm in ("baseline", "deepnull")}
    once = sorted(folder / arm / name for arm in files for name in ("sumstats.tsv.gz", OTHER_ALLELES))
    settings = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
    # as workflow/scripts/compare_arms.py
    write_json({"study": "s", "trait": "quantitative", "status": "failed"}, folder / "metrics.json")
    leads = {arm: folder / arm / "leads.tsv" for arm in files}
    points = compare_arms(files, leads, folder / "metrics.json", None, 500, folder / "c.json", folder / "c.tsv")
    arms = [points[arm] for arm in files]
    plot_arms(*arms, folder / "study.json", folder / "c.json", settings, tmp_path / "a.svg")
    plot_miami(*arms, folder / "c.tsv", folder / "study.json", settings, tmp_path / "m.svg")
    assert sorted(read) == once
    # and they show what they show when each reads for itself
    plot_arms(*files.values(), folder / "study.json", folder / "c.json", settings, tmp_path / "a2.svg")
    plot_miami(*files.values(), folder / "c.tsv", folder / "study.json", settings, tmp_path / "m2.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "a2.svg").read_bytes()
    assert (tmp_path / "m.svg").read_bytes() == (tmp_path / "m2.svg").read_bytes()
    # as workflow/scripts/plot_sumstats.py
    read.clear()
    points = {arm: points_of(path) for arm, path in files.items()}
    plot_qq(points, folder / "study.json", tmp_path / "q.svg")
    plot_manhattan(points, leads, folder / "study.json", settings, tmp_path / "n.svg")
    assert sorted(read) == once


def test_comparison_says_what_its_columns_are(tmp_path):
    _, folder, _ = prepare(tmp_path)
    compare(folder, {"study": "s", "trait": "quantitative", "status": "failed"})
    table = pl.read_csv(folder / "comparison.tsv", separator="\t", infer_schema_length=None)
    for arm in ("baseline", "deepnull"):
        own = read_sumstats(folder / arm / "sumstats.tsv.gz").filter(pl.col("original_id") == "v100")
        for column in ("beta", "standard_error", "neg_log_10_p_value"):
            assert table[f"{column}_{arm}"][0] == pytest.approx(own[column][0], rel=1e-6)
    assert not [c for c in table.columns if c.startswith(("p_", "se_"))]


def test_comparison_has_the_information_of_imputed_genotypes(tmp_path):
    _, folder, _ = prepare(tmp_path, imputed=True)
    compare(folder, {"study": "s", "trait": "quantitative", "status": "failed"})
    table = pl.read_csv(folder / "comparison.tsv", separator="\t", infer_schema_length=None)
    own = read_sumstats(folder / "deepnull" / "sumstats.tsv.gz").filter(pl.col("original_id") == "v100")
    assert table["original_id"].to_list() == ["v100"]
    assert table["info"][0] == pytest.approx(own["info"][0], rel=1e-6)
    assert own["info"][0] > 0


def test_small_effects_are_not_printed_as_nothing(tmp_path):
    # a phenotype of small numbers: five decimals of its effects are zeros
    tiny = {"beta": 1.234567e-9, "standard_error": 2.5e-10}
    for arm in ("baseline", "deepnull"):
        table = hits([(1, 100, 9.0)]).with_columns(**{k: pl.lit(v) for k, v in tiny.items()})
        (tmp_path / arm).mkdir()
        with pysam.BGZFile(str(tmp_path / arm / "sumstats.tsv.gz"), "wb") as file:
            file.write(table.write_csv(separator="\t").encode())
        find_leads(tmp_path / arm / "sumstats.tsv.gz", 5e-8, 500, tmp_path / arm / "leads.tsv")
    compare(tmp_path, {"study": "s", "trait": "quantitative", "status": "failed"})
    found = pl.read_csv(tmp_path / "comparison.tsv", separator="\t").row(0, named=True)
    for arm in ("baseline", "deepnull"):
        assert found[f"beta_{arm}"] == 1.234567e-9
        assert found[f"standard_error_{arm}"] == 2.5e-10


def test_variants_with_other_alleles_count_like_all_others(tmp_path):
    whole, folder, _ = prepare(tmp_path / "a")
    strange = tmp_path / "b"
    other, chunks, _ = write_results(tmp_path, ["1", "2"], 100)
    for path in chunks:
        table, metadata = read_table(path), read_metadata(path)
        # every third, the strongest (the 101st) among them
        alleles = [
            "I" if i % 3 == 1 else a for i, a in zip(table["index"].to_pylist(), table["effect_allele"].to_pylist())
        ]
        at = table.column_names.index("effect_allele")
        write_table(table.set_column(at, "effect_allele", [alleles]), path, metadata=metadata)
    out, counts = publish_and_count(strange, other, chunks)
    tests = find_leads(out, 5e-8, 500, strange / "leads.tsv")
    assert counts["other_alleles"] > 50
    expected = read_json(folder / "baseline" / "tests.json")
    assert tests["tested"] == expected["tested"] == counts["tested"]
    assert tests["lambda_gc"] == expected["lambda_gc"] and tests["loci"] == expected["loci"] == 1
    assert read_leads(strange / "leads.tsv")["effect_allele"].to_list() == ["I"]
    assert points_of(out).equals(points_of(folder / "baseline" / "sumstats.tsv.gz"))
    # the summary names and counts them
    entry = [{"cohort": "c", "study": "s", "batch": "main", "arms": ["baseline"], "model": "linear"}]
    write_json(counts | tests, folder / "baseline" / "tests.json")
    summarise_run(whole, entry, whole / "status.tsv", whole / "summary.txt")
    text = (whole / "summary.txt").read_text()
    assert f"up to {counts['other_alleles']} tested variants" in text and "I/" in text and OTHER_ALLELES in text


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
    entry = [{"cohort": "c", "study": "s", "batch": "main", "arms": ["baseline", "deepnull"], "model": "linear"}]
    results, folder, _ = prepare(tmp_path / "good")
    compare(folder, {"study": "s", "trait": "quantitative", "status": "failed", "reason": "no cases"})
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

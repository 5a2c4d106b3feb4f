"""Regions of the strongest loci: what was published of both arms, row by row, and correlations of the people."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pysam
import pytest

from cohort_files import decode_int8, make_cohort, run_qc
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.results.regions import CohortTables, StudyResults, measure_regions, read_regions, strongest_loci
from deepnull_gwas.results.sumstats import OTHER_ALLELES
from deepnull_gwas.tables import write_parquet

M, N = 60, 120
SETTINGS = {"regions": 2, "region_kb": 8, "genome_build": "GRCh38"}


def publish(folder, table):
    """Write rows as summary statistics with their index; those with the allele D next to it."""
    folder.mkdir()
    known = table.filter(pl.col("effect_allele") != "D")
    path = folder / "sumstats.tsv.gz"
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(known.write_csv(separator="\t", null_value="#NA").encode())
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1, line_skip=1, force=True, keep_original=True)
    with gzip.open(folder / OTHER_ALLELES, "wt") as file:
        file.write(table.filter(pl.col("effect_allele") == "D").write_csv(separator="\t"))
    return path


@pytest.fixture
def study(tmp_path):
    """Make a cohort with 40 variants on 1 and 20 on X, and what was published of two arms."""
    rng = np.random.default_rng(8)
    g = rng.binomial(2, 0.4, (M, N)).astype(np.int8)
    g[rng.random((M, N)) < 0.03] = -1
    sex = np.tile([1, 2, 0], N // 3).astype(np.int8)
    chromosome = ["1"] * 40 + ["X"] * 20
    # beyond the pseudo-autosomal region of X
    position = np.concatenate([np.arange(1, 41) * 1000, 50_000_000 + np.arange(20) * 1000])
    position[11] = position[10]
    cohort = make_cohort(tmp_path / "c", g, chromosome, position, sex)
    bim = pl.read_parquet(cohort / "variants.parquet")
    # two rows that nothing tells apart, and one whose alleles the standard does not know
    ids = [*(f"v{i}" for i in range(11)), "v10", *(f"v{i}" for i in range(12, M))]
    alleles = ["D" if i == 13 else "A" for i in range(M)]
    bim = bim.with_columns(id=pl.Series(ids), effect_allele=pl.Series(alleles))
    bim.write_parquet(cohort / "variants.parquet")
    run_qc(cohort)
    samples = pl.read_parquet(cohort / "samples.parquet").with_columns(sex=pl.Series(sex))
    samples.write_parquet(cohort / "sexes.parquet")
    people = np.arange(5, N)
    write_parquet(pl.DataFrame({"sample_index": people}).to_pandas(), tmp_path / "people.parquet")
    table = pl.DataFrame(
        {
            "chromosome": [1] * 40 + [23] * 20,
            "base_pair_location": position,
            "effect_allele": alleles,
            "other_allele": ["C"] * M,
            "beta": rng.normal(size=M).round(6),
            "standard_error": [0.1] * M,
            "effect_allele_frequency": rng.uniform(0.1, 0.9, M).round(6),
            "neg_log_10_p_value": rng.uniform(0, 7, M).round(6),
            "n": [len(people)] * M,
            "original_id": ids,
        }
    )
    strong = pl.int_range(pl.len())
    deepnull = table.with_columns(
        neg_log_10_p_value=pl.when(strong == 14).then(11.0).when(strong == 50).then(9.0).otherwise("neg_log_10_p_value")
    )
    baseline = table.with_columns(beta=-pl.col("beta")).filter(~pl.int_range(pl.len()).is_in([16, 50]))
    paths = {"baseline": publish(tmp_path / "b", baseline), "deepnull": publish(tmp_path / "d", deepnull)}
    genes = {"nearest_gene": [None, "G"], "gene_distance": [None, 5], "genes": [None, "G,H"]}
    loci = (
        table[[14, 50]].with_columns(verdict=pl.lit("gained")).with_columns(pl.Series(k, v) for k, v in genes.items())
    )
    loci = loci.with_columns(neg_log_10_p_value_baseline=pl.Series([3.0, None]))
    loci = loci.with_columns(neg_log_10_p_value_deepnull=pl.Series([11.0, 9.0]))
    loci.write_csv(tmp_path / "comparison.tsv", separator="\t", null_value="NA")
    (tmp_path / "genes.bed").write_text(
        "1\t8000\t12000\tA\t0\t+\n1\t900000\t910000\tB\t0\t-\nX\t49990000\t50030000\tC\t0\t-\n"
    )
    tables = CohortTables(
        cohort / "genotypes.json", cohort / "variants.parquet", cohort / "sexes.parquet", cohort / "qc_variants.parquet"
    )
    return tables, StudyResults(tmp_path / "people.parquet", paths, tmp_path / "comparison.tsv"), table, people, sex


def correlations(g, reference):
    out = []
    for row in g:
        both = (row >= 0) & (g[reference] >= 0)
        out.append(np.corrcoef(row[both], g[reference][both])[0, 1] ** 2)
    return np.array(out)


def test_regions_hold_what_was_published_and_the_correlations(study, tmp_path):
    tables, results, table, people, sex = study
    measure_regions(tables, results, SETTINGS, tmp_path / "genes.bed", tmp_path / "r.json.gz")
    measure_regions(tables, results, SETTINGS, tmp_path / "genes.bed", tmp_path / "again.json.gz")
    assert (tmp_path / "r.json.gz").read_bytes() == (tmp_path / "again.json.gz").read_bytes()
    content = read_regions(tmp_path / "r.json.gz")
    assert (content["format"], content["window_kb"]) == (1, 8)
    one, on_x = content["loci"]
    assert (one["name"], on_x["name"]) == ("chr1_15000", "chrX_50010000")
    g = decode_int8(open_genotypes(tables.genotypes).calls(np.arange(M)), N)[:, people]
    # rows 6 to 22 lie within 8 kb of row 14; the two of the same name are in their order
    rows = np.arange(6, 23)
    rows = np.array(sorted(rows, key=lambda i: (table["base_pair_location"][int(i)], i)))
    assert one["position"] == table["base_pair_location"].gather(rows).to_list()
    assert one["id"] == table["original_id"].gather(rows).to_list() and one["lead"] == rows.tolist().index(14)
    assert one["arms"]["deepnull"]["beta"] == table["beta"].gather(rows).to_list()
    expected = [None if i == 16 else -table["beta"][int(i)] for i in rows]
    assert one["arms"]["baseline"]["beta"] == expected
    assert one["frequency"] == table["effect_allele_frequency"].gather(rows).to_list()
    assert one["effect_allele"][rows.tolist().index(13)] == "D"
    assert [gene["symbol"] for gene in one["genes"]] == ["A"] and one["genes"][0]["strand"] == "+"
    assert one["references"][0] == one["lead"] and sorted(one["references"]) == list(range(17))
    for row, reference in enumerate(one["references"]):
        np.testing.assert_allclose(one["r2"][row], 1000 * correlations(g[rows], reference), atol=0.5 + 1e-9)
    # on X: those whose sex is known, and no heterozygous men
    assert on_x["arms"]["baseline"]["neg_log_10_p"][on_x["lead"]] is None
    assert (on_x["chromosome"], on_x["verdict"], on_x["nearest_gene"]) == (23, "gained", "G")
    own = g[42:59].copy()
    own[:, sex[people] == 0] = -1
    own[(own == 1) & (sex[people] == 1)] = -1
    np.testing.assert_allclose(on_x["r2"][0], 1000 * correlations(own, on_x["lead"]), atol=0.5 + 1e-9)


def test_regions_without_loci_or_genes(study, tmp_path):
    tables, results, *_ = study
    measure_regions(tables, results, SETTINGS | {"regions": 0}, None, tmp_path / "none.json.gz")
    assert read_regions(tmp_path / "none.json.gz") == {"format": 1, "window_kb": 8, "loci": []}
    measure_regions(tables, results, SETTINGS | {"regions": 1}, None, tmp_path / "one.json.gz")
    (one,) = read_regions(tmp_path / "one.json.gz")["loci"]
    assert one["genes"] == [] and one["nearest_gene"] is None


def test_the_strongest_loci_come_first(tmp_path):
    loci = pl.DataFrame(
        {
            "chromosome": [1, 2, 3],
            "base_pair_location": [5, 6, 7],
            "original_id": ["1", "2", "3"],
            "effect_allele": ["A"] * 3,
            "other_allele": ["T"] * 3,
            "verdict": ["shared", "lost", "gained"],
            "nearest_gene": ["NA"] * 3,
            "gene_distance": ["NA"] * 3,
            "genes": ["NA"] * 3,
            "neg_log_10_p_value_baseline": ["9", "12", "NA"],
            "neg_log_10_p_value_deepnull": ["11", "7", "10"],
        }
    )
    loci.write_csv(tmp_path / "comparison.tsv", separator="\t")
    found = strongest_loci(tmp_path / "comparison.tsv", ["deepnull", "baseline"], 2)
    assert found.select("original_id", "verdict").rows() == [("2", "lost"), ("1", "shared")]
    loci.rename({"neg_log_10_p_value_deepnull": "neg_log_10_p_value"}).drop("verdict").write_csv(
        tmp_path / "leads.tsv", separator="\t"
    )
    found = strongest_loci(tmp_path / "leads.tsv", ["baseline"], 5)
    assert found.select("original_id", "verdict").rows() == [("1", "single"), ("3", "single"), ("2", "single")]


def test_results_of_other_genotypes_are_refused(study, tmp_path):
    tables, results, *_ = study
    variants = pl.read_parquet(tables.variants).with_columns(id=pl.col("id") + "x")
    variants.write_parquet(tables.variants)
    with pytest.raises(InputError, match=r"holds variants that .*variants.parquet does not"):
        measure_regions(tables, results, SETTINGS, None, tmp_path / "r.json.gz")

"""The GWAS Catalog's own validator accepts what is published, whatever IDs and alleles the genotypes have.

The demo's and GEUVADIS's files are validated in tests/workflow.
"""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest
import yaml

from deepnull_gwas.results.loci import find_leads, read_leads
from deepnull_gwas.results.publish import merge_sumstats
from deepnull_gwas.results.sumstats import OTHER_ALLELES, read_sumstats
from deepnull_gwas.tables import read_metadata, read_table, write_table
from result_tables import write_results
from ssf_validator import problems_of

CHROMOSOMES = [*map(str, range(1, 23)), "X"]
STRANGE = ["I", "D", "<DEL>", "*", "-", ".", "0", "1", "2", "N", "R", "Y", "G>A", "<INS:ME:ALU>", "a,c", "LONG"]
NAMES = ["1:123:A:G", "chr1_5_A_G_b38", "rs12", "rs12a", ".", "0", "Affx-12;rs5", 'a"b', "é", "kgp 1".replace(" ", "/")]


def publish(folder, study, chunks, **info):
    out = folder / "sumstats.tsv.gz"
    about = {"cohort": "c", "genome_build": "GRCh38"} | info
    return out, merge_sumstats(
        chunks, "s", "baseline", study, out, folder / "sumstats.tsv.gz-meta.yaml", folder / "untested.tsv.gz", about
    )


def change(chunks, **columns):
    """Put other values into columns of association tables, over and over."""
    for path in chunks:
        table, metadata = pl.from_arrow(read_table(path)), read_metadata(path)
        for name, values in columns.items():
            table = table.with_columns(pl.Series(name, np.resize(np.array(values), len(table)).tolist()))
        write_table(table.to_arrow(), path, metadata=metadata)


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_validator_accepts_the_file(tmp_path, trait):
    study, chunks, _ = write_results(tmp_path, CHROMOSOMES, 100, trait=trait)
    out, _ = publish(tmp_path, study, chunks, date="2026-10-01")
    assert problems_of([out], 1000) == {str(out): []}
    metadata = yaml.safe_load((tmp_path / "sumstats.tsv.gz-meta.yaml").read_text())
    assert str(metadata["date_metadata_last_modified"]) == "2026-10-01"
    # and it is no rubber stamp: the same file without one chromosome, and metadata without a date, are refused
    study, chunks, _ = write_results(tmp_path, CHROMOSOMES[1:], 100, trait=trait)
    publish(tmp_path, study, chunks)
    del metadata["date_metadata_last_modified"]
    (tmp_path / "sumstats.tsv.gz-meta.yaml").write_text(yaml.safe_dump(metadata))
    table, about = problems_of([out], 1000)[str(out)]
    assert table[1] == "missing_chromsomes"
    assert "date_metadata_last_modified" in about[1]


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_validator_accepts_information_and_reference(tmp_path, trait):
    """MaCH's r2 may pass 1, and is not a number where a variant does not vary: the standard wants 0 to 1."""
    study, chunks, columns = write_results(tmp_path, CHROMOSOMES, 100, trait=trait, imputed=True)
    about = {"imputation_panel": "TOPMed r3", "imputation_software": "minimac4 4.1.6"}
    out, _ = publish(tmp_path, study, chunks, **about)
    assert problems_of([out], 1000) == {str(out): []}
    table = read_sumstats(out)
    assert table.columns[10:13] == ["ref_allele", "info", "n"]
    assert set(table["ref_allele"]) == {"OA"}
    expected = dict(zip(columns["id"], np.clip(columns["s.info"], 0, 1)))
    found = dict(table.select("original_id", "info").iter_rows())
    assert max(expected[v] for v in found if not np.isnan(expected[v])) == 1
    for name, value in found.items():
        assert (value is None) == np.isnan(expected[name])
        assert value is None or value == pytest.approx(expected[name], rel=1e-6)
    untested = pl.read_csv(tmp_path / "untested.tsv.gz", separator="\t", null_values="#NA", infer_schema_length=None)
    assert len(untested) and untested.columns[-2:] == ["info", "reason"]
    for name, value in untested.select("original_id", "info").iter_rows():
        assert (value is None) == np.isnan(expected[name])
    metadata = yaml.safe_load((tmp_path / "sumstats.tsv.gz-meta.yaml").read_text())
    assert about.items() <= metadata.items()
    assert metadata["deepnull_gwas"]["info"].startswith("MaCH r2")
    find_leads(out, 1e-3, 100, tmp_path / "leads.tsv")
    leads = read_leads(tmp_path / "leads.tsv")
    assert len(leads) and leads.columns[-4:] == ["info", "nearest_gene", "gene_distance", "genes"]
    assert all(value == found[name] for name, value in leads.select("original_id", "info").iter_rows())


def test_any_id_and_any_allele(tmp_path):
    study, chunks, _ = write_results(tmp_path, CHROMOSOMES, 100)
    alleles = [*["A", "g", "ACGTTT", "LONG_STRING"] * 6, *STRANGE]
    change(chunks, id=NAMES, effect_allele=alleles, other_allele=["C", "T", "T"])
    out, counts = publish(tmp_path, study, chunks)
    assert problems_of([out], 1000) == {str(out): []}
    # nothing is lost: what the standard does not know is beside it, with its estimates, and was counted and named
    known, other = read_sumstats(out), read_sumstats(tmp_path / OTHER_ALLELES)
    assert set(other["effect_allele"]) == set(STRANGE)
    assert not set(known["effect_allele"]) & set(STRANGE)
    assert counts["other_alleles"] == len(other) > 500
    assert counts["tested"] == len(known) + len(other)
    assert other.columns == known.columns
    assert other["beta"].is_finite().all() and other["neg_log_10_p_value"].is_finite().all()
    said = yaml.safe_load((tmp_path / "sumstats.tsv.gz-meta.yaml").read_text())["deepnull_gwas"]["other_alleles"]
    assert said["variants"] == len(other) and said["data_file_name"] == OTHER_ALLELES
    assert {pair.split("/")[0] for pair in said["examples"]} <= set(STRANGE)
    with gzip.open(tmp_path / "untested.tsv.gz", "rt") as file:
        untested = len(file.readlines()) - 1
    assert len(known) + len(other) + untested == 2300
    # the ID of the .bim is kept as it is
    assert set(known["original_id"]) == set(NAMES)
    assert set(known.filter(pl.col("original_id") == "1:123:A:G")["variant_id"]) == {"1_123_A_G"}
    assert set(known.filter(pl.col("original_id") == "rs12")["rsid"]) == {"rs12"}
    assert known.filter(pl.col("original_id") != "rs12")["rsid"].null_count() == (known["original_id"] != "rs12").sum()
    nameless = known.filter(pl.col("original_id") == ".")
    place = [
        f"{r['chromosome']}_{r['base_pair_location']}_{r['other_allele']}_{r['effect_allele']}"
        for r in nameless.iter_rows(named=True)
    ]
    assert nameless["variant_id"].to_list() == place


def test_a_p_of_one_is_not_taken_for_one_that_underflowed(tmp_path):
    study, chunks, _ = write_results(tmp_path, CHROMOSOMES, 50)
    change(chunks, **{"s.baseline.neg_log10_p": [0.0, 0.3, -0.0, 1e-9, 312.5]})
    out, _ = publish(tmp_path, study, chunks)
    assert problems_of([out], 1000) == {str(out): []}
    p = read_sumstats(out)["neg_log_10_p_value"]
    assert (10.0 ** -p.filter(p < 1e-10) == 1.0).all()

"""The GWAS Catalog's own validator accepts what is published, whatever IDs and alleles the genotypes have.

The demo's and GEUVADIS's files are validated in tests/workflow.
"""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest
import yaml

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

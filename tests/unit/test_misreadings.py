"""What was once read as something else than it says, or ended in a traceback: one plain test a fault that the fuzzing
found.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
import pytest

from deepnull_gwas.cohort.covariates import code_phenotype
from deepnull_gwas.cohort.projection import read_loadings
from deepnull_gwas.cohort.relatives import read_pairs
from deepnull_gwas.cohort.sample_table import read_sample_table
from deepnull_gwas.config import load_config
from deepnull_gwas.deepnull.fold_steps import read_fold_file
from deepnull_gwas.deepnull.people_table import numbers, read_people_table
from deepnull_gwas.deepnull.predict import MISSING
from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.genotypes.bed_tables import read_bim, read_fam
from deepnull_gwas.results.loci import find_leads, read_leads
from deepnull_gwas.results.ssf import as_text

PEOPLE = pd.DataFrame({"sample_index": range(3), "fid": ["a", "b", "c"], "iid": ["a", "b", "c"]})


def refused(call, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    for part in parts:
        assert part in str(error.value)
    assert len(str(error.value)) < 4000


def written(folder: Path, data: str | bytes, name: str = "t.tsv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# --- sample tables -----------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "row"),
    [
        # the rest of the file was one value, and its people were lost
        ('IID\tage\n1\t"0\n2\t0\n', 2),
        # two inches: the rows between them were one value
        ('IID\tage\tnote\n1\t2\t"x\n2\t3\ty\n3\t4\tz"\n', 2),
        ('IID\tage\n1\t2\n2\t"5"x\n', 3),
        ('"IID\tage\n1\t2\n', 1),
    ],
)
def test_a_quote_that_is_not_closed(tmp_path, data, row):
    path = written(tmp_path, data)
    refused(lambda: read_sample_table(path), f"{path}: row {row}: ")


def test_quotes_that_are_closed_and_quotes_inside_values(tmp_path):
    table = read_sample_table(written(tmp_path, 'IID\tnote\tage\n1\t"a\tb""c"\t5\'10"\n2\tx"y\t"6"\n'))
    assert table.columns["note"].tolist() == ['a\tb"c', 'x"y']
    assert table.columns["age"].tolist() == ["5'10\"", "6"]
    table = read_sample_table(written(tmp_path, 'IID,note\n1,"two\nlines"\n2,x\n', "t.csv"))
    assert table.columns["note"].tolist() == ["two\nlines", "x"]


def test_a_zero_byte_far_into_the_file(tmp_path):
    path = written(tmp_path, "IID\tage\n" + "".join(f"{i}\t1\n" for i in range(60_000)) + "x\t\0\n")
    refused(lambda: read_sample_table(path), f"{path}: row 60002: is not text")


def test_a_header_that_no_reader_holds(tmp_path):
    path = written(tmp_path, "IID\t" + "x" * 200_000 + "\n1\t2\n")
    refused(lambda: read_sample_table(path), f"{path}: row 1: the header cannot be read")


def test_messages_shorten_what_they_show(tmp_path):
    path = written(tmp_path, f"IID\tage\n{'a' * 50_000}\t1\n{'a' * 50_000}\t1\n")
    # the row is never what is cut off
    refused(lambda: read_sample_table(path), "there more than once", "... (rows 2, 3)")
    assert len(some(["x" * 10_000] * 9)) < 1000
    assert len(nearest("x" * 10_000, ["x" * 9_999])) < 200


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        ([1001.0, 1002.0], ["1001", "1002"]),
        # NaN among numbers made texts such as 1001.0 of all IDs, and a person called nan
        ([1001.0, math.nan], None),
        ([1001.0, math.inf], ["1001", "inf"]),
    ],
)
def test_ids_that_are_numbers_in_parquet(tmp_path, ids, meant):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"IID": pa.array(ids), "age": [1, 2]}), path)
    if meant is None:
        refused(lambda: read_sample_table(path), "1 rows have no IID (rows 3")
    else:
        assert [k.removesuffix(".0") for k in read_sample_table(path).keys] == meant


def test_types_in_parquet_that_are_no_values(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"IID": ["a"], "x": [[1, 2]], "y": [b"\xff"]}), path)
    refused(lambda: read_sample_table(path), "column 'x' holds list", "column 'y' holds binary")
    pq.write_table(pa.table({"IID": ["a"], "x": pa.array([np.float16(0.5)]), "y": pa.nulls(1)}), path)
    assert read_sample_table(path).columns["x"].tolist() == [0.5]


def test_column_names_with_line_breaks(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"IID": ["a"], "y\ntouch pwned": [1]}), path)
    refused(lambda: read_sample_table(path), "control characters: 'y\\ntouch pwned'; rename them")


# --- .bim and .fam -------------------------------------------------------------


def test_quotes_in_plink_files_are_letters(tmp_path):
    bim = written(tmp_path, '1 "rs1" 0 5 A "C"\n1 " 0 6 A G\n', "g.bim")
    assert read_bim(str(bim))[["id", "other_allele"]].to_numpy().tolist() == [['"rs1"', '"C"'], ['"', "G"]]
    fam = written(tmp_path, '"f" "p" 0 0 1 -9\nf p 0 0 2 -9\n', "g.fam")
    assert read_fam(str(fam))["iid"].tolist() == ['"p"', "p"]


def test_zero_bytes_in_plink_files(tmp_path):
    fam = written(tmp_path, "f p 0 0 1 -9\nf q\0 0 0 2 -9\n", "g.fam")
    refused(lambda: read_fam(str(fam)), f"{fam}: ", "row 2 holds a zero byte")


def test_a_blank_of_unicode_is_part_of_an_id(tmp_path):
    bim = written(tmp_path, "1 r\u00a0s 0 5 A C\n1 NA 0 6 A G\n", "g.bim")
    assert read_bim(str(bim))["id"].tolist() == ["r\u00a0s", "NA"]


# --- other tables ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        # the pair counted as unrelated
        ("IID1\tIID2\tKINSHIP\na\tb\t0,25\n", ("row 2, column KINSHIP: '0,25' is no number",)),
        # the first column was taken for the names of the rows, and the others for their left neighbours
        ("IID1\tIID2\tKINSHIP\na\tb\t0.1\t0.25\n", ("row 2 has 4",)),
        ("IID1\tIID2\tKINSHIP\na\tb\n", ("row 2 has 2",)),
        ("IID1\tiid1\tIID2\tKINSHIP\na\tb\tc\t1\n", ("columns are there more than once: IID1",)),
        ("", ("is empty",)),
        (b"IID1\tIID2\tKINSHIP\na\t\xe9\t0.25\n", ("row 2: not UTF-8",)),
    ],
)
def test_related_pairs(tmp_path, data, parts):
    path = written(tmp_path, data)
    refused(lambda: read_pairs(path, PEOPLE), str(path), *parts)


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ("1\t5\tA\tC\t1.5\t0.1", ("row 2, column effect_allele_frequency: 1.5, expected a share between 0 and 1",)),
        ("1\t5\tA\tC\tx\t0.1", ("row 2, column effect_allele_frequency: 'x' is no number",)),
        ("1\t5.5\tA\tC\t0.5\t0.1", ("row 2, column position: 5.5, expected a whole number",)),
        ("1\t5\tA\tC\t0.5\tNA", ("row 2, column PC1: 'NA' is no number",)),
    ],
)
def test_loadings(tmp_path, cells, parts):
    path = written(
        tmp_path, f"chromosome\tposition\teffect_allele\tother_allele\teffect_allele_frequency\tPC1\n{cells}\n"
    )
    refused(lambda: read_loadings(path), str(path), *parts)


def test_an_allele_called_na_is_no_missing_value(tmp_path):
    head = "chromosome\tposition\teffect_allele\tother_allele\teffect_allele_frequency\tPC1\n"
    table, _, _ = read_loadings(written(tmp_path, head + "chr1\t1e5\tNA\tT\t0.5\t0.1\n"))
    assert table.iloc[0, :4].tolist() == ["1", 100_000, "NA", "T"]


def test_folds(tmp_path):
    path = written(tmp_path, "IID\tfold\na\t0\nb\t1\nc\t0\t2\n")
    refused(lambda: read_fold_file(path, PEOPLE, 3), str(path), "row 4 has 3")
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfIID\tfold\r\na\t0\r\nb\t1.0\r\nc\t2\r\n"))
    assert read_fold_file(path, PEOPLE, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", ["1_000", "-nan", "NAN", "infinity", "１２", "0x10", "1e400"])
def test_what_python_takes_for_a_number(tmp_path, value):
    table = read_people_table(written(tmp_path, f"IID\ty\na\t1\nb\t{value}\n"))
    refused(lambda: numbers(table, "y", MISSING, "a target holds numbers"), f"row 3 (b), column 'y': '{value}' is no")


def test_a_damaged_gzip_file_of_people(tmp_path):
    data = bytearray(gzip.compress(b"IID\ty\na\t1\nb\t2\n" * 3, mtime=0))
    data[12] ^= 0x55
    path = written(tmp_path, bytes(data))
    refused(lambda: read_people_table(path), f"{path}: not a readable gzip file")


def test_a_case_value_is_no_python_number():
    series = pd.Series([10.0, 1.0], name="y")
    study = {"trait": "binary", "case_value": "1_0", "control_value": "1"}
    refused(lambda: code_phenotype(series, study), "nobody has the value '1_0'")


# --- configuration ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sheet", "parts"),
    [
        ('study\tcohort\tphenotype\ttrait\ns\tc\t"y\tquantitative\nt\tc\ty\tquantitative\n', ("studies.tsv: row 2: ",)),
        ('study\tcohort\tphenotype\ttrait\ns\tc\t"y\nz"\tquantitative\n', ("studies.tsv: row 2: a line break",)),
        ("study\tcohort\tphenotype\ttrait\ns\tc\t" + "y" * 200_000 + "\tquantitative\n", ("studies.tsv: row 2: ",)),
        ("study\tcohort\tphenotype\ttrait\tpcs\ns\tc\ty\tquantitative\t" + "9" * 400 + "\n", ("row 2, column pcs: ",)),
        ("study\tcohort\tphenotype\ttrait\ns\tc\ty\0\tquantitative\n", ("studies.tsv: row 2: is not text",)),
    ],
)
def test_sheets(tmp_path, sheet, parts):
    written(tmp_path, sheet, "studies.tsv")
    for name in ("g.bed", "g.bim", "g.fam", "t.tsv"):
        written(tmp_path, "", name)
    config = {
        "studies": "studies.tsv",
        "cohorts": {"c": {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}},
    }
    refused(lambda: load_config(config, tmp_path), *parts)


def test_whole_numbers_with_a_point(tmp_path):
    written(tmp_path, "study\tcohort\tphenotype\ttrait\ns\tc\ty\tquantitative\n", "studies.tsv")
    for name in ("g.bed", "g.bim", "g.fam", "t.tsv"):
        written(tmp_path, "", name)
    cohort = {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}
    config = {"studies": "studies.tsv", "cohorts": {"c": cohort}, "structure": {"pcs": 3.0}, "deepnull": {"folds": 4.0}}
    read = load_config(config, tmp_path)
    # a range up to 3.0 is a TypeError
    assert (type(read.studies[0].pcs), read.studies[0].pcs) == (int, 3)
    assert (type(read.deepnull["folds"]), read.deepnull["folds"]) == (int, 4)


# --- results -----------------------------------------------------------------------


def test_a_quote_in_the_id_of_a_variant(tmp_path):
    # it failed the study after its whole association
    frame = pl.DataFrame({"variant_id": ['rs"1"', "rs2"], "beta": [0.5, None]})
    assert as_text(frame, True) == b'variant_id\tbeta\nrs"1"\t0.5\nrs2\t#NA\n'
    columns = [
        "chromosome",
        "base_pair_location",
        "effect_allele",
        "other_allele",
        "effect_allele_frequency",
        "beta",
        "standard_error",
    ]
    columns += ["neg_log_10_p_value", "variant_id", "n", "original_id"]
    rows = ["\t".join(columns), '1\t5\tA\tC\t0.5\t1\t0.1\t20\trs_1_\t100\trs"1"']
    with pysam.BGZFile(str(tmp_path / "s.tsv.gz"), "wb") as file:
        file.write("".join(f"{r}\n" for r in rows).encode())
    find_leads(tmp_path / "s.tsv.gz", 5e-8, 500, tmp_path / "leads.tsv")
    assert read_leads(tmp_path / "leads.tsv")["original_id"].to_list() == ['rs"1"']

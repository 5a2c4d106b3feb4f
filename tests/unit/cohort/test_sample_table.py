"""The sample table: forms, types, IDs, and the join."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.sample_table import join_samples, read_sample_table
from deepnull_gwas.errors import InputError

MISSING = ["", "NA", "."]


def write(folder, data: str | bytes, name: str = "t.tsv"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def fam(*iids: str, sex=0) -> pd.DataFrame:
    return pd.DataFrame(
        {"fid": [f"F{i}" for i in iids], "iid": list(iids), "sex": np.full(len(iids), sex, dtype=np.int8)}
    )


def reads(path, **options):
    return read_sample_table(path, missing_values=MISSING, **options)


def fails(path, **options) -> str:
    with pytest.raises(InputError) as error:
        reads(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


TAB = "FID\tIID\tage\tsite\nF1\t01\t4.5\tA\nF2\t2\tNA\tnew town\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.tsv", TAB),
        ("t.tsv", "\ufeff" + TAB.replace("\n", "\r\n")),
        ("t.tsv", TAB.rstrip("\n")),
        ("t.txt", TAB.replace("FID", "#FID")),
        ("t.csv", TAB.replace("\t", ",")),
        ("t.csv", TAB.replace("\t", ";")),
        ("t.csv", TAB.replace("\t", ",").replace("new town", '"new town"')),
        ("t.txt", TAB.replace("\t", ",")),
        ("t.tsv.gz", gzip.compress(TAB.encode(), mtime=0)),
        ("t.csv.gz", gzip.compress(TAB.replace("\t", ",").encode(), mtime=0)),
    ],
)
def test_forms(tmp_path, name, data):
    table = reads(write(tmp_path, data, name))
    assert table.keys.tolist() == ["01", "2"]
    assert list(table.columns) == ["age", "site"], "an FID that is not asked for is set aside"
    assert table.columns["age"].dtype == np.float64
    assert table.columns["age"].tolist()[0] == 4.5
    assert np.isnan(table.columns["age"][1])
    assert table.columns["site"].tolist() == ["A", "new town"]


def test_spaces(tmp_path):
    table = reads(write(tmp_path, "  #IID   age  site\n  01   4.5  A \n  2    NA     B\n", "t.phe"))
    assert table.keys.tolist() == ["01", "2"]
    assert table.columns["site"].tolist() == ["A", "B"]


def test_parquet(tmp_path):
    frame = pd.DataFrame(
        {"IID": [7, 8], "age": [1, 2], "site": pd.Categorical(["A", "."]), "ok": [True, False], "text": ["1.5", "NA"]}
    )
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    table = reads(tmp_path / "t.parquet")
    assert table.keys.tolist() == ["7", "8"]
    assert table.columns["age"].tolist() == [1.0, 2.0]
    assert table.columns["ok"].tolist() == [1.0, 0.0]
    assert table.columns["site"].tolist() == ["A", None]
    assert table.columns["text"].dtype == np.float64


@pytest.mark.parametrize(
    ("values", "numeric"),
    [
        (["1", "+2.5", "-1e3", ".5"], True),
        (["NA", "", ".", "NA"], True),
        (["1,234", "2"], False),
        (["1", "inf"], False),
        (["1", "nan"], False),
        (["2020-01-01", "2020-01-02"], False),
        (["true", "false"], False),
        (["0x1", "2"], False),
        (["1", "<5"], False),
    ],
)
def test_what_counts_as_a_number(tmp_path, values, numeric):
    lines = "".join(f"{i}\t{v}\n" for i, v in enumerate(values))
    column = reads(write(tmp_path, "IID\tx\n" + lines)).columns["x"]
    assert (column.dtype == np.float64) == numeric
    if not numeric:
        assert column.tolist() == values, "text stays as it was written"


def test_numeric_markers_are_compared_as_numbers(tmp_path):
    path = write(tmp_path, "IID\tx\n1\t-9\n2\t-9.0\n3\t4\n")
    assert reads(path).columns["x"].tolist() == [-9, -9, 4]
    assert read_sample_table(path, missing_values=["-9"]).columns["x"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("", "is empty"),
        ("IID\tage\n", "has a header but no rows"),
        ("ID\tage\n1\t2\n", "no column 'IID' (sample_id in the config); found ID, age; did you mean 'ID'?"),
        ("IID\tage\tage\n1\t2\t3\n", "columns are there more than once: age"),
        ("IID\tiid\n1\t2\n", "reserved for the workflow: iid"),
        (
            "IID\tage\n1\t2\n3\n4\t5\t6\n",
            "2 rows have another number of fields than the header's 2 (separated by tabs): row 3 has 1, row 4 has 3",
        ),
        ("IID\tage\nr1\t1\t2\nr2\t3\t4\n", "row.names = FALSE"),
        ("IID\tage\n1\t2\nNA\t3\n", "1 rows have no IID (rows 3; the header is row 1)"),
        ("IID\tage\n1\t2\n5\t2\n1\t3\n", "1 IDs (IID) are there more than once: 1 (rows 2, 4)"),
        ("FID\tIID\n1\t2\n3\t2\n", "give family_id: FID"),
        ("IID\tage\n1\tcaf\xe9\n".encode("latin1"), "row 2: not UTF-8 text (byte 0xe9)"),
        ("IID\tage\n1\t2\n".encode("utf-16"), "is UTF-16 text"),
        ("IID\t\tage\n1\t2\t3\n", "column 2 of 3 has no name"),
        (b"\x1f\x8b not gzip at all", "not a readable gzip file"),
        (b"IID\tage\n\0\0\0\n", "is not text"),
    ],
)
def test_what_is_wrong(tmp_path, data, part):
    assert part in fails(write(tmp_path, data))


def test_absent_and_broken_files(tmp_path):
    assert "no such file" in fails(tmp_path / "no.tsv")
    assert "not a readable Parquet file" in fails(write(tmp_path, "x", "t.parquet"))


def test_join_is_by_id(tmp_path):
    table = reads(write(tmp_path, "IID\tage\tsite\nc\t3\tC\na\t1\tA\nz\t9\tZ\n"))
    joined = join_samples(fam("a", "b", "c"), table, "x.fam", 0.5)
    assert joined["sample_index"].tolist() == [0, 1, 2]
    assert joined["in_sample_table"].tolist() == [True, False, True]
    assert joined["age"].tolist()[::2] == [1, 3]
    assert np.isnan(joined["age"][1])
    assert joined["site"].tolist() == ["A", None, "C"]
    assert joined["recorded_sex"].dtype == np.int8


def test_join_by_family_and_person(tmp_path):
    table = reads(write(tmp_path, "FID\tIID\tage\nFb\t1\t3\nFa\t1\t4\n"), family_id="FID")
    people = pd.DataFrame({"fid": ["Fa", "Fb"], "iid": ["1", "1"], "sex": np.zeros(2, dtype=np.int8)})
    assert join_samples(people, table, "x.fam")["age"].tolist() == [4, 3]
    by_person = reads(write(tmp_path, "IID\tage\n1\t3\n"))
    with pytest.raises(InputError, match="give the column with the family ID as family_id"):
        join_samples(people, by_person, "x.fam")


@pytest.mark.parametrize(
    ("codes"), [["1", "2", "0"], ["M", "F", "NA"], ["male", "Female", "unknown"], ["1.0", "2.0", "-9"]]
)
def test_sex_of_the_table_goes_before_the_fam(tmp_path, codes, caplog):
    rows = "".join(f"{i}\t{c}\n" for i, c in zip("abc", codes))
    table = reads(write(tmp_path, "IID\tgender\n" + rows), sex="gender")
    with caplog.at_level(logging.WARNING):
        joined = join_samples(fam("a", "b", "c", "d", sex=1), table, "x.fam")
    assert joined["recorded_sex"].tolist() == [1, 2, 1, 1]
    assert joined["gender"].tolist()[:2] == [1, 2]
    assert joined["gender"].isna().tolist() == [False, False, True, True]
    assert "1 people have another sex" in caplog.text
    assert ": b" in caplog.text


@pytest.mark.parametrize(("codes", "part"), [("01", "holds 0 and 1; expected 1 or M"), ("1x", "holds 'x' (row 3)")])
def test_sex_that_cannot_be_read(tmp_path, codes, part):
    rows = "".join(f"{i}\t{c}\n" for i, c in enumerate(codes))
    with pytest.raises(InputError) as error:
        reads(write(tmp_path, "IID\tgender\n" + rows), sex="gender")
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("ours", "theirs", "hint"),
    [
        (["001", "002"], ["1", "2"], "leading zeros"),
        (["ab", "cd"], ["AB", "CD"], "upper and lower case"),
        (["1", "2"], ["F1_1", "F2_2"], "the table's IDs are FID_IID"),
        (["1_1", "2_2"], ["1", "2"], "the genotypes' IDs are FID_IID, doubled"),
        (["1", "2"], ["1.0", "2.0"], "end in '.0'"),
        (["1", "2"], ["F1", "F2"], "the genotypes' family IDs"),
        (["1", "2"], ["x", "y"], "is sample_id the right column?"),
    ],
)
def test_no_id_in_common(tmp_path, ours, theirs, hint):
    table = reads(write(tmp_path, "IID\tage\n" + "".join(f"{i}\t1\n" for i in theirs)))
    with pytest.raises(InputError) as error:
        join_samples(fam(*ours), table, "x.fam")
    message = str(error.value)
    assert "not one ID in common with x.fam" in message
    assert hint in message
    assert theirs[0] in message
    assert ours[0] in message


def test_small_overlap_is_said(tmp_path, caplog):
    table = reads(write(tmp_path, "IID\tage\na\t1\nx\t1\ny\t1\n"))
    with caplog.at_level(logging.WARNING):
        join_samples(fam("a", "b", "c", "d"), table, "x.fam", 0.3)
    assert (
        "only 1 of 3 IDs of the smaller side are in both; not in the sample table: b, c, d; not in the genotypes: x, y"
        in caplog.text
    )

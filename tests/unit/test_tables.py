"""Tables between steps, logs and errors."""

from __future__ import annotations

import errno
import json
import logging

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.errors import InputError, InputErrors, nearest, some
from deepnull_gwas.logs import Progress, log_to
from deepnull_gwas.tables import (
    Column,
    atomic_path,
    read_json,
    read_metadata,
    read_npz,
    read_parquet,
    write_json,
    write_npz,
    write_parquet,
    write_tsv,
)

SCHEMA = [
    Column("index", "int64", "row"),
    Column("name", "str", "name", nullable=True),
    Column("x", "float64", "value", nullable=True),
]


def frame() -> pd.DataFrame:
    return pd.DataFrame({"index": np.arange(3), "name": ["a", None, "c"], "x": [1.0, np.nan, 3.0]})


def test_round_trip_with_metadata_and_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_parquet(frame(), tmp_path / name, SCHEMA, {"k": [1, 2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_metadata(tmp_path / "a") == {"k": [1, 2]}
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a", SCHEMA), frame())


def test_schema_is_asserted(tmp_path):
    with pytest.raises(InputError, match="'x' is missing"):
        write_parquet(frame().drop(columns="x"), tmp_path / "a", SCHEMA)
    with pytest.raises(InputError, match="has missing values"):
        write_parquet(frame(), tmp_path / "a", [Column("name", "str", "name")])
    write_parquet(frame(), tmp_path / "b")
    with pytest.raises(InputError, match="expected int32"):
        read_parquet(tmp_path / "b", [Column("index", "int32", "row")])
    assert not (tmp_path / "a").exists()


def test_truncated_parquet_is_named(tmp_path):
    write_parquet(frame(), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.parquet: damaged"):
        read_parquet(tmp_path / "a.parquet")


def test_nothing_is_left_of_a_failed_write(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_nan(tmp_path):
    write_json({"a": np.float64("nan"), "b": np.arange(2), "c": (1, None)}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [0, 1], "c": [1, None]}


def test_tsv_writes_na(tmp_path):
    write_tsv(frame(), tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text() == "index\tname\tx\n0\ta\t1\n1\tNA\tNA\n2\tc\t3\n"


def test_log_takes_everything_and_names_a_wrong_input_without_a_traceback(tmp_path, capfd):
    with pytest.raises(SystemExit), log_to(tmp_path / "logs" / "x.log"):
        print("printed")
        logging.getLogger("deepnull_gwas").info("logged")
        raise InputError("file f: row 3 is wrong")
    text = (tmp_path / "logs" / "x.log").read_text()
    assert "printed" in text
    assert "INFO logged" in text
    assert "Input error: file f: row 3 is wrong" in text and "Traceback" not in text
    assert "Input error: file f: row 3 is wrong" in capfd.readouterr().err


def test_progress_says_rate_and_time_left(caplog):
    caplog.set_level(logging.INFO)
    progress = Progress(100, "variants", every=0)
    progress.add(25)
    assert "25 of 100 variants (25 %)" in caplog.text
    assert "s left" in caplog.text


def test_messages():
    assert nearest("phenotyp", ["phenotype", "trait"]) == "; did you mean 'phenotype'?"
    assert nearest("qqq", ["phenotype"]) == ""
    assert some(range(7), 3) == "0, 1, 2 and 4 more"
    assert "2 problems" in str(InputErrors(["a", "b"]))


def test_a_damaged_file_of_ours_is_named_and_set_aside(tmp_path):
    frame = pd.DataFrame({"x": np.arange(100_000) % 977})
    cut, flipped, text, arrays = (tmp_path / n for n in ("cut.parquet", "flipped.parquet", "text.json", "arrays.npz"))
    write_parquet(frame, cut)
    data = cut.read_bytes()
    cut.write_bytes(data[:-100])
    # one bit of the data, not of the footer
    flipped.write_bytes(data[:2000] + bytes([data[2000] ^ 4]) + data[2001:])
    text.write_text('{"a": [1, 2')
    write_npz(arrays, a=np.arange(1000))
    arrays.write_bytes(arrays.read_bytes()[:-50])
    for path, read in ((cut, read_parquet), (flipped, read_parquet), (text, read_json), (arrays, read_npz)):
        with pytest.raises(InputError, match=f"{path.name}: damaged.*{path.name}.damaged. Run snakemake again"):
            read(path)
        assert not path.exists() and path.with_name(f"{path.name}.damaged").exists()


def test_a_damaged_file_of_the_user_is_left_where_it_is(tmp_path):
    path = tmp_path / "theirs.parquet"
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(InputError, match=r"theirs\.parquet: not a readable Parquet file"):
        read_parquet(path, own=False)
    assert path.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "results/x.parquet"), "Make room and run snakemake again"),
        (MemoryError("cannot allocate 3 GB"), "--set-resources"),
    ],
)
def test_full_disk_and_lack_of_memory_say_what_to_do(tmp_path, capfd, error, words):
    with pytest.raises(SystemExit), log_to(tmp_path / "x.log"):
        raise error
    assert words in capfd.readouterr().err
    assert "Traceback" not in (tmp_path / "x.log").read_text()

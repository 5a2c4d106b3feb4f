"""The data dictionary, by itself; with the files of runs it is compared where there are any (tests/workflow)."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepnull_gwas.dictionary import FILES, Field, File, file_of, text
from dictionary_checks import compared

PAGE = Path(__file__).resolve().parents[2] / "docs/data_dictionary.md"


def test_the_page_is_that_of_the_schemas():
    assert PAGE.read_text(encoding="utf-8") == text(), "python -m deepnull_gwas.dictionary > docs/data_dictionary.md"


def test_every_file_is_one_and_every_column_has_a_meaning():
    assert len({file.path for file in FILES}) == len(FILES)
    for file in FILES:
        names = [field.name for field in file.fields]
        assert len(set(names)) == len(names), file.path
        assert all(len(field.doc) > 2 and field.type for field in file.fields), file.path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ukb/bmi/baseline/leads.tsv", "{cohort}/{study}/{arm}/leads.tsv"),
        ("ukb/bmi/deepnull/folds.parquet", "{cohort}/{study}/deepnull/folds.parquet"),
        ("ukb/associations/main/12.parquet", "{cohort}/associations/{batch}/{chunk}.parquet"),
        ("ukb/bmi/qq.pdf", "{cohort}/{study}/qq.{kind}"),
        ("site/data/a.js", "site/**"),
        ("ukb/qc/samples.parquet", "{cohort}/qc/samples.parquet"),
        ("ukb/bmi/qq.png", None),
        ("ukb/bmi/other/leads.tsv", None),
    ],
)
def test_a_file_is_found_by_its_name(path, expected):
    assert (found := file_of(path, FILES)) is None if expected is None else file_of(path, FILES).path == expected, found


def test_a_difference_is_told():
    file = File(
        "a.tsv", "a", "a row", (Field("x", "int64", "one"), Field("y", "str", "two"), Field("z", "str", "3", "if"))
    )
    assert not [*compared(file, {"x": "", "y": ""})] and not [*compared(file, {"x": "int64", "y": "str", "z": "str"})]
    assert [*compared(file, {"x": "int64"})] == ["'y' is in the dictionary, but not in the file"]
    assert [*compared(file, {"y": "", "x": ""})] == ["'x' comes before 'y' in the dictionary, and after it in the file"]
    assert [*compared(file, {"x": "", "y": "", "new": ""})] == ["'new' is not in the dictionary"]
    assert [*compared(file, {"x": "float64", "y": "str"})] == ["'x' is float64, in the dictionary int64"]

"""The preflight: counts of who is in and out, warnings, all problems at once."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.covariates import read_people, select_people
from deepnull_gwas.cohort.preflight import preflight_cohort
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.tables import write_parquet


def test_counts(small):
    table = small.table
    table.loc[[0, 1], "height"] = np.nan
    table.loc[[1, 2, 3], "age"] = np.nan
    small.write_table(table.drop(index=39))
    small.index()
    row = small.preflight(small.study(include="sex == 2 | site == A")).iloc[0]
    assert row["people_in_genotypes"] == 40
    assert row["people_in_sample_table"] == 39
    assert row["with_phenotype"] == 37
    included = (table["sex"] == 2) | (table["site"] == "A")
    assert row["included"] == int((included & table["height"].notna())[:39].sum())
    assert row["with_all_covariates"] == int((included & table["height"].notna() & table["age"].notna())[:39].sum())
    assert "not in the sample table: 1 (0039); phenotype height missing: 2 (0000, 0001)" in row["out"]
    written = pd.read_csv(small.out / "preflight.tsv", sep="\t")
    assert written["study"].tolist() == ["s"]


def test_binary(small):
    small.index()
    row = small.preflight(small.study(phenotype="status", trait="binary", covariates=("age", "sex"))).iloc[0]
    assert (row["cases"], row["controls"]) == (24, 16)
    assert row["warnings"] == ""


@pytest.mark.parametrize(
    ("change", "study", "part"),
    [
        ({"height": np.tile([1.5, 2.5], 20)}, {}, "has only two values; is it binary?"),
        ({"age": 7}, {}, "covariate age is constant (7) and will be dropped"),
        ({"age": [-9, *range(39)]}, {}, 'covariate age is -9 for 1 people, and the next value is 0'),
        ({"height": [-9.0, *np.linspace(100, 200, 39)]}, {}, "phenotype height is -9 for 1 people"),
        ({"age": np.linspace(-9, 3, 40)}, {}, ""),
        ({"site": ["D"] + ["A", "B", "C"] * 13}, {"covariates": ("site",), "categorical_covariates": ("site",)},
        "1 levels with fewer than 10 people (D)"),
        ({"site": ["Unknown", "A", "B", "C"] * 10}, {"covariates": ("site",), "categorical_covariates": ("site",)},
        "covariate site has the level 'Unknown': a group like any other"),
        ({"site": ["-9", "1", "2", "3"] * 10}, {"covariates": ("site",), "categorical_covariates": ("site",)},
        "covariate site has the level '-9'"),
        ({"status": np.repeat([0, 1], 20), "age": range(40)}, {"phenotype": "status", "trait": "binary"},
        "covariate age tells all cases from all controls"),
        (
            {"status": np.tile([0, 0, 1, 1], 10), "site": ["A", "B", "A", "A"] * 10},
            {"phenotype": "status", "trait": "binary", "covariates": ("site",), "categorical_covariates": ("site",)},
            "covariate site: no cases at B (separation)",
        ),
        ({"status": [1] * 4 + [0] * 36}, {"phenotype": "status", "trait": "binary"}, "only 4 cases are left"),
        ({}, {"include": "age > 1000"}, "only 0 people are left for 1 covariate columns: the study will fail"),
        ({"status": [1, 2, 3, 2] * 10}, {"phenotype": "status", "trait": "binary", "case_value": "1",
        "control_value": "2"}, "10 people are neither case (1) nor control (2)"),
    ],
)  # fmt: skip
def test_warnings(small, change, study, part):
    small.write_table(small.table.assign(**change))
    small.index()
    found = small.preflight(small.study(**study)).iloc[0]["warnings"]
    assert part in found
    if not part:
        assert found == ""


def test_sex_without_a_column_is_the_recorded_one(small):
    small.write_table(small.table.drop(columns="sex"))
    small.index()
    row = small.preflight(small.study(covariates=("sex",), include="sex == 2")).iloc[0]
    assert row["included"] == 20


def test_all_problems_of_all_studies_at_once(small):
    small.index()
    studies = [
        small.study(name="a", covariates=("agee",)),
        small.study(name="b", covariates=("agee", "site")),
        small.study(name="c", phenotype="heigth", include="site == Z"),
        small.study(name="d", include="agf > 4"),
    ]
    with pytest.raises(InputErrors) as error:
        small.preflight(*studies)
    found = error.value.problems
    assert found[0].startswith("studies a, b: covariate 'agee' is no column of the sample table; it has ")
    assert found[0].endswith("did you mean 'age'?")
    assert any(p.startswith("study b: covariate 'site' holds text ('A' (person 0000)") for p in found)
    assert any("phenotype 'heigth' is no column" in p and "did you mean 'height'?" in p for p in found)
    assert any("no person has 'Z' in column 'site' (it holds A, B, C)" in p for p in found)
    assert any("'agf' is no column" in p and "did you mean 'age'?" in p for p in found)
    assert len(found) == 5
    assert "preflight.tsv" not in small.written()


def test_half_a_million_people_take_seconds(tmp_path, small):
    n = 500_000
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "sample_index": np.arange(n),
            "fid": np.arange(n).astype(str),
            "iid": np.arange(n).astype(str),
            "recorded_sex": rng.integers(1, 3, n).astype(np.int8),
            "in_sample_table": rng.random(n) < 0.9,
            "age": rng.integers(40, 70, n).astype(float),
            "site": rng.choice(["A", "B", "C"], n),
            "height": rng.normal(size=n),
            "status": rng.integers(0, 2, n).astype(float),
        }
    )
    write_parquet(frame, tmp_path / "samples.parquet")
    covariates = {
        "covariates": ("age", "sex", "site"),
        "categorical_covariates": ("site",),
        "include": "age >= 41 & site in [A, B]",
    }
    studies = [small.study(**covariates), small.study(phenotype="status", trait="binary", **covariates)]
    start = time.process_time()
    preflight_cohort(tmp_path / "samples.parquet", studies, tmp_path / "preflight.tsv")
    assert time.process_time() - start < 20  # about 1.5 s on one core; the rest is room for a busy machine


def test_covariates_of_the_prediction_alone_are_checked(small):
    small.table.loc[3, "age"] = np.nan
    small.write_table()
    small.index()
    found = small.preflight(small.study(covariates=(), deepnull_only=("age",)))
    assert found["with_all_covariates"].item() == 39
    assert "covariate age of the prediction missing: 1 (0003)" in found["out"].item()
    with pytest.raises(InputErrors) as error:
        small.preflight(small.study(deepnull_only=("aeg", "site")))
    assert "covariate 'aeg' is no column of the sample table" in str(error.value)
    assert "did you mean 'age'" in str(error.value)
    assert "covariate 'site' holds text" in str(error.value)


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("IID in [0003, 0007]", 2),
        ("IID != 0003 & FID != F004", 38),
        ("FID == F001", 1),
        ("!(IID == 0003)", 39),
    ],
)
def test_people_are_included_by_their_ids(small, text, people):
    """Also where the sample table has no column FID, and as text, zeros and all."""
    small.write_table(small.table.drop(columns=["FID"]))
    small.index()
    table = small.preflight(small.study(include=text))
    assert table["included"].item() == people
    frame, _ = read_people(small.out / "samples.parquet", [study := small.study(include=text)])
    assert int(select_people(frame, study, np.zeros(40), None).keep.sum()) == people
    with pytest.raises(InputError, match="no person has '9999' in column 'IID'"):
        small.preflight(small.study(include="IID == 9999"))


def test_a_comma_in_a_name_is_hinted_at(small):
    small.write_table(small.table.rename(columns={"age": "Age at recruitment, years"}))
    small.index()
    with pytest.raises(
        InputError, match=r"'Age at recruitment' is no column .* a name with a comma in it goes in backticks"
    ):
        small.preflight(small.study(covariates=("Age at recruitment", "years")))
    small.preflight(small.study(covariates=("Age at recruitment, years",)))

"""The assembly of a study: order of the steps, account of drops, what is written, expected failures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.assemble import SAMPLES, CohortFiles, assemble_study
from deepnull_gwas.cohort.covariates import rank_inverse_normal
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_parquet, write_json, write_parquet, write_tsv


@pytest.fixture
def assemble(small):
    """Return a function from a study's changes (and who fails quality control, and the PCs) to its table and report."""

    def function(
        fails=(),
        components=None,
        pairs=None,
        copies=(),
        relatives="keep",
        cases_first=True,
        on_x=None,
        unknown=0,
        **changes,
    ):
        small.index()
        qc = pd.DataFrame(
            {"sample_index": np.arange(small.people), "passed": ~np.isin(np.arange(small.people), list(fails))}
        )
        qc["sex"] = pd.read_parquet(small.out / "samples.parquet", columns=["recorded_sex"])["recorded_sex"]
        qc["filter"] = np.where(qc["passed"], "", "sample_call_rate")
        write_parquet(qc, small.out / "qc.parquet")
        path = None
        if components is not None:
            write_parquet(components, path := small.out / "pcs.parquet")
        outputs = small.out / "s/samples.parquet", small.out / "s/study.json"
        files = {}
        if pairs is not None:
            files = {"relatives": small.out / "relatives.tsv", "families": small.out / "families.parquet"}
            write_tsv(pd.DataFrame(pairs, columns=["sample_index_1", "sample_index_2"]), files["relatives"])
            twice = pd.Series("", index=range(small.people))
            twice[list(copies)] = "another"
            families = pd.DataFrame({"sample_index": np.arange(small.people), "duplicate_of": twice})
            write_parquet(families, files["families"], metadata={"kinship": 0.0442})
        study = small.study(**changes) | {"relatives": relatives, "cases_first": cases_first}
        if on_x is not None:
            files["genotypes"] = small.out / "on_x.json"
            write_json({"variants_on_x": on_x, "variants_on_y": 0}, files["genotypes"])
            qc["sex"] = np.where(np.arange(small.people) < unknown, 0, qc["sex"]).astype(np.int8)
            write_parquet(qc, small.out / "qc.parquet")
        tables = CohortFiles(small.out / "samples.parquet", small.out / "qc.parquet", path, **files)
        assemble_study(tables, study, *outputs)
        return read_parquet(outputs[0], SAMPLES), json.loads(outputs[1].read_text())

    return function


def test_order_and_account(small, assemble):
    table = small.table
    table.loc[0, "height"] = np.nan
    table.loc[1, "age"] = np.nan
    table.loc[5, "site"] = None
    small.write_table(table.drop(index=39).sample(frac=1, random_state=1))
    pcs = pd.DataFrame(
        {"sample_index": np.arange(37, -1, -1), "PC1": np.arange(37, -1, -1) / 10, "PC2": np.arange(38) / 7, "PC3": 1.0}
    )
    study = {"covariates": ("age", "sex", "site"), "categorical_covariates": ("site",), "include": "age != 3", "pcs": 2}
    people, report = assemble([2], pcs, **study)
    kept = [i for i in range(38) if i not in (0, 1, 2, 5)]
    assert people["sample_index"].tolist() == kept
    assert people["iid"].tolist() == [small.iids[i] for i in kept]
    assert list(people.columns) == [
        "sample_index", "fid", "iid", "phenotype", "cov_age", "cov_sex", "cov_site[B]", "cov_site[C]", "cov_PC1",
        "cov_PC2",
    ]  # fmt: skip
    assert people["phenotype"].tolist() == table["height"][kept].tolist()
    assert people["cov_age"].tolist() == table["age"][kept].tolist()
    assert people["cov_PC1"].tolist() == [i / 10 for i in kept]
    assert not people.isna().any().any()
    assert [(s["step"], s["people"], s["removed"], s["examples"]) for s in report["accounting"]] == [
        ("in the genotypes", 40, 0, []),
        ("in the sample table", 39, 1, ["0039"]),
        ("passes quality control", 38, 1, ["0002"]),
        ("phenotype height present", 37, 1, ["0000"]),
        ("included (age != 3)", 36, 1, ["0001"]),
        ("covariate age present", 36, 0, []),
        ("covariate sex present", 36, 0, []),
        ("covariate site present", 35, 1, ["0005"]),
        ("principal components present", 34, 1, ["0038"]),
    ]
    assert (report["n"], report["cases"], report["controls"]) == (34, None, None)
    assert [c["kind"] for c in report["covariates"]] == ["numeric", "numeric", "categorical", "pc", "pc"]


def test_the_transformation_comes_after_the_people(small, assemble):
    small.write_table(small.table.assign(height=[1e6, *range(39)]))
    people, _ = assemble(fails=[0], transform="rank_inverse_normal")
    np.testing.assert_allclose(people["phenotype"], rank_inverse_normal(np.arange(39.0)), rtol=0, atol=0)


def test_binary_coding_is_a_matter_of_the_whole_column(small, assemble):
    """With 1/2 coding and all controls gone, the rest are still cases."""
    small.write_table(small.table.assign(status=[1] * 10 + [2] * 30))
    people, report = assemble(phenotype="status", trait="binary")
    assert (report["cases"], report["controls"]) == (30, 10)
    assert people["phenotype"].tolist() == [0] * 10 + [1] * 30
    people, report = assemble(fails=range(10), phenotype="status", trait="binary")
    assert report["status"] == "failed"
    assert report["reason"].startswith("no controls among the 30 people left to analyse; of 40 people in the genotypes")
    assert "(by sample_call_rate 10)" in report["reason"]


def test_constants_are_dropped_and_named(small, assemble):
    small.write_table(small.table.assign(age=[1] * 20 + [2] * 20))
    people, report = assemble(fails=range(20), covariates=("age", "sex"))
    assert "cov_age" not in people
    assert report["dropped_covariates"] == [{"name": "age", "reason": "constant among the people analysed (2)"}]


def test_sex_is_the_recorded_sex_where_the_table_has_none(small, assemble):
    small.write_table(small.table.drop(columns="sex"))
    people, _ = assemble(covariates=("sex",))
    assert people["cov_sex"].tolist() == [1, 2] * 20


@pytest.mark.parametrize(
    ("fails", "change", "study", "reason"),
    [
        (range(29), {}, {}, "11 people are too few for 1 covariate columns; more than 11 are needed"),
        (range(40), {}, {}, "nobody is left to analyse after the step 'passes quality control'"),
        (range(20), {"height": [5] * 20 + [1] * 20}, {},
        "the phenotype is constant (1) among the 20 people left to analyse"),
        (range(20), {"height": [2] * 20 + [5] * 20}, {"include": "age > 1000"},
        "nobody is left to analyse after the step 'included (age > 1000)'"),
        ((), {"height": range(40)}, {"transform": "log"},
        "transform log: 1 values are not positive (smallest 0) and have no logarithm"),
    ],
)  # fmt: skip
def test_expected_failures_are_written_as_status(small, assemble, fails, change, study, reason):
    small.write_table(small.table.assign(**change))
    people, report = assemble(fails, **study)
    assert (report["status"], report["stage"]) == ("failed", "assemble_study")
    # what follows says which steps, and which filters, left people out
    assert report["reason"].split("; of 40 people")[0] == reason
    assert people.shape == (0, 4)
    assert list(people.columns) == ["sample_index", "fid", "iid", "phenotype"]
    assert people["phenotype"].dtype == np.float64
    assert report["accounting"][0] == {"step": "in the genotypes", "people": 40, "removed": 0, "examples": []}


def test_fewer_components_than_asked_for(small, assemble):
    pcs = pd.DataFrame({"sample_index": np.arange(40), "PC1": 0.1})
    _, report = assemble((), pcs, pcs=3)
    assert report["reason"] == "3 principal components are asked for, but PC2 could not be computed in this cohort"


def test_same_bytes_again(small, assemble):
    assemble()
    first = [(small.out / "s" / n).read_bytes() for n in ("samples.parquet", "study.json")]
    assemble()
    assert [(small.out / "s" / n).read_bytes() for n in ("samples.parquet", "study.json")] == first


def test_a_study_that_does_not_fit_the_table_is_an_input_error(small, assemble):
    with pytest.raises(InputError, match="the sample table has no column 'heigth'"):
        assemble(phenotype="heigth")
    assert not (small.out / "s").exists()


PAIRS = [(0, 1), (1, 2), (5, 6), (7, 8)]


def test_of_relatives_an_unrelated_set_of_the_study_stays(small, assemble):
    table = small.table
    # 6 has no phenotype: nobody need go for their sake
    table.loc[6, "height"] = np.nan
    small.write_table(table)
    people, report = assemble(pairs=PAIRS, relatives="exclude")
    gone = set(range(40)) - set(people["sample_index"])
    # 1 is related to both 0 and 2, so that one person goes, not two; of 7 and 8 the later
    assert gone == {6, 1, 8}
    steps = {s["step"]: s["removed"] for s in report["accounting"]}
    assert steps["unrelated (kinship at most 0.0442)"] == 2
    kept, report = assemble(pairs=PAIRS, relatives="keep", copies=[8])
    assert set(range(40)) - set(kept["sample_index"]) == {6, 8}
    assert {s["step"]: s["removed"] for s in report["accounting"]}["no copy of a person's sample"] == 1
    # of the pairs, 5-6 and 7-8 lost somebody
    assert [note.partition(" (kinship")[0] for note in report["notes"]] == ["2 pairs of relatives"]
    assert "tests inflated" in report["notes"][0]
    assert assemble(pairs=[], relatives="keep")[1]["notes"] == []
    assert "model" not in report
    # a model that takes them into account
    same, report = assemble(pairs=PAIRS, relatives="keep", copies=[8], association_model="whole_genome")
    assert same.equals(kept)
    assert report["model"] == "whole_genome"
    assert [note.partition(": ")[2] for note in report["notes"]] == [
        "the model whole_genome takes their likeness into account"
    ]


def test_of_relatives_cases_stay_before_controls(small, assemble):
    table = small.table
    table["ill"] = 0
    table.loc[[1, 8], "ill"] = 1
    table.loc[np.arange(20, 30), "ill"] = 1
    small.write_table(table)
    study = {"phenotype": "ill", "trait": "binary", "case_value": "1", "control_value": "0"}
    people, _ = assemble(pairs=PAIRS, relatives="exclude", **study)
    # 1 is a case: the two controls who are their relatives go; of 5 and 6, both controls, the later
    assert set(range(40)) - set(people["sample_index"]) == {0, 2, 6, 7}
    people, report = assemble(pairs=PAIRS, relatives="exclude", cases_first=False, **study)
    assert set(range(40)) - set(people["sample_index"]) == {1, 6, 8}
    assert report["cases"] == 10


@pytest.mark.parametrize(
    ("on_x", "unknown", "note"),
    [
        (0, 40, None),
        (7, 0, None),
        (7, 3, "3 of 40 people are left out on X (7 variants): their sex is not known"),
        (7, 40, "X (7 variants) not tested: the sex of 40 of 40 people is not known (reason sex_unknown)"),
    ],
)
def test_notes_on_x(assemble, on_x, unknown, note):
    notes = assemble(on_x=on_x, unknown=unknown)[1]["notes"]
    assert [n.startswith(str(note)) for n in notes] == ([] if note is None else [True])


def test_covariates_of_the_prediction_alone(small, assemble):
    table = small.table
    table["smoking"] = np.random.default_rng(2).gamma(1, size=40)
    table["one"] = 5
    table.loc[3, "smoking"] = np.nan
    table.loc[4, "site"] = None
    small.write_table(table)
    study = {"deepnull_only": ("smoking", "site", "one"), "categorical_covariates": ("site",)}
    people, report = assemble(**study)
    # people without a value are out of the study, and so of both arms, and are counted
    assert len(people) == report["n"] == 38
    removed = {s["step"]: (s["removed"], s["examples"]) for s in report["accounting"]}
    assert removed["covariate smoking of the prediction present"] == (1, ["0003"])
    assert removed["covariate site of the prediction present"] == (1, ["0004"])
    # the association sees the columns with cov_ only
    assert list(people.columns[len(SAMPLES) :]) == [
        "cov_age",
        "deepnull_smoking",
        "deepnull_site[B]",
        "deepnull_site[C]",
    ]
    assert [c["name"] for c in report["covariates"]] == ["age"]
    assert [c["name"] for c in report["deepnull_covariates"]] == ["smoking", "site"]
    assert report["dropped_covariates"] == [{"name": "one", "reason": "constant among the people analysed (5)"}]
    with pytest.raises(InputError, match=r"'site' holds text .* not listed in categorical_covariates"):
        assemble(deepnull_only=("site",))

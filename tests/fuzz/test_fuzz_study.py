"""Fuzzing of the early steps together: files in, the analysed people out, against the same selection written with plain
Python.
"""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from fuzzing import attempt, cases, reading
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort.assemble import CohortFiles, assemble_study
from deepnull_gwas.cohort.index import index_cohort
from deepnull_gwas.cohort.preflight import preflight_cohort
from deepnull_gwas.config import study_of
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.tables import read_json, read_parquet, write_parquet

MARKERS = ("", "NA", "-9")
N = 40


@st.composite
def cohorts(draw: st.DrawFn) -> dict:
    """Plant a cohort and a study: people of the .fam, rows of the table, settings."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    fam = [f"{i:03d}" for i in range(N)]
    # whom the table has: some that are not genotyped, in an order of its own
    known = [i for i in fam if rng.random() > draw(st.sampled_from([0.0, 0.2]))] + ["stranger", "1", "001x"]
    rng.shuffle(known)
    binary = draw(st.booleans())
    odd = st.sampled_from([None] * 5 + ["1,5", "True", "2020-01-01", "-9", "NA", "", "inf", "1e5", "0x1", " 7 "])
    rows = []
    for i in known:
        y = str(int(rng.integers(0, 2))) if binary else f"{rng.normal(100, 10):.3f}"
        rows.append(
            {
                "IID": i,
                "y": y,
                "age": str(int(rng.integers(30, 70))),
                "site": str(rng.choice(["A", "B", "b", "1", "NA"])),
            }
        )
    for _ in range(draw(st.integers(0, 2))):
        spoilt = draw(odd)
        if spoilt is not None:
            rows[draw(st.integers(0, len(rows) - 1))][draw(st.sampled_from(["y", "age"]))] = spoilt
    damage = draw(st.sampled_from([None] * 8 + ["twice", "zeros lost", "case", "no id"]))
    if damage == "twice":
        rows.append(dict(rows[0]))
    elif damage == "zeros lost":
        for row in rows:
            row["IID"] = row["IID"].lstrip("0") or "0"
    elif damage == "case":
        fam = [f"p{i}" for i in fam]
        for row in rows:
            row["IID"] = f"P{row['IID']}"
    elif damage == "no id":
        rows[0]["IID"] = "NA"
    include, keeps = draw(
        st.sampled_from(
            [
                (None, lambda a, s: True),
                ("age >= 50", lambda a, s: a is not None and a >= 50),
                ("site in [A, B]", lambda a, s: s in ("A", "B")),
                ("site == missing | age < 40", lambda a, s: s is None or (a is not None and a < 40)),
                ("!(site == A)", lambda a, s: s is not None and s != "A"),
            ]
        )
    )
    return {
        "fam": fam,
        "rows": rows,
        "binary": binary,
        "damage": damage,
        "include": include,
        "keeps": keeps,
        "site": draw(st.booleans()),
        "seed": seed,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@cases(0.04)
@given(planted=cohorts())
def test_the_people_analysed(folder, planted):
    shutil.rmtree(folder / "out", ignore_errors=True)
    out, fam, rows = folder / "out", planted["fam"], planted["rows"]
    bim = pd.DataFrame({"c": 1, "i": ["v0", "v0"], "cm": 0, "p": [9, 3], "a": "A", "b": "C"})
    people = pd.DataFrame({"f": fam, "i": fam, "x": 0, "y": 0, "s": 1, "p": -9})
    write_bed(folder / "g", np.zeros((2, len(fam)), dtype=np.int8), bim, people)
    pd.DataFrame(rows).to_csv(folder / "t.tsv", sep="\t", index=False)
    covariates = ["age", "site"] if planted["site"] else ["age"]
    row = {
        "study": "s",
        "cohort": "c",
        "phenotype": "y",
        "trait": "binary" if planted["binary"] else "quantitative",
        "covariates": covariates,
        "categorical_covariates": covariates[1:],
        "include": planted["include"],
    }
    study = study_of(row, pcs=0).settings()

    def run() -> tuple[pd.DataFrame, dict]:
        settings = {
            "cohort": "c",
            "genome_build": "GRCh38",
            "sample_id": "IID",
            "family_id": None,
            "sex": None,
            "missing_values": list(MARKERS),
            "minimum_overlap": 0,
        }
        index_cohort(
            [folder / "g"], folder / "t.tsv", settings, 1, out / "g.json", out / "v.parquet", out / "s.parquet"
        )
        preflight_cohort(out / "s.parquet", [study], out / "p.tsv")
        n = len(fam)
        passed = pd.DataFrame(
            {"sample_index": np.arange(n), "passed": np.ones(n, bool), "filter": [""] * n, "sex": np.int8(1)}
        )
        write_parquet(passed, out / "q.parquet")
        assemble_study(CohortFiles(out / "s.parquet", out / "q.parquet"), study, out / "a.parquet", out / "a.json")
        return read_parquet(out / "a.parquet"), read_json(out / "a.json")

    found = attempt("study", run)
    values = [{k: reading(v, MARKERS) for k, v in r.items() if k != "IID"} for r in rows]
    # a spoilt value makes text of its whole column
    spoilt = any(isinstance(v[k], str) for v, r in zip(values, rows) for k in ("y", "age"))
    if found is None:
        two = planted["binary"] and {v["y"] for v in values if v["y"] is not None} - {0.0, 1.0}
        assert planted["damage"] or spoilt or two, "a sound cohort was refused"
        return
    # those who lost no zeros in their IDs are found all the same
    assert planted["damage"] in (None, "zeros lost"), planted["damage"]
    own = {r["IID"]: v for r, v in zip(rows, values)}
    meant = {}
    for index, iid in enumerate(fam):
        v = own.get(iid)
        if v is None or v["y"] is None or v["age"] is None or (planted["site"] and v["site"] is None):
            continue
        site = rows[next(k for k, r in enumerate(rows) if r["IID"] == iid)]["site"]
        if planted["keeps"](v["age"], None if site in MARKERS else site):
            meant[index] = v["y"]
    table, report = found
    if report["status"] == "ok":
        assert dict(zip(table["sample_index"], table["phenotype"])) == meant
        assert table["iid"].tolist() == [fam[i] for i in meant]
        assert report["n"] == len(meant) == report["accounting"][-1]["people"]
        assert report["accounting"][0]["people"] - sum(s["removed"] for s in report["accounting"]) == len(meant)
        np.testing.assert_array_equal(table["cov_age"], [own[fam[i]]["age"] for i in meant])
    else:
        assert report["reason"]
        assert len(table) == 0
    assert read_parquet(out / "v.parquet")["position"].tolist() == [9, 3], "the order of the file stays"


_ALIKE = [("p1", "P1"), ("p1", "p1 "), ("1", "01"), ("1", "1.0"), ("a", "á")]


@pytest.mark.parametrize(("first", "second"), _ALIKE)
def test_ids_that_look_alike_are_different_people(folder, first, second):
    from deepnull_gwas.cohort.sample_table import join_samples, read_sample_table

    path = folder / "alike.tsv"
    path.write_text(f"IID\tage\n{first}\t1\n{second}\t2\n")
    fam = pd.DataFrame({"fid": ["f", "g"], "iid": [second, first], "sex": np.zeros(2, dtype=np.int8)})
    if first == second.strip():
        # a blank is no part of an ID
        assert attempt("study", lambda: read_sample_table(path), str(path), row=3) is None
        return
    joined = join_samples(fam, read_sample_table(path), "x.fam")
    assert joined["age"].tolist() == [2, 1]

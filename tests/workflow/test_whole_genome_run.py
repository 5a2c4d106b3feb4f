"""The whole-genome regression in a run: siblings, a quantitative and a binary study, a linear one in their batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.whole_genome import exports
from dictionary_checks import problems_of
from workflow_runs import CONFIG, Run, copy_of, digests, once

pytestmark = pytest.mark.workflow

UNRELATED, PAIRS, PER_CHROMOSOME = 300, 40, 480
CHROMOSOMES = ("1", "2", "3", "X")
#: Causal variants of each chromosome.
CAUSAL = 4
COMMON = {"cohort": "c", "covariates": "age", "pcs": 0}
SHEET = [
    {"study": "y", "phenotype": "y", "trait": "quantitative", "association_model": "whole_genome"} | COMMON,
    {"study": "case", "phenotype": "case", "trait": "binary", "association_model": "whole_genome", "arms": "baseline"}
    | COMMON,
    {"study": "linear", "phenotype": "y", "trait": "quantitative"} | COMMON,
]
SETTINGS = CONFIG | {
    "structure": {},
    "association": {"chunks": 2},
    "whole_genome": {"block_size": 80, "folds": 5, "parts": 2},
}


def family_cohort(folder: Path) -> None:
    """Write people, pairs of siblings among them, whose phenotypes rest on few variants of all chromosomes."""
    rng = np.random.default_rng(8)
    n, m = UNRELATED + 2 * PAIRS, PER_CHROMOSOME * len(CHROMOSOMES)
    frequency = rng.uniform(0.2, 0.5, m)
    gametes = rng.random((2 * UNRELATED + 4 * PAIRS, m)) < frequency
    strangers = gametes[: 2 * UNRELATED : 2].astype(int) + gametes[1 : 2 * UNRELATED : 2]
    # two children of each couple, who get one of the two gametes of either parent, variant by variant
    parents = gametes[2 * UNRELATED :].reshape(PAIRS, 2, 2, m)
    chosen = rng.integers(0, 2, (PAIRS, 2, 2, m))
    children = np.take_along_axis(parents[:, None], chosen[:, :, :, None], axis=3)[:, :, :, 0].sum(axis=2)
    sex = rng.integers(1, 3, n)
    copies = np.vstack([strangers, children.reshape(2 * PAIRS, m)]).astype(np.int8)
    shuffled = rng.permutation(n)
    copies = copies[shuffled]
    on_x = np.repeat([c == "X" for c in CHROMOSOMES], PER_CHROMOSOME)
    copies[np.ix_(sex == 1, on_x)] = np.where(copies[np.ix_(sex == 1, on_x)] > 0, 2, 0)
    causal = np.arange(m).reshape(len(CHROMOSOMES), -1)[:, 5 :: PER_CHROMOSOME // CAUSAL].ravel()
    score = (copies[:, causal] - copies[:, causal].mean(axis=0)) @ rng.choice([-0.5, 0.5], len(causal))
    age = rng.uniform(40, 70, n).round(2)
    y = score + 0.008 * (age - 55) ** 2 + rng.normal(scale=0.7, size=n)
    names = np.char.add("p", shuffled.astype(str))
    position = np.tile(np.arange(1, PER_CHROMOSOME + 1) * 100_000, len(CHROMOSOMES))
    chromosome = np.repeat(["1", "2", "3", "23"], PER_CHROMOSOME)
    bim = {"c": chromosome, "id": [f"v{i}" for i in range(m)], "cm": 0, "p": position, "a1": "G", "a2": "A"}
    fam = {"f": names, "i": names, "x": 0, "y": 0, "s": sex, "ph": -9}
    write_bed(folder / "g", copies.T, pd.DataFrame(bim), pd.DataFrame(fam))
    table = {"IID": names, "age": age, "y": y.round(5), "case": (y > np.quantile(y, 0.6)).astype(int)}
    pd.DataFrame(table).to_csv(folder / "samples.tsv", sep="\t", index=False)


@pytest.fixture(scope="module")
def family_run(shared_folder) -> Run:
    """Return a run of all studies, verified; made once for all tests."""

    def make(folder: Path) -> None:
        family_cohort(folder)
        run = Run(folder)
        run.configure(SETTINGS, SHEET)
        run.snakemake("--cores", "2", "--", "verify", "results/status.tsv")

    return Run(once(shared_folder / "whole_genome", make))


def state(run: Run, study: str, name: str = "genome/genome.json"):
    return json.loads((run.results / "c" / study / name).read_text())


def test_every_study_is_done_by_its_model(family_run):
    """The check of every job and `verify` have passed, by the second implementation and in double precision."""
    verified = pd.read_csv(family_run.results / "c/associations/main/verified.tsv", sep="\t")
    assert (verified["state"] == "ok").all() and (verified["variants, second implementation"] > 190).all()
    status = pd.read_csv(family_run.results / "status.tsv", sep="\t", keep_default_na=False)
    assert status["status"].eq("ok").all()
    done = status.set_index(["study", "arm"])
    assert done["model"].to_dict() == {key: {"linear": "linear"}.get(key[0], "whole_genome") for key in done.index}
    assert done.loc["y", "genome_method"].eq("linear").all() and done.loc["linear", "genome_method"].eq("").all()
    assert done.loc[("case", "baseline"), "genome_method"].startswith("logistic")
    found = state(family_run, "y")["arms"]
    assert all(arm["used"] and 0.1 < arm["r2_genome"] < 1 for arm in found.values())
    # the curve of age is known to one arm only
    assert found["deepnull"]["r2_covariates"] > found["baseline"]["r2_covariates"] + 0.05
    assert not list((family_run.results / "c/associations/main/genome").glob("*")), "predictors are temporary"
    assert not (family_run.results / "c/linear/genome").exists()


def test_the_dictionary_knows_every_file_and_every_column(family_run):
    assert problems_of(family_run.results, whole=False) == []


def test_relatives_stay_where_the_model_knows_them(family_run):
    people = {study: state(family_run, study, "study.json") for study in ("y", "case", "linear")}
    assert [people[s]["n"] for s in people] == [UNRELATED + 2 * PAIRS] * 2 + [UNRELATED + PAIRS]
    assert [people[s].get("model") for s in people] == ["whole_genome", "whole_genome", None]
    for study in ("y", "case"):
        assert f"{PAIRS} pairs of relatives" in people[study]["notes"][0]
        assert "takes their likeness into account" in people[study]["notes"][0]
        relatives = state(family_run, study)["arms"]["baseline"]["relatives"]
        assert relatives["sibling"]["pairs"] == PAIRS


def test_a_linear_study_knows_nothing_of_the_others(family_run, tmp_path):
    alone = copy_of(family_run, tmp_path / "alone")
    shutil.rmtree(alone.results / "c/associations")
    shutil.rmtree(alone.results / "c/linear")
    alone.configure({k: v for k, v in SETTINGS.items() if k != "whole_genome"}, SHEET[2:])
    done = alone.snakemake("--cores", "2", "--", "associations")
    assert " associate c/main chunk 0, " in done.stderr and "blocks" not in done.stderr
    before, after = (digests(run.results / "c/linear") for run in (family_run, alone))
    assert after and {name: before[name] for name in after} == after


def test_offsets_are_exported(family_run, tmp_path):
    """regenie takes them by people and chromosomes; a study without offsets exports none."""
    run = copy_of(family_run, tmp_path / "exported")
    folder = run.results / "c/y/exports/loco"
    run.snakemake("--cores", "1", "--", str(folder.relative_to(run.folder)))
    listed = exports.read_list(folder / "deepnull_pred.list")
    people, offsets = exports.read_loco(run.folder / listed["PHENOTYPE"])
    samples = pd.read_parquet(run.results / "c/y/samples.parquet")
    assert people == [f"{f}_{i}" for f, i in zip(samples["fid"], samples["iid"], strict=True)]
    stored = pd.read_parquet(run.results / "c/y/genome/offsets.parquet")
    for chromosome, column in (("1", "1"), ("9", "all"), ("X", "all")):
        assert np.corrcoef(offsets[chromosome], stored[f"deepnull.{column}"])[0, 1] > 0.95
    text = (folder / "commands.sh").read_text()
    assert "regenie --step 2" in text and "glm_deepnull g 2 2" in text

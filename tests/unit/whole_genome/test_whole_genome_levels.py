"""Levels 0 and 1 of the whole-genome regression against a dense reference, and what they must not depend on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deepnull_gwas.tables import read_parquet
from deepnull_gwas.whole_genome.array_file import ArrayFile
from deepnull_gwas.whole_genome.folds import genome_folds
from deepnull_gwas.whole_genome.inputs import read_study
from deepnull_gwas.whole_genome.study import StoredPredictors, _places
from genome_cases import SETTINGS, Cohort, Reference, genotypes

PEOPLE, VARIANTS = 240, 110
CHROMOSOME = np.repeat(["1", "2", "7"], [60, 30, 20])


def phenotype(copies: np.ndarray, seed: int, causal: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.where(copies < 0, 1, copies).astype(float)
    x -= x.mean(axis=1, keepdims=True)
    chosen = rng.choice(len(x), causal, replace=False)
    score = rng.normal(size=causal) @ x[chosen]
    return 30 + 5 * score / score.std() + 5 * rng.normal(size=x.shape[1])


@pytest.fixture
def cohort(tmp_path):
    return Cohort(tmp_path, genotypes(PEOPLE, VARIANTS, 1, missing=0.03), CHROMOSOME, [(0, 9, 0.25), (9, 30, 0.25)])


@pytest.fixture
def covariates():
    rng = np.random.default_rng(5)
    return np.column_stack([rng.normal(50, 8, PEOPLE), rng.integers(0, 2, PEOPLE)])


def reference(cohort: Cohort, paths, arm: str, **settings) -> Reference:
    """Return the reference of a study: cuts, fills and folds made anew from their description."""
    study, settings = read_study(paths), SETTINGS | settings
    counts = np.array([(cohort.copies == c).sum(axis=1) for c in (0, 1, 2)]).T
    filled = np.rint((counts[:, 1] + 2 * counts[:, 2]) / counts.sum(axis=1))
    copies = np.where(cohort.copies < 0, filled[:, None], cohort.copies).astype(float).T[study.sample_index]
    blocks = []
    for c in np.unique(CHROMOSOME):
        variants = np.flatnonzero(np.isin(CHROMOSOME, c))
        blocks += [(b, c) for b in np.array_split(variants, -(-len(variants) // settings["block_size"]))]
    fold = genome_folds(cohort.paths.families, settings["folds"], settings["seed"])[study.sample_index]
    return Reference(copies, blocks, study.y, study.covariates, study.covariates_of(arm), fold, settings["passes"])


def stored(cohort: Cohort, out: str, paths, arm: str, parts: int = 1, kind: str = "second") -> np.ndarray:
    """Return the predictors of an arm, people in the order of the study."""
    study = read_study(paths)
    files = [ArrayFile(cohort.folder / out / f"{part}.{kind}") for part in range(parts)]
    places = _places(files, study.name, arm)
    index = places[0].file.read(f"{places[0].group}.sample_index")
    values = StoredPredictors(places, len(index))[0 : len(index)]
    return values[np.argsort(index)]


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("arm", ["baseline", "deepnull"])
def test_levels_agree_with_a_dense_reference(cohort, covariates, arm, passes):
    rng = np.random.default_rng(8)
    d = covariates[:, 0] ** 2 / 500 + rng.normal(size=PEOPLE)
    y = phenotype(cohort.copies, 1) + 0.2 * covariates[:, 0] + d
    index = np.sort(rng.choice(PEOPLE, PEOPLE - 20, replace=False))
    paths = cohort.study("s", y, covariates, index, d)
    (folder,) = cohort.run([paths], "out", passes=passes)
    dense = reference(cohort, paths, arm, passes=passes)
    expected, _ = dense.predictors()
    kind = "second" if passes == 2 else "first"
    sd = y.std()
    found = stored(cohort, "out", paths, arm, kind=kind)
    # blocks come by position: of equal cut in both
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6 * sd
    whole, loco, r2 = dense.stacked()
    offsets = read_parquet(folder / "offsets.parquet")
    assert offsets["sample_index"].tolist() == index.tolist()
    assert np.abs(offsets[f"{arm}.all"] - whole).max() < 1e-6 * sd
    for c, values in loco.items():
        assert np.abs(offsets[f"{arm}.{c}"] - values).max() < 1e-6 * sd
    entry = json.loads((folder / "genome.json").read_text())["arms"][arm]
    assert entry["r2_genome"] == pytest.approx(r2, abs=1e-6)
    assert r2 > 0.1

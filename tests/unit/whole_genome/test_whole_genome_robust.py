"""Cohorts and studies on which others fail: a result, or a named reason."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_parquet
from deepnull_gwas.whole_genome.array_file import ArrayFile, write_arrays
from deepnull_gwas.whole_genome.offsets import read_offsets
from deepnull_gwas.whole_genome.regression import Correlations, RidgeFactor
from deepnull_gwas.whole_genome.relatives import family_covariance, read_related_pairs
from deepnull_gwas.whole_genome.variants import choose_regressors, cut_into_blocks
from genome_cases import SETTINGS, Cohort, genotypes

PEOPLE = 300


def phenotype(copies: np.ndarray, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return copies[[3, 30, 50]].T @ np.array([1.0, -1.0, 1.0]) + rng.normal(size=copies.shape[1])


def outcome(folder):
    return json.loads((folder / "genome.json").read_text())["arms"], read_offsets(folder / "offsets.parquet")


def make(tmp_path, chromosome: np.ndarray, **changes) -> Cohort:
    return Cohort(tmp_path, genotypes(PEOPLE, len(chromosome), 2), chromosome, **changes)


def test_variants_without_variance_or_collinear_with_covariates_are_skipped_and_counted(tmp_path):
    copies = genotypes(PEOPLE, 60, 2)
    index = np.arange(0, PEOPLE, 2)
    copies[5, index] = 1  # varies among the others only
    covariates = np.column_stack([copies[7], copies[20] - 2.0 * copies[21]]).astype(float)
    cohort = Cohort(tmp_path, copies, np.repeat(["1", "2"], 30))
    y = phenotype(copies)
    (folder,) = cohort.run([cohort.study("s", y, covariates, index)], "out")
    arms, offsets = outcome(folder)
    assert arms["baseline"]["skipped_variants"] == 2
    assert arms["baseline"]["variants"] == 60
    assert arms["baseline"]["blocks"] == 4
    assert arms["baseline"]["status"] == "ok"
    assert arms["baseline"]["used"]
    assert np.isfinite(offsets["baseline", "autosome", "1"]).all()


def test_one_chromosome_only(tmp_path):
    cohort = make(tmp_path, np.repeat(["4"], 60), pairs=[(2 * i, 2 * i + 1, 0.25) for i in range(100)])
    y = phenotype(cohort.copies)
    (folder,) = cohort.run([cohort.study("s", y)], "out")
    arms, offsets = outcome(folder)
    assert arms["baseline"]["status"] == "ok"
    assert "only chromosome 4" in arms["baseline"]["reason"]
    assert ("baseline", "autosome", "4") not in offsets
    assert offsets["baseline", "X", "X"].std() > 0.1
    # its tests have no offset: relatives there are correlated as without one
    pairs = read_related_pairs(cohort.paths.relatives, np.arange(PEOPLE))
    without = family_covariance("quantitative", y, np.empty((PEOPLE, 0)), {}, pairs)["sibling"]["rho"]
    found = arms["baseline"]["relatives"]["sibling"]
    assert found["rho_by_chromosome"] == {"4": pytest.approx(without, abs=1e-3)}
    assert found["rho"] != pytest.approx(without, abs=1e-3)


@pytest.mark.parametrize("passes", [1, 2])
def test_x_only(tmp_path, passes):
    cohort = make(tmp_path, np.repeat(["X"], 60))
    (folder,) = cohort.run([cohort.study("s", phenotype(cohort.copies))], "out", parts=2, passes=passes)
    arms, offsets = outcome(folder)
    assert arms["baseline"]["status"] == "none"
    assert arms["baseline"]["reason"].startswith("no autosomal variant")
    assert not len(offsets)


def test_fewer_variants_than_a_block_and_more_parts_than_blocks(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2", "3"], [55, 2, 1]))
    (folder,) = cohort.run([cohort.study("s", phenotype(cohort.copies))], "out", parts=7, block_size=500)
    arms, _ = outcome(folder)
    assert arms["baseline"]["blocks"] == 3
    assert arms["baseline"]["r2_genome"] > 0.2


def test_a_phenotype_that_nothing_varies_of(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30))
    covariate = np.random.default_rng(1).normal(size=PEOPLE)
    studies = [
        cohort.study("constant", np.full(PEOPLE, 7.0)),
        cohort.study("explained", 1e6 + 3 * covariate, covariate[:, None]),
        cohort.study("fine", phenotype(cohort.copies), covariate[:, None]),
    ]
    folders = cohort.run(studies, "out")
    for folder in folders[:2]:
        arms, offsets = outcome(folder)
        assert arms["baseline"]["status"] == "none"
        assert "predicts anything" in arms["baseline"]["reason"]
        assert not len(offsets)
    assert outcome(folders[2])[0]["baseline"]["used"]


def test_nothing_to_find_means_no_offset(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30))
    (folder,) = cohort.run([cohort.study("s", np.random.default_rng(6).normal(size=PEOPLE))], "out")
    arms, offsets = outcome(folder)
    assert arms["baseline"]["r2_genome"] < 8 / PEOPLE
    assert not arms["baseline"]["used"]
    assert "no offset is used" in arms["baseline"]["reason"]
    assert not len(offsets)
    assert len(read_parquet(folder / "offsets.parquet")) == PEOPLE


def test_noise_is_not_predicted(tmp_path):
    """Twenty phenotypes of no effect at all; with a weight per block they would seem to be."""
    people = 1000
    cohort = Cohort(tmp_path, genotypes(people, 400, 3), np.repeat([str(c) for c in range(1, 11)], 40))
    rng = np.random.default_rng(1)
    folders = cohort.run([cohort.study(f"s{i}", rng.normal(size=people)) for i in range(20)], "out", folds=10)
    entries = [outcome(folder)[0]["baseline"] for folder in folders]
    assert np.mean([entry["r2_genome"] for entry in entries]) < 0.005
    assert sum(entry["used"] for entry in entries) <= 4


def test_a_matrix_that_is_singular_to_rounding_is_no_obstacle():
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=(50, 4)), 3, axis=1)
    x = x / np.sqrt((x**2).mean(axis=0))
    matrix = x.T @ x / 50 - 1e-9 * np.eye(12)
    np.fill_diagonal(matrix, 1.0)
    regressors = Correlations(matrix - 1e-9, np.ones(12, bool), np.ones(12), np.zeros((12, 1)), 50)
    right = x.T @ (x @ np.ones(12)) / 50
    effects = RidgeFactor(regressors, 0.0).effects(right[None])[0]
    assert np.abs(x @ effects - x @ np.ones(12)).max() < 1e-3


def test_a_study_that_failed_stays_failed_and_costs_the_batch_nothing(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30))
    y, nobody = phenotype(cohort.copies), np.empty(0, dtype=np.int64)
    failed = cohort.study("failed", y, None, nobody, status="failed", stage="assemble_study", reason="no cases")
    empty, fine = cohort.study("empty", y, None, nobody), cohort.study("fine", y)
    folders = cohort.run([failed, fine, empty], "out")
    (alone,) = cohort.run([fine], "alone")
    arms, offsets = outcome(folders[0])
    assert (arms["baseline"]["status"], arms["baseline"]["reason"]) == ("failed", "assemble_study: no cases")
    assert not len(offsets)
    assert outcome(folders[2])[0]["baseline"]["reason"] == "fit_blocks: nobody is analysed"
    assert (folders[1] / "genome.json").read_bytes() == (alone / "genome.json").read_bytes()
    (only,) = cohort.run([failed], "only")
    assert outcome(only)[0]["baseline"]["status"] == "failed"


def test_training_of_deepnull_that_failed_fails_its_arm_alone(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30))
    y = phenotype(cohort.copies)
    paths = cohort.study("s", y, None, None, np.random.default_rng(1).normal(size=PEOPLE))
    metrics = {"status": "failed", "stage": "train_folds", "reason": "it diverged"}
    (tmp_path / "s/metrics.json").write_text(json.dumps(metrics))
    (folder,) = cohort.run([paths], "out")
    arms, offsets = outcome(folder)
    assert arms["deepnull"]["reason"] == "train_folds: it diverged"
    assert arms["baseline"]["used"]
    assert {arm for arm, *_ in offsets} == {"baseline"}


def test_a_covariate_constant_or_twice_and_a_deepnull_covariate_of_nothing_new(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30))
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=PEOPLE), phenotype(cohort.copies)
    given = cohort.study("given", y, np.column_stack([x, x, np.ones(PEOPLE), 1e9 + x]), None, 5 * x)
    once = cohort.study("once", y, x[:, None], None, np.zeros(PEOPLE))
    first, second = cohort.run([given, once], "out")
    for arm in ("baseline", "deepnull"):
        a, b = (outcome(f)[1][arm, "autosome", "1"] for f in (first, second))
        assert np.abs(a - b).max() < 1e-5 * y.std()


def test_everybody_in_one_family_is_split_by_chance(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30), pairs=[(i, i + 1, 0.25) for i in range(PEOPLE - 1)])
    (folder,) = cohort.run([cohort.study("s", phenotype(cohort.copies))], "out")
    arms, _ = outcome(folder)
    assert arms["baseline"]["folds"] == 5
    assert arms["baseline"]["used"]


def test_a_study_inside_one_fold_has_nobody_to_train_on(tmp_path):
    cohort = make(tmp_path, np.repeat(["1", "2"], 30), pairs=[(i, i + 1, 0.25) for i in range(40)])
    (folder,) = cohort.run([cohort.study("s", phenotype(cohort.copies), None, np.arange(41))], "out")
    arms, _ = outcome(folder)
    assert arms["baseline"]["status"] == "none"
    assert "nobody to train on" in arms["baseline"]["reason"]


def test_choice_of_variants(tmp_path):
    copies = genotypes(PEOPLE, 60, 2)
    copies[3] = 0
    copies[4, :298] = 0
    copies[5, :40] = -1
    cohort = Cohort(tmp_path, copies, np.repeat(["2", "10", "X"], 20))
    paths = cohort.paths.variants, cohort.paths.qc_variants
    found = choose_regressors(*paths, SETTINGS)
    assert sorted(set(range(40)) - set(found.index.tolist())) == [3, 4, 5]
    assert found.chromosomes == ("2", "10")
    assert (found.filled == np.rint(copies[found.index].mean(axis=1))).mean() > 0.9
    thinned = choose_regressors(*paths, SETTINGS | {"maximum_variants": 10})
    assert len(thinned) == 10
    assert set(thinned.index) < set(found.index)
    blocks = cut_into_blocks(found, 8)
    assert (blocks[0].start, blocks[0].stop) == (0, 5)
    assert all(b.stop - b.start <= 8 for b in blocks)
    assert blocks[-1].stop == len(found)


def test_a_damaged_file_of_arrays_is_set_aside(tmp_path):
    path, values = tmp_path / "a", np.arange(12.0).reshape(4, 3)
    with write_arrays(path, {"x": 1}, {"b": (np.float64, (4, 3)), "a": (np.int32, (0, 2))}) as file:
        file.write("b", 2, values[2:])
        file.write("b", 0, values[:2])
        with pytest.raises(ValueError, match="b:"):
            file.write("b", 3, values[:2])
    found = ArrayFile(path)
    assert found.description == {"x": 1}
    assert (found.read("b", 1, 3) == values[1:3]).all()
    assert found.read("a").shape == (0, 2)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged"):
        ArrayFile(path)
    assert not path.exists()

"""Levels 0 and 1 of the whole-genome regression against a dense reference, and what they must not depend on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import optimize

from deepnull_gwas.tables import read_parquet
from deepnull_gwas.whole_genome.array_file import ArrayFile
from deepnull_gwas.whole_genome.blocks import INSIDE_GRID, BlockFit, BlockSums, explain
from deepnull_gwas.whole_genome.folds import genome_folds
from deepnull_gwas.whole_genome.grams import SharedGrams, gram_by_fold
from deepnull_gwas.whole_genome.inputs import Study, read_study, standardised
from deepnull_gwas.whole_genome.part import fit_part, refit_part
from deepnull_gwas.whole_genome.people import People
from deepnull_gwas.whole_genome.study import _places, read_sums
from deepnull_gwas.whole_genome.targets import Group, make_groups
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
    """Return the reference of a study: cuts, fills and folds as they are described."""
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
    """Return the predictors of an arm by chromosome and kind, people in the order of the study."""
    study = read_study(paths)
    files = [ArrayFile(cohort.folder / out / f"{part}.{kind}") for part in range(parts)]
    places = _places(files, study.name, arm)
    order = np.searchsorted(study.sample_index, places[0].file.read(f"{places[0].group}.sample_index"))
    return read_sums(places, study.covariates[order])[1][np.argsort(order)]


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


def test_predictors_of_a_binary_trait_agree_with_a_dense_reference(cohort, covariates):
    """What is regressed is y - mu by the logistic model of the covariates in the training set, here by a general
    optimiser; the covariates' weak penalty is that of null_models.
    """
    rng = np.random.default_rng(2)
    y = phenotype(cohort.copies, 4) + 0.5 * covariates[:, 0]
    case = (y > np.quantile(y, 0.75)).astype(float)
    index = np.sort(rng.choice(PEOPLE, PEOPLE - 9, replace=False))
    paths = cohort.study("b", case, covariates, index, trait="binary")
    fit(cohort, [paths], "out")
    dense = reference(cohort, paths, "baseline")
    x = dense.covariates

    def residuals(training: np.ndarray) -> np.ndarray:
        z, own = x[training], dense.y[training]

        def loss(b: np.ndarray) -> float:
            return float(np.logaddexp(0.0, z @ b).sum() - own @ (z @ b) + 0.5 * (b[1:] ** 2).sum())

        def slope(b: np.ndarray) -> np.ndarray:
            return z.T @ (1 / (1 + np.exp(-z @ b)) - own) + np.r_[0.0, b[1:]]

        found = optimize.minimize(loss, np.zeros(z.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-9})
        left = own - 1 / (1 + np.exp(-z @ found.x))
        return left - z @ np.linalg.lstsq(z, left, rcond=None)[0]

    dense.residuals = residuals
    expected, _ = dense.predictors()
    assert np.abs(stored(cohort, "out", paths, "baseline") - expected).max() < 1e-6 * case.std()


def test_own_phenotype_leaves_own_predictors_bitwise_the_same(cohort, covariates):
    """In both arms, given the DeepNull covariate, also of the person with the largest phenotype, and binary."""
    rng = np.random.default_rng(3)
    d, y = rng.normal(size=PEOPLE), phenotype(cohort.copies, 2)
    case = (y > np.quantile(y, 0.7)).astype(float)
    people = [int(y.argmax()), 17, PEOPLE - 1]
    before = [cohort.study("q", y, covariates, None, d), cohort.study("b", case, covariates, None, d, "binary")]
    fit(cohort, before, "before")
    for person in people:
        changed, other = y.copy(), case.copy()
        changed[person] += 1000.0
        other[person] = 1 - other[person]
        after = [
            cohort.study(f"q{person}", changed, covariates, None, d),
            cohort.study(f"b{person}", other, covariates, None, d, "binary"),
        ]
        fit(cohort, after, f"after{person}")
        for paths, new in zip(before, after, strict=True):
            for arm in ("baseline", "deepnull"):
                first = stored(cohort, "before", paths, arm)
                second = stored(cohort, f"after{person}", new, arm)
                assert first[person].tobytes() == second[person].tobytes()
                assert (first != second).any(axis=0).mean() > 0.9  # others' predictors are touched


def fit(cohort: Cohort, studies, out: str, parts: int = 1, threads: int = 1, **settings) -> None:
    """Run level 0 alone."""
    chosen = SETTINGS | settings
    files = [[cohort.folder / out / f"{part}.{kind}" for part in range(parts)] for kind in ("first", "second")]
    for part in range(parts):
        fit_part(cohort.paths, studies, part, parts, chosen, files[0][part], threads)
    for part in range(parts):
        refit_part(cohort.paths, studies, files[0], part, parts, chosen, files[1][part], threads)


def test_bytes_do_not_depend_on_threads_parts_and_other_studies(cohort, covariates):
    rng = np.random.default_rng(4)
    everybody, d, y = np.arange(PEOPLE), rng.normal(size=PEOPLE), phenotype(cohort.copies, 3)
    half, nearly = np.sort(rng.permutation(PEOPLE)[:120]), np.delete(everybody, [3, 50, 51])
    mine = cohort.study("mine", y, covariates, nearly, d)
    mates = [
        cohort.study("same", y[::-1].copy(), covariates, nearly, d),
        cohort.study("all", y, covariates),
        cohort.study("other_covariates", y**2, covariates[:, :1], nearly),
        cohort.study("half", y, covariates, half),
        cohort.study("disjoint", y, covariates, np.setdiff1d(everybody, nearly)),
        cohort.study("few", y, covariates[:, :1], np.array([3, 7, 50, 51, 90, 91, 92, 93, 94])),
    ]
    runs = {
        "alone": cohort.run([mine], "alone"),
        "threads": cohort.run([mine], "threads", threads=3),
        "parts": cohort.run([mine], "parts", parts=4),
        "batch": cohort.run([*mates[:3], mine, *mates[3:]], "batch", parts=2, threads=2)[3:4],
        "halves": cohort.run([mates[3], mine], "halves")[1:],
        "disjoint": cohort.run([cohort.study("rest", y, None, np.setdiff1d(everybody, nearly)), mine], "disjoint")[1:],
    }
    expected = [(runs["alone"][0] / name).read_bytes() for name in ("offsets.parquet", "genome.json")]
    for name, (folder,) in runs.items():
        assert [(folder / n).read_bytes() for n in ("offsets.parquet", "genome.json")] == expected, name
    assert read_parquet(runs["alone"][0] / "offsets.parquet").shape == (PEOPLE - 3, 1 + 2 * 4)


def test_a_permuted_file_of_people_gives_the_same(cohort, covariates, tmp_path):
    y = phenotype(cohort.copies, 5)
    (folder,) = cohort.run([cohort.study("s", y, covariates)], "out")
    order = np.random.default_rng(1).permutation(PEOPLE)
    place = np.argsort(order)
    names = [f"i{i}" for i in order]
    pairs = [(int(place[a]), int(place[b]), k) for a, b, k in cohort.pairs]
    permuted = Cohort(tmp_path / "permuted", cohort.copies[:, order], CHROMOSOME, pairs, names)
    (other,) = permuted.run([permuted.study("s", y[order], covariates[order])], "out")
    first, second = (read_parquet(f / "offsets.parquet") for f in (folder, other))
    for column in first.columns[1:]:
        assert np.abs(second[column].to_numpy()[place] - first[column]).max() < 1e-6 * y.std()


def test_sums_of_nearly_everybody_are_those_of_their_own(cohort):
    """Whole numbers: less those who are missing, or summed over their own people."""
    rng = np.random.default_rng(1)
    folds = rng.integers(0, 5, PEOPLE).astype(np.int32)
    everybody = People.of(np.arange(PEOPLE), folds, 5)
    subsets = [np.delete(np.arange(PEOPLE), [4, 100]), np.arange(PEOPLE), np.arange(0, PEOPLE, 2)]
    groups = [Group(People.of(rows, folds, 5), np.ones((len(rows), 1)), np.ones((5, 1, 1)), ()) for rows in subsets]
    copies = rng.integers(0, 3, (12, PEOPLE)).astype(np.int8)
    by_fold = copies[:, everybody.sample_index]
    for chosen in (groups, groups[:2], groups[2:], groups[::-1]):
        for group, (own, gram) in zip(chosen, SharedGrams(everybody, chosen).of_block(by_fold), strict=True):
            assert (own == copies[:, group.people.sample_index]).all()
            assert (gram == gram_by_fold(own, group.people)).all()
    direct = [copies[:, folds == f].astype(int) @ copies[:, folds == f].astype(int).T for f in range(5)]
    assert (gram_by_fold(by_fold, everybody) == np.array(direct)).all()


@pytest.mark.parametrize("size", [3, 500])
def test_what_a_block_explains_is_exact_in_single_precision(size):
    rng = np.random.default_rng(4)
    people = People(np.arange(300), np.array([0, 100, 220, 300]))
    group = Group(people, np.ones((300, 1)), np.ones((3, 1, 1)), ())
    copies = rng.integers(0, 3, (size, 300), dtype=np.int8)
    # of all sizes, and a model without effects
    per_copy = rng.normal(size=(3, 2, 1, size)) * 10.0 ** rng.uniform(-4, -1, (3, 2, 1, 1))
    per_copy[1, 1] = 0.0

    def explained(order):
        fit = BlockFit(per_copy[..., order], per_copy[..., order], np.zeros((2, 1, 3, 1), dtype=np.int64), 0)
        return np.concatenate([values for _, values in explain(copies[order], group, fit)])

    found = explained(np.arange(size))
    for seed in range(3):
        assert (explained(np.random.default_rng(seed).permutation(size)) == found).all()
    expected = (copies.T.astype(float) - 1) @ per_copy.reshape(-1, size).T
    # each effect is off by half a unit at most, evenly distributed: five standard deviations of their sum
    unit = 2.0**-23 * np.abs(per_copy).sum(axis=-1).ravel()
    assert (np.abs(found * INSIDE_GRID - expected) <= INSIDE_GRID + 5 * unit * np.sqrt(size / 12)).all()


@pytest.mark.parametrize(("slope", "fits"), [(1e-3, True), (1.0, False)])
def test_few_columns_give_the_products_with_those_of_all_folds(slope, fits):
    rng = np.random.default_rng(4)
    n, folds, b = 500, 5, 12
    c, d = (standardised(rng.normal(size=n)) for _ in range(2))
    # far from 0, in a small unit, with an outlier; or nearly all of it the covariate
    y = 1e5 + slope * c + 1e-3 * (0.3 * d + rng.normal(size=n))
    y[7] += 0.01
    fold = rng.integers(0, folds, n).astype(np.int32)
    copies = rng.integers(0, 3, (b, n)).astype(np.int8)
    arms = ("baseline", "deepnull")

    def products(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, Group]:
        x = np.column_stack([np.ones(n), c])
        study = Study("s", "quantitative", arms, np.arange(n), y, x, d, {}, np.zeros(2, dtype=bool))
        (group,) = make_groups([study], fold, folds)
        own, gram = copies[:, group.people.sample_index], np.zeros((folds, b, b), dtype=np.float32)
        dense = group.columns(lambda k: group.targets[k].residuals)
        return *(BlockSums.of(own, gram, some).products for some in (group.first_columns(), dense)), group

    few, dense, group = products(y)
    assert [bool(target.few.fits.all()) for target in group.targets] == [fits] * len(arms)
    columns = group.first_columns()
    assert (columns.by_fold, columns.others) == (2 + 3, 0 if fits else 2 * folds)
    np.testing.assert_allclose(few, dense, atol=1e-6 * np.sqrt(n))
    if fits:
        # of another phenotype, however extreme, of a person: the models that predict this person are the same bits
        y[3] += 1e3
        again = products(y)[0].reshape(b, len(arms), folds)
        same = (again == few.reshape(again.shape)).all(axis=0)
        assert (same.all(axis=0) == (np.arange(folds) == fold[3])).all()

"""What the blocks are regressed with: for each study, arm and fold, what the covariates leave of the phenotype.

Covariates are taken out by coefficients of the training set (everybody but the fold), and people of the fold itself
have 0: their phenotypes are in no number that the fold's models are made of.

An arm's DeepNull covariate is given: it is taken out of the phenotype like any other, by coefficients of the training
set. It was predicted out of fold, so it holds nothing of the person's own phenotype either; that of other people was
predicted by models that were trained on this person, too, as functions of the covariates alone. Genotypes are
regressed on the shared covariates only, so that all arms of a study share their correlations: the regression of what
is left of the phenotype remains one on the part of the genotypes beyond those, and level 1 takes the DeepNull covariate
out of the predictors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.traits import trait_of
from deepnull_gwas.whole_genome.inputs import Study
from deepnull_gwas.whole_genome.null_models import Covariates, fit_null_model, probabilities
from deepnull_gwas.whole_genome.regression import inverse_of

#: Residuals of standard deviation 1 and covariates of variance 1 are rounded to multiples of this: their products with
#: numbers of copies are then exact in double precision, in whatever order they are summed, up to 2^26 people.
GRID = 2.0**-26
#: What is left of a phenotype is nothing when its standard deviation is below this fraction of the largest value.
NOTHING = 1e-9


def on_grid(values: np.ndarray) -> np.ndarray:
    """Round to multiples of :data:`GRID`."""
    return np.rint(values / GRID) * GRID


@dataclass(frozen=True)
class People:
    """The analysed people of studies, sorted by fold.

    Attributes
    ----------
    sample_index
        int64[n]; ascending within each fold.
    edges
        int64[folds + 1], where each fold of the cohort begins; some may be empty.
    """

    sample_index: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, sample_index: np.ndarray, folds: np.ndarray, count: int) -> People:
        """Sort people by fold.

        Parameters
        ----------
        sample_index
            int64[n], ascending.
        folds
            int32, one per person of the cohort (:func:`~deepnull_gwas.whole_genome.folds.genome_folds`).
        count
            Number of folds.
        """
        fold = folds[sample_index]
        order = np.argsort(fold, kind="stable")
        return cls(sample_index[order], np.searchsorted(fold[order], np.arange(count + 1)))

    @classmethod
    def of_rows(cls, people: People, rows: np.ndarray) -> People:
        """Return some of the people (ascending int64 rows)."""
        return cls(people.sample_index[rows], np.searchsorted(rows, people.edges))

    def __len__(self) -> int:
        return len(self.sample_index)

    @property
    def folds(self) -> int:
        """Number of folds, empty ones among them."""
        return len(self.edges) - 1

    @property
    def sizes(self) -> np.ndarray:
        """People in each fold: int64[folds]."""
        return np.diff(self.edges)

    @property
    def fold(self) -> np.ndarray:
        """The fold of each: int32[n]."""
        return np.repeat(np.arange(self.folds, dtype=np.int32), self.sizes)

    def rows(self, fold: int) -> slice:
        """Return the people of a fold."""
        return slice(int(self.edges[fold]), int(self.edges[fold + 1]))


@dataclass(frozen=True)
class Target:
    """A study and arm.

    Attributes
    ----------
    study, arm
        Their names.
    residuals
        float64[n, folds], what the covariates leave of the phenotype by each fold's training set, with standard
        deviation 1 there, and 0 for the people of the fold; on the grid.
    sd
        float64[folds], the standard deviations that it was divided by; 0 where nothing is left.
    """

    study: str
    arm: str
    residuals: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True)
class Group:
    """Studies of the same people and covariates, with their arms: they share all that is made of genotypes alone.

    Attributes
    ----------
    people
        The people.
    covariates
        float64[n, c], the intercept among them, on the grid.
    inverses
        float64[folds, c, c], inverse of their sums of products in each training set.
    targets
        Its studies and arms.
    """

    people: People
    covariates: np.ndarray
    inverses: np.ndarray
    targets: tuple[Target, ...]

    @property
    def training(self) -> np.ndarray:
        """Number of people who train each fold's models: int64[folds]."""
        return len(self.people) - self.people.sizes

    def columns(self, of_target: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return what genotypes are multiplied with: float64[n, c + targets x j], covariates and columns of targets.

        Parameters
        ----------
        of_target
            Gives float64[n, ...] by the number of a target, j columns when flattened.
        """
        n, c = self.covariates.shape
        out = self.covariates.copy()
        for k in range(len(self.targets)):
            values = of_target(k).reshape(n, -1)
            if not k:
                out = np.empty((n, c + len(self.targets) * values.shape[1]))
                out[:, :c] = self.covariates
            start = c + k * values.shape[1]
            out[:, start : start + values.shape[1]] = values
        return out

    def without_covariates(self, values: np.ndarray) -> np.ndarray:
        """Take the covariates out of columns, one per fold, by coefficients of its training set.

        Parameters
        ----------
        values
            float64[n, folds]; those of the people of the fold are not looked at.

        Returns
        -------
        The same shape, with 0 for the people of the fold.
        """
        own = np.arange(len(values)), self.people.fold
        values = values.copy()
        values[own] = 0.0
        coefficients = np.einsum("fcd,df->cf", self.inverses, self.covariates.T @ values)
        values -= self.covariates @ coefficients
        values[own] = 0.0
        return values


def make_groups(studies: Sequence[Study], folds: np.ndarray, count: int) -> list[Group]:
    """Return the groups of studies that share people and covariates; those of the same people follow each other.

    Parameters
    ----------
    studies
        Those without an arm that can be done are left out.
    folds
        int32, one per person of the cohort.
    count
        Number of folds.
    """
    alike: dict[bytes, dict[bytes, list[Study]]] = {}
    for study in studies:
        if study.arms:
            same_people = alike.setdefault(study.sample_index.tobytes(), {})
            same_people.setdefault(study.covariates.tobytes(), []).append(study)
    return [_group(members, folds, count) for of_people in alike.values() for members in of_people.values()]


def _group(studies: Sequence[Study], folds: np.ndarray, count: int) -> Group:
    sample_index = studies[0].sample_index
    people = People.of(sample_index, folds, count)
    order = np.searchsorted(sample_index, people.sample_index)
    covariates = on_grid(studies[0].covariates[order])
    sums = [covariates[people.rows(f)].T @ covariates[people.rows(f)] for f in range(count)]
    inverses = np.array([inverse_of(sum(sums) - own) for own in sums])
    empty = Group(people, covariates, inverses, ())
    targets = tuple(_target(study, arm, order, empty) for study in studies for arm in study.arms)
    return Group(people, covariates, inverses, targets)


def _target(study: Study, arm: str, order: np.ndarray, group: Group) -> Target:
    """Return a study and arm, given the order of its people and its group without targets."""
    y, covariates = study.y[order], study.covariates_of(arm)[order]
    left = _left_of_binary if trait_of(study.trait).has_cases else _left_of_quantitative
    values = group.without_covariates(left(y, covariates, group.people))
    # sums over the training set alone: those of its fold are 0
    sd = np.sqrt(np.sum(values**2, axis=0) / np.maximum(group.training, 1))
    sd[sd <= NOTHING * max(float(np.abs(y).max()), np.finfo(float).tiny)] = 0.0
    values *= np.where(sd > 0, 1.0 / np.where(sd > 0, sd, 1.0), 0.0)
    return Target(study.name, arm, on_grid(values), sd)


def _left_of_quantitative(y: np.ndarray, covariates: np.ndarray, people: People) -> np.ndarray:
    """Return y less what the covariates predict by least squares, fold by fold: float64[n, folds]."""
    out = np.zeros((len(y), people.folds))
    for f in range(people.folds):
        training = np.flatnonzero(people.fold != f)
        x, own = covariates[training], y[training]
        centre = own.mean() if len(own) else 0.0  # what is far from 0 would lose digits
        out[training, f] = own - centre - x @ (inverse_of(x.T @ x) @ (x.T @ (own - centre)))
    return out


def _left_of_binary(y: np.ndarray, covariates: np.ndarray, people: People) -> np.ndarray:
    """Return y less its probability by the covariates' logistic model, fold by fold: float64[n, folds]."""
    out, design = np.zeros((len(y), people.folds)), Covariates.of(covariates)
    for f in range(people.folds):
        training = np.flatnonzero(people.fold != f)
        model = fit_null_model(design, y, training)
        if model is not None:  # else there are only cases or only controls, and nothing to learn
            out[training, f] = y[training] - probabilities(design.x[training] @ model.coefficients)
    return out

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
from deepnull_gwas.whole_genome.people import People
from deepnull_gwas.whole_genome.regression import inverse_of

#: Residuals of standard deviation 1 and covariates of variance 1 are rounded to multiples of this: their products with
#: numbers of copies are then exact in double precision, in whatever order they are summed, up to 2^26 people.
GRID = 2.0**-26
#: A phenotype enters by :class:`FewColumns` where a unit of these is at most so many standard deviations of what is
#: left of it: rounding to the grid is then to 2^-19 of it.
COARSEST = 2.0**7
#: What is left of a phenotype is nothing when its standard deviation is below this fraction of the largest value.
NOTHING = 1e-9


def on_grid(values: np.ndarray) -> np.ndarray:
    """Round to multiples of :data:`GRID`."""
    return np.rint(values / GRID) * GRID


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
    few
        The residuals as a few columns for all folds, or None.
    """

    study: str
    arm: str
    residuals: np.ndarray
    sd: np.ndarray
    few: FewColumns | None = None


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

    def columns(self, of_target: Callable[[int], np.ndarray]) -> Columns:
        """Return what genotypes are multiplied with: covariates, and a column for each target and fold.

        Parameters
        ----------
        of_target
            Gives float64[n, folds] by the number of a target.
        """
        (n, c), folds = self.covariates.shape, self.people.folds
        out = np.empty((n, c + len(self.targets) * folds))
        out[:, :c] = self.covariates
        for k in range(len(self.targets)):
            out[:, c + k * folds : c + (k + 1) * folds] = of_target(k)
        return Columns(out, (), np.tile(np.arange(folds), len(self.targets)))

    def first_columns(self) -> Columns:
        """Return the same of the residuals, with few columns in the place of all of a target's where that is as good.

        After the covariates come those of :class:`FewColumns`, then the residuals of the targets and folds that have
        none.
        """
        few = tuple(target.few or FewColumns.none(self) for target in self.targets)
        dense = [t.residuals[:, ~one.fits] for t, one in zip(self.targets, few, strict=True)]
        fold = [np.flatnonzero(~one.fits) for one in few]
        return Columns(
            np.column_stack([self.covariates, *(one.values for one in few), *dense]),
            few,
            np.concatenate([np.empty(0, dtype=np.int64), *fold]),
        )

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
        return self.split_from_covariates(values)[0]

    def split_from_covariates(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same, and the coefficients of the covariates: float64[c, folds]."""
        own = np.arange(len(values)), self.people.fold
        values = values.copy()
        values[own] = 0.0
        coefficients = np.einsum("fcd,df->cf", self.inverses, self.covariates.T @ values)
        values -= self.covariates @ coefficients
        values[own] = 0.0
        return values, coefficients


@dataclass(frozen=True)
class FewColumns:
    """The residuals of least squares of all training sets as combinations of a few columns and the covariates.

    They differ from fold to fold in their coefficients alone, so that products of genotypes with these columns, fold by
    fold, give those with all of them.

    Attributes
    ----------
    values
        float64[n, q], the phenotype, and the DeepNull covariate of its arm: less the mean of the person's own fold, in
        a unit of that fold, on the grid. A person's fold is none that the models which predict this person know.
    mean, unit
        float64[folds, q].
    own
        float64[folds, q], by how much they enter the residuals of each training set.
    shared
        float64[folds, c], by how much the covariates do.
    fits
        bool[folds], whether rounding to the grid is fine enough for the residuals of a training set.
    """

    values: np.ndarray
    mean: np.ndarray
    unit: np.ndarray
    own: np.ndarray
    shared: np.ndarray
    fits: np.ndarray

    @classmethod
    def none(cls, group: Group) -> FewColumns:
        """Return that of a target that has no such columns."""
        n, folds, c = len(group.people), group.people.folds, group.covariates.shape[1]
        empty = np.empty((folds, 0))
        return cls(np.empty((n, 0)), empty, empty, empty, np.zeros((folds, c)), np.zeros(folds, dtype=bool))

    @classmethod
    def of(cls, columns: np.ndarray, people: People, own: np.ndarray, shared: np.ndarray) -> FewColumns:
        """Put columns (float64[n, q]) on the grid, given how they enter the residuals (see the class)."""
        folds, q = people.folds, columns.shape[1]
        values, mean, unit = np.zeros(columns.shape), np.zeros((folds, q)), np.ones((folds, q))
        for h in range(folds):
            if not people.sizes[h]:
                continue
            rows = people.rows(h)
            mean[h] = columns[rows].mean(axis=0)
            centred = columns[rows] - mean[h]
            size = np.sqrt(np.mean(centred**2, axis=0))
            unit[h] = np.exp2(np.rint(np.log2(np.where(size > 0, size, 1.0))))
            values[rows] = on_grid(centred / unit[h])
        with np.errstate(over="ignore"):
            coarse = np.abs(own)[:, None] * unit[None] > COARSEST
        # what is in a person's own fold must not decide how this person's predictors are made
        coarse[np.arange(folds), np.arange(folds)] = False
        return cls(values, mean, unit, own, shared, ~coarse.any(axis=(1, 2)))

    def products(self, cross: np.ndarray, sums: np.ndarray, training: np.ndarray) -> np.ndarray:
        """Return the products of genotypes with the residuals of the training sets: float64[b, folds].

        Parameters
        ----------
        cross
            float64[folds, b, c], with the covariates, of which the first is the intercept.
        sums
            float64[folds, b, q], with ``values``.
        training
            float64[folds, b, c], ``cross`` summed over the other folds.
        """
        parts = sums * self.unit[:, None] + cross[:, :, :1] * self.mean[:, None]
        out = np.zeros((cross.shape[1], len(cross)))
        for f in np.flatnonzero(self.fits):
            of_others = parts[np.arange(len(parts)) != f].sum(axis=0)
            out[:, f] = of_others @ self.own[f] + training[f] @ self.shared[f]
        return out


@dataclass(frozen=True)
class Columns:
    """What the genotypes of a group are multiplied with.

    Attributes
    ----------
    values
        float64[n, columns], on the grid: covariates, those of ``few``, then a column for each target and fold, but for
        those of ``few``.
    few
        Of each target; empty where there are none.
    fold
        The fold of each of the last columns, in which its people are 0.
    """

    values: np.ndarray
    few: tuple[FewColumns, ...]
    fold: np.ndarray

    @property
    def by_fold(self) -> int:
        """Number of columns after the covariates whose products are wanted fold by fold."""
        return sum(few.values.shape[1] for few in self.few)

    def products(self, cross: np.ndarray, sums: np.ndarray, dense: np.ndarray) -> np.ndarray:
        """Return the products with a column for each target and fold: float64[b, targets x folds].

        Parameters
        ----------
        cross, sums
            float64[folds, b, ...], with the covariates and the columns of ``few``, by fold.
        dense
            float64[b, ...], with the others.
        """
        if not self.few:
            return dense
        folds, at, done = len(cross), 0, 0
        training = np.stack([cross[np.arange(folds) != f].sum(axis=0) for f in range(folds)])
        out = np.empty((cross.shape[1], len(self.few), folds))
        for k, few in enumerate(self.few):
            q, others = few.values.shape[1], int((~few.fits).sum())
            out[:, k] = few.products(cross, sums[:, :, at : at + q], training)
            out[:, k, ~few.fits] = dense[:, done : done + others]
            at, done = at + q, done + others
        return out.reshape(len(out), -1)


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
    beta = None
    if trait_of(study.trait).has_cases:
        left = _left_of_binary(y, covariates, group.people)
    else:
        left, beta = _left_of_quantitative(y, covariates, group.people)
    values, shared = group.split_from_covariates(left)
    # sums over the training set alone: those of its fold are 0
    sd = np.sqrt(np.sum(values**2, axis=0) / np.maximum(group.training, 1))
    sd[sd <= NOTHING * max(float(np.abs(y).max()), np.finfo(float).tiny)] = 0.0
    scale = np.where(sd > 0, 1.0 / np.where(sd > 0, sd, 1.0), 0.0)
    values *= scale
    few = None
    if beta is not None:
        c = group.covariates.shape[1]
        # the phenotype, less what its own covariate (DeepNull's) and those of the group predict
        own = np.column_stack([np.ones(len(beta)), -beta[:, c:]]) * scale[:, None]
        entering = -(beta[:, :c] + shared.T) * scale[:, None]
        few = FewColumns.of(np.column_stack([y, covariates[:, c:]]), group.people, own, entering)
    return Target(study.name, arm, on_grid(values), sd, few)


def _left_of_quantitative(y: np.ndarray, covariates: np.ndarray, people: People) -> tuple[np.ndarray, np.ndarray]:
    """Return y less what the covariates predict by least squares, fold by fold, and their coefficients.

    float64[n, folds], and float64[folds, c], the intercept first.
    """
    out, beta = np.zeros((len(y), people.folds)), np.zeros((people.folds, covariates.shape[1]))
    for f in range(people.folds):
        training = np.flatnonzero(people.fold != f)
        x, own = covariates[training], y[training]
        centre = own.mean() if len(own) else 0.0  # what is far from 0 would lose digits
        beta[f] = inverse_of(x.T @ x) @ (x.T @ (own - centre))
        out[training, f] = own - centre - x @ beta[f]
        beta[f, 0] += centre
    return out, beta


def _left_of_binary(y: np.ndarray, covariates: np.ndarray, people: People) -> np.ndarray:
    """Return y less its probability by the covariates' logistic model, fold by fold: float64[n, folds]."""
    out, design = np.zeros((len(y), people.folds)), Covariates.of(covariates)
    for f in range(people.folds):
        training = np.flatnonzero(people.fold != f)
        model = fit_null_model(design, y, training)
        if model is not None:  # else there are only cases or only controls, and nothing to learn
            out[training, f] = y[training] - probabilities(design.x[training] @ model.coefficients)
    return out

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
from deepnull_gwas.whole_genome.columns import Columns, FewColumns, on_grid
from deepnull_gwas.whole_genome.inputs import Study
from deepnull_gwas.whole_genome.null_models import Covariates, fit_null_model, probabilities
from deepnull_gwas.whole_genome.people import People
from deepnull_gwas.whole_genome.regression import inverse_of

#: What is left of a phenotype is nothing when its standard deviation is below this fraction of the largest value.
NOTHING = 1e-9


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
        folds = np.arange(self.people.folds)
        return Columns.of(self.people, self.covariates, (), [folds] * len(self.targets), of_target)

    def first_columns(self) -> Columns:
        """Return the same of the residuals, with few columns in the place of all of a target's where that is as good.

        After the covariates come those of :class:`FewColumns`, then the residuals of the targets and folds that have
        none.
        """
        few = tuple(target.few or FewColumns.none(self.people, self.covariates.shape[1]) for target in self.targets)
        folds = [np.flatnonzero(~one.fits) for one in few]
        return Columns.of(self.people, self.covariates, few, folds, lambda k: self.targets[k].residuals[:, folds[k]])

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
    out, beta = np.zeros((people.folds, len(y))), np.zeros((people.folds, covariates.shape[1]))
    own = [covariates[people.rows(f)] for f in range(people.folds)]
    sums = [x.T @ x for x in own]
    for f in range(people.folds):
        others = slice(0, people.rows(f).start), slice(people.rows(f).stop, len(y))
        # what is far from 0 would lose digits
        centre = sum(float(y[rows].sum()) for rows in others) / max(len(y) - len(own[f]), 1)
        cross = sum(covariates[rows].T @ (y[rows] - centre) for rows in others)
        beta[f] = inverse_of(sum(sums[:f] + sums[f + 1 :])) @ cross
        for rows in others:
            out[f, rows] = y[rows] - centre - covariates[rows] @ beta[f]
        beta[f, 0] += centre
    return out.T, beta


def _left_of_binary(y: np.ndarray, covariates: np.ndarray, people: People) -> np.ndarray:
    """Return y less its probability by the covariates' logistic model, fold by fold: float64[n, folds]."""
    out, design = np.zeros((len(y), people.folds)), Covariates.of(covariates)
    for f in range(people.folds):
        training = np.flatnonzero(people.fold != f)
        model = fit_null_model(design, y, training)
        if model is not None:  # else there are only cases or only controls, and nothing to learn
            out[training, f] = y[training] - probabilities(design.x[training] @ model.coefficients)
    return out

"""Level 0: predictors of phenotypes from the genotypes of one block of neighbouring variants, out of fold.

Genotypes are whole numbers of copies and all columns that they are multiplied with are on a grid, so that sums of
products over people are exact: they are the same bytes for any order of summation, any threads, and whatever studies
share the work. What is no such sum is computed for one study and arm at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.regression import (
    CAUSAL_SHARES,
    HERITABILITIES,
    Correlations,
    RidgeFactor,
    correlations,
    ridge_penalties,
    spike_and_slab,
)
from deepnull_gwas.whole_genome.targets import Group, People, on_grid

#: Ridge predictors of a block beside those of the second pass; with one pass all of HERITABILITIES are taken.
RIDGES = (0.25, 0.75)
#: Predictors of a block, by the number of passes.
PREDICTORS = {1: len(HERITABILITIES) + len(CAUSAL_SHARES), 2: len(RIDGES) + len(CAUSAL_SHARES)}
#: Effects per copy, in standard deviations of the residuals, are rounded to multiples of this: with 2 copies and
#: effects below 2^7 in all, their products with genotypes are exact in double precision, in whatever order.
EFFECT_GRID = 2.0**-36
#: What the blocks explain of a residual is summed in whole multiples of this (in standard deviations, up to 128).
INSIDE_GRID = 2.0**-24
#: Least share of a residual's variance that the second pass takes for noise.
LEAST_NOISE = 0.3
#: People whose genotypes are held as floating-point numbers at a time.
TILE = 4096


def tiles(people: People) -> Iterator[tuple[int, slice]]:
    """Go through people in tiles of at most :data:`TILE` that never cross folds: (fold, rows)."""
    for f in range(people.folds):
        rows = people.rows(f)
        for start in range(rows.start, rows.stop, TILE):
            yield f, slice(start, min(start + TILE, rows.stop))


def gram_by_fold(copies: np.ndarray, people: People) -> np.ndarray:
    """Sum products of variants with each other within folds.

    Parameters
    ----------
    copies
        int8[b, n], the people as in ``people``.
    people
        The people.

    Returns
    -------
    float32[folds, b, b]; whole numbers, exact up to 2^22 people.
    """
    out = np.zeros((people.folds, len(copies), len(copies)), dtype=np.float32)
    for f, rows in tiles(people):
        part = copies[:, rows].astype(np.float32)
        out[f] += part @ part.T
    return out


@dataclass(frozen=True)
class BlockSums:
    """Sums of products of a block over the people of a group.

    Attributes
    ----------
    gram
        float32[folds, b, b], variants with each other.
    cross
        float64[folds, b, c], with the covariates.
    products
        float64[b, columns], with residuals, over everybody (those of a fold's own people are 0).
    """

    gram: np.ndarray
    cross: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, copies: np.ndarray, gram: np.ndarray, group: Group, columns: np.ndarray) -> BlockSums:
        """Sum a block's products.

        Parameters
        ----------
        copies
            int8[b, n], the people as in the group.
        gram
            From :func:`gram_by_fold`.
        group
            The group.
        columns
            float64[n, c + columns], its covariates and residuals, on the grid.
        """
        c = group.covariates.shape[1]
        cross = np.zeros((group.people.folds, len(copies), c))
        products = np.zeros((len(copies), columns.shape[1] - c))
        for f, rows in tiles(group.people):
            both = copies[:, rows].astype(np.float64) @ columns[rows]
            cross[f] += both[:, :c]
            products += both[:, c:]
        return cls(gram, cross, products)

    def training_sets(self, group: Group) -> Iterator[tuple[int, Correlations]]:
        """Go through the folds that hold people: (fold, the block's correlations in its training set)."""
        gram, cross = self.gram.sum(axis=0), self.cross.sum(axis=0)
        for f in range(group.people.folds):
            if group.people.sizes[f] and group.training[f]:
                yield (
                    f,
                    correlations(gram - self.gram[f], cross - self.cross[f], group.inverses[f], int(group.training[f])),
                )


@dataclass(frozen=True)
class FirstPass:
    """What the spike-and-slab regressions of a block, taken by itself, say.

    Attributes
    ----------
    effects
        float64[b, targets, shares, folds], per standard deviation of a variant.
    per_copy
        float64[b, targets, shares, folds], the same per copy, on the grid.
    on_covariates
        int64[targets, shares, folds, c], what covariates are multiplied with in addition, in units of EFFECT_GRID.
    skipped
        Number of variants that carry nothing beyond the covariates in some training set.
    """

    effects: np.ndarray
    per_copy: np.ndarray
    on_covariates: np.ndarray
    skipped: int


def first_pass(sums: BlockSums, group: Group, total: int) -> FirstPass:
    """Regress residuals on a block by itself, by spike and slab.

    Parameters
    ----------
    sums
        Of the block, with the group's residuals.
    group
        The group.
    total
        Number of variants in all blocks.
    """
    b, t, s, folds = len(sums.products), len(group.targets), len(CAUSAL_SHARES), group.people.folds
    effects, per_copy = np.zeros((2, b, t, s, folds))
    on_covariates = np.zeros((t, s, folds, group.covariates.shape[1]), dtype=np.int64)
    right, used = sums.products.reshape(b, t, folds), np.ones(b, dtype=bool)
    for f, regressors in sums.training_sets(group):
        used &= regressors.used
        for k in range(t):
            left = regressors.standardise(right[:, k, f])
            found = np.column_stack([spike_and_slab(regressors, total, share, left) for share in CAUSAL_SHARES])
            raw, covariates = regressors.weights(found)
            effects[:, k, :, f] = found
            per_copy[:, k, :, f] = _on_grid(raw)
            on_covariates[k, :, f] = np.rint(covariates.T / EFFECT_GRID)
    return FirstPass(effects, per_copy, on_covariates, int((~used).sum()))


def explain(copies: np.ndarray, group: Group, first: FirstPass) -> Iterator[tuple[slice, np.ndarray]]:
    """Predict everybody by the regressions of each fold, those included who trained them.

    Parameters
    ----------
    copies
        int8[b, n].
    group, first
        The group, and what was found.

    Yields
    ------
    Some of the people, and int32[people, targets x shares x folds]: what ``first.per_copy`` predicts, in units of
    INSIDE_GRID. Without the covariates' part, which is added when all blocks are summed.
    """
    weights = first.per_copy.reshape(len(copies), -1) / INSIDE_GRID
    for _, rows in tiles(group.people):
        yield rows, np.rint(copies[:, rows].astype(np.float64).T @ weights).astype(np.int32)


@dataclass(frozen=True)
class SecondPass:
    """What a second pass over a block starts from.

    Attributes
    ----------
    start
        float32[b, targets, shares, folds], the effects of the first pass.
    noise
        float64[targets, shares, folds], variance that all blocks leave of the residuals.
    """

    start: np.ndarray
    noise: np.ndarray


def predictors(
    copies: np.ndarray, sums: BlockSums, group: Group, total: int, second: SecondPass | None
) -> tuple[np.ndarray, int]:
    """Predict each fold's people from a block by the regressions of its training set.

    Parameters
    ----------
    copies
        int8[b, n].
    sums
        Of the block: with the group's residuals, float64[b, targets x folds]; with a second pass in addition with what
        all blocks leave of them, float64[b, targets x shares x folds].
    group
        The group.
    total
        Number of variants in all blocks.
    second
        Of the second pass; None with one pass.

    Returns
    -------
    float32[targets, n, predictors], on the scale of the phenotype: ridge regressions by ascending share of variance,
    then spike and slab; and the number of variants that carry nothing beyond the covariates in some training set.
    """
    b, t, folds = len(copies), len(group.targets), group.people.folds
    right = sums.products[:, : t * folds].reshape(b, t, folds)
    left_over = sums.products[:, t * folds :].reshape(b, t, -1, folds)
    penalties = ridge_penalties(total, HERITABILITIES if second is None else RIDGES)
    out = np.zeros((t, len(group.people), len(penalties) + len(CAUSAL_SHARES)), dtype=np.float32)
    used = np.ones(b, dtype=bool)
    for f, regressors in sums.training_sets(group):
        used &= regressors.used
        factors = [RidgeFactor(regressors, penalty) for penalty in penalties]
        per_copy, on_covariates = [], []
        for k in range(t):
            correlation = regressors.standardise(right[:, k, f])
            found = [factor.effects(correlation) for factor in factors]
            for s, share in enumerate(CAUSAL_SHARES):
                if second is None:
                    found.append(spike_and_slab(regressors, total, share, correlation))
                    continue
                left = regressors.standardise(left_over[:, k, s, f])
                start, noise = second.start[:, k, s, f], float(second.noise[k, s, f])
                found.append(spike_and_slab(regressors, total, share, left, start, noise))
            raw, covariates = regressors.weights(np.column_stack(found))
            per_copy.append(_on_grid(raw))
            on_covariates.append(covariates)
        _predict_fold(copies, group, f, np.stack(per_copy, axis=1), on_covariates, out)
    return out, int((~used).sum())


def _predict_fold(
    copies: np.ndarray, group: Group, fold: int, per_copy: np.ndarray, on_covariates: list[np.ndarray], out: np.ndarray
) -> None:
    """Write the predictions of a fold's people, given float64[b, targets, predictors] and float64[c, predictors]."""
    b, t, width = per_copy.shape
    own = group.people.rows(fold)
    for start in range(own.start, own.stop, TILE):
        rows = slice(start, min(start + TILE, own.stop))
        values = (copies[:, rows].astype(np.float64).T @ per_copy.reshape(b, -1)).reshape(-1, t, width)
        for k, target in enumerate(group.targets):
            out[k, rows] = (values[:, k] + group.covariates[rows] @ on_covariates[k]) * target.sd[fold]


def _on_grid(effects: np.ndarray) -> np.ndarray:
    """Round effects per copy to multiples of EFFECT_GRID."""
    return np.rint(effects / EFFECT_GRID) * EFFECT_GRID


def leftover(group: Group, inside: np.ndarray, on_covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what all blocks of the first pass leave of the residuals.

    Parameters
    ----------
    group
        The group.
    inside
        int[n, targets, shares, folds], the sum over blocks of :func:`explain`.
    on_covariates
        int64[targets, shares, folds, c], that of ``FirstPass.on_covariates``.

    Returns
    -------
    float64[n, targets x shares x folds], on the grid, 0 for a fold's own people; and its variance in the training sets,
    float64[targets, shares, folds], within bounds.
    """
    n, t, s, folds = inside.shape
    out, noise = np.empty((n, t, s, folds)), np.empty((t, s, folds))
    for k, target in enumerate(group.targets):
        for j in range(s):
            explained = inside[:, k, j] * INSIDE_GRID + group.covariates @ (on_covariates[k, j].T * EFFECT_GRID)
            left = group.without_covariates(target.residuals - explained)
            noise[k, j] = np.sum(left**2, axis=0) / np.maximum(group.training, 1)
            out[:, k, j] = on_grid(left)
    return out.reshape(n, -1), np.clip(noise, LEAST_NOISE, 1.0)

"""Level 0: predictors of phenotypes from the genotypes of one block of neighbouring variants, out of fold.

Genotypes are whole numbers of copies and all columns that they are multiplied with are on a grid, so that sums of
products over people are exact: they are the same bytes for any order of summation, any threads, and whatever studies
share the work. What is no such sum is computed for one study and arm at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.grams import tiles
from deepnull_gwas.whole_genome.regression import (
    CAUSAL_SHARES,
    HERITABILITIES,
    Correlations,
    RidgeFactor,
    correlations,
    ridge_penalties,
    spike_and_slab,
)
from deepnull_gwas.whole_genome.targets import Group, Target, on_grid

#: Shares of variance of the ridge regressions, by the number of passes.
RIDGES = {1: HERITABILITIES, 2: (0.25, 0.75)}
#: Kinds of predictors of a block, by the number of passes: the ridge regressions, then spike and slab.
KINDS = {passes: len(ridges) + len(CAUSAL_SHARES) for passes, ridges in RIDGES.items()}
#: Effects per copy, in standard deviations of the residuals, are rounded to multiples of this: with 2 copies and
#: effects below 2^7 in all, their products with genotypes are exact in double precision, in whatever order.
EFFECT_GRID = 2.0**-36
#: What the blocks explain of a residual is summed in whole multiples of this (in standard deviations, up to 128).
INSIDE_GRID = 2.0**-24
#: Least share of a residual's variance that the second pass takes for noise.
LEAST_NOISE = 0.3


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
class SecondPass:
    """What a second pass over a block starts from.

    Attributes
    ----------
    products
        float64[b, targets, folds], the block's products with the residuals (of the first pass).
    start
        float32[b, targets, shares, folds], the effects of the first pass.
    noise
        float64[targets, shares, folds], variance that all blocks leave of the residuals.
    """

    products: np.ndarray
    start: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class BlockFit:
    """Regressions of residuals on a block, one for each target, kind and training set.

    Attributes
    ----------
    effects
        float64[b, targets, shares, folds], of spike and slab, per standard deviation of a variant.
    per_copy
        float64[b, targets, kinds, folds], effects of all kinds per copy, on the grid.
    on_covariates
        int64[targets, kinds, folds, c], what covariates are multiplied with in addition, in units of EFFECT_GRID.
    skipped
        Number of variants that carry nothing beyond the covariates in some training set.
    """

    effects: np.ndarray
    per_copy: np.ndarray
    on_covariates: np.ndarray
    skipped: int


def fit_block(
    sums: BlockSums, group: Group, total: int, ridges: tuple[float, ...] = (), second: SecondPass | None = None
) -> BlockFit:
    """Regress residuals on a block: by ridge regression, and by spike and slab.

    Parameters
    ----------
    sums
        Of the block, with the group's residuals (targets x folds); in a second pass with what all blocks leave of them
        (targets x shares x folds).
    group
        The group.
    total
        Number of variants in all blocks.
    ridges
        Shares of variance of the ridge regressions, which are kinds 0, 1, ...
    second
        Of the second pass: spike and slab then sees what other blocks explain. None: each block by itself.
    """
    b, t, folds, shares = len(sums.products), len(group.targets), group.people.folds, len(CAUSAL_SHARES)
    kinds, c = len(ridges) + shares, group.covariates.shape[1]
    right = sums.products.reshape(b, t, folds) if second is None else second.products
    rest = sums.products.reshape(b, t, -1, folds)
    effects, per_copy = np.zeros((b, t, shares, folds)), np.zeros((b, t, kinds, folds))
    on_covariates, used = np.zeros((t, kinds, folds, c), dtype=np.int64), np.ones(b, dtype=bool)
    for f, regressors in sums.training_sets(group):
        used &= regressors.used
        factors = [RidgeFactor(regressors, penalty) for penalty in ridge_penalties(total, ridges)]
        for k in range(t):
            if not group.targets[k].sd[f]:
                continue
            left = regressors.standardise(right[:, k, f])
            found = [factor.effects(left) for factor in factors]
            for s, share in enumerate(CAUSAL_SHARES):
                if second is None:
                    effect = spike_and_slab(regressors, total, share, left)
                else:
                    start, noise = second.start[:, k, s, f], float(second.noise[k, s, f])
                    beyond = regressors.standardise(rest[:, k, s, f])
                    effect = spike_and_slab(regressors, total, share, beyond, start, noise)
                effects[:, k, s, f] = effect
                found.append(effect)
            raw, covariates = regressors.weights(np.column_stack(found))
            per_copy[:, k, :, f] = np.rint(raw / EFFECT_GRID) * EFFECT_GRID
            on_covariates[k, :, f] = np.rint(covariates.T / EFFECT_GRID)
    return BlockFit(effects, per_copy, on_covariates, int((~used).sum()))


def explain(copies: np.ndarray, group: Group, fit: BlockFit) -> Iterator[tuple[slice, np.ndarray]]:
    """Predict everybody by the regressions of each training set, those included who trained them.

    Parameters
    ----------
    copies
        int8[b, n].
    group, fit
        The group, and what was found.

    Yields
    ------
    Some of the people, and int32[people, targets x kinds x folds]: what ``fit.per_copy`` predicts, in units of
    INSIDE_GRID. Without the covariates' part, which is added when all blocks are summed.
    """
    weights = fit.per_copy.reshape(len(copies), -1) / INSIDE_GRID
    for _, rows in tiles(group.people):
        yield rows, np.rint(copies[:, rows].astype(np.float64).T @ weights).astype(np.int32)


def predict(copies: np.ndarray, group: Group, fit: BlockFit) -> Iterator[tuple[slice, np.ndarray]]:
    """Predict each fold's people by the regressions of its training set.

    Parameters
    ----------
    copies
        int8[b, n].
    group, fit
        The group, and what was found.

    Yields
    ------
    Some of the people, and int64[people, targets, kinds]: what ``fit.per_copy`` predicts, in units of EFFECT_GRID; in
    standard deviations of the residuals, and without the covariates' part.
    """
    shape = fit.per_copy.shape[1:3]
    for f, rows in tiles(group.people):
        weights = fit.per_copy[..., f].reshape(len(copies), -1) / EFFECT_GRID
        yield rows, (copies[:, rows].astype(np.float64).T @ weights).astype(np.int64).reshape(-1, *shape)


def leftover(
    group: Group, target: Target, inside: np.ndarray, on_covariates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what all blocks of the first pass leave of a study and arm's residuals.

    Parameters
    ----------
    group, target
        The group, and the study and arm.
    inside
        int[n, shares, folds], the sum over blocks of :func:`explain`.
    on_covariates
        int64[shares, folds, c], that of ``BlockFit.on_covariates``.

    Returns
    -------
    float64[n, shares, folds], on the grid, 0 for a fold's own people; and its variance in the training sets,
    float64[shares, folds], within bounds.
    """
    out, noise = np.empty(inside.shape), np.empty(inside.shape[1:])
    for j in range(inside.shape[1]):
        explained = inside[:, j] * INSIDE_GRID + group.covariates @ (on_covariates[j].T * EFFECT_GRID)
        left = group.without_covariates(target.residuals - explained)
        noise[j] = np.sum(left**2, axis=0) / np.maximum(group.training, 1)
        out[:, j] = on_grid(left)
    return out, np.clip(noise, LEAST_NOISE, 1.0)

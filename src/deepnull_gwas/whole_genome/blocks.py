"""Level 0: predictors of phenotypes from the genotypes of one block of neighbouring variants, out of fold.

Genotypes are whole numbers of copies and all columns that they are multiplied with are on a grid, so that sums of
products over people are exact: they are the same bytes for any order of summation, any threads, and whatever studies
share the work. What is no such sum is computed for one study and arm at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.columns import Columns, on_grid
from deepnull_gwas.whole_genome.people import tiles
from deepnull_gwas.whole_genome.regression import (
    CAUSAL_SHARES,
    HERITABILITIES,
    Correlations,
    RidgeFactor,
    correlations,
    ridge_penalties,
    spike_and_slab,
)
from deepnull_gwas.whole_genome.tabled_sums import add_products, codes_of_people, codes_of_variants, tiled
from deepnull_gwas.whole_genome.targets import Group, Target

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
    def of(cls, copies: np.ndarray, gram: np.ndarray, columns: Columns) -> BlockSums:
        """Sum a block's products.

        Parameters
        ----------
        copies
            int8[b, n], the people as in the group.
        gram
            From :func:`gram_by_fold`.
        columns
            The group's covariates and residuals.
        """
        sums = np.zeros((len(copies), columns.count))
        for tile in columns.tiles:
            add_products(codes_of_people(copies[:, tile.rows]), tile.values, sums, tile.places)
        return cls(gram, *columns.products(sums))

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
        float32[b, targets, folds], the effects of the first pass.
    noise
        float64[targets, folds], variance that all blocks leave of the residuals.
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
        float64[folds, targets, kinds, b], per standard deviation of a variant.
    per_copy
        float64[folds, targets, kinds, b], per copy.
    on_covariates
        int64[targets, kinds, folds, c], what covariates are multiplied with in addition, in units of EFFECT_GRID.
    skipped
        Number of variants that carry nothing beyond the covariates in some training set.
    """

    effects: np.ndarray
    per_copy: np.ndarray
    on_covariates: np.ndarray
    skipped: int


def begin_block(sums: BlockSums, group: Group, total: int) -> BlockFit:
    """Regress residuals on a block in the first pass of two: one kind, the mean of the spike-and-slab regressions.

    Parameters
    ----------
    sums
        Of the block, with the group's residuals (targets x folds).
    group, total
        As in :func:`fit_block`.
    """
    products = _by_fold(sums.products, group)

    def fit(f: int, regressors: Correlations) -> np.ndarray:
        of_shares = spike_and_slab(regressors, total, regressors.standardise(products[f]))
        return (sum(of_shares) / len(of_shares))[:, None]

    return _fit(sums, group, 1, fit)


def fit_block(
    sums: BlockSums, group: Group, total: int, ridges: tuple[float, ...], second: SecondPass | None = None
) -> BlockFit:
    """Regress residuals on a block: by ridge regression, and by spike and slab.

    Parameters
    ----------
    sums
        Of the block, with the group's residuals (targets x folds); in a second pass with what all blocks leave of them.
    group
        The group.
    total
        Number of variants in all blocks.
    ridges
        Shares of variance of the ridge regressions, which are kinds 0, 1, ...
    second
        Of the second pass: spike and slab then sees what other blocks explain. None: each block by itself.
    """
    rest = _by_fold(sums.products, group)
    products = rest if second is None else _by_fold(second.products, group)
    start = None if second is None else _by_fold(second.start.astype(np.float64), group)

    def fit(f: int, regressors: Correlations) -> np.ndarray:
        left = regressors.standardise(products[f])
        found = [RidgeFactor(regressors, penalty).effects(left) for penalty in ridge_penalties(total, ridges)]
        if second is None:
            found += spike_and_slab(regressors, total, left)
        else:
            found += spike_and_slab(regressors, total, regressors.standardise(rest[f]), start[f], second.noise[:, f])
        return np.stack(found, axis=1)

    return _fit(sums, group, len(ridges) + len(CAUSAL_SHARES), fit)


def _by_fold(values: np.ndarray, group: Group) -> np.ndarray:
    """Return float64[b, targets x folds] as float64[folds, targets, b]."""
    shaped = values.reshape(len(values), len(group.targets), group.people.folds)
    return np.ascontiguousarray(shaped.transpose(2, 1, 0))


def _fit(sums: BlockSums, group: Group, kinds: int, fit: Callable[[int, Correlations], np.ndarray]) -> BlockFit:
    """Fit a block's models in each training set: ``fit`` returns their effects, float64[targets, kinds, b]."""
    b, t, folds = len(sums.products), len(group.targets), group.people.folds
    effects, per_copy = np.zeros((2, folds, t, kinds, b))
    on_covariates = np.zeros((t, kinds, folds, group.covariates.shape[1]), dtype=np.int64)
    used, something = np.ones(b, dtype=bool), np.array([target.sd > 0 for target in group.targets])
    for f, regressors in sums.training_sets(group):
        used &= regressors.used
        effects[f] = np.where(something[:, f, None, None], fit(f, regressors), 0.0)
        per_copy[f], covariates = regressors.weights(effects[f])
        on_covariates[:, :, f] = np.rint(covariates / EFFECT_GRID)
    return BlockFit(effects, per_copy, on_covariates, int((~used).sum()))


def explain(copies: np.ndarray, group: Group, fit: BlockFit) -> Iterator[tuple[slice, np.ndarray]]:
    """Predict everybody by the regressions of each training set, those included who trained them.

    Effects are rounded to multiples of a power of two of which anybody has less than 2^24 in all: sums in single
    precision are then exact, in whatever order, and the rounding is far below what the effects are known to.

    Parameters
    ----------
    copies
        int8[b, n].
    group, fit
        The group, and what was found.

    Yields
    ------
    Some of the people, and int32[people, folds x targets x kinds]: what ``fit.per_copy`` predicts beyond one copy of
    every variant, in units of INSIDE_GRID. Without the covariates' part, which is added when all blocks are summed; the
    intercept among them takes out the constant.
    """
    b = len(copies)
    weights = fit.per_copy.reshape(-1, b).T / INSIDE_GRID
    # rounding adds half a unit for each variant at most
    most = np.abs(weights).sum(axis=0) * (1 + b * 2.0**-23)
    unit = np.exp2(np.frexp(most)[1] - 24)
    columns, models = tiled((np.rint(weights / unit) * unit).astype(np.float32)), np.arange(len(unit))
    for _, rows in tiles(group.people):
        found = np.zeros((rows.stop - rows.start, len(models)), dtype=np.int32)
        add_products(codes_of_variants(copies[:, rows]), columns, found, models, beyond_one=True)
        yield rows, found


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
    folds, *shape, b = fit.per_copy.shape
    weights = np.rint(fit.per_copy / EFFECT_GRID).reshape(folds, -1, b).transpose(0, 2, 1)
    models = np.arange(weights.shape[2])
    for f, rows in tiles(group.people):
        predicted = np.zeros((rows.stop - rows.start, len(models)), dtype=np.int64)
        add_products(codes_of_variants(copies[:, rows]), tiled(weights[f]), predicted, models)
        yield rows, predicted.reshape(-1, *shape)


def leftover(
    group: Group, target: Target, inside: np.ndarray, on_covariates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what all blocks of the first pass leave of a study and arm's residuals.

    Parameters
    ----------
    group, target
        The group, and the study and arm.
    inside
        int[n, folds], the sum over blocks of :func:`explain`.
    on_covariates
        int64[folds, c], that of ``BlockFit.on_covariates``.

    Returns
    -------
    float64[n, folds], on the grid, 0 for a fold's own people; and its variance in the training sets, float64[folds],
    within bounds.
    """
    explained = inside * INSIDE_GRID + group.covariates @ (on_covariates.T * EFFECT_GRID)
    left = group.without_covariates(target.residuals - explained)
    noise = np.sum(left**2, axis=0) / np.maximum(group.training, 1)
    return on_grid(left), np.clip(noise, LEAST_NOISE, 1.0)

"""The columns that the genotypes of a block are multiplied with: covariates and residuals of the training sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.jit import numba
from deepnull_gwas.whole_genome.people import People, tiles
from deepnull_gwas.whole_genome.tabled_sums import empty_tiles, put_columns

#: Residuals of standard deviation 1 and covariates of variance 1 are rounded to multiples of this: their products with
#: numbers of copies are then exact in double precision, in whatever order they are summed, up to 2^26 people.
GRID = 2.0**-26
#: A phenotype enters by :class:`FewColumns` where a unit of these is at most so many standard deviations of what is
#: left of it: rounding to the grid is then to 2^-19 of it.
COARSEST = 2.0**7


def on_grid(values: np.ndarray) -> np.ndarray:
    """Round to multiples of :data:`GRID`."""
    out = values / GRID
    np.rint(out, out=out)
    out *= GRID
    return out


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
    def none(cls, people: People, covariates: int) -> FewColumns:
        """Return that of a target that has no such columns, given the number of its covariates."""
        n, folds = len(people), people.folds
        empty = np.empty((folds, 0))
        return cls(np.empty((n, 0)), empty, empty, empty, np.zeros((folds, covariates)), np.zeros(folds, dtype=bool))

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
        out = np.zeros((cross.shape[1], len(cross)))
        folds = np.flatnonzero(self.fits)
        _combine(cross, sums, training, (self.unit, self.mean, self.own, self.shared), folds, out)
        return out


@numba.njit(nogil=True, cache=True)
def _combine(cross, sums, training, entering, folds, out):
    """Write :meth:`FewColumns.products` of some folds: what is of a fold's own people enters nothing."""
    unit, mean, own, shared = entering
    parts = np.empty((sums.shape[0], sums.shape[2], sums.shape[1]))
    for f in range(len(parts)):
        for v in range(sums.shape[1]):
            for i in range(sums.shape[2]):
                parts[f, i, v] = sums[f, v, i] * unit[f, i] + cross[f, v, 0] * mean[f, i]
    of_others = np.empty(sums.shape[1])
    for f in folds:
        for i in range(parts.shape[1]):
            of_others[:] = 0.0
            for other in range(len(parts)):
                if other != f:
                    of_others += parts[other, i]
            for v in range(len(of_others)):
                out[v, f] += of_others[v] * own[f, i]
        for v in range(len(of_others)):
            for c in range(shared.shape[1]):
                out[v, f] += training[f, v, c] * shared[f, c]


@dataclass(frozen=True)
class Tile:
    """Some people of a fold, and the columns in which they are not 0.

    Attributes
    ----------
    fold
        Their fold.
    rows
        The people.
    values
        float64, people by columns, on the grid (:func:`~deepnull_gwas.whole_genome.tabled_sums.tiled`).
    places
        int64[columns], where the sums of each belong in those of all people (:meth:`Columns.products`).
    """

    fold: int
    rows: slice
    values: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class Columns:
    """What the genotypes of a group are multiplied with.

    Attributes
    ----------
    tiles
        Everybody, with covariates, the columns of ``few``, and a column for each target and fold, but for those of
        ``few``.
    few
        Of each target; empty where there are none.
    folds
        Number of folds.
    covariates, by_fold
        Number of covariates, and of all columns whose sums are wanted fold by fold: these and those of ``few``.
    others
        Number of the other columns.
    """

    tiles: tuple[Tile, ...]
    few: tuple[FewColumns, ...]
    folds: int
    covariates: int
    by_fold: int
    others: int

    @classmethod
    def of(
        cls,
        people: People,
        covariates: np.ndarray,
        few: tuple[FewColumns, ...],
        folds: Sequence[np.ndarray],
        of_target: Callable[[int], np.ndarray],
    ) -> Columns:
        """Lay out columns.

        Parameters
        ----------
        people
            The people.
        covariates
            float64[n, c].
        few
            Of each target, or empty.
        folds
            Of each target, the folds that have a column of their own.
        of_target
            Gives these columns, float64[n, folds], by the number of a target; people of the fold are 0 in it.
        """
        c, all_folds = covariates.shape[1], np.concatenate([np.empty(0, dtype=np.int64), *folds])
        wide = c + sum(one.values.shape[1] for one in few)
        made = []
        for f, rows in tiles(people):
            kept = np.flatnonzero(all_folds != f)
            values = empty_tiles(rows.stop - rows.start, wide + len(kept))
            put_columns(values, 0, np.concatenate([covariates[rows], *(one.values[rows] for one in few)], axis=1))
            places = np.concatenate([f * wide + np.arange(wide), people.folds * wide + kept])
            made.append(Tile(f, rows, values, places))
        at = [wide] * len(made)
        for k in range(len(folds)):
            columns = of_target(k)
            for i, tile in enumerate(made):
                own = columns[tile.rows][:, folds[k] != tile.fold]
                put_columns(tile.values, at[i], own)
                at[i] += own.shape[1]
        return cls(tuple(made), few, people.folds, c, wide, len(all_folds))

    @property
    def count(self) -> int:
        """Number of sums of each variant, those by fold included."""
        return self.folds * self.by_fold + self.others

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return sum(tile.values.nbytes for tile in self.tiles)

    def products(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return products with the covariates by fold, and with a column for each target and fold.

        Parameters
        ----------
        sums
            float64[b, count]: by fold with the covariates and the columns of ``few``; then with the others.

        Returns
        -------
        float64[folds, b, c], and float64[b, targets x folds].
        """
        by_fold = sums[:, : self.folds * self.by_fold].reshape(len(sums), self.folds, -1).transpose(1, 0, 2)
        cross = np.ascontiguousarray(by_fold[:, :, : self.covariates])
        dense = sums[:, self.folds * self.by_fold :]
        if not self.few:
            return cross, dense
        at, done = self.covariates, 0
        training = np.stack([cross[np.arange(self.folds) != f].sum(axis=0) for f in range(self.folds)])
        out = np.empty((len(sums), len(self.few), self.folds))
        for k, few in enumerate(self.few):
            q, others = few.values.shape[1], int((~few.fits).sum())
            out[:, k] = few.products(cross, by_fold[:, :, at : at + q], training)
            out[:, k, ~few.fits] = dense[:, done : done + others]
            at, done = at + q, done + others
        return cross, out.reshape(len(out), -1)

"""The null model of a binary study and arm, and what its tests need of it, each made when it is first asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.association.clusters import Clusters
from deepnull_gwas.association.expansion import PEOPLE, SPARSE, Expansion
from deepnull_gwas.association.firth import firth_null
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.null_logistic import LogisticNull
from deepnull_gwas.association.refine import RefineInput
from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.genotypes.quadratic import QuadraticForm


@dataclass(frozen=True)
class ScoreColumns:
    """What the score test needs, among the columns of the products.

    Attributes
    ----------
    basis
        Covariates times weights, orthonormal under them.
    residual
        y - mu.
    square
        The weights, among the columns of the squares.
    """

    basis: slice
    residual: int
    square: int


@dataclass(frozen=True)
class Kin:
    """What correlated relatives add to the variance of the score of a genotype.

    With D = W^1/2 (R - 1) W^1/2 over pairs of relatives, R their correlations in standardised residuals, and X the
    covariates, orthonormal under the weights W, the variance is that of independent people plus g~'D g~, g~ = g - X X'W
    g. Generalised estimating equations with independence as their working correlation, a model-based variance.

    Attributes
    ----------
    form
        D.
    columns
        Where D X lies among the columns of the products.
    covariates
        float64[p, p], X'D X.
    apart
        What relatives in different clusters add, as a share of the variance
        (:meth:`~deepnull_gwas.association.clusters.Clusters.share_apart`).
    """

    form: QuadraticForm
    columns: slice
    covariates: np.ndarray
    apart: float = 0.0

    @classmethod
    def of(cls, clusters: Clusters, null: LogisticNull, layout: Layout) -> Kin:
        """Ask the layout for the columns of an arm's relatives."""
        root = np.sqrt(null.weights)
        x = null.x @ null.half
        dx = root[:, None] * (clusters.correlate(root[:, None] * x) - root[:, None] * x)
        form = clusters.covariance_form(layout.index, root)
        return cls(form, layout.add(dx), x.T @ dx, clusters.share_apart(root))

    def ratio(
        self, block: Block, mask: Mask, products: np.ndarray, basis: slice, information: np.ndarray
    ) -> np.ndarray:
        """Return by what factor relatives multiply the variance of the score of each variant: float64[variants].

        Parameters
        ----------
        block, mask
            Genotypes and people.
        products
            Of the centred genotypes with the columns of the layout.
        basis
            Where the covariates times weights lie among them.
        information
            float64[variants], the variance of the score if people were independent.
        """
        out = block.quadratic(self.form, mask)
        # row by row, in one order: a variant's bytes do not depend on its neighbours
        for j in range(self.covariates.shape[0]):
            a = products[:, basis.start + j]
            out -= 2 * a * products[:, self.columns.start + j]
            for k in range(self.covariates.shape[0]):
                out += a * products[:, basis.start + k] * self.covariates[j, k]
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 + out / information + self.apart


class BinaryArm:
    """The null model of a study and arm, and where its columns lie in the products of its mask group.

    Parameters
    ----------
    null
        Fitted null model.
    y
        0/1, float64[n].
    layout
        The people, and the precision of the passes over their genotypes.
    at
        Where its columns lie.
    kin
        Correlated relatives among the people, or None.
    """

    def __init__(self, null: LogisticNull, y: np.ndarray, layout: Layout, at: ScoreColumns, kin: Kin | None = None):
        self.null, self.y, self.at, self.kin = null, y, at, kin
        self.index, self.mask = layout.index, layout.mask
        self.n_people, self.dtype = layout.n_people, layout.dtype
        self._lock, self._made = threading.RLock(), {}

    @functools.cached_property
    def refine_input(self) -> RefineInput:
        """The null model laid out for maximum likelihood; made when first asked for."""
        return RefineInput.of(self.n_people, self.index, self.null, self.y, self.dtype)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """Make something when it is first asked for, whichever thread asks."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    @property
    def firth_null(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """Coefficients and linear predictors of the covariates' own penalised model, and whether its fit converged."""

        def make() -> tuple[np.ndarray, np.ndarray, bool]:
            coefficients, converged = firth_null(self.null.x, self.y, self.null.coefficients, self.null.offset)
            return coefficients, self.null.predictor(coefficients), converged

        return self._once("firth_null", make)

    @property
    def penalised(self) -> Expansion:
        """The expansion around the covariates' own penalised model, for Firth's likelihood."""
        return self._once("penalised", lambda: Expansion(self.null.x, self.firth_null[1], self.y))

    @property
    def plain(self) -> Expansion:
        """The expansion around the null model, for the saddle-point approximation."""
        return self._once("plain", lambda: Expansion(self.null.x, self.null.eta, self.y))

    @functools.cached_property
    def row_of(self) -> np.ndarray:
        """int64, one per person of the cohort: row among the analysed people, -1 for the others."""
        out = np.full(self.n_people, -1, dtype=np.int64)
        out[self.index] = np.arange(len(self.index))
        return out

    def carriers(self, block: Block, v: int, drop: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """List who has another genotype than nearly everybody.

        None where these are many, or everything is to be in double precision.
        """
        n = len(self.y)
        if self.dtype == np.float64 or n < PEOPLE:
            return None
        # of people who are not analysed there may be more carriers
        return block.carriers(v, self.mask, self.row_of, drop, n // SPARSE)

    def genotypes(self, block: Block, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return variants of the analysed people: centred genotypes, missing calls 0, and whether the call is there."""
        g = block.dosages(rows, self.index)
        present = ~np.isnan(g)
        g -= block.moments(self.mask)[0][rows, None]
        return np.nan_to_num(g, copy=False, nan=0.0), present

"""The null model of a binary study and arm, and what its tests need of it, each made when it is first asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.association.expansion import PEOPLE, SPARSE, Expansion
from deepnull_gwas.association.firth import firth_null
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.null_logistic import LogisticNull
from deepnull_gwas.association.refine import RefineInput
from deepnull_gwas.genotypes.block import Block


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
    """

    def __init__(self, null: LogisticNull, y: np.ndarray, layout: Layout, at: ScoreColumns):
        self.null, self.y, self.at = null, y, at
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

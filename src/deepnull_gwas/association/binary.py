"""Tests of a binary trait: score test of every variant, then what the variant needs: maximum likelihood, Firth's, or a saddle point.

Each row of the result names its method. What one method cannot do falls through to the next; where all fail, the reason of the first
is kept.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepnull_gwas.association import codes
from deepnull_gwas.association.codes import COLLINEAR, COLLINEAR_BELOW, NOT_CONVERGED, TESTED
from deepnull_gwas.association.design import LogisticNull
from deepnull_gwas.association.expansion import PEOPLE, SPARSE, Carriers, Expansion
from deepnull_gwas.association.firth import (
    FirthFit,
    firth,
    firth_approximate,
    firth_approximate_of_carriers,
    firth_null,
    firth_of_carriers,
)
from deepnull_gwas.association.linear import Estimates
from deepnull_gwas.association.logistic import logistic_block
from deepnull_gwas.association.refine import RefineInput, refine
from deepnull_gwas.association.spa import spa
from deepnull_gwas.association.tails import LOG10_E, look_up, neg_log10_p_normal, tail_table
from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.jit import numba

#: Bytes of decoded genotypes held at once by the methods that need them
DECODED = 32 << 20


class BinaryArm:
    """The null model of a study and arm, and where its columns lie in the products of its mask group.

    Parameters
    ----------
    null
        Fitted null model.
    y
        0/1, float64[n].
    index
        int64[n], rows of the .fam.
    basis, residual, square
        Columns: covariates times weights, orthonormal under them; y - mu; the weights, among those of the squares.
    n_people
        Number of people of the .fam.
    dtype
        Precision of the passes over the genotypes.
    """

    def __init__(
        self,
        null: LogisticNull,
        y: np.ndarray,
        index: np.ndarray,
        basis: slice,
        residual: int,
        square: int,
        n_people: int,
        dtype: type,
    ):
        self.null, self.y, self.index = null, y, index
        self.basis, self.residual, self.square = basis, residual, square
        self.n_people, self.dtype = n_people, dtype
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
            coefficients, converged = firth_null(self.null.x, self.y, self.null.coefficients)
            return coefficients, self.null.x @ coefficients, converged

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
    def mask(self) -> Mask:
        """The analysed people."""
        return Mask.of_people(self.index, self.n_people)

    @functools.cached_property
    def row_of(self) -> np.ndarray:
        """int64, one a person of the .fam: row among the analysed people, -1 for the others."""
        out = np.full(self.n_people, -1, dtype=np.int64)
        out[self.index] = np.arange(len(self.index))
        return out

    def carriers(self, block: Block, v: int, drop: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """List who has another genotype than nearly everybody; None where these are many, or everything is to be in double precision."""
        n = len(self.y)
        if self.dtype == np.float64 or n < PEOPLE:
            return None
        # of people who are not analysed there may be more carriers
        return block.carriers(v, self.mask, self.row_of, drop, n // SPARSE)

    def genotypes(self, block: Block, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return variants of the analysed people: centred genotypes with missing calls 0, and whether the call is there."""
        g = block.dosages(rows, self.index)
        present = ~np.isnan(g)
        g -= block.moments(self.mask)[0][rows, None]
        return np.nan_to_num(g, copy=False, nan=0.0), present


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _score(products, q0, q1, r, squares, w, table, values, score, information, reason):
    for v in range(len(reason)):
        if reason[v] != TESTED:
            continue
        explained = 0.0
        for j in range(q0, q1):
            explained += products[v, j] * products[v, j]
        left = squares[v, w] - explained
        if not left > COLLINEAR_BELOW * squares[v, w]:
            reason[v] = COLLINEAR
            continue
        score[v] = products[v, r]
        information[v] = left
        root = np.sqrt(left)
        values[v, 0] = score[v] / left
        values[v, 1] = 1.0 / root
        values[v, 2] = look_up(score[v] / root, table)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _project(products, rows, first, half):
    """Give the genotypes' coefficients on the covariates: row by row, so that a variant's bytes do not depend on its neighbours."""
    p = half.shape[0]
    out = np.zeros((len(rows), p))
    for k in range(len(rows)):
        for i in range(p):
            total = 0.0
            for j in range(p):
                total += half[i, j] * products[rows[k], first + j]
            out[k, i] = total
    return out


def associate_binary(
    arm: BinaryArm,
    block: Block,
    products: np.ndarray,
    squares: np.ndarray,
    smaller: np.ndarray,
    reason: np.ndarray,
    drop: bool,
    settings: Mapping[str, Any],
) -> tuple[Estimates, np.ndarray]:
    """Test a block of variants for one study and arm.

    Parameters
    ----------
    arm
        Null model and columns.
    block
        The genotypes.
    products, squares
        Products of the centred genotypes, and of their squares, with the columns of the mask group.
    smaller
        Copies of the rarer allele in cases or in controls, whichever is fewer.
    reason
        int8[variants]; only variants with code 0 are tested.
    drop
        Whether people without a call are left out.
    settings
        refine_below, refine_by, firth, firth_form, firth_mac, test.

    Returns
    -------
    Estimates (log odds ratio a copy of A1), and int8 codes of the method.
    """
    b = len(reason)
    estimates = Estimates.empty(reason)
    values, why = estimates.values, estimates.reason
    score, information = np.zeros(b), np.ones(b)
    _score(
        products, arm.basis.start, arm.basis.stop, arm.residual, squares, arm.square, tail_table(), values, score,
        information, why,
    )  # fmt: skip
    far = np.flatnonzero((why == TESTED) & np.isnan(values[:, 2]))
    values[far, 2] = neg_log10_p_normal(score[far] / np.sqrt(information[far]))
    method = np.where(why == TESTED, codes.SCORE, codes.UNTESTED).astype(np.int8)
    # a p of the full fit was asked for by name
    named = settings.get("test", "wald")
    refine_below = float(settings.get("refine_below", 1.0))
    chosen = why == TESTED
    if refine_below < 1.0 and named == "wald":
        chosen &= values[:, 2] > -np.log10(max(refine_below, 1e-300))
    incomplete = (block.missing(arm.mask) > 0) & drop
    # without the people who have no call the null model is another: such variants are always fitted
    chosen |= (why == TESTED) & incomplete
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return estimates, method
    if named != "wald":
        _by_name(named, arm, block, rows, incomplete, values, method, why)
        return estimates, method
    if settings.get("refine_by", "likelihood") == "spa":
        _by_saddle_point(arm, block, rows, products, score, information, values, method)
        return estimates, method
    form, when = settings.get("firth_form", "full"), settings.get("firth", "never")
    # a fit with few copies in cases or controls may run away; Firth's likelihood has a maximum always
    limit = {"never": 0.0, "always": np.inf}.get(when, float(settings.get("firth_mac", 0.0)))
    few = smaller[rows] < limit
    for_firth = list(rows[few])
    rows = rows[~few]
    values[rows] = np.nan
    projection = _project(products, rows, arm.basis.start, arm.null.half)
    beta, se, converged = refine(
        arm.refine_input,
        block,
        rows,
        block.moments(arm.mask)[0],
        score[rows] / information[rows],
        projection,
        bool(incomplete[rows].any()),
    )
    values[rows, 0], values[rows, 1] = beta, se
    values[rows, 2] = neg_log10_p_normal(beta / se)
    method[rows] = codes.LOGISTIC
    for part in _parts(rows[~converged], arm):
        _by_newton(arm, block, part, incomplete, values, method, why)
        if when != "never":
            for_firth += list(part[why[part] != TESTED])
    _by_firth(arm, block, sorted(for_firth), incomplete, form, values, method, why)
    return estimates, method


def _parts(rows: np.ndarray, arm: BinaryArm) -> list[np.ndarray]:
    """Cut a list of variants into parts whose decoded genotypes fit the memory set aside for them."""
    size = max(1, DECODED // (16 * arm.n_people))
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _by_name(named, arm, block, rows, incomplete, values, method, why) -> None:
    for part in _parts(rows, arm):
        g, present = arm.genotypes(block, part)
        e = logistic_block(arm.null, arm.y, g, present if incomplete[part].any() else None)
        p = {"lrt": e.neg_log10_p_lrt, "score": e.neg_log10_p_score}[named]
        _store(part, e.beta, e.se, p, e.reason, values, method, why)


def _by_newton(arm, block, rows, incomplete, values, method, why) -> None:
    """Fit by Newton's method with the whole information, halving its steps: slower, and hard to throw off."""
    g, present = arm.genotypes(block, rows)
    for k, v in enumerate(rows):
        # one by one: sums in a matrix product depend, in their last digits, on its size
        e = logistic_block(arm.null, arm.y, g[k : k + 1], present[k : k + 1] if incomplete[v] else None)
        _store(rows[k : k + 1], e.beta, e.se, e.neg_log10_p, e.reason, values, method, why)


def _store(rows, beta, se, p, reason, values, method, why) -> None:
    values[rows] = np.column_stack([beta, se, p])
    code = np.array([codes.REASONS.index(r) for r in reason], dtype=np.int8)
    bad = (code == TESTED) & ~(np.isfinite(values[rows]).all(axis=1) & (se > 0))
    code[bad] = NOT_CONVERGED
    why[rows] = code
    method[rows] = np.where(code == TESTED, codes.LOGISTIC, codes.UNTESTED)


def _by_firth(arm, block, rows, incomplete, form, values, method, why) -> None:
    approximate = form == "approximate"
    fits: dict[int, FirthFit] = {}
    for v in rows:
        found = arm.carriers(block, v, bool(incomplete[v]))
        if found is not None and arm.firth_null[2]:
            rare = Carriers.of(arm.penalised, *found)
            fit = (
                firth_approximate_of_carriers(rare, _on_covariates(arm, rare))
                if approximate
                else firth_of_carriers(rare)
            )
            if fit is not None:
                fits[v] = fit
    for part in _parts(np.array([v for v in rows if v not in fits], dtype=np.int64), arm):
        g, present = arm.genotypes(block, part)
        for k, v in enumerate(part):
            fits[v] = _firth_of_everybody(arm, g[k], present[k] if incomplete[v] else None, approximate)
    for v in rows:
        fit = fits[v]
        if fit.converged and np.isfinite([fit.beta, fit.se, fit.neg_log10_p]).all() and fit.se > 0:
            values[v] = fit.beta, fit.se, fit.neg_log10_p
            method[v] = codes.FIRTH_APPROXIMATE if approximate else codes.FIRTH
            why[v] = TESTED
        elif why[v] == TESTED:
            values[v], method[v], why[v] = np.nan, codes.UNTESTED, NOT_CONVERGED


def _firth_of_everybody(arm: BinaryArm, g: np.ndarray, present: np.ndarray | None, approximate: bool) -> FirthFit:
    """Fit one variant by a pass over all people; those without a call are left out where ``present`` says who has one."""
    null, (coefficients, eta, converged) = arm.null, arm.firth_null
    x, y, w = null.x, arm.y, null.weights
    if present is not None:
        x, y, g, eta, w = x[present], y[present], g[present], eta[present], w[present]
    if not approximate:
        return firth(x, y, g, coefficients if converged else null.coefficients)
    inverse = null.inverse if present is None else np.linalg.inv((x * w[:, None]).T @ x)
    fit = firth_approximate(eta, y, g - x @ (inverse @ (x.T @ (w * g))))
    fit.converged &= converged
    return fit


def _on_covariates(arm: BinaryArm, rare: Carriers) -> np.ndarray:
    """Return the coefficients of a rare genotype on the covariates, under the null weights of the people who have a call."""
    w = arm.null.weights[rare.rows]
    cross = rare.x.T @ (w * rare.g)
    if rare.present.all():
        return arm.null.inverse @ cross
    x = rare.x[~rare.present]
    return np.linalg.solve(np.linalg.inv(arm.null.inverse) - (x * w[~rare.present, None]).T @ x, cross)


def _by_saddle_point(arm, block, rows, products, score, information, values, method) -> None:
    """Replace the p of the score test; the standard error is the one that makes beta and p agree, as SAIGE reports it."""
    null = arm.null
    found: dict[int, tuple[float, bool]] = {}
    for v in rows:
        rare = arm.carriers(block, v, False)
        if rare is not None:
            result = _saddle_of_carriers(Carriers.of(arm.plain, *rare), arm, score[v], information[v])
            if result is not None:
                found[v] = result
    for part in _parts(np.array([v for v in rows if v not in found], dtype=np.int64), arm):
        g, _ = arm.genotypes(block, part)
        projection = _project(products, part, arm.basis.start, null.half)
        for k, v in enumerate(part):
            found[v] = spa(score[v], information[v], g[k] - null.x @ projection[k], null.mu)
    for v in rows:
        p, used = found[v]
        if used:
            z = _deviate(p)
            values[v] = values[v, 0], abs(values[v, 0]) / z, p
            method[v] = codes.SPA


def _saddle_of_carriers(rare: Carriers, arm: BinaryArm, score: float, information: float) -> tuple[float, bool] | None:
    """Do as :func:`spa` for a rare variant, from its carriers; None where that is not good enough."""
    a = _on_covariates(arm, rare)
    result = None
    for people in (rare, None):
        people = people or rare.widened(a)
        on, g, (_, second, third) = people.line(a)
        mu = arm.null.mu[people.rows[on]]
        for closely in (False, True):
            result = spa(score, information, g, mu, (second, third), people.fourth(a, closely))
            if result is not None:
                return result
    return None


def _deviate(neg_log10_p: float) -> float:
    """Give the normal deviate of a two-sided p, by Newton's method on its logarithm."""
    z = np.sqrt(max(2.0 * neg_log10_p / LOG10_E - np.log(max(2.0 * neg_log10_p / LOG10_E, 1.0)), 1e-6))
    for _ in range(50):
        value = float(neg_log10_p_normal(np.array([z]))[0])
        slope = 2.0 * LOG10_E * np.exp(value / LOG10_E - z * z / 2) / np.sqrt(2 * np.pi)
        step = (neg_log10_p - value) / slope
        z = max(z + step, z / 2)
        if abs(step) < 1e-12 * z:
            break
    return float(z)

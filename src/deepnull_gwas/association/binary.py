"""Tests of a binary trait: score test of every variant, then what the variant needs: maximum likelihood, Firth's, or a saddle point.

Each row of the result names its method. What one method cannot do falls through to the next; where all fail, the reason of the first
is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnull_gwas.association import codes
from deepnull_gwas.association.codes import COLLINEAR, COLLINEAR_BELOW, NOT_CONVERGED, TESTED
from deepnull_gwas.association.design import LogisticNull
from deepnull_gwas.association.firth import firth, firth_approximate
from deepnull_gwas.association.linear import Estimates
from deepnull_gwas.association.logistic import logistic_block
from deepnull_gwas.association.refine import RefineInput, refine
from deepnull_gwas.association.spa import spa
from deepnull_gwas.association.tails import LOG10_E, look_up, neg_log10_p_normal, tail_table
from deepnull_gwas.genotypes.kernels import decode
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

    @functools.cached_property
    def refine_input(self) -> RefineInput:
        """The null model laid out for maximum likelihood; made when first asked for."""
        return RefineInput.of(self.n_people, self.index, self.null, self.y, self.dtype)

    def genotypes(self, packed: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode variants for the analysed people: centred genotypes with missing calls 0, and whether the call is there."""
        # `take`, not an index: rows then lie in memory as rows, and sums over them do not depend on how many there are
        g = np.take(decode(packed, self.n_people, dtype=np.float64), self.index, axis=1)
        present = ~np.isnan(g)
        g -= mean[:, None]
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
    packed: np.ndarray,
    count: np.ndarray,
    mean: np.ndarray,
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
    packed
        uint8, variants x bytes.
    count, mean
        Genotype counts (variants x 4) among the analysed people, and mean dosage.
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
    incomplete = (count[:, 3] > 0) & drop
    # without the people who have no call the null model is another: such variants are always fitted
    chosen |= (why == TESTED) & incomplete
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return estimates, method
    if named != "wald":
        _by_name(named, arm, packed, mean, rows, incomplete, values, method, why)
        return estimates, method
    if settings.get("refine_by", "likelihood") == "spa":
        _by_saddle_point(arm, packed, mean, rows, products, score, information, values, method)
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
        arm.refine_input, packed, rows, mean, score[rows] / information[rows], projection, bool(incomplete[rows].any())
    )
    values[rows, 0], values[rows, 1] = beta, se
    values[rows, 2] = neg_log10_p_normal(beta / se)
    method[rows] = codes.LOGISTIC
    for part in _parts(rows[~converged], arm):
        _by_newton(arm, packed, mean, part, incomplete, values, method, why)
        if when != "never":
            for_firth += list(part[why[part] != TESTED])
    for part in _parts(np.array(sorted(for_firth), dtype=np.int64), arm):
        _by_firth(arm, packed, mean, part, incomplete, form, values, method, why)
    return estimates, method


def _parts(rows: np.ndarray, arm: BinaryArm) -> list[np.ndarray]:
    """Cut a list of variants into parts whose decoded genotypes fit the memory set aside for them."""
    size = max(1, DECODED // (16 * arm.n_people))
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _by_name(named, arm, packed, mean, rows, incomplete, values, method, why) -> None:
    for part in _parts(rows, arm):
        g, present = arm.genotypes(packed[part], mean[part])
        e = logistic_block(arm.null, arm.y, g, present if incomplete[part].any() else None)
        p = {"lrt": e.neg_log10_p_lrt, "score": e.neg_log10_p_score}[named]
        _store(part, e.beta, e.se, p, e.reason, values, method, why)


def _by_newton(arm, packed, mean, rows, incomplete, values, method, why) -> None:
    """Fit by Newton's method with the whole information, halving its steps: slower, and hard to throw off."""
    g, present = arm.genotypes(packed[rows], mean[rows])
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


def _by_firth(arm, packed, mean, rows, incomplete, form, values, method, why) -> None:
    g, present = arm.genotypes(packed[rows], mean[rows])
    null = arm.null
    for k, v in enumerate(rows):
        on = present[k] if incomplete[v] else slice(None)
        x, y, gv = null.x[on], arm.y[on], g[k][on]
        if form == "approximate":
            w = null.weights[on]
            residual = gv - x @ (null.inverse @ (x.T @ (w * gv)))
            fit = firth_approximate(null.eta[on], y, residual)
        else:
            fit = firth(x, y, gv, null.coefficients)
        if fit.converged and np.isfinite([fit.beta, fit.se, fit.neg_log10_p]).all() and fit.se > 0:
            values[v] = fit.beta, fit.se, fit.neg_log10_p
            method[v] = codes.FIRTH if form != "approximate" else codes.FIRTH_APPROXIMATE
            why[v] = TESTED
        elif why[v] == TESTED:
            values[v], method[v], why[v] = np.nan, codes.UNTESTED, NOT_CONVERGED


def _by_saddle_point(arm, packed, mean, rows, products, score, information, values, method) -> None:
    """Replace the p of the score test; the standard error is the one that makes beta and p agree, as SAIGE reports it."""
    null = arm.null
    for part in _parts(rows, arm):
        g, _ = arm.genotypes(packed[part], mean[part])
        projection = _project(products, part, arm.basis.start, null.half)
        for k, v in enumerate(part):
            p, used = spa(score[v], information[v], g[k] - null.x @ projection[k], null.mu)
            if used:
                z = _deviate(p)
                values[v] = values[v, 0], abs(values[v, 0]) / z, p
                method[v] = codes.SPA


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

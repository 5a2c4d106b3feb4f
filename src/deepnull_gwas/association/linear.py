"""Linear association of a block of variants: both arms from one product of genotypes and design.

Frisch, Waugh and Lovell, as in docs/method.md. Genotype vectors are centred at their mean among the analysed people,
and a missing call is put at that mean (``impute_mean``) or left out together with its person (``drop``,
:mod:`deepnull_gwas.association.dropped`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import COLLINEAR, COLLINEAR_BELOW, LINEAR, TESTED, UNTESTED
from deepnull_gwas.association.columns import Estimates
from deepnull_gwas.association.tails import student_tail, tail_table
from deepnull_gwas.jit import FAST, numba


@dataclass(frozen=True)
class LinearColumns:
    """A phenotype and a DeepNull covariate among the columns of the products.

    Attributes
    ----------
    y, u
        Columns of y~ and of u; u -1 where the DeepNull covariate adds nothing.
    yy, uy
        y~.y~ and u.y~.
    df
        Residual degrees of freedom of the baseline.
    """

    y: int
    u: int
    yy: float
    uy: float
    df: int


@numba.njit(nogil=True, cache=True, error_model="numpy")
def student(num, den, rss0, df, gg, table, out, v):
    """Turn the sums of one variant into its estimates: g.y and g.g with covariates taken out, y.y with them taken out.

    ``out`` holds values, degrees of freedom and reasons, as of :class:`Estimates`.
    """
    values, degrees, reason = out
    if not den > COLLINEAR_BELOW * gg:
        reason[v] = COLLINEAR
        return
    beta = num / den
    rss = max(rss0 - num * beta, 0.0)
    se = np.sqrt(rss / df / den)
    values[v, 0] = beta
    values[v, 1] = se
    values[v, 2] = student_tail(beta / se, df, table)
    degrees[v] = df


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _imputed(products, at, gg, den, table, base, deep):
    """Test both arms; return whether some tails must be computed otherwise."""
    y, u, yy, uy, df = at
    open_ = False
    for v in range(len(gg)):
        if base[2][v] != TESTED:
            continue
        gy = products[v, y]
        student(gy, den[v], yy, df, gg[v], table, base, v)
        open_ |= not base[0][v, 2] >= 0.0
        if u >= 0:
            gu = products[v, u]
            left = den[v] - gu * gu
            student(gy - gu * uy, left, yy - uy * uy, df - 1.0, gg[v], table, deep, v)
            open_ |= not deep[0][v, 2] >= 0.0
    return open_


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def left_over(products: np.ndarray, first: int, last: int, gg: np.ndarray) -> np.ndarray:
    """Return the squared length of genotypes beyond the basis in columns ``first`` to ``last`` (exclusive)."""
    out = np.empty(len(gg))
    for v in range(len(gg)):
        explained = 0.0
        for j in range(first, last):
            explained += products[v, j] * products[v, j]
        out[v] = gg[v] - explained
    return out


def linear_imputed(
    products: np.ndarray, den: np.ndarray, gg: np.ndarray, at: LinearColumns, reason: np.ndarray
) -> dict[str, Estimates]:
    """Test both arms with missing calls at the mean.

    Parameters
    ----------
    products
        Products of the centred genotypes with the columns of the design, variants x columns.
    den
        Squared length of the genotypes with the covariates taken out, from :func:`left_over`.
    gg
        Squared length of the centred genotypes.
    at
        Which columns.
    reason
        int8[variants]; only variants with code 0 are tested.

    Returns
    -------
    Arm -> estimates; one object for both where the DeepNull covariate adds nothing.
    """
    baseline, deepnull = Estimates.empty(reason), Estimates.empty(reason)
    where = (at.y, at.u, at.yy, at.uy, float(at.df))
    if _imputed(products, where, gg, den, tail_table(), parts(baseline), parts(deepnull)):
        baseline.finish()
        deepnull.finish()
    for e in (baseline, deepnull):
        mark(e)
    return {"baseline": baseline, "deepnull": baseline if at.u < 0 else deepnull}


def parts(estimates: Estimates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what :func:`student` fills in."""
    return estimates.values, estimates.df, estimates.reason


def mark(estimates: Estimates) -> None:
    """Name the method of the variants that were tested."""
    estimates.method = np.where(estimates.reason == TESTED, LINEAR, UNTESTED).astype(np.int8)

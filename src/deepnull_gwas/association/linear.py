"""Linear association of a block of variants: both arms from one product of genotypes and design.

Frisch-Waugh-Lovell, as in the design document, section 4. Genotype vectors are centred at their mean among the analysed people, and a
missing call is put at that mean (``impute_mean``) or left out together with its person (``drop``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.tails import neg_log10_p_t

#: A variant is collinear with the covariates when less than this fraction of its variance is left.
COLLINEAR = 1e-5


@dataclass
class Estimates:
    """Results of one study and arm on a block: arrays over variants; NaN where not tested."""

    beta: np.ndarray
    se: np.ndarray
    neg_log10_p: np.ndarray
    reason: np.ndarray

    def put(self, rows: np.ndarray, new: Estimates) -> None:
        """Replace the results of some variants."""
        for mine, theirs in (
            (self.beta, new.beta),
            (self.se, new.se),
            (self.neg_log10_p, new.neg_log10_p),
            (self.reason, new.reason),
        ):
            mine[rows] = theirs


def student(
    num: np.ndarray, den: np.ndarray, rss0: np.ndarray | float, df: np.ndarray | float, gg: np.ndarray
) -> Estimates:
    """Turn sums into estimates.

    Parameters
    ----------
    num
        g.y with covariates taken out of both.
    den
        g.g with covariates taken out.
    rss0
        y.y with covariates taken out.
    df
        Residual degrees of freedom with the variant in the model.
    gg
        g.g about its mean, for the check of collinearity.
    """
    collinear = ~(den > COLLINEAR * gg)
    safe = np.where(collinear, np.nan, den)
    beta = num / safe
    rss = np.maximum(rss0 - num * beta, 0.0)
    se = np.sqrt(rss / df / safe)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = beta / se
    return Estimates(beta, se, neg_log10_p_t(t, df), np.where(collinear, "collinear", "").astype(object))


def linear_imputed(
    gq: np.ndarray, gy: np.ndarray, gu: np.ndarray | None, gg: np.ndarray, yy: float, uy: float, n: int
) -> dict[str, Estimates]:
    """Both arms with missing calls at the mean.

    Parameters
    ----------
    gq, gy, gu
        Products of the centred genotypes with the basis (variants x r), with y~ and with u (variants); gu None where the
        prediction adds nothing.
    gg
        Squared length of the centred genotypes.
    yy, uy
        y~.y~ and u.y~.
    n
        Number of people.
    """
    r = gq.shape[1]
    den = gg - np.einsum("ij,ij->i", gq, gq)
    out = {"baseline": student(gy, den, yy, n - r - 2, gg)}
    if gu is None:
        out["deepnull"] = out["baseline"]
    else:
        out["deepnull"] = student(gy - gu * uy, den - gu**2, yy - uy**2, n - r - 3, gg)
    return out


def linear_dropped(
    products: np.ndarray, missing: np.ndarray, gg: np.ndarray, total: np.ndarray, n_observed: np.ndarray
) -> Estimates:
    """One arm, each variant among the people whose call is there, exactly.

    Parameters
    ----------
    products
        Products of the genotypes (centred among the people observed, missing calls 0) with [basis | u | y], variants x (m - 1).
    missing
        Cross-products of [intercept | basis | u | y] over the people left out, variants x m x m.
    gg
        Squared length of the centred genotypes.
    total
        Cross-products of the same columns over all analysed people, m x m.
    n_observed
        People with a call, a variant.
    """
    left = total[None] - missing
    a, ay, yy = left[:, :-1, :-1], left[:, :-1, -1], left[:, -1, -1]
    # the product with the intercept is the sum of the centred genotypes
    gx = np.concatenate([np.zeros((len(products), 1)), products[:, :-1]], axis=1)
    right = np.stack([gx, ay], axis=2)
    try:
        solved = np.linalg.solve(a, right)
    except np.linalg.LinAlgError:
        solved = np.stack([np.linalg.lstsq(a[i], right[i], rcond=None)[0] for i in range(len(a))])
    num = products[:, -1] - np.einsum("ij,ij->i", gx, solved[:, :, 1])
    den = gg - np.einsum("ij,ij->i", gx, solved[:, :, 0])
    rss0 = yy - np.einsum("ij,ij->i", ay, solved[:, :, 1])
    return student(num, den, rss0, n_observed - (total.shape[0] - 1) - 1, gg)

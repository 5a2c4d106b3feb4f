"""What a binary trait's variants get after their score test: maximum likelihood, Firth's, or a saddle point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association import codes
from deepnull_gwas.association.binary_arm import BinaryArm
from deepnull_gwas.association.codes import NOT_CONVERGED, TESTED
from deepnull_gwas.association.columns import Estimates
from deepnull_gwas.association.expansion import Carriers
from deepnull_gwas.association.firth import (
    FirthFit,
    firth,
    firth_approximate,
    firth_approximate_of_carriers,
    firth_of_carriers,
)
from deepnull_gwas.association.logistic import logistic_block
from deepnull_gwas.association.refine import refine
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.spa import spa
from deepnull_gwas.association.tails import LOG10_E, neg_log10_p_normal
from deepnull_gwas.genotypes.block import Block
from deepnull_gwas.jit import numba

#: Bytes of decoded genotypes held at once by the methods that need them
DECODED = 32 << 20


@dataclass
class ScoreTest:
    """The score tests of a block for one study and arm, which the slower methods start from.

    Attributes
    ----------
    arm, block
        What was tested.
    products
        Products of the centred genotypes with the columns of the people's layout.
    estimates
        What was found; changed in place by the methods.
    score, information
        float64[variants], with the covariates taken out.
    incomplete
        bool[variants], whether people without a call are to be left out.
    """

    arm: BinaryArm
    block: Block
    products: np.ndarray
    estimates: Estimates
    score: np.ndarray
    information: np.ndarray
    incomplete: np.ndarray

    def parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Cut a list of variants into parts whose decoded genotypes fit the memory set aside for them."""
        size = max(1, DECODED // (16 * self.arm.n_people))
        return [rows[first : first + size] for first in range(0, len(rows), size)]

    def projection(self, rows: np.ndarray) -> np.ndarray:
        """Return the coefficients of variants on the covariates, under the null weights: float64[rows, p]."""
        return _project(self.products, rows, self.arm.at.basis.start, self.arm.null.half)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _project(products, rows, first, half):
    """Return the genotypes' coefficients on the covariates, row by row.

    A variant's bytes so do not depend on its neighbours.
    """
    p = half.shape[0]
    out = np.zeros((len(rows), p))
    for k in range(len(rows)):
        for i in range(p):
            total = 0.0
            for j in range(p):
                total += half[i, j] * products[rows[k], first + j]
            out[k, i] = total
    return out


def refine_by_likelihood(test: ScoreTest, rows: np.ndarray, smaller: np.ndarray, settings: Settings) -> None:
    """Replace the score tests of variants by maximum likelihood (Wald's p), and by Firth's as the settings say.

    Parameters
    ----------
    test
        The score tests; its estimates are changed in place.
    rows
        Which variants.
    smaller
        Copies of the rarer allele in cases or in controls, whichever is fewer.
    settings
        firth, firth_form, firth_mac.
    """
    arm, block, found = test.arm, test.block, test.estimates
    # a fit with few copies in cases or controls may run away; Firth's likelihood has a maximum always
    limit = {"never": 0.0, "always": np.inf}.get(settings.firth, float(settings.firth_mac))
    few = smaller[rows] < limit
    for_firth = list(rows[few])
    rows = rows[~few]
    found.values[rows] = np.nan
    start = test.score[rows] / test.information[rows]
    drop = bool(test.incomplete[rows].any())
    mean = block.moments(arm.mask)[0]
    beta, se, converged = refine(arm.refine_input, block, rows, mean, start, test.projection(rows), drop)
    found.values[rows, 0], found.values[rows, 1] = beta, se
    found.values[rows, 2] = neg_log10_p_normal(beta / se)
    found.method[rows] = codes.LOGISTIC
    for part in test.parts(rows[~converged]):
        _by_newton(test, part)
        if settings.firth != "never":
            for_firth += list(part[found.reason[part] != TESTED])
    _by_firth(test, sorted(for_firth), settings.firth_form == "approximate")


def _by_newton(test: ScoreTest, rows: np.ndarray) -> None:
    """Fit by Newton's method with the whole information, halving its steps: slower, and hard to throw off."""
    arm, found = test.arm, test.estimates
    g, present = arm.genotypes(test.block, rows)
    for k, v in enumerate(rows):
        # one by one: sums in a matrix product depend, in their last digits, on its size
        e = logistic_block(arm.null, arm.y, g[k : k + 1], present[k : k + 1] if test.incomplete[v] else None)
        values = np.array([e.beta[0], e.se[0], e.neg_log10_p[0]])
        code = codes.REASONS.index(e.reason[0])
        if code == TESTED and not (np.isfinite(values).all() and values[1] > 0):
            code = NOT_CONVERGED
        found.values[v], found.reason[v] = values, code
        found.method[v] = codes.LOGISTIC if code == TESTED else codes.UNTESTED


def _by_firth(test: ScoreTest, rows: list[int], approximate: bool) -> None:
    """Fit by Firth's likelihood: rare variants from their carriers where that is good enough, others over everybody."""
    arm, block, found, incomplete = test.arm, test.block, test.estimates, test.incomplete
    fits: dict[int, FirthFit] = {}
    for v in rows:
        listed = arm.carriers(block, v, bool(incomplete[v]))
        if listed is not None and arm.firth_null[2]:
            rare = Carriers.of(arm.penalised, *listed)
            fit = (
                firth_approximate_of_carriers(rare, _on_covariates(arm, rare))
                if approximate
                else firth_of_carriers(rare)
            )
            if fit is not None:
                fits[v] = fit
    for part in test.parts(np.array([v for v in rows if v not in fits], dtype=np.int64)):
        g, present = arm.genotypes(block, part)
        for k, v in enumerate(part):
            fits[v] = _firth_of_everybody(arm, g[k], present[k] if incomplete[v] else None, approximate)
    for v in rows:
        fit = fits[v]
        if fit.converged and np.isfinite([fit.beta, fit.se, fit.neg_log10_p]).all() and fit.se > 0:
            found.values[v] = fit.beta, fit.se, fit.neg_log10_p
            found.method[v] = codes.FIRTH_APPROXIMATE if approximate else codes.FIRTH
            found.reason[v] = TESTED
        elif found.reason[v] == TESTED:
            found.values[v], found.method[v], found.reason[v] = np.nan, codes.UNTESTED, NOT_CONVERGED


def _firth_of_everybody(arm: BinaryArm, g: np.ndarray, present: np.ndarray | None, approximate: bool) -> FirthFit:
    """Fit one variant by a pass over all people.

    Those without a call are left out where ``present`` says who has one.
    """
    null, (coefficients, eta, converged) = arm.null, arm.firth_null
    x, y, w, offset = null.x, arm.y, null.weights, null.offset
    if present is not None:
        x, y, g, eta, w = x[present], y[present], g[present], eta[present], w[present]
        offset = None if offset is None else offset[present]
    if not approximate:
        return firth(x, y, g, coefficients if converged else null.coefficients, offset)
    inverse = null.inverse if present is None else np.linalg.inv((x * w[:, None]).T @ x)
    fit = firth_approximate(eta, y, g - x @ (inverse @ (x.T @ (w * g))))
    fit.converged &= converged
    return fit


def _on_covariates(arm: BinaryArm, rare: Carriers) -> np.ndarray:
    """Return a rare genotype's coefficients on the covariates, under the null weights of the people with a call."""
    w = arm.null.weights[rare.rows]
    cross = rare.x.T @ (w * rare.g)
    if rare.present.all():
        return arm.null.inverse @ cross
    x = rare.x[~rare.present]
    return np.linalg.solve(np.linalg.inv(arm.null.inverse) - (x * w[~rare.present, None]).T @ x, cross)


def refine_by_saddle_point(test: ScoreTest, rows: np.ndarray) -> None:
    """Replace the p of the score tests; the standard error is the one that makes beta and p agree, as SAIGE reports it.

    Parameters
    ----------
    test
        The score tests; its estimates are changed in place.
    rows
        Which variants.
    """
    arm, block, estimates = test.arm, test.block, test.estimates
    null = arm.null
    found: dict[int, tuple[float, bool]] = {}
    for v in rows:
        rare = arm.carriers(block, v, False)
        if rare is not None:
            result = _saddle_of_carriers(Carriers.of(arm.plain, *rare), arm, test.score[v], test.information[v])
            if result is not None:
                found[v] = result
    for part in test.parts(np.array([v for v in rows if v not in found], dtype=np.int64)):
        g, _ = arm.genotypes(block, part)
        projection = test.projection(part)
        for k, v in enumerate(part):
            found[v] = spa(test.score[v], test.information[v], g[k] - null.x @ projection[k], null.mu)
    for v in rows:
        p, used = found[v]
        if used:
            z = _deviate(p)
            beta = estimates.values[v, 0]
            estimates.values[v] = beta, abs(beta) / z, p
            estimates.method[v] = codes.SPA


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


def widen(estimates: Estimates, rows: np.ndarray, ratio: np.ndarray) -> None:
    """Scale results to a variance of the score that is larger (or smaller) than if people were independent.

    Standard errors are multiplied by the root of the ratio, and the deviate of p is divided by it: exact for a score
    test, and Wald's; for the likelihood ratio of Firth's it is the first-order correction of Rao and Scott (1984).

    Parameters
    ----------
    estimates
        Changed in place.
    rows
        Which variants.
    ratio
        float64[rows], of the variances.
    """
    root = np.sqrt(ratio)
    beta, se, _ = estimates.values[rows].T
    z = np.abs(beta / se)
    for k, v in enumerate(rows):
        if estimates.method[v] in (codes.FIRTH, codes.FIRTH_APPROXIMATE, codes.SPA):
            z[k] = _deviate(estimates.values[v, 2])
    estimates.values[rows, 1] = se * root
    estimates.values[rows, 2] = neg_log10_p_normal(z / root)


def _deviate(neg_log10_p: float) -> float:
    """Return the normal deviate of a two-sided p, by Newton's method on its logarithm."""
    z = np.sqrt(max(2.0 * neg_log10_p / LOG10_E - np.log(max(2.0 * neg_log10_p / LOG10_E, 1.0)), 1e-6))
    for _ in range(50):
        value = float(neg_log10_p_normal(np.array([z]))[0])
        slope = 2.0 * LOG10_E * np.exp(value / LOG10_E - z * z / 2) / np.sqrt(2 * np.pi)
        step = (neg_log10_p - value) / slope
        z = max(z + step, z / 2)
        if abs(step) < 1e-12 * z:
            break
    return float(z)

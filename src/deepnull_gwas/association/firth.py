"""Firth's penalised logistic regression, for few cases or carriers and for separation.

Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Statistics in Medicine 21:2409 (penalised likelihood-ratio test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.design import log_likelihood
from deepnull_gwas.association.tails import neg_log10_p_chi2

MAX_ITERATIONS = 200
#: The longest step of a coefficient, in standard deviations of its column times 1/sqrt(n) weights: as R's logistf
MAX_STEP = 5.0
#: Converged when the penalised score, in standard errors, and the step are below this
TOLERANCE = 1e-9


@dataclass
class FirthFit:
    """One penalised fit: estimate of the last coefficient, its standard error, -log10 p of the penalised likelihood-ratio test."""

    beta: float
    se: float
    neg_log10_p: float
    converged: bool


def _probabilities(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mu and mu (1 - mu) of linear predictors, without overflow."""
    e = np.exp(-np.abs(eta))
    return np.where(eta >= 0, 1.0, e) / (1.0 + e), e / (1.0 + e) ** 2


def _climb(x: np.ndarray, y: np.ndarray, beta: np.ndarray, free: int) -> tuple[np.ndarray, float, np.ndarray, bool]:
    """Maximise l(beta) + log|I(beta)| / 2 over the first ``free`` coefficients; the penalty is that of all columns.

    Returns
    -------
    Coefficients, penalised log-likelihood, lower Cholesky factor of the information, and whether it converged.
    """

    def evaluate(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        eta = x @ b
        mu, w = _probabilities(eta)
        lower = np.linalg.cholesky((x * w[:, None]).T @ x)
        return log_likelihood(eta, y) + float(np.log(np.diagonal(lower)).sum()), mu, w, lower

    beta = beta.copy()
    value, mu, w, lower = evaluate(beta)
    before, rate = None, 1.0
    for _ in range(MAX_ITERATIONS):
        # leverages: squared lengths of the rows of W^1/2 X L^-T
        half = np.linalg.inv(lower) @ x.T
        leverage = w * np.einsum("ij,ij->j", half, half)
        score = x[:, :free].T @ (y - mu + leverage * (0.5 - mu))
        own = lower[:free, :free]
        scaled = np.linalg.solve(own, score)
        step = np.linalg.solve(own.T, scaled)
        # The information is that of the likelihood without its penalty: with few carriers such steps are too long (or short) by a
        # constant factor, found from how the last one turned out (the secant rule of Barzilai & Borwein 1988).
        if before is not None:
            ratio = float(before @ step) / float(before @ before)
            rate = float(np.clip(rate / max(1.0 - ratio, 0.1), 0.2, 3.0))
        before = step.copy()
        step *= rate
        longest = np.abs(step).max(initial=0.0)
        if longest > MAX_STEP:
            step *= MAX_STEP / longest
        if float(np.sqrt(scaled @ scaled)) < TOLERANCE:
            return beta, value, lower, True
        for _ in range(40):
            candidate = beta.copy()
            candidate[:free] += step
            try:
                new = evaluate(candidate)
            except np.linalg.LinAlgError:
                step /= 2
                rate /= 2
                continue
            if new[0] >= value - 1e-12 * abs(value):
                break
            step /= 2
            rate /= 2
        else:
            break
        beta, (value, mu, w, lower) = candidate, new
    # rounding in sums over many people can keep the score from reaching the tolerance: judged by where it stands
    return beta, value, lower, bool(np.sqrt(scaled @ scaled) < 1e-6)


def firth(x: np.ndarray, y: np.ndarray, g: np.ndarray, start: np.ndarray) -> FirthFit:
    """Fit covariates and variant by Firth's penalised likelihood, and test the variant.

    Parameters
    ----------
    x
        float64[n, p] with the intercept; columns of length about sqrt(n).
    y
        0/1.
    g
        float64[n], the genotype.
    start
        float64[p], coefficients to start from (of the null model).

    Returns
    -------
    Log odds ratio of ``g``, its standard error from the information at the maximum, and the p of the penalised likelihood-ratio test;
    the null of that test keeps ``g`` in the penalty, as R's logistf and PLINK do.
    """
    n, p = x.shape
    scale = float(np.sqrt(g @ g / n)) or 1.0
    z = np.column_stack([x, g / scale])
    try:
        null, null_value, _, null_ok = _climb(z, y, np.append(start, 0.0), p)
        full, value, lower, ok = _climb(z, y, null, p + 1)
    except np.linalg.LinAlgError:
        return FirthFit(np.nan, np.nan, np.nan, False)
    # the last entry of the inverse information is 1 / (last diagonal of the factor)^2
    se = 1.0 / lower[-1, -1]
    p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
    return FirthFit(full[-1] / scale, se / scale, p_value, ok and null_ok)


def firth_approximate(eta: np.ndarray, y: np.ndarray, g: np.ndarray) -> FirthFit:
    """Fit the variant alone by Firth's penalised likelihood, with the null model's linear predictor as offset.

    The approximate form of regenie (Mbatchou et al. 2021, Nature Genetics 53:1097): the covariates are not fitted again.

    Parameters
    ----------
    eta
        float64[n], linear predictor of the null model.
    y
        0/1.
    g
        float64[n], the genotype with the covariates projected out under the null weights.
    """

    def evaluate(b: float) -> tuple[float, float, float]:
        t = eta + b * g
        mu, w = _probabilities(t)
        gw = g * g * w
        information = float(gw.sum())
        score = float(g @ (y - mu)) + float((gw * g * (0.5 - mu)).sum()) / information
        return log_likelihood(t, y) + 0.5 * np.log(information), score, information

    with np.errstate(divide="ignore", invalid="ignore"):
        b, state = 0.0, evaluate(0.0)
        null_value = state[0]
        for _ in range(MAX_ITERATIONS):
            value, score, information = state
            if abs(score) < TOLERANCE * np.sqrt(information):
                p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
                return FirthFit(b, 1.0 / np.sqrt(information), p_value, True)
            step = float(np.clip(score / information, -MAX_STEP, MAX_STEP))
            for _ in range(40):
                new = evaluate(b + step)
                if new[0] >= value - 1e-12 * abs(value):
                    break
                step /= 2
            else:
                break
            b, state = b + step, new
    return FirthFit(np.nan, np.nan, np.nan, False)

"""Firth's penalised logistic regression, for few cases or carriers and for separation.

Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Statistics in Medicine 21:2409 (penalised likelihood-ratio test).

The likelihood itself is in :mod:`deepnull_gwas.association.likelihoods`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.expansion import ACCURACY, Carriers
from deepnull_gwas.association.likelihoods import TOLERANCE, Everybody, Likelihood, OfCarriers
from deepnull_gwas.association.tails import neg_log10_p_chi2
from deepnull_gwas.jit import numba

MAX_ITERATIONS = 200
#: The longest step of a coefficient (of columns of length sqrt(n), and of the log odds ratio): as R's logistf
MAX_STEP = 5.0


@dataclass
class FirthFit:
    """One penalised fit: estimate of the last coefficient, standard error, -log10 p of the likelihood-ratio test."""

    beta: float
    se: float
    neg_log10_p: float
    converged: bool


FAILED = FirthFit(np.nan, np.nan, np.nan, False)


def _climb(likelihood: Likelihood, beta: np.ndarray, free: int) -> tuple[np.ndarray, float, np.ndarray, bool]:
    """Maximise l(beta) + log|I(beta)| / 2 over the first ``free`` coefficients; the penalty is that of all columns.

    Returns
    -------
    Coefficients, penalised log-likelihood, inverse of the information, and whether it converged.

    Raises
    ------
    LinAlgError
        When the information is singular where it starts.
    """

    def evaluate(b: np.ndarray) -> tuple[float, np.ndarray]:
        value, information = likelihood.evaluate(b)
        lower = np.linalg.cholesky(information)
        return value + float(np.log(np.diagonal(lower)).sum()), lower

    beta = beta.copy()
    value, lower = evaluate(beta)
    before, rate = None, 1.0
    for _ in range(MAX_ITERATIONS):
        half = np.linalg.inv(lower)
        inverse = half.T @ half
        score = likelihood.score(inverse)[:free]
        own = half[:free, :free]
        scaled = own @ score
        step = own.T @ scaled
        length = float(np.sqrt(scaled @ scaled))
        if length < likelihood.tolerance:
            return beta, value, inverse, True
        # The information is that of the likelihood without its penalty: with few carriers such steps are too long (or
        # short) by a constant factor, found from how the last one turned out (the secant rule of Barzilai & Borwein
        # 1988).
        if before is not None:
            ratio = float(before @ step) / float(before @ before)
            rate = float(np.clip(rate / max(1.0 - ratio, 0.1), 0.2, 3.0))
        before = step.copy()
        step *= rate
        longest = np.abs(step).max(initial=0.0)
        if longest > MAX_STEP:
            step *= MAX_STEP / longest
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
        beta, (value, lower) = candidate, new
    # rounding in sums over many people can keep the score from reaching the tolerance: judged by where it stands
    return beta, value, inverse, length < 1e-6


def firth_null(
    x: np.ndarray, y: np.ndarray, start: np.ndarray, offset: np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """Fit the covariates alone by Firth's penalised likelihood.

    Parameters
    ----------
    x
        float64[n, p] with the intercept; columns of length about sqrt(n).
    y
        0/1.
    start
        float64[p], coefficients to start from.
    offset
        float64[n], added to the linear predictors; None, nothing.

    Returns
    -------
    Coefficients, and whether the fit converged.
    """
    try:
        beta, _, _, converged = _climb(Everybody(x, y, offset=offset), start, x.shape[1])
    except np.linalg.LinAlgError:
        return start, False
    return beta, converged


@dataclass
class _Path:
    """The coefficients of a fit without and with the variant, and the inverse information of the latter."""

    null: np.ndarray
    full: np.ndarray | None = None
    inverse: np.ndarray | None = None

    @property
    def shared(self) -> float:
        """Correlation of the variant with the covariates under the weights of the fit.

        This share of the covariates' error reaches the variant.
        """
        cross = self.inverse[-1, :-1]
        return float(np.sqrt(max(cross @ np.linalg.solve(self.inverse[:-1, :-1], cross) / self.inverse[-1, -1], 0.0)))


def _test(likelihood: Likelihood, null: np.ndarray, full: np.ndarray | None = None) -> tuple[FirthFit, _Path]:
    """Fit without and with the variant, from coefficients to start from; the fit, and where it went."""
    p = len(null) - 1
    null, null_value, _, null_ok = _climb(likelihood, null, p)
    full, value, inverse, ok = _climb(likelihood, null if full is None else full, p + 1)
    p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
    fit = FirthFit(float(full[-1]), float(np.sqrt(inverse[-1, -1])), p_value, ok and null_ok)
    return fit, _Path(null, full, inverse)


def firth(x: np.ndarray, y: np.ndarray, g: np.ndarray, start: np.ndarray, offset: np.ndarray | None = None) -> FirthFit:
    """Fit covariates and variant by Firth's penalised likelihood over all people, and test the variant.

    Parameters
    ----------
    x
        float64[n, p] with the intercept; columns of length about sqrt(n).
    y
        0/1.
    g
        float64[n], the genotype.
    start
        float64[p], coefficients to start from (of a null model).
    offset
        float64[n], added to the linear predictors; None, nothing.

    Returns
    -------
    Log odds ratio of ``g``, its standard error from the information at the maximum, and the p of the penalised
    likelihood-ratio test; the null of that test keeps ``g`` in the penalty, as R's logistf and PLINK do.
    """
    try:
        return _test(Everybody(x, y, g, offset), np.append(start, 0.0))[0]
    except np.linalg.LinAlgError:
        return FAILED


def firth_of_carriers(carriers: Carriers) -> FirthFit | None:
    """Fit and test as :func:`firth` does, for a rare variant, from its carriers.

    Parameters
    ----------
    carriers
        The variant, with the expansion around the covariates' own penalised model (:func:`firth_null`).

    Returns
    -------
    The fit; None where it may be off by more than ``ACCURACY`` standard errors (or as much in the statistic), or did
    not converge.
    """
    path = _Path(np.zeros(carriers.x.shape[1] + 1))
    for _ in range(2):
        try:
            fit, path = _test(OfCarriers(carriers), path.null, path.full)
        except np.linalg.LinAlgError:
            return None
        if not fit.converged:
            return None
        (moved_null, low), (moved, high) = (carriers.left_out(t[:-1]) for t in (path.null, path.full))
        moved = max(moved, moved_null)
        # the statistic's error is that of two values, or of the score on the way from the one to the other
        off = 2.0 * min(low + high, moved * carriers.distance(path.full[:-1] - path.null[:-1]))
        if moved * path.shared < ACCURACY and off < ACCURACY:
            return fit
        carriers = carriers.widened(path.full[:-1])
    return None


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _along(b, eta, y, g, score, information, third):
    """Compute penalised log-likelihood, its derivative and the information of one coefficient.

    The series is that of everybody else.
    """
    value = b * (score - 0.5 * b * information - b * b * third / 6.0)
    slope = score - b * information - 0.5 * b * b * third
    info = information + b * third
    bend = third
    for i in range(len(g)):
        t = eta[i] + b * g[i]
        e = np.exp(-abs(t))
        mu = (1.0 if t >= 0.0 else e) / (1.0 + e)
        w = e / ((1.0 + e) * (1.0 + e))
        value += y[i] * t - max(t, 0.0) - np.log1p(e)
        slope += g[i] * (y[i] - mu)
        gw = g[i] * g[i] * w
        info += gw
        bend += gw * g[i] * (1.0 - 2.0 * mu)
    return value + 0.5 * np.log(info), slope + 0.5 * bend / info, info


def firth_approximate(
    eta: np.ndarray, y: np.ndarray, g: np.ndarray, others: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> FirthFit:
    """Fit the variant alone by Firth's penalised likelihood, with the covariates' linear predictor as offset.

    The approximate form of regenie (Mbatchou et al. 2021, Nature Genetics 53:1097): the covariates are not fitted
    again.

    Parameters
    ----------
    eta
        float64[n], linear predictor of the covariates' own penalised model (:func:`firth_null`), the offset with it.
    y
        0/1.
    g
        float64[n], the genotype with the covariates projected out under the weights of the unpenalised null model.
    others
        Score, information and third derivative at 0 of people who are not among these.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        b, state = 0.0, _along(0.0, eta, y, g, *others)
        null_value = state[0]
        for _ in range(MAX_ITERATIONS):
            value, score, information = state
            if abs(score) < TOLERANCE * np.sqrt(information):
                p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
                return FirthFit(b, 1.0 / np.sqrt(information), p_value, True)
            step = float(np.clip(score / information, -MAX_STEP, MAX_STEP))
            for _ in range(40):
                new = _along(b + step, eta, y, g, *others)
                if new[0] >= value - 1e-12 * abs(value):
                    break
                step /= 2
            else:
                break
            b, state = b + step, new
    return FAILED


def firth_approximate_of_carriers(carriers: Carriers, a: np.ndarray) -> FirthFit | None:
    """Fit and test as :func:`firth_approximate` does, for a rare variant, from its carriers.

    Parameters
    ----------
    carriers
        The variant, with the expansion around the covariates' own penalised model.
    a
        float64[p], coefficients of the genotype on the covariates under the weights of the unpenalised null model.

    Returns
    -------
    The fit; None where the statistic may be off by more than ``ACCURACY``, or it did not converge.
    """
    on, g, others = carriers.line(a)
    fit = firth_approximate(carriers.eta[on], carriers.y[on], g, others)
    if not fit.converged:
        return None
    # the statistic is twice the likelihood's logarithm
    good = any(4.0 * carriers.fourth(fit.beta * a, closely) < ACCURACY for closely in (False, True))
    return fit if good else None

"""The saddle-point approximation of the distribution of a score, for rare cases and rare alleles."""

from __future__ import annotations

import math

import numpy as np

from deepnull_gwas.verify.tails import normal_tail


def saddle_point(score: float, g: np.ndarray, mu: np.ndarray) -> float:
    """Return -log10 of the two-sided p of a score by the saddle point (Barndorff-Nielsen's form).

    Parameters
    ----------
    score
        Sum of g (y - mu).
    g
        float64[n], the genotype with the covariates taken out under the weights mu (1 - mu).
    mu
        float64[n], probabilities of the null model.
    """
    none, all_ = np.log1p(-mu), np.log(mu)

    def cumulants(t: float) -> tuple[float, float, float]:
        whole = np.logaddexp(none, all_ + g * t)
        tilted = np.exp(all_ + g * t - whole)
        return (
            float(whole.sum() - t * (g @ mu)), float(g @ (tilted - mu)), float((g * g * tilted * (1 - tilted)).sum())
        )  # fmt: skip

    # the score that all cases with one sign of g, and all controls with the other, would make
    edge = [float(np.where(g > 0, g * (1 - mu), -g * mu).sum()), float(np.where(g > 0, -g * mu, g * (1 - mu)).sum())]
    total = 0.0
    for s in (score, -score):
        # a score that large on the other side cannot be
        if not edge[1] < s < edge[0]:
            continue
        low, high = 0.0, math.copysign(1.0, s)
        while (cumulants(high)[1] - s) * high < 0:
            low, high = high, 2 * high
        t = (low + high) / 2
        for _ in range(200):
            _, k1, k2 = cumulants(t)
            low, high = (t, high) if (k1 - s) * high < 0 else (low, t)
            new = t - (k1 - s) / k2 if k2 > 0 else high
            # outside of the bracket, or at its end: halve it
            new = new if min(low, high) < new < max(low, high) else (low + high) / 2
            t, moved = new, abs(new - t)
            if moved <= 1e-9 * abs(t):
                break
        k, _, k2 = cumulants(t)
        w, v = math.copysign(math.sqrt(2 * (t * s - k)), t), t * math.sqrt(k2)
        total += 0.5 * 10 ** -normal_tail(w + math.log(v / w) / w)
    return -math.log10(total)

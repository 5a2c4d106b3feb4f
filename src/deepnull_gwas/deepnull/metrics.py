"""How good a prediction is."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.traits import trait_of


def loss(y: np.ndarray, prediction: np.ndarray, trait: str) -> np.ndarray:
    """Return the loss of each person: squared error, or cross-entropy of a logit."""
    if not trait_of(trait).has_cases:
        return (y - prediction) ** 2
    return np.logaddexp(0.0, prediction) - y * prediction


def auc(y: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the receiver operating characteristic (Mann and Whitney's U), ties counted half.

    NaN without cases or controls.

    Examples
    --------
    >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.9, 1.5]))
    0.875
    """
    cases = y == 1
    n1, n0 = int(cases.sum()), int((~cases).sum())
    if not n1 or not n0:
        return float("nan")
    # mean ranks of tied scores; scipy.stats.rankdata would cost each job a second of imports
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[cases].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def measure(y: np.ndarray, prediction: np.ndarray, trait: str) -> dict[str, float]:
    """Measure a prediction.

    Returns
    -------
    ``r2`` (1 - residual over total sum of squares) and ``correlation`` for quantitative traits; ``log_loss``, ``auc``
    and ``r2_mcfadden`` (1 - log-loss over that of the prevalence) for binary ones.
    """
    if not trait_of(trait).has_cases:
        total = float(np.sum((y - y.mean()) ** 2))
        spread = float(np.std(prediction)) * float(np.std(y))
        correlation = (
            float(np.mean((prediction - prediction.mean()) * (y - y.mean())) / spread) if spread > 0 else float("nan")
        )
        return {
            "r2": 1 - float(np.sum((y - prediction) ** 2)) / total if total > 0 else float("nan"),
            "correlation": correlation,
        }
    value = float(np.mean(loss(y, prediction, trait)))
    mean = float(y.mean())
    null = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean)) if 0 < mean < 1 else float("nan")
    return {"log_loss": value, "auc": auc(y, prediction), "r2_mcfadden": 1 - value / null}


def in_words(measures: dict[str, float]) -> str:
    """Write what :func:`measure` gives for a log.

    As ``R2 0.251, correlation 0.50``, or ``AUC 0.712, McFadden's R2 0.085``.
    """
    names = {"r2": "R2", "correlation": "correlation", "auc": "AUC", "r2_mcfadden": "McFadden's R2"}
    return ", ".join(f"{text} {measures[key]:.4f}" for key, text in names.items() if key in measures)

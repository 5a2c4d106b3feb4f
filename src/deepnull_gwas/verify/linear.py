"""Least squares for quantitative traits."""

from __future__ import annotations

import math

import numpy as np

from deepnull_gwas.verify.compare import Estimate
from deepnull_gwas.verify.tails import student_tail


def least_squares(basis: np.ndarray, y: np.ndarray, g: np.ndarray) -> Estimate:
    """Regress on the basis and a genotype, with -log10 p from Student's t."""
    whole = float(((g - g.mean()) ** 2).sum())
    g, r = g - basis @ (basis.T @ g), y - basis @ (basis.T @ y)
    length = float(g @ g)
    beta = float(g @ r) / length
    rest = r - beta * g
    df = len(y) - basis.shape[1] - 1
    se = math.sqrt(float(rest @ rest) / df / length)
    # a phenotype that the genotype explains wholly leaves no error to compare
    t = beta / se if se > 0 else math.inf
    tail = student_tail(t, df) if math.isfinite(t) else math.inf
    return Estimate(beta, se, tail, whole / length + 1 + t * t / df)

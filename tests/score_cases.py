"""Genotypes with causal variants and a curved covariate, for the tests of polygenic scores."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.deepnull.folds import assign_folds

K = 4


SETTINGS = {
    "method": "clump",
    "minimum_matched": 0.75,
    "p_thresholds": [1e-6, 1e-4, 1e-2],
    "window_kb": 250,
    "r2": 0.1,
    "resamples": 100,
}


def genotypes(n: int, m: int, seed: int = 1, missing: float = 0.02) -> np.ndarray:
    """Return dosages, variants x people, each variant in LD with the one before; every fifth starts afresh."""
    rng = np.random.default_rng(seed)
    out = np.empty((m, n), dtype=np.int8)
    for v in range(m):
        fresh = rng.binomial(2, rng.uniform(0.2, 0.5), n)
        out[v] = fresh if v % 5 == 0 else np.where(rng.random(n) < 0.7, out[v - 1], fresh)
    out[rng.random((m, n)) < missing] = -1
    return out


def imputed(dosages: np.ndarray) -> np.ndarray:
    """Return dosages as float64 with the mean of the people for missing calls."""
    g = np.where(dosages < 0, np.nan, dosages).astype(float)
    return np.where(np.isnan(g), np.nanmean(g, axis=1)[:, None], g)


def simulated(n: int = 600, m: int = 80, binary: bool = False):
    dosages = genotypes(n, m)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 2))
    truth = imputed(dosages)[[10, 40, 70]].sum(axis=0) * 0.5
    curve = np.outer(x[:, 0] ** 2, np.ones(K)) + 0.01 * rng.normal(size=(n, K))
    y = truth + x[:, 1] + curve[:, 0] + rng.normal(size=n)
    fold = assign_folds([str(i) for i in range(n)], K, 1)
    return dosages, x, curve, (y > np.median(y)).astype(float) if binary else y, fold

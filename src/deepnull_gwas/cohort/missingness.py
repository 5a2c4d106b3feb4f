"""Whether calls are missing as often in cases as in controls."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import numba


def missingness_difference(
    cases_called: np.ndarray, cases_missing: np.ndarray, controls_called: np.ndarray, controls_missing: np.ndarray
) -> np.ndarray:
    """Compute Fisher's exact two-sided p of each variant that calls are missing equally often in cases and controls.

    Parameters
    ----------
    cases_called, cases_missing, controls_called, controls_missing
        Counts of people, one per variant.

    Returns
    -------
    float64, one per variant, as PLINK 1.9 ``--test-missing``.
    """
    table = [
        np.ascontiguousarray(x, dtype=np.int64)
        for x in (cases_called, cases_missing, controls_called, controls_missing)
    ]
    out = np.empty(len(table[0]))
    _fisher_all(*table, out)
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _fisher_all(a, b, c, d, out):
    """Sum the hypergeometric terms outwards from the mode (scaled to 1), which does not over- or underflow."""
    for v in range(len(a)):
        row, column, n = a[v] + b[v], b[v] + d[v], a[v] + b[v] + c[v] + d[v]
        low, high = max(0, column - (n - row)), min(row, column)
        mode = min(max((row + 1) * (column + 1) // (n + 2), low), high)
        observed = 1.0
        k = mode
        while k < b[v]:
            observed *= (row - k) * float(column - k) / ((k + 1.0) * (n - row - column + k + 1.0))
            k += 1
        while k > b[v]:
            observed *= k * float(n - row - column + k) / ((row - k + 1.0) * (column - k + 1.0))
            k -= 1
        cut = observed * (1 + 1e-9)
        total, tail = 1.0, 1.0 if cut >= 1.0 else 0.0
        term, k = 1.0, mode
        while k < high and term > 0.0:
            term *= (row - k) * float(column - k) / ((k + 1.0) * (n - row - column + k + 1.0))
            k += 1
            total += term
            if term <= cut:
                tail += term
                if term <= tail * 1e-15:
                    break
        term, k = 1.0, mode
        while k > low and term > 0.0:
            term *= k * float(n - row - column + k) / ((row - k + 1.0) * (column - k + 1.0))
            k -= 1
            total += term
            if term <= cut:
                tail += term
                if term <= tail * 1e-15:
                    break
        out[v] = min(tail / total, 1.0)

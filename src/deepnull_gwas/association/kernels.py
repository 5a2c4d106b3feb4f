"""Kernels of the scan that work on missing calls: they are few, so they are found by bytes and added up one by one."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def _sum_missing(packed, k, out):
    n = k.shape[0]
    for v in range(packed.shape[0]):
        row = packed[v]
        for b in range(row.shape[0]):
            x = row[b]
            lanes = x & ~(x >> 1) & 0x55
            if lanes == 0:
                continue
            for lane in range(4):
                person = 4 * b + lane
                if (lanes >> (2 * lane)) & 1 and person < n:
                    for j in range(k.shape[1]):
                        out[v, j] += k[person, j]


@numba.njit(nogil=True, cache=True)
def _cross_missing(packed, k, out):
    n = k.shape[0]
    width = k.shape[1]
    for v in range(packed.shape[0]):
        row = packed[v]
        for b in range(row.shape[0]):
            x = row[b]
            lanes = x & ~(x >> 1) & 0x55
            if lanes == 0:
                continue
            for lane in range(4):
                person = 4 * b + lane
                if (lanes >> (2 * lane)) & 1 and person < n:
                    for i in range(width):
                        for j in range(i + 1):
                            out[v, i, j] += k[person, i] * k[person, j]
        for i in range(width):
            for j in range(i):
                out[v, j, i] = out[v, i, j]


def sum_missing(packed: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Add up, for each variant, the rows of ``k`` of the people whose call is missing.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    k
        float64, people x columns.

    Returns
    -------
    float64, variants x columns.
    """
    out = np.zeros((packed.shape[0], k.shape[1]))
    _sum_missing(packed, np.ascontiguousarray(k), out)
    return out


def cross_missing(packed: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Add up, for each variant, the outer products of the rows of ``k`` of the people whose call is missing: variants x columns x columns."""
    out = np.zeros((packed.shape[0], k.shape[1], k.shape[1]))
    _cross_missing(packed, np.ascontiguousarray(k), out)
    return out

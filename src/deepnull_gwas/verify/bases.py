"""Orthonormal bases of covariates: all regressions of the second implementation are on such."""

from __future__ import annotations

import math

import numpy as np

#: A covariate is dropped when less than this fraction of its length is left after those before it.
COLLINEAR = 1e-7


def power_of_two(values: np.ndarray) -> float:
    """Return a power of two near the largest absolute value, 1 where all are 0."""
    largest = float(np.abs(values).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest > 0 else 1.0


def orthonormal_basis(columns: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the constant and the columns; one collinear with those before it adds none."""
    n = len(columns)
    x = columns / np.array([power_of_two(c) for c in columns.T])
    largest = np.abs(x).max(axis=0, initial=0.0)
    # in place from here on: these are the largest arrays of the check
    x -= x.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", x, x))
    keep = np.flatnonzero(length > 1e-12 * largest * np.sqrt(n))
    one = np.full((n, 1), 1 / np.sqrt(n))
    if not len(keep):
        return one
    x = x[:, keep] if len(keep) < x.shape[1] else x
    x /= length[keep]
    basis = np.empty((n, 1 + len(keep)))
    size, direction = np.linalg.eigh(x.T @ x)
    if size[0] > 1e-6:
        # far from collinear: orthogonal at once to 1e-10, by the second time to rounding, in a fraction of the time of
        # Householder's method
        x = x @ (direction / np.sqrt(size))
        size, direction = np.linalg.eigh(x.T @ x)
        np.matmul(x, direction / np.sqrt(size), out=basis[:, 1:])
    else:
        q, r = np.linalg.qr(x)
        kept = list(range(len(keep)))
        while True:
            small = np.linalg.qr(r[:, kept])
            left = np.abs(np.diagonal(small.R)) <= COLLINEAR
            if not left.any():
                break
            # what comes after a collinear column is judged without it
            del kept[int(np.argmax(left))]
        basis = basis[:, : 1 + len(kept)]
        np.matmul(q, small.Q, out=basis[:, 1:])
    basis[:, :1] = one
    return basis


def with_covariate(basis: np.ndarray, covariate: np.ndarray) -> np.ndarray:
    """Add what a covariate has beyond the basis, if anything."""
    d = covariate / power_of_two(covariate)
    d = d - d.mean()
    rest = d - basis @ (basis.T @ d)
    rest -= basis @ (basis.T @ rest)
    length = np.linalg.norm(rest)
    return basis if length <= 1e-6 * np.linalg.norm(d) else np.column_stack([basis, rest / length])


def basis_among(basis: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows of some people; what is constant or collinear among them adds nothing."""
    rows = basis[use]
    size, direction = np.linalg.eigh(rows.T @ rows)
    keep = size > 1e-9
    return rows @ (direction[:, keep] / np.sqrt(size[keep]))


def constant_first(basis: np.ndarray) -> np.ndarray:
    """Turn an orthonormal basis that spans the constant so that it is the first column."""
    n = len(basis)
    turn = np.linalg.qr(np.column_stack([basis.T @ np.full(n, 1 / np.sqrt(n)), np.eye(basis.shape[1])]))[0]
    out = basis @ turn
    return out * np.sign(out[0, 0])

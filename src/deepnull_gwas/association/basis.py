"""Orthonormal bases of covariates, and powers of two as units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: A column is collinear when what is left of it after the others is below this fraction of its length.
RANK_TOLERANCE = 1e-7


def power_of_two(values: np.ndarray) -> float:
    """Return the power of two next above the largest absolute value; 1 where all are 0, or one is not a number.

    Numbers divided by it keep all their digits, and neither their squares nor their single-precision forms leave what
    can be held.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]))) if 0.0 < largest < np.inf else 1.0


def orthonormal_basis(covariates: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """Return an orthonormal basis of the centred covariates.

    Parameters
    ----------
    covariates
        float64[n, c], without intercept.
    names
        Their names.

    Returns
    -------
    basis
        float64[n, r], orthogonal to the constant.
    kept, dropped
        Names of the columns that the basis spans, and of those that are constant or collinear with columns before them.

    Notes
    -----
    Columns are taken in their order, each orthogonalised twice against those before (classical Gram-Schmidt with
    re-orthogonalisation, as accurate as Householder's QR: Giraud et al. 2005), so that it is the later of two collinear
    covariates that goes.
    """
    n = len(covariates)
    if not n:  # nobody's sex is known, on X
        return np.empty(covariates.shape), list(names), []
    basis = np.empty((n, covariates.shape[1]))
    kept, dropped = [], []
    for j, name in enumerate(names):
        column = covariates[:, j] / power_of_two(covariates[:, j])
        scale = np.abs(column).max() * np.sqrt(n)
        column = column - column.mean()
        length = np.linalg.norm(column)
        rank = len(kept)
        for _ in range(2):
            column = column - basis[:, :rank] @ (basis[:, :rank].T @ column)
            column -= column.mean()
        left = np.linalg.norm(column)
        if length <= 1e-12 * scale or left <= RANK_TOLERANCE * length:
            dropped.append(name)
            continue
        basis[:, rank] = column / left
        kept.append(name)
    return np.ascontiguousarray(basis[:, : len(kept)]), kept, dropped


def take_out(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what a column has beyond the constant and a basis: centred, then orthogonalised twice (exact to rounding).

    Parameters
    ----------
    values
        float64[n].
    basis
        float64[n, r], orthonormal and orthogonal to the constant.
    """
    left = values - values.mean()
    left = left - basis @ (basis.T @ left)
    left -= basis @ (basis.T @ left)
    left -= left.mean()
    return left

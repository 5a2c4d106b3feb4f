"""Leading eigenvectors of a symmetric operator by block Lanczos."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

logger = logging.getLogger(__name__)


def _fresh_block(image: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Compute an orthonormal basis of what an image holds beyond the basis."""
    block = image
    for _ in range(2):  # twice is enough (Kahan)
        block = block - basis @ (basis.T @ block)
    left, sizes, _ = np.linalg.svd(block, full_matrices=False)
    return left[:, sizes > 1e-10 * np.linalg.norm(image, axis=0).max()]


def block_krylov(
    operator: Callable[[np.ndarray], np.ndarray],
    mask: np.ndarray,
    k: int,
    seed: int,
    tolerance: float = 0.01,
    max_passes: int = 60,
    memory_mb: float = 2000.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the leading eigenvectors of a symmetric operator.

    Block Lanczos from a random start, fully re-orthogonalised.

    Parameters
    ----------
    operator
        V -> KV, float64, n x l.
    mask
        float64, n: 0 where the operator gives 0.
    k
        How many eigenvectors.
    seed
        Of the random start.
    tolerance
        Stop when the largest residual ``|Kx - ex|`` is below so much of the gap between the k-th eigenvalue and the
        next: that bounds the sine of the angle between what is found and the true subspace (0.01: canonical
        correlations above 0.9999). Also stop when all residuals are below 1e-6 of their eigenvalues.
    max_passes
        Applications of the operator at most; not to have converged by then is logged as a warning.
    memory_mb
        The basis and its images may take so much; then the basis is compressed to its leading part (thick restart) and
        goes on.

    Returns
    -------
    eigenvalues (k, descending), eigenvectors (n x k), relative residuals (k).

    Notes
    -----
    Musco & Musco (2015, arXiv:1504.05477); restart after Wu & Simon (2000, SIAM J. Matrix Anal. Appl. 22:602). The
    projected matrix comes from products that are there anyway, so no last pass is needed.
    """
    n, people = len(mask), int(mask.sum())
    # multiples of 8 fill the vector registers of the matrix product
    width = min(-(-(k + 4) // 8) * 8, people)
    keep = min(k + width, people)
    capacity = int(np.clip(memory_mb * 1e6 / (16 * n), keep + 2 * width, max(max_passes * width, keep + 2 * width)))
    basis, images = np.zeros((n, capacity)), np.zeros((n, capacity))
    projected = np.zeros((capacity, capacity))
    block, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, width)) * mask[:, None])
    filled = 0
    for number in range(1, max_passes + 1):
        image = operator(block)
        stop = filled + block.shape[1]
        basis[:, filled:stop], images[:, filled:stop] = block, image
        cross = basis[:, :stop].T @ image
        projected[:stop, filled:stop], projected[filled:stop, :stop] = cross, cross.T
        filled = stop
        values, small = np.linalg.eigh(projected[:filled, :filled])
        values, small = values[::-1], small[:, ::-1]
        vectors = basis[:, :filled] @ small[:, :k]
        residual = np.linalg.norm(images[:, :filled] @ small[:, :k] - vectors * values[:k], axis=0)
        # vectors may mix among themselves: only the gap to what is left out matters for the subspace
        gap = values[k - 1] - values[k] if filled > k else 0.0
        angle = float(residual.max() / max(gap, 1e-30))
        relative = residual / np.maximum(values[:k], 1e-30)
        logger.info(
            "pass %d: basis of %d, residual / gap %.2g, residual / eigenvalue %.2g",
            number,
            filled,
            angle,
            relative.max(),
        )
        if number > 1 and (angle <= tolerance or relative.max() <= 1e-6):
            break
        block = _fresh_block(image, basis[:, :filled])
        if block.shape[1] == 0 or filled + block.shape[1] > people:
            break
        if filled + width > capacity:
            basis[:, :keep], images[:, :keep] = (
                basis[:, :filled] @ small[:, :keep],
                images[:, :filled] @ small[:, :keep],
            )
            projected[:keep, :keep] = np.diag(values[:keep])
            filled = keep
    else:
        logger.warning(
            "not converged after %d passes: residual / gap %.2g; the last components are approximate", max_passes, angle
        )
    return values[:k], vectors, relative

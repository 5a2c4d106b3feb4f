"""Products of standardised genotypes Z (variants x people): Z'Z, Z'ZV, Z'W and ZV, streaming from the packed file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from deepnull_gwas.genotypes.standardised import BLOCK, StandardisedGenotypes
from deepnull_gwas.logs import Progress

#: Columns of one tile of the relationship matrix; fixed, so that no result depends on threads.
TILE = 512


def _in_order(function: Callable[[int], Any], starts: range, threads: int) -> Iterator[Any]:
    """Map over the blocks with a few threads; results come in order, few of them wait: memory stays bounded."""
    if threads <= 1:
        yield from map(function, starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for start in starts:
            waiting.append(pool.submit(function, start))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def relationship_matrix(genotypes: StandardisedGenotypes, columns: np.ndarray, threads: int = 1) -> np.ndarray:
    """Sum Z'Z over all variants, for the people in some columns.

    Parameters
    ----------
    genotypes
        Z.
    columns
        Ascending numbers of columns.
    threads
        Tiles at a time.

    Returns
    -------
    float64, people x people: products in float32, sums over blocks in float64, tiles and blocks the same for any number
    of threads.
    """
    n = len(columns)
    total = np.zeros((n, n))
    tiles = range(0, n, TILE)
    chosen = []  # of each panel: its columns that are wanted, and where they go
    for panel in genotypes.panels:
        low, high = np.searchsorted(columns, [4 * panel.start, 4 * panel.stop])
        chosen.append((panel, columns[low:high] - 4 * panel.start, slice(int(low), int(high))))
    progress = Progress(len(genotypes), "variants")
    wide = range(0, len(genotypes), 4 * BLOCK)  # a longer inner dimension suits a square product
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for start in wide:
            parts = [genotypes.block(s) for s in range(start, min(start + 4 * BLOCK, len(genotypes)), BLOCK)]
            block = (np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts]))
            z = np.empty((len(block[0]), n), dtype=np.float32)
            for panel, wanted, place in chosen:
                if len(wanted):
                    z[:, place] = genotypes.decode(block, panel)[:, wanted]

            def add_tile(low: int, z: np.ndarray = z) -> None:
                high = min(low + TILE, n)
                total[low:high, :high] += z[:, low:high].T @ z[:, :high]

            list(pool.map(add_tile, tiles))
            progress.add(len(z))
    upper = np.triu_indices(n, 1)
    total[upper] = total.T[upper]
    return total


def multiply(genotypes: StandardisedGenotypes, mask: np.ndarray, vectors: np.ndarray, threads: int = 1) -> np.ndarray:
    """Compute Z'Z V, restricted to the people of a mask, in one pass over the genotypes.

    Parameters
    ----------
    genotypes
        Z.
    mask
        float64, one per column: 1 for who counts, 0 for others and padding.
    vectors
        float64, columns x l, zero outside the mask.
    threads
        Blocks at a time.

    Returns
    -------
    float64, columns x l.
    """
    v = np.ascontiguousarray(vectors, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        part = np.empty((v.shape[1], genotypes.width), dtype=np.float32)
        # decoding twice costs less than a block of all people that leaves the cache
        tiles = [genotypes.decode(block, p) for p in genotypes.panels] if len(genotypes.panels) == 1 else None
        h = np.zeros((len(block[0]), v.shape[1]), dtype=np.float32)
        for k, panel in enumerate(genotypes.panels):
            h += (tiles[k] if tiles else genotypes.decode(block, panel)) @ v[genotypes.columns(panel)]
        for k, panel in enumerate(genotypes.panels):
            part[:, genotypes.columns(panel)] = h.T @ (tiles[k] if tiles else genotypes.decode(block, panel))
        return part

    total = np.zeros(vectors.shape[::-1])
    for part in _in_order(one, genotypes.starts(), threads):
        total += part
    return total.T * mask[:, None]


def apply_transposed(genotypes: StandardisedGenotypes, weights: np.ndarray, threads: int = 1) -> np.ndarray:
    """Compute Z'W for all columns (people), in one pass: float64, columns x k."""
    w = np.ascontiguousarray(weights, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        part = np.empty((w.shape[1], genotypes.width), dtype=np.float32)
        for panel in genotypes.panels:
            part[:, genotypes.columns(panel)] = w[start : start + BLOCK].T @ genotypes.decode(block, panel)
        return part

    total = np.zeros((weights.shape[1], genotypes.width))
    for part in _in_order(one, genotypes.starts(), threads):
        total += part
    return total.T


def apply(genotypes: StandardisedGenotypes, vectors: np.ndarray, threads: int = 1) -> np.ndarray:
    """Compute ZV, in one pass: float64, variants x k."""
    v = np.ascontiguousarray(vectors, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        return sum((genotypes.decode(block, p) @ v[genotypes.columns(p)]).astype(np.float64) for p in genotypes.panels)

    parts = list(_in_order(one, genotypes.starts(), threads))
    return np.concatenate(parts) if parts else np.zeros((0, vectors.shape[1]))

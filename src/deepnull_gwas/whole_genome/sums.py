"""Predictors of blocks, summed over the blocks of each chromosome by their kind.

Level 1 weighs kinds of predictors (a ridge regression of some penalty, a spike-and-slab regression of some share), not
blocks. The predictors of other people were made with a fold's phenotypes, so that a weight per block is fitted, in
part, to the very phenotypes that it is to predict: the fewer the weights, the less of that. With one weight per block
and kind, as in regenie, the R2 out of fold is too high, and the offsets are too large by up to 1 / .5 in small cohorts;
with one per kind both are right, and new people are predicted better (docs/method.md).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

#: People whose predictors are held in double precision at a time.
TILE = 2048


class BlockPredictors(Protocol):
    """float32[n, blocks x kinds], predictors of all blocks: an array, or what reads rows when they are asked for."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of people and of predictors."""

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return the predictors of some people."""


def sum_by_kind(w: BlockPredictors, chromosome: np.ndarray, kinds: int) -> tuple[list[str], np.ndarray]:
    """Sum predictors over the blocks of each chromosome.

    Parameters
    ----------
    w
        float32[n, blocks x kinds]; the kinds of a block lie together.
    chromosome
        str[blocks x kinds], of each predictor.
    kinds
        Number of kinds.

    Returns
    -------
    The chromosomes in the order of their first blocks, and float64[n, chromosomes, kinds].
    """
    n = w.shape[0]
    of_block = np.asarray(chromosome)[::kinds].tolist()
    names = list(dict.fromkeys(of_block))
    out = np.zeros((n, len(names), kinds))
    for first in range(0, n, TILE):
        rows = slice(first, min(first + TILE, n))
        blocks = w[rows].astype(np.float64).reshape(rows.stop - rows.start, -1, kinds)
        for b, name in enumerate(of_block):
            out[rows, names.index(name)] += blocks[:, b]
    return names, out

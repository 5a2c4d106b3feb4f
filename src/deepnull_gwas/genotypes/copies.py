"""Hard calls of chosen people as whole numbers of copies, without missing values."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.jit import numba


@numba.njit(nogil=True, cache=True)
def _decode(packed, people, filled, out):
    values = np.empty(4, dtype=np.int8)
    for v in range(packed.shape[0]):
        row, target = packed[v], out[v]
        values[0], values[1], values[2], values[3] = 2, filled[v], 1, 0
        for i in range(len(people)):
            person = people[i]
            target[i] = values[(row[person >> 2] >> np.uint8(2 * (person & 3))) & np.uint8(3)]


def read_copies(genotypes: Genotypes, index: np.ndarray, people: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Read how many copies of the effect allele people have: int8, variants x people.

    Parameters
    ----------
    genotypes
        The cohort's.
    index
        int64, indices of the variants.
    people
        int64, numbers of the people, in the order that is wanted.
    filled
        int8, one per variant: what a missing call counts as.
    """
    out = np.empty((len(index), len(people)), dtype=np.int8)
    _decode(genotypes.calls(index), np.asarray(people, dtype=np.int64), np.asarray(filled, dtype=np.int8), out)
    return out

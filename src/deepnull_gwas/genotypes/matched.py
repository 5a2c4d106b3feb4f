"""Hard calls of a fileset whose people are those of another one, or stand in another order there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.jit import numba

if TYPE_CHECKING:
    import pandas as pd


class MatchedGenotypes(Genotypes):
    """The hard calls of other genotypes, in the order of a cohort's people.

    Parameters
    ----------
    genotypes
        The others.
    rows
        For each person of the cohort the number there, from 0; -1 for whom they do not have: all calls are missing.
    """

    def __init__(self, genotypes: Genotypes, rows: Sequence[int] | np.ndarray):
        super().__init__(genotypes.names, genotypes.variant_counts, len(rows))
        self.genotypes = genotypes
        self.format = genotypes.format
        self.rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not -1 <= self.rows.min() <= self.rows.max() < genotypes.n_samples:
            raise IndexError(f"people {self.rows.min()} to {self.rows.max()} of {genotypes.n_samples}")

    def read_variants(self, name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the variants of a fileset."""
        return self.genotypes.read_variants(name, settings)

    def read_people(self, name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the people of a fileset, in its own order."""
        return self.genotypes.read_people(name, settings)

    def check(self, name: str, n_variants: int, n_samples: int) -> None:
        """Check a fileset."""
        self.genotypes.check(name, n_variants, n_samples)

    def _read_calls(self, file: int, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        out[at] = gather_people(self.genotypes.calls(rows + self.starts[file]), self.rows)

    def read_ahead(self, index: np.ndarray) -> None:
        """Ask the system to read these variants ahead."""
        self.genotypes.read_ahead(index)


@numba.njit(nogil=True, cache=True)
def gather_people(packed, rows):
    """Return packed calls, variants x people, of the people with these numbers; -1 stands for a missing call."""
    out = np.zeros((len(packed), (len(rows) + 3) // 4), dtype=np.uint8)
    for v in range(len(packed)):
        for j in range(len(rows)):
            row = rows[j]
            code = 1 if row < 0 else packed[v, row >> 2] >> (2 * (row & 3)) & 3
            out[v, j >> 2] |= np.uint8(code << (2 * (j & 3)))
    return out

"""Standardised dosages, decoded tile by tile from packed genotypes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.jit import numba

#: A decoded tile of this many variants x at most this many columns stays in cache; fixed, so that no result depends on
#: threads.
BLOCK, PANEL = 256, 8192


@numba.njit(nogil=True, cache=True)
def _standardise(packed, values, out):
    """Decode to standardised dosages, the people in lane order.

    That is: every fourth person from the first, then from the second, ... In that order a lane is one contiguous run,
    which the compiler turns into SIMD. ``values``: of hom A1, missing, het, hom A2.
    """
    n_bytes = packed.shape[1]
    for v in range(packed.shape[0]):
        row = packed[v]
        a, b, c, d = values[v, 0], values[v, 1], values[v, 2], values[v, 3]
        for lane in range(4):
            target = out[v, lane * n_bytes : (lane + 1) * n_bytes]
            shift = np.uint8(2 * lane)
            for i in range(n_bytes):
                code = (row[i] >> shift) & np.uint8(3)
                low = a if code == 0 else b
                high = c if code == 2 else d
                target[i] = low if code < 2 else high


class StandardisedGenotypes:
    """Standardised dosages of some variants, decoded by tiles: (g - 2p) / sqrt(2p(1-p)), missing calls 0 (the mean).

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants.
    frequency
        p of the effect allele, one per variant; a variant with p of 0 or 1 (or NaN) counts for nothing.

    Attributes
    ----------
    width
        Number of columns: people and padding.
    order
        Column in which each person is found (lane order within panels).
    panels
        Bytes of the packed rows that make up each panel of columns.
    """

    def __init__(self, fileset: Genotypes, index: np.ndarray, frequency: np.ndarray):
        self.fileset = fileset
        self.index = np.asarray(index, dtype=np.int64)
        p = np.asarray(frequency, dtype=np.float64)
        sd = np.sqrt(2 * p * (1 - p))
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(sd > 0, 1 / sd, 0.0)
        dosage = np.array([2.0, np.nan, 1.0, 0.0])
        self.values = np.nan_to_num((dosage - 2 * np.nan_to_num(p)[:, None]) * scale[:, None]).astype(np.float32)
        n_bytes = fileset.bytes_per_variant
        self.width = 4 * n_bytes
        number = -(-self.width // PANEL)
        edges = np.linspace(0, n_bytes, number + 1).astype(np.int64)
        self.panels = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        self.order = np.empty(fileset.n_samples, dtype=np.int64)
        for panel in self.panels:
            people = np.arange(4 * panel.start, min(4 * panel.stop, fileset.n_samples))
            lane, byte = people % 4, people // 4
            self.order[people] = 4 * panel.start + lane * (panel.stop - panel.start) + byte - panel.start

    def __len__(self) -> int:
        return len(self.index)

    def starts(self) -> range:
        """Return the first row of each block."""
        return range(0, len(self.index), BLOCK)

    def block(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a block of variants, for :meth:`decode`: its packed genotypes and its values for each code."""
        rows = slice(start, start + BLOCK)
        return self.fileset.calls(self.index[rows]), self.values[rows]

    def decode(self, block: tuple[np.ndarray, np.ndarray], panel: slice) -> np.ndarray:
        """Decode a panel of a block: float32, variants x columns of the panel."""
        packed, values = block
        out = np.empty((len(packed), 4 * (panel.stop - panel.start)), dtype=np.float32)
        _standardise(packed[:, panel], values, out)
        return out

    def columns(self, panel: slice) -> slice:
        """Return the columns of a panel."""
        return slice(4 * panel.start, 4 * panel.stop)

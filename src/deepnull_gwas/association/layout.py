"""The columns that a group of people's genotypes are multiplied with, collected from the tests that need them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.genotypes.products import Columns


@dataclass
class Layout:
    """Columns of the people of one mask, in the order in which they were asked for.

    Attributes
    ----------
    n_people
        Number of people of the cohort.
    index
        int64[n], the people.
    mask
        The same people.
    dtype
        float32 or float64: the precision of the products.
    """

    n_people: int
    index: np.ndarray
    mask: Mask
    dtype: type
    _columns: list[np.ndarray] = field(default_factory=list)
    _squares: list[np.ndarray] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Number of columns so far."""
        return sum(c.shape[1] for c in self._columns)

    def add(self, columns: np.ndarray) -> slice:
        """Add columns (float64[n, k]) that genotypes are multiplied with; return where they lie."""
        first = self.width
        self._columns.append(columns)
        return slice(first, first + columns.shape[1])

    def add_square(self, column: np.ndarray) -> int:
        """Add a column (float64[n]) that the squares of genotypes are multiplied with; return where it lies."""
        self._squares.append(column[:, None])
        return len(self._squares) - 1

    def finish(self) -> tuple[Columns, Columns]:
        """Lay out all columns, and those of the squares, for the kernels, and let go of them here."""
        out = []
        for parts in (self._columns, self._squares):
            whole = np.hstack(parts) if parts else np.zeros((len(self.index), 0))
            parts.clear()
            out.append(Columns(self.n_people, self.index, whole, self.dtype))
        return out[0], out[1]


class GroupTests(Protocol):
    """The tests of all studies of one kind of trait with the same people."""

    def test(self, block: Block, products: np.ndarray, squares: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of the result, by name, each with one value per variant.

        Parameters
        ----------
        block
            Variants, as they are inherited.
        products, squares
            Products of the genotypes, centred among the people of the group, and of their squares with the columns of
            the layout.
        """

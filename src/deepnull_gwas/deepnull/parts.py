"""Parts of the people outside a fold.

Who among the people that train a fold is held out of what, so that inner predictions have not seen the person whom they
are of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Pieces that the people outside a fold are cut into, at least: one of them stops a training early, the fewer people
#: the better.
_PIECES = 8
#: People up to whom networks without a part are trained more than once; with few people they differ much by who stops
#: them, and cost little.
_FEW = 12000


@dataclass(frozen=True)
class Parts:
    """The people outside a fold in parts (whole folds), and the parts in pieces.

    A model "without part j" has not seen the phenotypes of that part in any way: it trains on the other parts, what
    stops its training early is a piece of the next part, and its penalties are chosen on the other parts. Such models
    weigh. Those that predict new people need not be kept from anybody but who stops them: they train on everybody else.

    Attributes
    ----------
    part
        int[n]: the part of each person, from 0.
    piece
        int[n]: the piece of each person; part j has pieces j * each to (j + 1) * each - 1.
    each
        Pieces of a part.
    """

    part: np.ndarray
    piece: np.ndarray
    each: int

    @classmethod
    def of(cls, part: np.ndarray, case: np.ndarray | None = None) -> Parts:
        """Cut parts into pieces of like size.

        Parameters
        ----------
        part
            int[n].
        case
            0/1 of binary traits: cases and controls are dealt out by themselves. The pieces of a part depend on nothing
            outside it.
        """
        part = np.asarray(part, dtype=np.int64)
        count = int(part.max(initial=-1)) + 1
        each = max(2, -(-_PIECES // max(count, 1)))
        piece = np.empty(len(part), dtype=np.int64)
        for j in range(count):
            rows = np.flatnonzero(part == j)
            if case is not None:
                rows = rows[np.argsort(-case[rows], kind="stable")]
            piece[rows] = j * each + np.arange(len(rows)) % each
        return cls(part, piece, each)

    @property
    def count(self) -> int:
        """Number of parts."""
        return int(self.part.max(initial=-1)) + 1

    def pieces(self, j: int) -> tuple[int, ...]:
        """Return the pieces of part j."""
        return tuple(range(j * self.each, (j + 1) * self.each))

    def stop(self, j: int) -> int:
        """Return the piece that stops the trainings without part j: the first of a part near it.

        Where each part is a fold, parts are numbered from the fold left out on: then the people without fold a and part
        b are those without fold b and part a, and here they are stopped by the same piece from either side. So one
        training does for both.
        """
        return (j + 1 if 2 * (j + 1) <= self.count else 0) * self.each

    @property
    def stoppers(self) -> int:
        """Return how many pieces stop a network each without one part.

        One where people are many, and up to one of each other part.
        """
        return max(1, min(self.count - 1, _FEW // max(len(self.part), 1)))

    def stopping(self) -> list[tuple[int, int]]:
        """List what networks that weigh are trained without: a part, and the piece that stops them.

        All parts with their first stopper, then with the next.
        """
        pairs = []
        for r in range(self.stoppers):
            for j in range(self.count):
                near = self.stop(j) // self.each
                others = [i % self.count for i in range(near, near + self.count) if i % self.count != j]
                pairs.append((j, others[r] * self.each))
        return pairs

    @cached_property
    def trains(self) -> np.ndarray:
        """Return bool[n, parts]: who trains what is stopped early, without each part."""
        return np.column_stack([(self.part != j) & ~self.stops[:, j] for j in range(self.count)])

    @cached_property
    def stops(self) -> np.ndarray:
        """Return bool[n, parts]: who stops the trainings without each part."""
        return np.column_stack([self.piece == self.stop(j) for j in range(self.count)])

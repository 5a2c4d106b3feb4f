"""Males whose dosages on X are on the scale of one copy, 0 to 1: found when a cohort is indexed, doubled when read.

Everything above counts the effect alleles of haploid people as 0 or 2. Formats that know ploidy (BGEN, and VCF with
haploid genotypes) are read so; where males are written as diploid people (``0/1``, DS up to 1) the numbers tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.jit import numba

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.base import Genotypes

#: Variants on X that are looked at.
LOOKED_AT = 256
#: How far above one copy a dosage may be by rounding, and from where on it is one copy.
ROUNDING, ONE_COPY = 1 / 256, 0.9
#: Dosages of one copy by which a male is known to be on that scale; how many there have to be in all.
LEAST_OF_MALE, LEAST_OF_ALL = 5, 10
#: Where so many males, and so large a share of them, are on either scale, both are in use.
MIXED, MIXED_SHARE = 3, 0.01
#: What doubling does to the sums of dosages (people, values, squares, variances, exact values).
_SCALE = np.array([1, 2, 4, 4, 2], dtype=np.int64)


@dataclass(frozen=True)
class SingleCopies:
    """Who has dosages of one copy, and where.

    Attributes
    ----------
    people
        bool, one per person.
    ranges
        int64, k x 2: first variant and last (exclusive) of each run of variants.
    """

    people: np.ndarray
    ranges: np.ndarray

    def among(self, index: np.ndarray) -> np.ndarray:
        """Return which of some variants are concerned: bool, one per variant."""
        index = np.asarray(index, dtype=np.int64)
        return ((index[:, None] >= self.ranges[:, 0]) & (index[:, None] < self.ranges[:, 1])).any(axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return what goes to genotypes.json."""
        return {"people": np.flatnonzero(self.people), "variants": self.ranges}

    @classmethod
    def from_json(cls, given: Mapping[str, Any], n_samples: int) -> SingleCopies:
        """Return what was written there."""
        people = np.zeros(n_samples, dtype=bool)
        people[np.array(given["people"], dtype=np.int64)] = True
        return cls(people, np.array(given["variants"], dtype=np.int64).reshape(-1, 2))

    def split(self, masks: np.ndarray) -> np.ndarray:
        """Return masks of those who have one copy, and behind them masks of everybody else: bool, 2 masks x people."""
        masks = np.asarray(masks, dtype=bool)
        return np.concatenate([masks & self.people, masks & ~self.people])

    def join(self, sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the sums over the people of masks, from those of :meth:`split`, with ``rows`` (bool) doubled."""
        k = sums.shape[1] // 2
        scale = np.where(rows[:, None], _SCALE, 1)
        return sums[:, :k] * scale[:, None, :] + sums[:, k:]

    def double(self, values: np.ndarray, denominator: np.ndarray, rows: np.ndarray) -> int:
        """Double the dosages of the people of some rows, in place.

        Returns
        -------
        The first row with a dosage of more than one copy, which is left as it is; -1 where there is none.
        """
        most = np.floor(denominator * (1 + ROUNDING)).astype(np.int64)
        return int(_double(values, np.flatnonzero(rows), np.flatnonzero(self.people), most))


@numba.njit(nogil=True, cache=True)
def _double(values, rows, people, most):
    for v in rows:
        for i in people:
            value = values[v, i]
            if value == MISSING:
                continue
            if value > most[v]:
                return v
            values[v, i] = 2 * value
    return -1


def find_single_copies(
    genotypes: Genotypes, on_x: np.ndarray, sex: np.ndarray, names: Sequence[str]
) -> SingleCopies | None:
    """Find out from some variants whether males' dosages on X are those of one copy.

    Parameters
    ----------
    genotypes
        The cohort's, of a format that has dosages.
    on_x
        bool, one per variant: X outside the pseudo-autosomal regions.
    sex
        int8, one per person: 1 male.
    names
        IDs of the people, for messages.

    Returns
    -------
    The males and the variants on X; None where they are on the scale of two copies, or nothing tells (no males, no
    variants on X, nobody who carries an allele).

    Raises
    ------
    InputError
        When some males are on one scale and some on the other.
    """
    index, males = np.flatnonzero(on_x), np.flatnonzero(sex == 1)
    if not len(index) or not len(males):
        return None
    index = index[np.unique(np.linspace(0, len(index) - 1, LOOKED_AT).astype(np.int64))]
    largest, ones = np.zeros(len(males)), np.zeros(len(males), dtype=np.int64)
    size = max(1, (4 << 20) // genotypes.n_samples)
    for first in range(0, len(index), size):
        found = genotypes.dosages(index[first : first + size])
        values = np.where(found.values == MISSING, 0, found.values)[:, males] / found.denominator[:, None]
        largest = np.maximum(largest, values.max(axis=0))
        ones += ((values >= ONE_COPY) & (values <= 1 + ROUNDING)).sum(axis=0)
    double = largest > 1.5
    single = (largest <= 1 + ROUNDING) & (ones >= LEAST_OF_MALE)
    least = max(MIXED, MIXED_SHARE * len(males))
    if single.sum() >= least and double.sum() >= least:
        raise InputError(
            f"{genotypes.names[0]}: on X {int(single.sum()):,} males have dosages of 0 to 1 "
            f"({some([names[i] for i in males[single]], 3)}) and {int(double.sum()):,} have dosages of 0 to 2 "
            f"({some([names[i] for i in males[double]], 3)}), over {len(index)} variants; code all of them in one way "
            "(two sets of people that were imputed apart were joined), or leave X out"
        )
    low = largest <= 1 + ROUNDING
    if double.sum() >= least or ones[low].sum() < LEAST_OF_ALL:
        return None
    people = np.zeros(len(sex), dtype=bool)
    people[males[low]] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on_x, [False]]).astype(np.int8)))
    return SingleCopies(people, edges.reshape(-1, 2))

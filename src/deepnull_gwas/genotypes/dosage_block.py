"""A block of dosages: uncertain genotypes as whole numbers of a unit, with the same views as a block of hard calls.

Sums over people are of whole numbers, so that counts, means and variances are exact, whatever the order of summation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.genotypes.dosage import CALLED, MISSING, SQUARES, TOTAL, Dosages, hard_call_distance, sum_dosages
from deepnull_gwas.genotypes.files import HARD_CALL_THRESHOLD
from deepnull_gwas.genotypes.information import impute_information, mach_r2
from deepnull_gwas.genotypes.kernels import unpack_mask
from deepnull_gwas.genotypes.products import Columns, multiply
from deepnull_gwas.genotypes.tiles import NO_CALLS
from deepnull_gwas.jit import numba


class DosageBlock(Block):
    """A block of dosages.

    Parameters
    ----------
    dosages
        Of the block's variants, everybody's on the scale of two copies, with sums over the people of ``masks`` (in
        their order).
    masks
        Masks whose sums were computed when the dosages were read; those of other masks are computed when they are asked
        for.
    threshold
        How far a dosage may be from a whole number to be a hard call.

    Notes
    -----
    A haploid person's dosage of exactly one of two copies is a heterozygous call, and missing, as among hard calls. An
    uncertain dosage between none and two stays.
    """

    def __init__(self, dosages: Dosages, masks: Sequence[Mask] = (), threshold: float = HARD_CALL_THRESHOLD):
        self._source, self._values, self._threshold = dosages, dosages.values, threshold
        self.n_variants, self.n_people = dosages.values.shape
        self._unit = 1.0 / dosages.denominator
        self._haploid: Mask | None = None
        self._single = False
        self._halved = np.empty(0, dtype=np.bool_)
        self._as_read = {} if dosages.sums is None else {mask: dosages.sums[:, m] for m, mask in enumerate(masks)}
        self._kept = {("sums", mask): sums for mask, sums in self._as_read.items()}

    imputed = True

    @property
    def stored(self) -> tuple[np.ndarray, ...]:
        """The dosages that are tested."""
        return (NO_CALLS, self._values, self._unit, self._halved)

    def inherited(self, haploid: Mask, single: bool) -> DosageBlock:
        """See :meth:`Block.inherited`."""
        out = DosageBlock(self._source, threshold=self._threshold)
        chosen = unpack_mask(haploid.packed, self.n_people)
        # sums that no heterozygous haploid call is part of stay as they are
        out._values, changed = without_hets(self._source.values, self._source.denominator, chosen)
        out._as_read = self._as_read
        if not changed.any():
            out._kept = {key: sums for key, sums in self._kept.items() if key[0] == "sums"}
        out._haploid, out._single = haploid, single
        if single:
            out._halved = chosen
        return out

    def haploid_hets(self, mask: Mask) -> int:
        """See :meth:`Block.haploid_hets`."""
        if self._haploid is None:
            return 0
        chosen = unpack_mask((mask & self._haploid).packed, self.n_people)
        return int(_count_hets(self._source.values, self._source.denominator, chosen).sum())

    def calls(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.calls`: of dosages that are near a whole number."""
        return self._once("calls", mask, lambda: self._count_calls(mask))

    def _count_calls(self, mask: Mask) -> np.ndarray:
        distance = hard_call_distance(self._source.denominator, self._threshold)
        out = np.zeros((self.n_variants, 4), dtype=np.int64)
        _count_near(self._values, self._source.denominator, distance, unpack_mask(mask.packed, self.n_people), out)
        out[:, 3] = len(mask) - out[:, :3].sum(axis=1)
        return out

    def _sums(self, mask: Mask) -> np.ndarray:
        """Return the sums over the people of a mask: int64, variants x 5, see :class:`Dosages`."""
        return self._once("sums", mask, lambda: self._count(mask))

    def _count(self, mask: Mask) -> np.ndarray:
        return sum_dosages(self._values, unpack_mask(mask.packed, self.n_people)[None])[:, 0]

    def _parts(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums over the people with two copies and over those with one."""
        whole = self._sums(mask)
        if self._haploid is None:
            return whole, np.zeros_like(whole)
        single = mask & self._haploid
        if len(single) == len(mask):
            return np.zeros_like(whole), whole
        if not len(single):
            return whole, np.zeros_like(whole)
        part = self._sums(single)
        return whole - part, part

    def observed(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.observed`."""
        return self._sums(mask)[:, CALLED]

    def missing(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.missing`."""
        return len(mask) - self.observed(mask)

    def alleles(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Block.alleles`."""
        double, single = self._parts(mask)
        copies = (2 * double[:, TOTAL] + single[:, TOTAL]) * (self._unit / 2)
        return copies, 2.0 * double[:, CALLED] + single[:, CALLED]

    def moments(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Block.moments`."""
        return self._once("moments", mask, lambda: self._moments(mask))

    def _moments(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        double, single = self._parts(mask)
        k = 1 if self._single else 2
        # in halves of the unit, which a single copy of a haploid person needs
        total = 2 * double[:, TOTAL] + k * single[:, TOTAL]
        squares = 4 * double[:, SQUARES] + k * k * single[:, SQUARES]
        n = np.maximum(self.observed(mask), 1)
        half = self._unit / 2
        # the difference of squares in whole numbers: what is small must not drown in what is large
        left = [int(q) * int(m) - int(t) * int(t) for q, t, m in zip(squares, total, n)]
        return total / n * half, np.array([float(x) for x in left]) / n * half**2

    def multiply(self, columns: Columns, mask: Mask, squared: bool = False) -> np.ndarray:
        """See :meth:`Block.multiply`."""
        return multiply(self.stored, self.moments(mask)[0], columns.tiles, squared)

    def carriers(
        self, v: int, mask: Mask, row_of: np.ndarray, drop: bool, most: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """See :meth:`Block.carriers`: everybody whose dosage is not exactly none (or exactly two) is one."""
        values, two = self._values[v], 2 * int(self._source.denominator[v])
        mean = float(self.moments(mask)[0][v])
        sums = self._sums(mask)[v]
        common = 0 if sums[TOTAL] * 2 <= sums[CALLED] * two else two
        if common and self._halved.any():
            # two copies and one copy are both usual: nobody is
            return None
        people = np.flatnonzero(values != common)
        if len(people) > most:
            return None
        rows = row_of[people]
        people, rows = people[rows >= 0], rows[rows >= 0]
        g = values[people] * self._unit[v]
        if len(self._halved):
            g[self._halved[people]] /= 2
        usual, missing = common * self._unit[v], values[people] == MISSING
        return (
            rows,
            np.where(missing, 0.0 if drop else mean - usual, g - usual),
            ~missing if drop else np.ones(len(rows), dtype=bool),
        )

    def dosages(self, rows: np.ndarray, people: np.ndarray) -> np.ndarray:
        """See :meth:`Block.dosages`."""
        values = np.take(self._values[rows], people, axis=1)
        out = values * self._unit[rows, None]
        if len(self._halved):
            out[:, self._halved[people]] /= 2
        out[values == MISSING] = np.nan
        return out

    def information(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.information`."""
        denominator, spread = self._source.denominator, self._source.variance_denominator
        single = None if self._haploid is None else mask & self._haploid
        if spread is not None and mask in self._as_read and (single is None or single in self._as_read):
            whole = self._as_read[mask]
            if single is None:
                return impute_information(whole, spread)
            return impute_information(whole - self._as_read[single], spread, self._as_read[single])
        double, one = self._parts(mask)
        return mach_r2(double, denominator, None if single is None else one)


@numba.njit(nogil=True, cache=True)
def _count_near(values, denominators, distances, chosen, out):
    for v in range(values.shape[0]):
        row = values[v]
        far = np.uint32(distances[v])
        least_one, least_two = np.uint32(denominators[v]) - far, np.uint32(2 * denominators[v]) - far
        two, one_copy, none = np.uint32(0), np.uint32(0), np.uint32(0)
        for i in range(len(row)):
            value, keep = np.uint32(row[i]), np.uint32(chosen[i])
            # what is below the least becomes a large number
            none += keep & np.uint32(value <= far)
            one_copy += keep & np.uint32(np.uint32(value - least_one) <= np.uint32(2 * far))
            two += keep & np.uint32(np.uint32(value - least_two) <= far)
        out[v, 0], out[v, 1], out[v, 2] = two, one_copy, none


@numba.njit(nogil=True, cache=True)
def _count_hets(values, denominators, chosen):
    out = np.zeros(len(values), dtype=np.int64)
    for v in range(len(values)):
        for i in range(values.shape[1]):
            out[v] += chosen[i] and values[v, i] == denominators[v]
    return out


def without_hets(values: np.ndarray, denominators: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn dosages of exactly one of two copies of haploid people into missing ones.

    Parameters
    ----------
    values
        uint16, variants x people.
    denominators
        int32, one per variant.
    chosen
        bool, one per person: who is haploid.

    Returns
    -------
    The values (a copy where any changed), and how many changed, one per variant.
    """
    hets = _count_hets(values, denominators, chosen)
    if not hets.any():
        return values, hets
    values = values.copy()
    for v in np.flatnonzero(hets):
        values[v, chosen & (values[v] == denominators[v])] = MISSING
    return values, hets

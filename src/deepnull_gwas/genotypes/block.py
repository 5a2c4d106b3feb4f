"""A block of variants, as the tests see it: counts, moments, products and single genotypes, each computed once.

Nothing above this module knows how genotypes are stored. Alleles: all dosages count A1, the effect allele.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from deepnull_gwas.genotypes.kernels import count_genotypes, decode, pack_mask
from deepnull_gwas.genotypes.products import Columns, multiply
from deepnull_gwas.genotypes.quadratic import QuadraticForm, quadratic
from deepnull_gwas.genotypes.rare import carriers, multiply_rare
from deepnull_gwas.genotypes.tiles import NO_DOSAGES, NO_UNITS, NOBODY

#: A variant is rare when fewer than one person in this many has another genotype than the rest
RARE = 48


class Mask:
    """Some of a cohort's people, in the form that the kernels take; masks of the same people are equal.

    Parameters
    ----------
    packed
        uint8, from :func:`deepnull_gwas.genotypes.kernels.pack_mask`.
    """

    __slots__ = ("_key", "packed")

    def __init__(self, packed: np.ndarray):
        self.packed = packed
        self._key = hashlib.blake2b(packed.tobytes(), digest_size=16).digest()

    @classmethod
    def of(cls, chosen: np.ndarray) -> Mask:
        """Return the mask of the people who are chosen: bool, one per person of the cohort."""
        return cls(pack_mask(chosen))

    @classmethod
    def of_people(cls, index: np.ndarray, n_people: int) -> Mask:
        """Return the mask of the people ``index`` (int64) of a cohort of ``n_people``."""
        chosen = np.zeros(n_people, dtype=bool)
        chosen[index] = True
        return cls.of(chosen)

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.packed & other.packed)

    def __len__(self) -> int:
        return int(np.bitwise_count(self.packed).sum()) // 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class Block(ABC):
    """Variants of a cohort's people. What is computed of the people of a mask is kept, so that it is computed once.

    A block is used by one thread at a time.

    Attributes
    ----------
    n_variants, n_people
        Its shape.
    stored
        The genotypes, for kernels that load them by :mod:`deepnull_gwas.genotypes.tiles` or
        :mod:`deepnull_gwas.genotypes.rare`: a tuple of arrays whose meaning only those modules know.
    imputed
        Whether genotypes are uncertain, so that :meth:`information` says something.
    """

    n_variants: int
    n_people: int
    stored: tuple[np.ndarray, ...]
    imputed: ClassVar[bool] = False
    _kept: dict[tuple[str, Mask], Any]

    @abstractmethod
    def inherited(self, haploid: Mask, single: bool) -> Block:
        """Return the block of a class of chromosomes where some people are haploid.

        Parameters
        ----------
        haploid
            Who has one copy. Their heterozygous calls are missing, and each of their genotypes is one chromosome when
            alleles are counted.
        single
            Whether the copy counts as the one that it is in moments, products and single genotypes; as two copies
            otherwise.
        """

    @abstractmethod
    def haploid_hets(self, mask: Mask) -> int:
        """Return how many heterozygous calls of haploid people of a mask count as missing."""

    @abstractmethod
    def calls(self, mask: Mask) -> np.ndarray:
        """Count hard calls among the people of a mask.

        Returns
        -------
        int64, variants x 4: homozygous A1, heterozygous, homozygous A2, missing.
        """

    @abstractmethod
    def observed(self, mask: Mask) -> np.ndarray:
        """Count the people of a mask with a genotype: int64, one per variant."""

    @abstractmethod
    def missing(self, mask: Mask) -> np.ndarray:
        """Count the people of a mask without a genotype: int64, one per variant."""

    @abstractmethod
    def alleles(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """Count copies of A1 and chromosomes among the people of a mask: float64, one per variant each.

        A haploid genotype is one chromosome.
        """

    @abstractmethod
    def moments(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and squared length of the (centred) dosages of the people of a mask, missing ones at the mean.

        Returns
        -------
        float64, one per variant each; the mean is 0 where nobody has a genotype.
        """

    @abstractmethod
    def information(self, mask: Mask) -> np.ndarray:
        """Return how well each variant is imputed in the people of a mask (INFO).

        1 for hard calls, NaN where it does not vary.

        Returns
        -------
        float64, one per variant: the IMPUTE information where the file has probabilities, else MaCH's r2
        (:mod:`deepnull_gwas.genotypes.information`).
        """

    @abstractmethod
    def multiply(self, columns: Columns, mask: Mask, squared: bool = False) -> np.ndarray:
        """Multiply dosages, centred at their mean among the people of a mask, with columns that are 0 for others.

        Parameters
        ----------
        columns
            The columns.
        mask
            The people. A missing genotype counts as their mean.
        squared
            Whether the centred dosages are squared first.

        Returns
        -------
        float64, variants x columns (with their padding). A variant's products depend neither on the other variants nor
        on other columns.
        """

    def quadratic(self, form: QuadraticForm, mask: Mask) -> np.ndarray:
        """Return quadratic forms of dosages that are centred at their mean among the people of a mask.

        Parameters
        ----------
        form
            Over people of the mask.
        mask
            The people. A missing genotype counts as their mean.

        Returns
        -------
        float64[variants].
        """
        return quadratic(self.stored, self.moments(mask)[0], form)

    @abstractmethod
    def carriers(
        self, v: int, mask: Mask, row_of: np.ndarray, drop: bool, most: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """List the people of a mask whose genotype for one variant is not that of nearly everybody.

        Parameters
        ----------
        v
            Which variant.
        mask
            The people.
        row_of
            int64, one per person of the cohort: row among the people of the mask, -1 for the others.
        drop
            Whether people without a genotype are left out; they count as the mean otherwise.
        most
            How many there may be, in the whole cohort; None is returned where there are more.

        Returns
        -------
        int64 rows, ascending; float64 dosages beyond the usual genotype's; bool, whether the person stays.
        """

    @abstractmethod
    def dosages(self, rows: np.ndarray, people: np.ndarray) -> np.ndarray:
        """Return dosages of some variants and people: float64, len(rows) x len(people), C order, NaN where missing."""

    def _once(self, name: str, mask: Mask, make: Callable[[], Any]) -> Any:
        """Compute something of the people of a mask when it is first asked for."""
        if (name, mask) not in self._kept:
            self._kept[name, mask] = make()
        return self._kept[name, mask]


class PackedBlock(Block):
    """A block of hard calls, as PLINK packs them: two bits per genotype.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    n_people
        Number of people of the cohort.
    """

    def __init__(self, packed: np.ndarray, n_people: int):
        self.n_variants, self.n_people = len(packed), n_people
        self._read = self._called = self._tested = np.ascontiguousarray(packed)
        self._haploid: Mask | None = None
        self._kept = {}

    @property
    def stored(self) -> tuple[np.ndarray, ...]:
        """The packed genotypes that are tested."""
        return (self._tested, NO_DOSAGES, NO_UNITS, NOBODY)

    def inherited(self, haploid: Mask, single: bool) -> PackedBlock:
        """See :meth:`Block.inherited`."""
        out = PackedBlock(self._read, self.n_people)
        out._haploid = haploid
        out._called = without_het_calls(self._read, haploid)
        # alleles are counted as the file has them; the tests see copies
        out._tested = one_copy(out._called, haploid) if single else out._called
        return out

    def haploid_hets(self, mask: Mask) -> int:
        """See :meth:`Block.haploid_hets`."""
        if self._haploid is None:
            return 0
        return int(count_genotypes(self._read, (mask & self._haploid).packed)[:, 1].sum())

    def calls(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.calls`."""
        return self._once("calls", mask, lambda: count_genotypes(self._called, mask.packed))

    def observed(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.observed`."""
        return self._once("observed", mask, lambda: self.calls(mask)[:, :3].sum(axis=1))

    def missing(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.missing`."""
        return self.calls(mask)[:, 3]

    def alleles(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Block.alleles`."""
        return self._once("alleles", mask, lambda: self._alleles(mask))

    def _alleles(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        count = self.calls(mask)
        alleles = 2.0 * count[:, 0] + count[:, 1]
        chromosomes = 2.0 * self.observed(mask)
        if self._haploid is not None:
            single = self.calls(mask & self._haploid)
            alleles -= single[:, 0]
            chromosomes -= single[:, :3].sum(axis=1)
        return alleles, chromosomes

    def _copies(self, mask: Mask) -> np.ndarray:
        """Count the people of a mask by the copies that the tests see: int64, variants x 3 (two, one, none)."""
        return self._once("copies", mask, lambda: self._count_copies(mask))

    def _count_copies(self, mask: Mask) -> np.ndarray:
        count = self.calls(mask)[:, :3]
        if self._tested is self._called:
            return count
        count, single = count.copy(), self.calls(mask & self._haploid)[:, 0]
        count[:, 0] -= single
        count[:, 1] += single
        return count

    def moments(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Block.moments`."""
        return self._once("moments", mask, lambda: self._moments(mask))

    def _moments(self, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
        two, one, _ = self._copies(mask).T
        observed = self.observed(mask)
        mean = (2.0 * two + one) / np.maximum(observed, 1)
        return mean, one + 4.0 * two - observed * mean**2

    def information(self, mask: Mask) -> np.ndarray:
        """See :meth:`Block.information`."""
        return np.ones(self.n_variants)

    def multiply(self, columns: Columns, mask: Mask, squared: bool = False) -> np.ndarray:
        """See :meth:`Block.multiply`: rare variants by their carriers, the others by tiles."""
        mean, _ = self.moments(mask)
        two, _, none = self._copies(mask).T
        people = len(mask)
        rare = (people - np.maximum(two, none)) * RARE < people
        if not rare.any():
            return multiply(self.stored, mean, columns.tiles, squared)
        out = np.zeros((self.n_variants, columns.width))
        if columns.width:
            dense, rows = np.flatnonzero(~rare), np.flatnonzero(rare)
            out[dense] = multiply(self.stored, mean, columns.tiles, squared, dense)
            common = none[rows] >= two[rows]
            multiply_rare(self._tested, rows, common, mean, *columns.by_person(), out, squared)
        return out

    def carriers(
        self, v: int, mask: Mask, row_of: np.ndarray, drop: bool, most: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """See :meth:`Block.carriers`."""
        two, _, none = self._copies(mask)[v]
        mean, _ = self.moments(mask)
        return carriers(self._tested[v], self.n_people, row_of, bool(none >= two), mean[v], drop, most)

    def dosages(self, rows: np.ndarray, people: np.ndarray) -> np.ndarray:
        """See :meth:`Block.dosages`."""
        # `take`, not an index: rows then lie in memory as rows, and sums over them do not depend on how many there are
        return np.take(decode(self._tested[rows], self.n_people, dtype=np.float64), people, axis=1)


def without_het_calls(packed: np.ndarray, mask: Mask) -> np.ndarray:
    """Turn the heterozygous calls of the people of a mask into missing ones: they are haploid there."""
    low, high = packed & 0x55, (packed >> 1) & 0x55
    het = high & ~low & (mask.packed & 0x55)
    return packed ^ (het | het << 1)


def one_copy(packed: np.ndarray, mask: Mask) -> np.ndarray:
    """Count one copy, not two, of a homozygous A1 genotype of the people of a mask, by the heterozygous code."""
    low, high = packed & 0x55, (packed >> 1) & 0x55
    two = ~(low | high) & (mask.packed & 0x55)
    return packed | two << 1

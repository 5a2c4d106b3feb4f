"""Squared correlations between the hard calls of variants, from counts of bits: exact, whoever is missing."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.block import Mask, without_het_calls
from deepnull_gwas.genotypes.chromosomes import CLASSES
from deepnull_gwas.genotypes.kernels import popcount, select_people
from deepnull_gwas.genotypes.variant_planes import padded_lanes, variant_planes, words_of_people
from deepnull_gwas.jit import numba

#: Bytes of packed genotypes that are read at a time.
BYTES_AT_A_TIME = 16 << 20
#: Low bit of each lane: the code of a missing call.
_MISSING = np.uint8(0x55)


@numba.njit(nogil=True, cache=True)
def _correlate(first, second, complete, n_people, out):
    """Fill out[i, j] with the squared correlation over the people called in both; NaN where one does not vary there.

    ``first``, ``second``: planes of both sets of variants. ``complete``: bool, one per variant of each: whether
    everybody is called, so that there is less to count.
    """
    (called_i, hom_i, minus_i), (called_j, hom_j, minus_j) = first, second
    complete_i, complete_j = complete
    for j in range(hom_j.shape[0]):
        for i in range(hom_i.shape[0]):
            both, unlike = np.uint64(0), np.uint64(0)
            n, a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            if complete_i[i] and complete_j[j]:
                n = np.uint64(n_people)
                for w in range(hom_i.shape[1]):
                    h = hom_i[i, w] & hom_j[j, w]
                    both += popcount(h)
                    unlike += popcount(h & (minus_i[i, w] ^ minus_j[j, w]))
                    a += popcount(hom_i[i, w])
                    b += popcount(minus_i[i, w])
                    c += popcount(hom_j[j, w])
                    d += popcount(minus_j[j, w])
            else:
                for w in range(hom_i.shape[1]):
                    h = hom_i[i, w] & hom_j[j, w]
                    both += popcount(h)
                    unlike += popcount(h & (minus_i[i, w] ^ minus_j[j, w]))
                    n += popcount(called_i[i, w] & called_j[j, w])
                    a += popcount(hom_i[i, w] & called_j[j, w])
                    b += popcount(minus_i[i, w] & called_j[j, w])
                    c += popcount(hom_j[j, w] & called_i[i, w])
                    d += popcount(minus_j[j, w] & called_i[i, w])
            people = float(n)
            dot = float(np.int64(both) - 2 * np.int64(unlike))
            sum_i, sum_j = float(np.int64(a) - 2 * np.int64(b)), float(np.int64(c) - 2 * np.int64(d))
            covariance = people * dot - sum_i * sum_j
            variance_i, variance_j = people * float(a) - sum_i * sum_i, people * float(c) - sum_j * sum_j
            if variance_i > 0.0 and variance_j > 0.0:
                out[i, j] = covariance * covariance / (variance_i * variance_j)
            else:
                out[i, j] = np.nan


def inherited_calls(packed: np.ndarray, classes: np.ndarray, sex: np.ndarray) -> np.ndarray:
    """Return packed hard calls as the tests take them on the chromosomes of their variants.

    Parameters
    ----------
    packed
        uint8, variants x bytes of all people; not changed.
    classes
        int8, one per variant, index into :data:`~deepnull_gwas.genotypes.chromosomes.CLASSES`.
    sex
        int8, one per person: 1 male, 2 female, 0 unknown.

    Returns
    -------
    The calls with those missing that no test uses: on X people whose sex is not known, on Y all but men; and
    heterozygous calls of people who have one copy (men on X and Y, everybody on MT). Men's other calls on X stay what
    they are, 0 or 2 copies.
    """
    out = packed
    for code, name in enumerate(CLASSES[1:], 1):
        rows = np.flatnonzero(classes == code)
        if not len(rows):
            continue
        out = out.copy() if out is packed else out
        haploid = Mask.of(np.ones(len(sex), dtype=bool) if name == "MT" else sex == 1)
        own = without_het_calls(out[rows], haploid)
        if name != "MT":
            left_out = Mask.of(sex == 0 if name == "X" else sex != 1).packed
            own = (own & ~left_out) | (left_out & _MISSING)
        out[rows] = own
    return out


def squared_correlations(
    genotypes: Genotypes,
    index: np.ndarray,
    references: np.ndarray,
    people: np.ndarray,
    classes: np.ndarray,
    sex: np.ndarray,
) -> np.ndarray:
    """Return the squared correlations of some variants' hard calls with those of reference variants among them.

    Parameters
    ----------
    genotypes
        Of the cohort.
    index
        int64[m], variants.
    references
        Rows of ``index`` that are the references.
    people
        Numbers of the people among whom, in the genotype files.
    classes, sex
        Of the variants and of all people, see :func:`inherited_calls`.

    Returns
    -------
    float64, references x m: Pearson's correlation of the counts of effect alleles over the people called in both,
    squared, as PLINK's ``--r2`` of unphased genotypes; NaN where either does not vary among them.
    """
    out = np.empty((len(references), len(index)))
    n_words, lanes = words_of_people(len(people)), padded_lanes(np.ones(len(people), dtype=bool))

    def planes_of(rows: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        packed = inherited_calls(genotypes.calls(index[rows]), classes[rows], sex)
        planes = tuple(np.empty((len(rows), n_words), dtype=np.uint64) for _ in range(3))
        sums = np.empty((len(rows), 3), dtype=np.int64)
        variant_planes(select_people(packed, people, n_words), lanes, planes, sums)
        return planes, sums[:, 0] == len(people)

    first, complete = planes_of(np.asarray(references, dtype=np.int64))
    # of dosages that are decoded a block holds eight times as much as the calls that come of it
    size = max(BYTES_AT_A_TIME // (genotypes.bytes_per_variant * (8 if genotypes.has_dosages else 1)), 16)
    for start in range(0, len(index), size):
        rows = np.arange(start, min(start + size, len(index)))
        second, whole = planes_of(rows)
        part = np.empty((len(references), len(rows)))
        _correlate(first, second, (complete, whole), len(people), part)
        out[:, rows] = part
    return out

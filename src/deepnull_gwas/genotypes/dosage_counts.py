"""Counts of imputed genotypes: of hard calls, of what is in the file, and exact sums of dosages.

A genotype whose dosage is far from every whole number has no hard call, but it is not missing: it is *uncertain*.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_missing_and_het
from deepnull_gwas.genotypes.dosage import MISSING, SQUARES, TOTAL, Dosages
from deepnull_gwas.genotypes.kernels import count_genotypes, pack_mask
from deepnull_gwas.jit import numba

#: What is counted of a variant, in the order of the last axis of :func:`count_imputed`.
COUNTED = ("hom_effect", "het", "hom_other", "no_call", "exact_het", "absent", "total", "squares")
HOM_EFFECT, HET, HOM_OTHER, NO_CALL, EXACT_HET, ABSENT, DOSAGES, SQUARED = range(len(COUNTED))
#: Genotypes that are decoded at a time, of two bytes each.
DECODED_AT_ONCE = 8 << 20


@numba.njit(nogil=True, cache=True)
def _pack_presence(values, denominators, out):
    n = values.shape[1]
    for v in range(values.shape[0]):
        one = denominators[v]
        for b in range((n + 3) // 4):
            byte = 0
            for k in range(min(4, n - 4 * b)):
                value = values[v, 4 * b + k]
                byte |= (1 if value == MISSING else (2 if value == one else 3)) << (2 * k)
            out[v, b] = byte


def pack_presence(dosages: Dosages) -> np.ndarray:
    """Pack whether people have a dosage: 01 where none is in the file, 10 where it is exactly one copy, else 11.

    Returns
    -------
    uint8, variants x ``ceil(people / 4)``, in the order of packed hard calls; padding 00.
    """
    variants, people = dosages.values.shape
    out = np.empty((variants, (people + 3) // 4), dtype=np.uint8)
    _pack_presence(dosages.values, dosages.denominator, out)
    return out


def count_imputed(
    genotypes: Genotypes, index: np.ndarray, masks: Sequence[np.ndarray], by_person: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Count the genotypes of variants with dosages among the people of several masks.

    Parameters
    ----------
    genotypes
        Of a format with dosages.
    index
        Ascending indices of variants.
    masks
        bool, one per person each.
    by_person
        int64, 3 x people, to which what each person has is added: genotypes without a hard call, heterozygous hard
        calls, and genotypes that are not in the file.

    Returns
    -------
    int64, masks x variants x 8: hard calls (:meth:`Genotypes.calls_beside`) by kind and people without one;
    dosages of exactly one copy, people without a dosage, and the sums of dosages and of their squares, in units of 1 /
    denominator and its square; and the denominators, int32, one per variant.
    """
    index = np.asarray(index, dtype=np.int64)
    out = np.zeros((len(masks), len(index), len(COUNTED)), dtype=np.int64)
    denominator = np.ones(len(index), dtype=np.int32)
    lanes, chosen = [pack_mask(m) for m in masks], np.array(masks, dtype=bool) if len(masks) else None
    size = max(1, DECODED_AT_ONCE // max(genotypes.n_samples, 1))
    for first in range(0, len(index), size):
        at = slice(first, first + size)
        dosages = genotypes.dosages(index[at], chosen)
        calls, present = genotypes.calls_beside(index[at], dosages), pack_presence(dosages)
        denominator[at] = dosages.denominator
        for m, lane in enumerate(lanes):
            out[m, at, :4] = count_genotypes(calls, lane)
            out[m, at, EXACT_HET : ABSENT + 1] = count_genotypes(present, lane)[:, [1, 3]]
            out[m, at, DOSAGES], out[m, at, SQUARED] = dosages.sums[:, m, TOTAL], dosages.sums[:, m, SQUARES]
        if by_person is not None:
            count_missing_and_het(calls, by_person[0], by_person[1])
            count_missing_and_het(present, by_person[2], np.zeros_like(by_person[2]))
    return out, denominator

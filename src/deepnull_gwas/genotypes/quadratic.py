"""Quadratic forms of genotypes over clusters of people: what relatives add to the length of a genotype vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.genotypes.tiles import LANES, load_person, load_person_of_dosages, load_table
from deepnull_gwas.jit import FAST, numba


@dataclass(frozen=True)
class QuadraticForm:
    """A symmetric matrix over people that is zero between people of different clusters.

    Attributes
    ----------
    people
        int64[k], people of the cohort, cluster after cluster; nobody else has a row.
    start
        int64[clusters + 1], where each cluster begins.
    weights
        float64, the lower triangle of each cluster's matrix, row by row with the diagonal; twice the elements off it.
    """

    people: np.ndarray
    start: np.ndarray
    weights: np.ndarray


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _quadratic(stored, centre, form, buffer, table, out):
    # what is stored is taken apart once, not for every person
    packed, values, units, halved = stored
    people, start, weights = form
    n, hard = len(centre), packed.shape[0] > 0
    for first in range(0, n, LANES):
        load_table(centre, first, table)
        # numbers of their own, not an array: they then stay in registers
        t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = 0.0
        at = 0
        for c in range(len(start) - 1):
            begin, size = start[c], start[c + 1] - start[c]
            for i in range(size):
                if hard:
                    load_person(packed, first, n - 1, people[begin + i], table, buffer, i)
                else:
                    load_person_of_dosages(values, units, halved, first, n - 1, people[begin + i], table, buffer, i)
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
                for j in range(i + 1):
                    w = weights[at + j]
                    s0 += w * buffer[j, 0]
                    s1 += w * buffer[j, 1]
                    s2 += w * buffer[j, 2]
                    s3 += w * buffer[j, 3]
                    s4 += w * buffer[j, 4]
                    s5 += w * buffer[j, 5]
                    s6 += w * buffer[j, 6]
                    s7 += w * buffer[j, 7]
                t0 += s0 * buffer[i, 0]
                t1 += s1 * buffer[i, 1]
                t2 += s2 * buffer[i, 2]
                t3 += s3 * buffer[i, 3]
                t4 += s4 * buffer[i, 4]
                t5 += s5 * buffer[i, 5]
                t6 += s6 * buffer[i, 6]
                t7 += s7 * buffer[i, 7]
                at += i + 1
        totals = (t0, t1, t2, t3, t4, t5, t6, t7)
        for k in range(min(LANES, n - first)):
            out[first + k] = totals[k]


def quadratic(stored: tuple[np.ndarray, ...], centre: np.ndarray, form: QuadraticForm) -> np.ndarray:
    """Return the quadratic form of each variant's centred genotypes: float64[variants].

    Parameters
    ----------
    stored
        Genotypes as a block stores them (:attr:`deepnull_gwas.genotypes.block.Block.stored`).
    centre
        float64[variants], subtracted from each dosage of A1; a missing call counts as this value.
    form
        The matrix. All sums are in float64, and a variant's does not depend on its neighbours.
    """
    out = np.zeros(len(centre))
    largest = max(int(np.diff(form.start).max(initial=0)), 1)
    given = form.people, form.start, form.weights
    buffer, table = np.zeros((largest, LANES)), np.zeros((LANES, 4))
    _quadratic(stored, np.ascontiguousarray(centre), given, buffer, table, out)
    return out

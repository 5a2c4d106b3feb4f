"""Quadratic forms of genotypes over clusters of people: what relatives add to the length of a genotype vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.genotypes.tiles import load_person
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
def _quadratic(stored, centre, people, start, weights, buffer, out):
    for v in range(len(centre)):
        total = 0.0
        at = 0
        for c in range(len(start) - 1):
            first, size = start[c], start[c + 1] - start[c]
            for i in range(size):
                buffer[i] = load_person(stored, v, people[first + i], centre[v])
            for i in range(size):
                row = 0.0
                for j in range(i + 1):
                    row += weights[at + j] * buffer[j]
                total += row * buffer[i]
                at += i + 1
        out[v] = total


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
    largest = int(np.diff(form.start).max(initial=0))
    _quadratic(
        stored, np.ascontiguousarray(centre), form.people, form.start, form.weights, np.zeros(max(largest, 1)), out
    )
    return out

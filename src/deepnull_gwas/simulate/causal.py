"""Causal variants of simulated phenotypes, and the ancestry axis of their stratification."""

from __future__ import annotations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.simulate.covariates import standard

#: Causal variants are at least this common, this far apart (bp) where there is room, and called this well.
CAUSAL_MAF = 0.05
CAUSAL_SPACING = 1_000_000
CAUSAL_CALL_RATE = 0.97

#: Variants behind the ancestry axis of the stratification.
ANCESTRY_VARIANTS = 1_500


def choose_causal(
    variants: pd.DataFrame, counts: np.ndarray, number: int, rng: np.random.Generator, where: str = "simulate"
) -> np.ndarray:
    """Choose causal variants: common, well called, near Hardy-Weinberg proportions, spaced apart, one on X at least.

    Parameters
    ----------
    variants
        chromosome and position of the variants.
    counts
        int64, variants x 4: homozygous A1, heterozygous, homozygous A2, missing.
    number
        How many.
    rng
        Generator.
    where
        Opens the error message.

    Returns
    -------
    int64 rows of ``variants``, ascending. They lie 1 Mb apart; where that leaves too few, the distance is halved.

    Raises
    ------
    InputError
        When fewer variants than that qualify at all.
    """
    called = np.maximum(counts[:, :3].sum(axis=1), 1)
    frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * called)
    maf = np.minimum(frequency, 1 - frequency)
    het = counts[:, 1] / called / np.maximum(2 * frequency * (1 - frequency), 1e-9)
    x = (variants["chromosome"] == "X").to_numpy()
    tolerance = np.maximum(0.15, 5 / np.sqrt(called))  # calls lost to a failed assay take 60 % of the heterozygotes
    good = (maf > CAUSAL_MAF) & (called / counts.sum(axis=1) >= CAUSAL_CALL_RATE) & (x | (np.abs(het - 1) < tolerance))
    candidates = np.flatnonzero(good)
    if len(candidates) < number:
        raise InputError(
            f"{where}: {number} causal variants asked for, but only {len(candidates)} variants are well called "
            f"and have MAF > {CAUSAL_MAF:g}; ask for fewer, or simulate more variants"
        )
    order = rng.permutation(candidates)
    if number >= 2 and x[candidates].any():
        first = order[x[order]][0]
        order = np.concatenate([[first], order[order != first]])
    chromosome, position = variants["chromosome"].to_numpy(), variants["position"].to_numpy()
    spacing = CAUSAL_SPACING
    while True:
        taken: dict[str, list[int]] = {}
        chosen: list[int] = []
        for row in order:
            if len(chosen) == number:
                break
            near = taken.setdefault(chromosome[row], [])
            if all(abs(position[row] - p) >= spacing for p in near):
                near.append(position[row])
                chosen.append(row)
        if len(chosen) == number:
            return np.sort(np.array(chosen, dtype=np.int64))
        spacing //= 2


def imputed_dosages(fileset: Genotypes, rows: np.ndarray) -> np.ndarray:
    """Decode these variants to float64, variants x people; a missing call becomes the variant's mean."""
    dosages = kernels.decode(np.ascontiguousarray(fileset.calls(rows)), fileset.n_samples).astype(np.float64)
    mean = np.nanmean(dosages, axis=1, keepdims=True)
    return np.where(np.isnan(dosages), mean, dosages)


def ancestry_axis(fileset: Genotypes, variants: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Compute a standardised ancestry score for each person: first plus half the second principal component.

    Of up to 1,500 evenly spread common autosomal variants, from their variants x variants covariance, so that the
    cost does not grow with the square of the people.
    """
    called = np.maximum(counts[:, :3].sum(axis=1), 1)
    frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * called)
    usable = (np.minimum(frequency, 1 - frequency) > 0.05) & (called / counts.sum(axis=1) > 0.97)
    rows = np.flatnonzero(usable & (variants["chromosome"] != "X").to_numpy())
    if len(rows) == 0:  # a cohort of X only
        rows = np.flatnonzero(usable)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ANCESTRY_VARIANTS)).astype(int))]
    genotypes = imputed_dosages(fileset, rows)
    genotypes -= genotypes.mean(axis=1, keepdims=True)
    genotypes /= genotypes.std(axis=1, keepdims=True)
    with threadpool_limits(1):  # the same sums in the same order on any machine
        _, vectors = np.linalg.eigh(genotypes @ genotypes.T)
        score = np.zeros(genotypes.shape[1])
        for k, weight in ((-1, 1.0), (-2, 0.5)):
            if -k > vectors.shape[1]:
                break
            loading = vectors[:, k]
            loading = loading * np.sign(loading[np.argmax(np.abs(loading))])
            score += weight * standard(loading @ genotypes)
    return standard(score)

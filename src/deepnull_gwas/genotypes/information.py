"""How well variants are imputed: the IMPUTE information and MaCH's r2, from exact sums, on X by sex.

Both compare a variance with the one that people in Hardy-Weinberg equilibrium would have. On a chromosome of which
males have one copy their dosages are on the 0-2 scale all the same; a male's genotype then has the variance 4 p (1 -
p), a female's 2 p (1 - p).
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.dosage import CALLED, EXACT, SQUARES, TOTAL, VARIANCE


def allele_frequency(
    diploid: np.ndarray, haploid: np.ndarray | None, denominator: np.ndarray, column: int = TOTAL
) -> np.ndarray:
    """Compute the frequency of the effect allele among the copies that people have.

    Parameters
    ----------
    diploid, haploid
        int64, variants x 5: sums (:class:`~deepnull_gwas.genotypes.dosage.Dosages`) over people with two copies, and
        over those with one (None where everybody has two).
    denominator
        Of the dosages, one per variant.
    column
        Which sums of dosages to take, ``TOTAL`` or ``EXACT``.

    Returns
    -------
    float64, one per variant, NaN where nobody is called.
    """
    copies = 2.0 * diploid[:, CALLED]
    alleles = diploid[:, column].astype(np.float64)
    if haploid is not None:
        copies += haploid[:, CALLED]
        alleles += haploid[:, column] / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return alleles / denominator / copies


def _expected_variance(diploid: np.ndarray, haploid: np.ndarray | None, frequency: np.ndarray) -> np.ndarray:
    """Compute the sum of people's variances in Hardy-Weinberg equilibrium; NaN where the variant does not vary."""
    copies = 2.0 * diploid[:, CALLED]
    if haploid is not None:
        copies += 4.0 * haploid[:, CALLED]
    expected = copies * frequency * (1 - frequency)
    return np.where(expected > 0, expected, np.nan)


def impute_information(
    diploid: np.ndarray, variance_denominator: np.ndarray, haploid: np.ndarray | None = None
) -> np.ndarray:
    """Compute the IMPUTE information of genotype probabilities.

    1 minus the sum of the variances of people's genotypes given their probabilities, over that expected in
    Hardy-Weinberg equilibrium (Marchini and Howie, Nature Reviews Genetics 2010, supplement, there I_A).

    Parameters
    ----------
    diploid, haploid
        As in :func:`allele_frequency`.
    variance_denominator
        Of the sums of variances, one per variant.

    Returns
    -------
    float64, one per variant, at most 1; NaN where the variant does not vary, or nobody is called.
    """
    frequency = allele_frequency(diploid, haploid, np.sqrt(variance_denominator), EXACT)
    variance = diploid[:, VARIANCE].astype(np.float64)
    if haploid is not None:
        variance += haploid[:, VARIANCE]
    return 1 - variance / variance_denominator / _expected_variance(diploid, haploid, frequency)


def mach_r2(diploid: np.ndarray, denominator: np.ndarray, haploid: np.ndarray | None = None) -> np.ndarray:
    """Compute MaCH's r2 of dosages: their variance, over that of genotypes in Hardy-Weinberg equilibrium; it can exceed
    1.

    Parameters
    ----------
    diploid, haploid, denominator
        As in :func:`allele_frequency`.

    Returns
    -------
    float64, one per variant; NaN where the variant does not vary, or nobody is called.
    """
    frequency = allele_frequency(diploid, haploid, denominator)
    called, total, squares = (diploid[:, k].astype(np.float64) for k in (CALLED, TOTAL, SQUARES))
    if haploid is not None:
        called += haploid[:, CALLED]
        total += haploid[:, TOTAL]
        squares += haploid[:, SQUARES]
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = (squares - total * (total / called)) / np.asarray(denominator, dtype=np.float64) ** 2
    return observed / _expected_variance(diploid, haploid, frequency)

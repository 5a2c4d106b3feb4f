"""Measures of imputed variants, from counts of their dosages and hard calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import CLASSES
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.genotypes.dosage import CALLED, SQUARES, TOTAL
from deepnull_gwas.genotypes.dosage_counts import (
    ABSENT,
    DOSAGES,
    EXACT_HET,
    HET,
    HOM_EFFECT,
    HOM_OTHER,
    SQUARED,
)
from deepnull_gwas.genotypes.information import mach_r2
from deepnull_gwas.tables import Column

IMPUTED_VARIANTS = [
    Column("uncertain", "int64", "people with a dosage but without a hard call; they are not missing"),
    Column("info", "float64", "MaCH's r2 of the dosages; missing where the variant does not vary", nullable=True),
]


def imputed_measures(
    all_people: np.ndarray, males: np.ndarray, females: np.ndarray, denominator: np.ndarray, classes: np.ndarray
) -> pd.DataFrame:
    """Turn counts of dosages into measures, with the rules for haploid people.

    Parameters
    ----------
    all_people, males, females
        Counts, variants x 8 (:func:`~deepnull_gwas.genotypes.dosage_counts.count_imputed`).
    denominator
        Of the sums of dosages, one per variant.
    classes
        Index into :data:`CLASSES`, one per variant.

    Returns
    -------
    Columns hom_effect .. hwe_p of :data:`~deepnull_gwas.cohort.qc_measures.QC_VARIANTS`, those of
    :data:`IMPUTED_VARIANTS`, and ``expected_het``: the share of heterozygous among the hard calls of people with two
    copies (where there are none, 2p(1-p)).

    Notes
    -----
    Missing is what is not in the file: an uncertain genotype is one. Frequency and count are those of the dosages (the
    count rounded down to whole copies), Hardy-Weinberg is that of hard calls. Who has one copy:
    :func:`~deepnull_gwas.cohort.qc_measures.variant_measures`; a dosage of exactly one of two copies is a heterozygous
    call there.
    """
    x, y, mt = (classes == CLASSES.index(c) for c in ("x", "y", "mt"))
    none = np.zeros_like(all_people)
    haploid = np.where(x[:, None] | y[:, None], males, np.where(mt[:, None], all_people, none))
    diploid = np.where(y[:, None] | mt[:, None], 0, all_people - np.where(x[:, None], males, 0))
    people = [part[:, : HOM_OTHER + 2].sum(axis=1) for part in (diploid, haploid)]
    het_haploid = haploid[:, EXACT_HET]
    called = [people[0] - diploid[:, ABSENT], people[1] - haploid[:, ABSENT] - het_haploid]
    missing = people[0] + people[1] - called[0] - called[1]
    sums = [_sums(diploid, called[0], denominator, 0), _sums(haploid, called[1], denominator, het_haploid)]
    hom_effect, hom_other = (diploid[:, k] + haploid[:, k] for k in (HOM_EFFECT, HOM_OTHER))
    copies = 2 * called[0] + called[1]
    copies_effect = (2 * sums[0][:, TOTAL] + sums[1][:, TOTAL]) / (2 * denominator)
    for_hwe = np.where(x[:, None], females, diploid)
    hard = diploid[:, : HOM_OTHER + 1].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = people[0] + people[1]
        call_rate = np.where(expected > 0, (expected - missing) / expected, np.nan)
        frequency = np.where(copies > 0, copies_effect / copies, np.nan)
        het_share = np.where(hard > 0, diploid[:, HET] / hard, 2 * frequency * (1 - frequency))
    hwe_p = hwe_exact(for_hwe[:, HET], for_hwe[:, HOM_EFFECT], for_hwe[:, HOM_OTHER])
    hwe_p[y | mt] = np.nan
    return pd.DataFrame(
        {
            "hom_effect": hom_effect, "het": diploid[:, HET], "hom_other": hom_other, "missing": missing,
            "het_haploid": het_haploid, "call_rate": call_rate, "effect_allele_frequency": frequency,
            "mac": np.floor(np.minimum(copies_effect, copies - copies_effect)).astype(np.int64), "hwe_p": hwe_p,
            "uncertain": called[0] + called[1] - hom_effect - hom_other - diploid[:, HET],
            "info": mach_r2(sums[0], denominator, sums[1]), "expected_het": het_share,
        }
    )  # fmt: skip


def _sums(part: np.ndarray, called: np.ndarray, denominator: np.ndarray, hets: np.ndarray | int) -> np.ndarray:
    """Return sums as :func:`~deepnull_gwas.genotypes.information.mach_r2` takes them, without ``hets`` dosages of one
    copy."""
    out = np.zeros((len(part), 5), dtype=np.int64)
    one = denominator.astype(np.int64)
    out[:, CALLED] = called
    out[:, TOTAL] = part[:, DOSAGES] - hets * one
    out[:, SQUARES] = part[:, SQUARED] - hets * one * one
    return out


def imputed_by_parts(by_group: Sequence[np.ndarray], denominator: np.ndarray, classes: np.ndarray, size: int):
    """Compute :func:`imputed_measures` some variants at a time, as these need several times the memory of the result.

    Parameters
    ----------
    by_group
        Counts of everybody, of males and of females.
    denominator, classes
        As there.
    size
        Variants at a time.
    """
    parts = [slice(first, first + size) for first in range(0, max(len(classes), 1), size)]
    return pd.concat(
        [imputed_measures(*(g[p] for g in by_group), denominator[p], classes[p]) for p in parts], ignore_index=True
    )

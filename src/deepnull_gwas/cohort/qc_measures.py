"""Measures of variants and of people, from counts of their genotypes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import CLASSES, IMPUTED_PERSON_COUNTS, PERSON_COUNTS
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.cohort.qc_dosages import imputed_by_parts
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_missing_and_het, weigh_missing
from deepnull_gwas.genotypes.dosage_counts import count_imputed
from deepnull_gwas.tables import Column, read_metadata, read_parquet

#: Variants whose measures are computed at a time.
_MEASURED = 1 << 18
#: Bytes of genotypes that are read at a time.
_READ_BYTES = 32 << 20
#: Fewer variants on X say too little of anybody's sex.
LEAST_X = 20

QC_VARIANTS = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    Column("hom_effect", "int64", "people homozygous for the effect allele (haploid: people who carry it)"),
    Column("het", "int64", "heterozygous people, where two copies are expected"),
    Column("hom_other", "int64", "people homozygous for the other allele"),
    Column("missing", "int64", "people without a call; heterozygous calls of haploid people are among them"),
    Column("het_haploid", "int64", "heterozygous calls where one copy is expected (males on X and Y, everybody on MT)"),
    Column(
        "call_rate",
        "float64",
        "called / expected people (on Y: recorded males); missing where nobody is expected",
        nullable=True,
    ),
    Column(
        "effect_allele_frequency", "float64", "haploid people count one copy; missing without any call", nullable=True
    ),
    Column("mac", "int64", "copies of the rarer allele"),
    Column("hwe_p", "float64", "exact Hardy-Weinberg p (on X: recorded females); missing on Y and MT", nullable=True),
    Column("passed", "bool", "whether the variant passed every filter"),
    Column("filter", "str", "the first filter that it failed, by its step in flow.tsv; empty where it passed"),
    Column("reason", "str", "the same in words, with its value; empty where it passed"),
]
QC_SAMPLES = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
    Column("recorded_sex", "int8", "1 male, 2 female, 0 unknown"),
    Column("missing", "int64", "missing calls on the autosomal variants that passed the first call-rate filter"),
    Column("call_rate", "float64", "called / those variants; missing where there are none", nullable=True),
    Column("heterozygosity", "float64", "heterozygous / called on those variants", nullable=True),
    Column(
        "heterozygosity_f",
        "float64",
        "(observed - expected) / (called - expected) homozygous calls on those variants: high after inbreeding or "
        "allelic drop-out, low after contamination; missing where nothing is polymorphic",
        nullable=True,
    ),
    Column("x_f", "float64", "the same on X outside the PARs: near 1 in males, near 0 in females", nullable=True),
    Column(
        "y_call_rate", "float64", "called / variants on Y that males are called at; missing without such", nullable=True
    ),
    Column("inferred_sex", "int8", "1 male, 2 female by x_f; 0 unclear, or too few variants on X"),
    Column(
        "sex", "int8", "the sex that the tests use: the recorded one, or (infer_sex) the inferred one where none is"
    ),
    Column("passed", "bool", "whether the person passed every filter"),
    Column("filter", "str", "the first filter that the person failed, by its step in flow.tsv; empty where passed"),
    Column("reason", "str", "the same in words, with its value; empty where passed"),
]


def variant_measures(
    all_people: np.ndarray, males: np.ndarray, females: np.ndarray, classes: np.ndarray
) -> pd.DataFrame:
    """Turn counts into measures, with the rules for haploid people.

    Parameters
    ----------
    all_people, males, females
        Counts, variants x 4: homozygous effect allele, heterozygous, homozygous other allele, missing.
    classes
        Index into :data:`CLASSES`, one per variant.

    Returns
    -------
    Columns hom_effect .. hwe_p of :data:`QC_VARIANTS`.

    Notes
    -----
    On X a recorded male has one copy and everybody else two (as PLINK 2 does); on Y only recorded males count; MT is
    haploid. A heterozygous call of a haploid person counts as missing. Hardy-Weinberg on X uses recorded females (as
    PLINK 1.9 does).
    """
    x, y, mt = (classes == CLASSES.index(c) for c in ("x", "y", "mt"))
    none = np.zeros_like(all_people)
    haploid = np.where(x[:, None] | y[:, None], males, np.where(mt[:, None], all_people, none))
    diploid = np.where(y[:, None] | mt[:, None], 0, all_people - np.where(x[:, None], males, 0))
    het_haploid = haploid[:, 1]
    calls = haploid[:, [0, 2]] + diploid[:, [0, 2]]
    missing = haploid[:, 3] + het_haploid + diploid[:, 3]
    expected = haploid.sum(axis=1) + diploid.sum(axis=1)
    copies_effect = haploid[:, 0] + 2 * diploid[:, 0] + diploid[:, 1]
    copies = haploid[:, 0] + haploid[:, 2] + 2 * diploid[:, :3].sum(axis=1)
    for_hwe = np.where(x[:, None], females, diploid)
    with np.errstate(invalid="ignore", divide="ignore"):
        call_rate = np.where(expected > 0, (expected - missing) / expected, np.nan)
        frequency = np.where(copies > 0, copies_effect / copies, np.nan)
    hwe_p = hwe_exact(for_hwe[:, 1], for_hwe[:, 0], for_hwe[:, 2])
    hwe_p[y | mt] = np.nan
    return pd.DataFrame(
        {
            "hom_effect": calls[:, 0], "het": diploid[:, 1], "hom_other": calls[:, 1], "missing": missing,
            "het_haploid": het_haploid, "call_rate": call_rate, "effect_allele_frequency": frequency,
            "mac": np.minimum(copies_effect, copies - copies_effect), "hwe_p": hwe_p,
        }
    )  # fmt: skip


def measures_by_parts(
    by_mask: Sequence[np.ndarray], classes: np.ndarray, denominator: np.ndarray | None = None
) -> pd.DataFrame:
    """Compute :func:`variant_measures` some variants at a time: it needs three times the memory of what comes out.

    With a denominator, the counts are those of dosages
    (:func:`~deepnull_gwas.cohort.qc_dosages.imputed_measures`).
    """
    if denominator is not None:
        return imputed_by_parts(by_mask, denominator, classes, _MEASURED)
    starts = range(0, max(len(classes), 1), _MEASURED)
    parts = [slice(first, first + _MEASURED) for first in starts]
    return pd.concat(
        [variant_measures(*(m[part] for m in by_mask), classes[part]) for part in parts], ignore_index=True
    )


def _counts_over_passed(
    fileset: Genotypes, sample_counts: Sequence[str | Path], classes: np.ndarray, passed: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Count each person's missing and heterozygous calls over the variants that passed so far.

    Returns
    -------
    int64, 3 x people, of each class: without a hard call, heterozygous, missing in the file; and the number of variants
    of each class.
    """
    n, imputed = fileset.n_samples, fileset.has_dosages
    # the counts of the chunks are over all variants: what did not pass is counted again and taken off, since it is
    # usually little
    of_class = {name: np.zeros((3, n), dtype=np.int64) for name in CLASSES}
    total = dict.fromkeys(CLASSES, 0)
    for file in sample_counts:
        frame = read_parquet(file, IMPUTED_PERSON_COUNTS if imputed else PERSON_COUNTS)
        for name in CLASSES:
            absent = f"{name}_absent" if imputed else f"{name}_missing"
            of_class[name] += frame[[f"{name}_missing", f"{name}_het", absent]].to_numpy().T
            total[name] += read_metadata(file)["variants"][name]
    size = max(64, _READ_BYTES // max(fileset.bytes_per_variant, 1))
    for c, name in enumerate(CLASSES):
        failed = np.flatnonzero((classes == c) & ~passed)
        less = np.zeros((3, n), dtype=np.int64)
        if imputed:
            count_imputed(fileset, failed, [], less)
        else:
            for first in range(0, len(failed), size):
                count_missing_and_het(fileset.calls(failed[first : first + size]), *less[:2])
            less[2] = less[0]
        of_class[name] -= less
        total[name] -= len(failed)
    return of_class, total


def person_measures(
    fileset: Genotypes,
    sample_counts: Sequence[str | Path],
    classes: np.ndarray,
    passed: np.ndarray,
    expected_het: np.ndarray,
    sex_bounds: tuple[float, float] = (0.2, 0.8),
) -> tuple[pd.DataFrame, int]:
    """Measure each person over the variants that passed so far.

    Parameters
    ----------
    fileset
        The genotypes.
    sample_counts
        Counts of each person in each chunk.
    classes, passed, expected_het
        Of each variant: class, whether it counts, share of heterozygous calls that is expected.
    sex_bounds
        ``x_f`` below the first is female, above the second male.

    Returns
    -------
    Columns missing .. inferred_sex of :data:`QC_SAMPLES`; the number of autosomal variants that count.

    Notes
    -----
    F as PLINK 1.9 ``--check-sex``: expected homozygous calls are the sum of 1 - 2p(1-p) over the variants called in the
    person. Of imputed genotypes the hard calls count: heterozygous genotypes are the sooner uncertain, so that the
    share among the hard calls of people with two copies is what is expected of them.
    """
    n = fileset.n_samples
    of_class, total = _counts_over_passed(fileset, sample_counts, classes, passed)
    size = max(64, _READ_BYTES // max(fileset.bytes_per_variant, 1))

    def f_of(name: str) -> np.ndarray:
        missing, het, _ = of_class[name]
        index = np.flatnonzero((classes == CLASSES.index(name)) & passed)
        expected = 1 - np.nan_to_num(expected_het[index])
        lost = np.zeros(n)
        for first in range(0, len(index), size):
            weigh_missing(fileset.calls(index[first : first + size]), expected[first : first + size], lost)
        called = total[name] - missing
        homozygous = expected.sum() - lost
        with np.errstate(invalid="ignore", divide="ignore"):
            # without any polymorphic variant both differences are 0 up to rounding
            return np.where(called - homozygous > 1e-9, 1 - het / (called - homozygous), np.nan)

    uncalled, het, missing = of_class["autosomal"]
    considered = total["autosomal"]
    x_f = f_of("x")
    inferred = np.where(x_f < sex_bounds[0], 2, np.where(x_f > sex_bounds[1], 1, 0))
    if total["x"] < LEAST_X:
        inferred[:] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        measures = pd.DataFrame(
            {
                "missing": missing,
                "call_rate": np.where(considered > 0, 1 - missing / max(considered, 1), np.nan),
                "heterozygosity": np.where(considered > uncalled, het / (considered - uncalled), np.nan),
                "heterozygosity_f": f_of("autosomal"),
                "x_f": x_f,
                "y_call_rate": 1 - of_class["y"][2] / max(total["y"], 1) if total["y"] else np.full(n, np.nan),
                "inferred_sex": inferred.astype(np.int8),
            }
        )
    return measures, considered

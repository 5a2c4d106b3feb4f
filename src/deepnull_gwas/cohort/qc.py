"""Quality control of a cohort: measures from counts, filters, and the account of what each filter removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import (
    CLASSES,
    GENOTYPES,
    PERSON_COUNTS,
    VARIANT_COUNTS,
    chromosome_class,
    count_missing_and_het,
    count_variants,
)
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.tables import Column, read_json, read_metadata, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

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
    Column("reason", "str", "the first filter that it failed, in words; empty where it passed"),
]
QC_SAMPLES = [
    Column("sample_index", "int64", "position of the person in the .fam"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
    Column("missing", "int64", "missing calls on the autosomal variants that passed the first call-rate filter"),
    Column("call_rate", "float64", "called / those variants; missing where there are none", nullable=True),
    Column("heterozygosity", "float64", "heterozygous / called on those variants", nullable=True),
    Column("passed", "bool", "whether the person passed every filter"),
    Column("reason", "str", "the first filter that the person failed, in words; empty where passed"),
]
SETTINGS: tuple[str, ...] = ("variant_call_rate", "sample_call_rate", "maf", "mac", "hwe_p")


class Flow:
    """The account of the filters: what comes in, what each removes, what goes out, and why.

    Parameters
    ----------
    what
        For messages: the cohort's genotype index.
    sizes
        Number of ``variants`` and ``people``.

    Attributes
    ----------
    passed, reason
        For each unit, one a variant or person: bool; the first filter failed, in words (object), empty where passed.
    rows
        One a filter: step, unit, before, removed, after, rule.
    """

    def __init__(self, what: str, **sizes: int):
        self.what = what
        self.passed = {unit: np.ones(n, dtype=bool) for unit, n in sizes.items()}
        self.reason = {unit: np.full(n, "", dtype=object) for unit, n in sizes.items()}
        self.rows: list[dict[str, Any]] = []

    def apply(
        self, step: str, unit: str, fails: np.ndarray, rule: str, why: str, *values: np.ndarray, key: str | None = None
    ) -> None:
        """Remove what fails a filter and count it.

        Parameters
        ----------
        step, unit
            Name of the filter; ``variants`` or ``people``.
        fails
            bool; what failed an earlier filter is not counted again.
        rule
            What has to hold, in words, with the cut-off.
        why
            The reason in words; a template for ``values`` where given.
        values
            One array each for the places in the template.
        key
            The config key to relax, for the message.

        Raises
        ------
        InputError
            When nothing remains: the message names this filter.
        """
        passed = self.passed[unit]
        before = int(passed.sum())
        newly = np.flatnonzero(passed & fails)
        columns = [np.asarray(v)[newly] for v in values]
        self.reason[unit][newly] = [why.format(*row) for row in zip(*columns)] if columns else why
        passed[newly] = False
        after = before - len(newly)
        self.rows.append(
            {"step": step, "unit": unit, "before": before, "removed": len(newly), "after": after, "rule": rule}
        )
        logger.info("%s: %s of %s %s removed (%s)", step, f"{len(newly):,}", f"{before:,}", unit, rule)
        if after == 0:
            account = "; ".join(
                f"{r['step']} removed {r['removed']:,} of {r['before']:,}" for r in self.rows if r["unit"] == unit
            )
            raise InputError(
                f"{self.what}: no {unit} remain after the filter '{step}' ({rule}). All filters of {unit} so far: {account}. "
                + (f"Relax {key} in the config, or look at the data." if key else "Look at the data.")
            )


def variant_measures(
    all_people: np.ndarray, males: np.ndarray, females: np.ndarray, classes: np.ndarray
) -> pd.DataFrame:
    """Turn counts into measures, with the rules for haploid people.

    Parameters
    ----------
    all_people, males, females
        Counts, variants x 4: homozygous effect allele, heterozygous, homozygous other allele, missing.
    classes
        Index into :data:`CLASSES`, one a variant.

    Returns
    -------
    Columns hom_effect .. hwe_p of :data:`QC_VARIANTS`.

    Notes
    -----
    On X a recorded male has one copy and everybody else two (as PLINK 2 does); on Y only recorded males count; MT is haploid. A
    heterozygous call of a haploid person counts as missing. Hardy-Weinberg on X uses recorded females (as PLINK 1.9 does).
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
            "hom_effect": calls[:, 0], "het": diploid[:, 1], "hom_other": calls[:, 1], "missing": missing, "het_haploid": het_haploid,
            "call_rate": call_rate, "effect_allele_frequency": frequency, "mac": np.minimum(copies_effect, copies - copies_effect), "hwe_p": hwe_p,
        }
    )  # fmt: skip


def filter_cohort(
    genotypes: str | Path,
    variants: str | Path,
    samples: str | Path,
    variant_counts: Sequence[str | Path],
    sample_counts: Sequence[str | Path],
    settings: Mapping[str, Any],
    out_variants: str | Path,
    out_samples: str | Path,
    out_flow: str | Path,
) -> None:
    """Turn counts into measures, apply the filters, and count what each removed (rule ``filter_cohort``).

    The order: people outside the sample table; variants by call rate over everybody; people by call rate over the remaining
    autosomal variants; then, recounted over the people who passed, variants by call rate, monomorphic, MAF, MAC, Hardy-Weinberg.
    So a bad variant does not cost people, nor a bad person variants, and each measure is of the people who go on.

    Parameters
    ----------
    genotypes, variants, samples
        The indexed cohort.
    variant_counts, sample_counts
        Output of ``count_genotypes``, in the order of the chunks.
    settings
        ``variant_call_rate``, ``sample_call_rate``, ``maf``, ``mac``, ``hwe_p``; null or 0 switches a filter off.
    out_variants, out_samples, out_flow
        Parquet with :data:`QC_VARIANTS` and :data:`QC_SAMPLES`; TSV of the account.

    Raises
    ------
    InputError
        When no people or no variants remain: the message names the filter that removed the last.
    """
    index = read_json(genotypes)
    limit = {key: float(settings.get(key) or 0) for key in SETTINGS}
    table = read_parquet(variants, columns=["index", "chromosome", "position"])
    classes = chromosome_class(table["chromosome"].to_numpy(), table["position"].to_numpy(), index["genome_build"])
    people = read_parquet(samples, columns=["sample_index", "fid", "iid", "recorded_sex", "in_sample_table"])
    counts = pd.concat([read_parquet(f, VARIANT_COUNTS) for f in variant_counts], ignore_index=True)
    counts = counts.set_index("index").loc[table["index"]]
    n_variants, n_people = len(table), len(people)
    logger.info(
        "%s variants x %s people; needs about %.0f MB",
        f"{n_variants:,}",
        f"{n_people:,}",
        200 + n_variants * 4e-4 + n_people * 4e-4,
    )
    flow = Flow(str(genotypes), variants=n_variants, people=n_people)
    in_table = people["in_sample_table"].to_numpy(dtype=bool)
    flow.apply("sample_table", "people", ~in_table, "in the sample table", "not in the sample table")

    by_mask = [counts[[f"{prefix}{g}" for g in GENOTYPES]].to_numpy() for prefix in ("", "male_", "female_")]
    measures = variant_measures(*by_mask, classes)

    def below(step: str, unit: str, key: str, what: str, values: np.ndarray, over: str = "", form: str = ".4g") -> None:
        """Apply a lower limit; 0 switches it off."""
        cut = limit[key]
        rule = f"{what} >= {cut:g}{over}" if cut else "switched off"
        with np.errstate(invalid="ignore"):
            fails = values < cut
        flow.apply(step, unit, fails, rule, f"{what} {{:{form}}} is below {cut:g}{over}", values, key=f"qc.{key}")

    def call_rate() -> np.ndarray:
        # nobody expected (Y without recorded males) is nobody called
        return np.nan_to_num(measures["call_rate"].to_numpy())

    below("variant_call_rate", "variants", "variant_call_rate", "call rate", call_rate())
    fileset = Fileset.from_index(genotypes)
    missing, het, considered = _people_over_passing(fileset, sample_counts, classes, flow.passed["variants"], n_people)
    with np.errstate(invalid="ignore", divide="ignore"):
        person_rate = np.where(considered > 0, 1 - missing / max(considered, 1), np.nan)
        heterozygosity = np.where(considered - missing > 0, het / (considered - missing), np.nan)
    over = f" over {considered:,} autosomal variants"
    below("sample_call_rate", "people", "sample_call_rate", "call rate", person_rate, over)

    person_passed = flow.passed["people"]
    if (person_passed != in_table).any():
        sex = people["recorded_sex"].to_numpy()
        masks = [person_passed, person_passed & (sex == 1), person_passed & (sex == 2)]
        measures = variant_measures(*count_variants(fileset, table["index"].to_numpy(), masks), classes)
    over = " among the people who passed"
    below("variant_call_rate_again", "variants", "variant_call_rate", "call rate", call_rate(), over)
    frequency = measures["effect_allele_frequency"].to_numpy()
    mac = measures["mac"].to_numpy()
    flow.apply("no_call", "variants", np.isnan(frequency), "any call", "no call at all")
    flow.apply("monomorphic", "variants", mac == 0, "both alleles seen", "monomorphic: only one allele seen")
    below("maf", "variants", "maf", "minor allele frequency", np.minimum(frequency, 1 - frequency))
    below("mac", "variants", "mac", "minor allele count", mac, form="d")
    below("hwe_p", "variants", "hwe_p", "Hardy-Weinberg exact p", measures["hwe_p"].to_numpy(), form=".3g")

    measures.insert(0, "index", table["index"].to_numpy())
    measures["passed"], measures["reason"] = flow.passed["variants"], flow.reason["variants"]
    write_parquet(measures, out_variants, QC_VARIANTS)
    persons = people[["sample_index", "fid", "iid"]].assign(
        missing=missing,
        call_rate=person_rate,
        heterozygosity=heterozygosity,
        passed=person_passed,
        reason=flow.reason["people"],
    )
    write_parquet(persons, out_samples, QC_SAMPLES)
    write_tsv(pd.DataFrame(flow.rows), out_flow)
    het_haploid = int(measures["het_haploid"].sum())
    if het_haploid:
        logger.warning(
            "%s heterozygous haploid calls count as missing (recorded sex wrong, or bad calls on X, Y, MT)",
            f"{het_haploid:,}",
        )


def _people_over_passing(
    fileset: Fileset, sample_counts: Sequence[str | Path], classes: np.ndarray, passed: np.ndarray, n_people: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Give each person's missing and heterozygous calls over the autosomal variants that passed, and how many these are.

    The counts of the chunks are over all variants: what did not pass is counted again and taken off, since it is usually little.
    """
    missing, het = np.zeros((2, n_people), dtype=np.int64)
    total = 0
    for file in sample_counts:
        frame = read_parquet(file, PERSON_COUNTS)
        missing += frame["autosomal_missing"].to_numpy()
        het += frame["autosomal_het"].to_numpy()
        total += read_metadata(file)["variants"]["autosomal"]
    failed = np.flatnonzero((classes == 0) & ~passed)
    less_missing, less_het = np.zeros((2, n_people), dtype=np.int64)
    for first in range(0, len(failed), 4096):
        count_missing_and_het(fileset.take(failed[first : first + 4096]), less_missing, less_het)
    return missing - less_missing, het - less_het, total - len(failed)

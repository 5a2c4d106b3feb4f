"""Quality control of a cohort: filters on measures of variants and people, in an order that is fair to both."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import CLASSES, GENOTYPES, GROUPS, IMPUTED_COUNTS, VARIANT_COUNTS
from deepnull_gwas.cohort.duplicates import duplicated_ids, duplicated_variants
from deepnull_gwas.cohort.qc_dosages import IMPUTED_VARIANTS
from deepnull_gwas.cohort.qc_flow import Flow
from deepnull_gwas.cohort.qc_measures import QC_SAMPLES, QC_VARIANTS, measures_by_parts, person_measures
from deepnull_gwas.cohort.qc_sex import complete_sex, filter_sex
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.dosage_counts import COUNTED, count_imputed
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.matched import MatchedGenotypes
from deepnull_gwas.tables import read_json, read_metadata, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

QC_SAMPLES_NAMES = [column.name for column in QC_SAMPLES]


@dataclass(frozen=True)
class QcInputs:
    """What quality control reads, by path.

    Attributes
    ----------
    genotypes, variants, samples
        The indexed cohort.
    variant_counts, sample_counts
        Output of ``count_genotypes``, in the order of the chunks.
    array_samples, array_flow, array_sex
        Where the cohort has hard calls of its own for structure: what their quality control wrote. It decides on
        people.
    """

    genotypes: str | Path
    variants: str | Path
    samples: str | Path
    variant_counts: Sequence[str | Path]
    sample_counts: Sequence[str | Path]
    array_samples: str | Path | None = None
    array_flow: str | Path | None = None
    array_sex: str | Path | None = None


@dataclass(frozen=True)
class QcOutputs:
    """Where the results of quality control go.

    Attributes
    ----------
    variants, samples
        Parquet with :data:`~deepnull_gwas.cohort.qc_measures.QC_VARIANTS` and ``QC_SAMPLES`` (its metadata:
        ``f_bounds``, the cut-offs of ``heterozygosity_f`` in use).
    flow
        TSV of the account.
    inferred_sex
        TSV of the people without a recorded sex: F on X, the sex by it, and the one used; nobody else is in it.
    """

    variants: str | Path
    samples: str | Path
    flow: str | Path
    inferred_sex: str | Path | None = None


@dataclass
class _Cohort:
    """A cohort on its way through the filters."""

    fileset: Genotypes
    table: pd.DataFrame
    classes: np.ndarray
    people: pd.DataFrame
    #: Measures of the variants: at first over everybody in the sample table, then over the people who passed.
    measures: pd.DataFrame
    settings: Mapping[str, Any]
    flow: Flow

    def limit(self, key: str) -> float:
        """Return a lower limit among the settings, 0 where there is none."""
        return float(self.settings.get(key) or 0)

    def call_rate(self) -> np.ndarray:
        """Return the call rate of each variant; nobody expected (Y without recorded males) is nobody called."""
        return np.nan_to_num(self.measures["call_rate"].to_numpy())

    def expected_het(self) -> np.ndarray:
        """Return the share of heterozygous calls that is expected of each variant."""
        if "expected_het" in self.measures:
            return self.measures["expected_het"].to_numpy()
        p = self.measures["effect_allele_frequency"].to_numpy()
        return 2 * p * (1 - p)


def filter_cohort(inputs: QcInputs, settings: Mapping[str, Any], out: QcOutputs) -> None:
    """Turn counts into measures, apply the filters, and count what each removed (rule ``filter_cohort``).

    The order: people outside the sample table; variants by call rate over everybody; people by call rate over the
    remaining autosomal variants, by sex and by heterozygosity; then, recounted over the people who passed, variants by
    call rate, monomorphic, duplicates, MAF, MAC, Hardy-Weinberg. So a bad variant does not cost people, nor a bad
    person variants, and each measure is of the people who go on.

    Parameters
    ----------
    inputs, out
        See :class:`QcInputs`, :class:`QcOutputs`.
    settings
        ``variant_call_rate``, ``sample_call_rate``, ``maf``, ``mac``, ``hwe_p``; null, absent or 0 switches a filter
        off. Optional: ``variant_call_rate_first`` (limit of the first pass; else that of the second), ``sex_check``
        (``exclude|warn|ignore``) with ``sex_f_female`` and ``sex_f_male`` (bounds of F on X), ``infer_sex`` (whether
        that sex is used where none is recorded), ``heterozygosity_f`` (largest |F|), ``heterozygosity_sd`` (F at most
        this many standard deviations from the mean), ``duplicate_variants`` and ``duplicate_ids`` (``exclude|keep``).

    Raises
    ------
    InputError
        When no people or no variants remain: the message names the filter that removed the last. When recorded sex and
        X do not belong together.
    """
    cohort = _read(inputs, settings)
    flow, people, table = cohort.flow, cohort.people, cohort.table
    in_table = people["in_sample_table"].to_numpy(dtype=bool)
    het_haploid = int(cohort.measures["het_haploid"].sum())
    if inputs.array_samples:
        persons, f_bounds = _take_people(cohort, inputs, out.inferred_sex)
    else:
        persons, f_bounds = _filter_people(cohort, inputs.sample_counts, out.inferred_sex)

    passed, sex = flow.passed["people"], persons["sex"].to_numpy()
    if (passed != in_table).any() or (sex != people["recorded_sex"].to_numpy()).any():
        masks = [passed, passed & (sex == 1), passed & (sex == 2)]
        count = count_imputed if cohort.fileset.has_dosages else count_variants
        counts = count(cohort.fileset, table["index"].to_numpy(), masks)
        counts, denominator = counts if cohort.fileset.has_dosages else (counts, None)
        cohort.measures = measures_by_parts(counts, cohort.classes, denominator)
    _filter_variants(cohort)

    measures = cohort.measures.drop(columns="expected_het", errors="ignore")
    measures.insert(0, "index", table["index"].to_numpy())
    measures = measures.assign(
        passed=flow.passed["variants"], filter=flow.filter["variants"], reason=flow.reason["variants"]
    )
    write_parquet(measures, out.variants, QC_VARIANTS + IMPUTED_VARIANTS * cohort.fileset.has_dosages)
    persons = pd.concat([people[["sample_index", "fid", "iid", "recorded_sex"]], persons], axis=1)
    persons = persons.assign(passed=passed, filter=flow.filter["people"], reason=flow.reason["people"])
    write_parquet(persons, out.samples, QC_SAMPLES, metadata={"f_bounds": f_bounds})
    write_tsv(pd.DataFrame(flow.rows), out.flow)
    if het_haploid:
        logger.warning(
            "%s heterozygous haploid calls count as missing, %s of them in people who passed (recorded sex wrong, or "
            "bad calls on X, Y, MT)",
            f"{het_haploid:,}", f"{int(measures['het_haploid'].sum()):,}",
        )  # fmt: skip


def _read(inputs: QcInputs, settings: Mapping[str, Any]) -> _Cohort:
    """Read the indexed cohort and its counts, and measure the variants over everybody in the sample table."""
    index = read_json(inputs.genotypes)
    # IDs and alleles, which may be long, only where they are compared
    texts = ["effect_allele", "other_allele"] if settings.get("duplicate_variants") == "exclude" else []
    texts += ["id"] if settings.get("duplicate_ids") == "exclude" else []
    table = read_parquet(inputs.variants, columns=["index", "chromosome", "position", *texts])
    classes = class_codes(table["chromosome"].to_numpy(), table["position"].to_numpy(), index["genome_build"])
    people = read_parquet(inputs.samples, columns=["sample_index", "fid", "iid", "recorded_sex", "in_sample_table"])
    fileset = open_genotypes(inputs.genotypes)
    names, schema = (COUNTED, IMPUTED_COUNTS) if fileset.has_dosages else (GENOTYPES, VARIANT_COUNTS)
    counts = pd.concat([read_parquet(f, schema) for f in inputs.variant_counts], ignore_index=True)
    if not np.array_equal(counts["index"].to_numpy(), table["index"].to_numpy()):
        counts = counts.set_index("index").loc[table["index"]]
    logger.info(
        "%s variants x %s people; needs about %.0f MB",
        f"{len(table):,}", f"{len(people):,}", 200 + len(table) * 4e-4 + len(people) * 4e-4,
    )  # fmt: skip
    by_mask = [counts[[f"{prefix}{name}" for name in names]].to_numpy() for prefix in GROUPS]
    denominator = counts["denominator"].to_numpy() if fileset.has_dosages else None
    del counts
    flow = Flow(str(inputs.genotypes), variants=len(table), people=len(people))
    measures = measures_by_parts(by_mask, classes, denominator)
    return _Cohort(fileset, table, classes, people, measures, settings, flow)


def _filter_people(
    cohort: _Cohort, sample_counts: Sequence[str | Path], out_sex: str | Path | None
) -> tuple[pd.DataFrame, list[float]]:
    """Filter people by call rate, sex and heterozygosity, over the variants that pass a first limit of the call rate.

    Returns
    -------
    Measures of the people (columns missing .. sex of ``QC_SAMPLES``), and the cut-offs of ``heterozygosity_f`` in use.
    """
    flow, settings, people = cohort.flow, cohort.settings, cohort.people
    where = "in the sample table" + " and in structure.genotypes" * isinstance(cohort.fileset, MatchedGenotypes)
    flow.apply("sample_table", "people", ~people["in_sample_table"].to_numpy(dtype=bool), where, f"not {where}")
    first = settings.get("variant_call_rate_first")
    key = "variant_call_rate" if first is None else "variant_call_rate_first"
    least = cohort.limit(key) if first is None else float(first)
    flow.require("variant_call_rate_first", "variants", "call rate", cohort.call_rate(), least, key)
    bounds = (float(settings.get("sex_f_female", 0.2)), float(settings.get("sex_f_male", 0.8)))
    passed = flow.passed["variants"]
    persons, considered = person_measures(
        cohort.fileset, sample_counts, cohort.classes, passed, cohort.expected_het(), bounds
    )
    flow.require(
        "sample_call_rate", "people", "call rate", persons["call_rate"].to_numpy(), cohort.limit("sample_call_rate"),
        "sample_call_rate", f" over {considered:,} autosomal variants",
    )  # fmt: skip
    on_x = int(((cohort.classes == CLASSES.index("x")) & passed).sum())
    filter_sex(flow, settings, people["recorded_sex"].to_numpy(), persons, bounds, on_x)
    persons["sex"] = complete_sex(people, persons, settings, on_x, out_sex)
    return persons, _filter_heterozygosity(flow, settings, persons["heterozygosity_f"].to_numpy())


def _take_people(cohort: _Cohort, inputs: QcInputs, out_sex: str | Path | None) -> tuple[pd.DataFrame, list[float]]:
    """Take over the verdicts on people that the quality control of hard calls came to; returns as _filter_people."""
    flow = cohort.flow
    persons = read_parquet(inputs.array_samples, QC_SAMPLES)
    f_bounds = list((read_metadata(inputs.array_samples) or {}).get("f_bounds", []))
    flow.passed["people"] = persons["passed"].to_numpy(dtype=bool).copy()
    for of, name in ((flow.filter, "filter"), (flow.reason, "reason")):
        of["people"] = persons[name].to_numpy(dtype=object)
    account = pd.read_csv(inputs.array_flow, sep="\t", keep_default_na=False)
    flow.rows += account[account["unit"] == "people"].to_dict("records")
    logger.info(
        "%s of %s people passed by structure.genotypes", f"{flow.passed['people'].sum():,}", f"{len(persons):,}"
    )
    if out_sex and inputs.array_sex:
        shutil.copyfile(inputs.array_sex, out_sex)
    first, last = (QC_SAMPLES_NAMES.index(name) for name in ("missing", "sex"))
    return persons[QC_SAMPLES_NAMES[first : last + 1]], f_bounds


def _filter_variants(cohort: _Cohort) -> None:
    """Filter variants on their measures among the people who passed."""
    flow, table, measures, settings = cohort.flow, cohort.table, cohort.measures, cohort.settings
    call_rate, frequency, mac = (
        cohort.call_rate(),
        measures["effect_allele_frequency"].to_numpy(),
        measures["mac"].to_numpy(),
    )

    def require(key: str, what: str, values: np.ndarray, over: str = "", form: str = ".4g") -> None:
        flow.require(key, "variants", what, values, cohort.limit(key), key, over, form)

    require("variant_call_rate", "call rate", call_rate, " among the people who passed")
    flow.apply("no_call", "variants", np.isnan(frequency), "any call", "no call at all")
    flow.apply("monomorphic", "variants", mac == 0, "both alleles seen", "monomorphic: only one allele seen")
    if settings.get("duplicate_variants") == "exclude":
        repeated = duplicated_variants(table, call_rate, flow.passed["variants"])
        why = "same position and alleles as a variant with more calls"
        flow.apply("duplicate_variants", "variants", repeated, "position and alleles seen once", why)
    if settings.get("duplicate_ids") == "exclude":
        repeated = duplicated_ids(table["id"].to_numpy(), call_rate, flow.passed["variants"])
        why = "same ID ({}) as a variant with more calls"
        flow.apply("duplicate_ids", "variants", repeated, "ID seen once", why, table["id"].to_numpy())
    require("maf", "minor allele frequency", np.minimum(frequency, 1 - frequency))
    require("mac", "minor allele count", mac, form="d")
    require("hwe_p", "Hardy-Weinberg exact p", measures["hwe_p"].to_numpy(), form=".3g")


def _filter_heterozygosity(flow: Flow, settings: Mapping[str, Any], f: np.ndarray) -> list[float]:
    """Remove people with an extreme inbreeding coefficient: by a bound on |F|, then by distance from the mean.

    Returns
    -------
    The cut-offs in use.
    """
    bound, k = float(settings.get("heterozygosity_f") or 0), float(settings.get("heterozygosity_sd") or 0)
    bounds: list[float] = []
    known = f[flow.passed["people"] & np.isfinite(f)]
    spread = float(np.diff(np.quantile(known, [0.1587, 0.8413]))[0]) / 2 if len(known) else 0.0
    if bound and bound < 4 * spread:
        rule = (
            f"not done: F of most people varies by {spread:.3f}, too much for a bound of {bound:g} (few variants, or "
            "mixed ancestry)"
        )
        flow.apply("heterozygosity_f", "people", np.zeros(len(f), dtype=bool), rule, "")
        logger.warning("heterozygosity_f: %s", rule)
    elif bound:
        bounds += [-bound, bound]
        with np.errstate(invalid="ignore"):
            fails = np.abs(f) > bound
        flow.apply(
            "heterozygosity_f", "people", fails, f"|F| on autosomes <= {bound:g}",
            f"F on autosomes {{:.4f}}, beyond {bound:g}", f, key="qc.heterozygosity_f",
        )  # fmt: skip
    if k:
        inside = f[flow.passed["people"] & np.isfinite(f)]
        mean, sd = (float(inside.mean()), float(inside.std())) if len(inside) > 1 else (0.0, np.inf)
        if np.isfinite(sd):
            bounds += [mean - k * sd, mean + k * sd]
        with np.errstate(invalid="ignore"):
            fails = np.abs(f - mean) > k * sd
        rule = f"F on autosomes within {k:g} SD ({sd:.4f}) of the mean ({mean:.4f})"
        flow.apply(
            "heterozygosity_sd", "people", fails, rule, f"F on autosomes {{:.4f}}, more than {k:g} SD from the mean", f,
            key="qc.heterozygosity_sd",
        )  # fmt: skip
    return bounds

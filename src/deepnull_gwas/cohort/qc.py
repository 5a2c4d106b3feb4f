"""Quality control of a cohort: measures from counts, filters, and the account of what each filter removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import CLASSES, GENOTYPES, PERSON_COUNTS, VARIANT_COUNTS
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.counts import count_missing_and_het, count_variants, weigh_missing
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.tables import Column, read_json, read_metadata, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Variants whose measures are computed at a time.
_MEASURED = 1 << 18
#: Bytes of genotypes that are read at a time.
_READ_BYTES = 32 << 20

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
    Column("sample_index", "int64", "position of the person in the .fam"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
    Column("recorded_sex", "int8", "1 male, 2 female, 0 unknown"),
    Column("missing", "int64", "missing calls on the autosomal variants that passed the first call-rate filter"),
    Column("call_rate", "float64", "called / those variants; missing where there are none", nullable=True),
    Column("heterozygosity", "float64", "heterozygous / called on those variants", nullable=True),
    Column(
        "heterozygosity_f",
        "float64",
        "(observed - expected) / (called - expected) homozygous calls on those variants: high after inbreeding or allelic "
        "drop-out, low after contamination; missing where nothing is polymorphic",
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
#: Fewer variants on X say too little of anybody's sex.
_LEAST_X = 20
#: Of so many people or more whose sex X tells clearly, at most this share may be recorded as the other sex: neighbours differ in half of all cases.
_LEAST_PEOPLE, _MOST_WRONG = 20, 0.25
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
    passed, filter, reason
        For each unit, one a variant or person: bool; the first filter failed, its step and in words (object), empty where passed.
    rows
        One a filter: step, unit, before, removed, after, rule.
    """

    def __init__(self, what: str, **sizes: int):
        self.what = what
        self.passed = {unit: np.ones(n, dtype=bool) for unit, n in sizes.items()}
        self.filter = {unit: np.full(n, "", dtype=object) for unit, n in sizes.items()}
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
        self.filter[unit][newly] = step
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


def _measures_by_parts(by_mask: Sequence[np.ndarray], classes: np.ndarray) -> pd.DataFrame:
    """Do as :func:`variant_measures`, some variants at a time: what it needs in between is three times what comes out."""
    starts = range(0, max(len(classes), 1), _MEASURED)
    parts = [slice(first, first + _MEASURED) for first in starts]
    return pd.concat(
        [variant_measures(*(m[part] for m in by_mask), classes[part]) for part in parts], ignore_index=True
    )


def person_measures(
    fileset: Genotypes,
    sample_counts: Sequence[str | Path],
    classes: np.ndarray,
    passed: np.ndarray,
    frequency: np.ndarray,
    sex_bounds: tuple[float, float] = (0.2, 0.8),
) -> tuple[pd.DataFrame, int]:
    """Measure each person over the variants that passed so far.

    Parameters
    ----------
    fileset
        The genotypes.
    sample_counts
        Counts of each person in each chunk.
    classes, passed, frequency
        Of each variant: class, whether it counts, effect-allele frequency.
    sex_bounds
        ``x_f`` below the first is female, above the second male.

    Returns
    -------
    Columns missing .. inferred_sex of :data:`QC_SAMPLES`; the number of autosomal variants that count.

    Notes
    -----
    F as PLINK 1.9 ``--check-sex``: expected homozygous calls are the sum of 1 - 2p(1-p) over the variants called in the person.
    """
    n = fileset.n_samples
    # the counts of the chunks are over all variants: what did not pass is counted again and taken off, since it is usually little
    of_class = {name: np.zeros((2, n), dtype=np.int64) for name in CLASSES}
    total = dict.fromkeys(CLASSES, 0)
    for file in sample_counts:
        frame = read_parquet(file, PERSON_COUNTS)
        for name in CLASSES:
            of_class[name] += frame[[f"{name}_missing", f"{name}_het"]].to_numpy().T
            total[name] += read_metadata(file)["variants"][name]
    size = max(64, _READ_BYTES // max(fileset.bytes_per_variant, 1))
    for c, name in enumerate(CLASSES):
        failed = np.flatnonzero((classes == c) & ~passed)
        less = np.zeros((2, n), dtype=np.int64)
        for first in range(0, len(failed), size):
            count_missing_and_het(fileset.calls(failed[first : first + size]), *less)
        of_class[name] -= less
        total[name] -= len(failed)

    def f_of(name: str) -> np.ndarray:
        missing, het = of_class[name]
        index = np.flatnonzero((classes == CLASSES.index(name)) & passed)
        p = np.nan_to_num(frequency[index])
        expected = 1 - 2 * p * (1 - p)
        lost = np.zeros(n)
        for first in range(0, len(index), size):
            weigh_missing(fileset.calls(index[first : first + size]), expected[first : first + size], lost)
        called = total[name] - missing
        homozygous = expected.sum() - lost
        with np.errstate(invalid="ignore", divide="ignore"):
            # without any polymorphic variant both differences are 0 up to rounding
            return np.where(called - homozygous > 1e-9, 1 - het / (called - homozygous), np.nan)

    missing, het = of_class["autosomal"]
    considered = total["autosomal"]
    x_f = f_of("x")
    inferred = np.where(x_f < sex_bounds[0], 2, np.where(x_f > sex_bounds[1], 1, 0))
    if total["x"] < _LEAST_X:
        inferred[:] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        measures = pd.DataFrame(
            {
                "missing": missing,
                "call_rate": np.where(considered > 0, 1 - missing / max(considered, 1), np.nan),
                "heterozygosity": np.where(considered > missing, het / (considered - missing), np.nan),
                "heterozygosity_f": f_of("autosomal"),
                "x_f": x_f,
                "y_call_rate": 1 - of_class["y"][0] / max(total["y"], 1) if total["y"] else np.full(n, np.nan),
                "inferred_sex": inferred.astype(np.int8),
            }
        )
    return measures, considered


def duplicated_variants(table: pd.DataFrame, call_rate: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Mark the variants that repeat another's chromosome, position and alleles (in either order); the one with most calls stays."""
    # only variants that share their place with another have alleles to compare
    shared = np.flatnonzero(passed)
    shared = shared[table[["chromosome", "position"]].iloc[shared].duplicated(keep=False).to_numpy()]
    keys = table[["chromosome", "position"]].iloc[shared].reset_index(drop=True)
    a, b = (in_capitals(table[c].to_numpy(dtype=object)[shared]) for c in ("effect_allele", "other_allele"))
    turned = np.array([x > y for x, y in zip(a, b)], dtype=bool)
    keys["a"], keys["b"] = np.where(turned, b, a), np.where(turned, a, b)
    out = np.zeros(len(table), dtype=bool)
    out[shared] = _all_but_best(keys, call_rate[shared], np.arange(len(shared)))
    return out


def duplicated_ids(ids: np.ndarray, call_rate: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Mark the variants that repeat another's ID (``.`` and ``0`` are none); the one with most calls stays."""
    named = passed & ~np.isin(np.asarray(ids, dtype=object), [".", "0", ""])
    return _all_but_best(pd.DataFrame({"id": ids}), call_rate, np.flatnonzero(named))


def _all_but_best(keys: pd.DataFrame, call_rate: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Mark those of some rows whose keys are there more than once, but for the one with the most calls (of several, the first)."""
    repeated = repeated[keys.iloc[repeated].duplicated(keep=False).to_numpy()]
    best_first = repeated[np.lexsort((repeated, -call_rate[repeated]))]
    out = np.zeros(len(keys), dtype=bool)
    out[best_first[keys.iloc[best_first].duplicated(keep="first").to_numpy()]] = True
    return out


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
    out_sex: str | Path | None = None,
) -> None:
    """Turn counts into measures, apply the filters, and count what each removed (rule ``filter_cohort``).

    The order: people outside the sample table; variants by call rate over everybody; people by call rate over the remaining
    autosomal variants, by sex and by heterozygosity; then, recounted over the people who passed, variants by call rate,
    monomorphic, duplicates, MAF, MAC, Hardy-Weinberg. So a bad variant does not cost people, nor a bad person variants, and each
    measure is of the people who go on.

    Parameters
    ----------
    genotypes, variants, samples
        The indexed cohort.
    variant_counts, sample_counts
        Output of ``count_genotypes``, in the order of the chunks.
    settings
        ``variant_call_rate``, ``sample_call_rate``, ``maf``, ``mac``, ``hwe_p``; null, absent or 0 switches a filter off. Optional:
        ``variant_call_rate_first`` (limit of the first pass; else that of the second), ``sex_check`` (``exclude|warn|ignore``) with
        ``sex_f_female`` and ``sex_f_male`` (bounds of F on X), ``infer_sex`` (whether that sex is used where none is recorded), ``heterozygosity_f`` (largest |F|), ``heterozygosity_sd`` (F at most so many
        standard deviations from the mean), ``duplicate_variants`` and ``duplicate_ids`` (``exclude|keep``).
    out_variants, out_samples, out_flow
        Parquet with :data:`QC_VARIANTS` and :data:`QC_SAMPLES` (its metadata: ``f_bounds``, the cut-offs of ``heterozygosity_f`` in use);
        TSV of the account.
    out_sex
        TSV of the people without a recorded sex: F on X, the sex by it, and the one used; nobody else is in it.

    Raises
    ------
    InputError
        When no people or no variants remain: the message names the filter that removed the last. When recorded sex and X do not belong together.
    """
    index = read_json(genotypes)
    limit = {key: float(settings.get(key) or 0) for key in SETTINGS}
    # IDs and alleles, which may be long, only where they are compared
    texts = ["effect_allele", "other_allele"] if settings.get("duplicate_variants") == "exclude" else []
    texts += ["id"] if settings.get("duplicate_ids") == "exclude" else []
    table = read_parquet(variants, columns=["index", "chromosome", "position", *texts])
    classes = class_codes(table["chromosome"].to_numpy(), table["position"].to_numpy(), index["genome_build"])
    people = read_parquet(samples, columns=["sample_index", "fid", "iid", "recorded_sex", "in_sample_table"])
    counts = pd.concat([read_parquet(f, VARIANT_COUNTS) for f in variant_counts], ignore_index=True)
    if not np.array_equal(counts["index"].to_numpy(), table["index"].to_numpy()):
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
    del counts
    measures = _measures_by_parts(by_mask, classes)
    del by_mask
    het_haploid = int(measures["het_haploid"].sum())

    def below(
        step: str,
        unit: str,
        key: str,
        what: str,
        values: np.ndarray,
        over: str = "",
        form: str = ".4g",
        cut: float | None = None,
    ) -> None:
        """Apply a lower limit; 0 switches it off."""
        cut = limit[key] if cut is None else cut
        rule = f"{what} >= {cut:g}{over}" if cut else "switched off"
        with np.errstate(invalid="ignore"):
            fails = values < cut
        flow.apply(step, unit, fails, rule, f"{what} {{:{form}}} is below {cut:g}{over}", values, key=f"qc.{key}")

    def call_rate() -> np.ndarray:
        # nobody expected (Y without recorded males) is nobody called
        return np.nan_to_num(measures["call_rate"].to_numpy())

    first_limit = settings.get("variant_call_rate_first")
    below(
        "variant_call_rate_first", "variants", "variant_call_rate_first" if first_limit is not None else "variant_call_rate",
        "call rate", call_rate(), cut=None if first_limit is None else float(first_limit),
    )  # fmt: skip
    fileset = open_genotypes(genotypes)
    bounds = (float(settings.get("sex_f_female", 0.2)), float(settings.get("sex_f_male", 0.8)))
    frequency = measures["effect_allele_frequency"].to_numpy()
    persons, considered = person_measures(fileset, sample_counts, classes, flow.passed["variants"], frequency, bounds)
    over = f" over {considered:,} autosomal variants"
    below("sample_call_rate", "people", "sample_call_rate", "call rate", persons["call_rate"].to_numpy(), over)
    on_x = int(((classes == CLASSES.index("x")) & flow.passed["variants"]).sum())
    recorded = people["recorded_sex"].to_numpy()
    _filter_sex(flow, settings, recorded, persons, bounds, on_x)
    sex = _complete_sex(people, persons, settings, on_x, out_sex)
    persons["sex"] = sex
    f_bounds = _filter_heterozygosity(flow, settings, persons["heterozygosity_f"].to_numpy())

    person_passed = flow.passed["people"]
    if (person_passed != in_table).any() or (sex != recorded).any():
        masks = [person_passed, person_passed & (sex == 1), person_passed & (sex == 2)]
        measures = _measures_by_parts(count_variants(fileset, table["index"].to_numpy(), masks), classes)
    over = " among the people who passed"
    below("variant_call_rate", "variants", "variant_call_rate", "call rate", call_rate(), over)
    frequency = measures["effect_allele_frequency"].to_numpy()
    mac = measures["mac"].to_numpy()
    flow.apply("no_call", "variants", np.isnan(frequency), "any call", "no call at all")
    flow.apply("monomorphic", "variants", mac == 0, "both alleles seen", "monomorphic: only one allele seen")
    if settings.get("duplicate_variants") == "exclude":
        repeated = duplicated_variants(table, call_rate(), flow.passed["variants"])
        why = "same position and alleles as a variant with more calls"
        flow.apply("duplicate_variants", "variants", repeated, "position and alleles seen once", why)
    if settings.get("duplicate_ids") == "exclude":
        repeated = duplicated_ids(table["id"].to_numpy(), call_rate(), flow.passed["variants"])
        why = "same ID ({}) as a variant with more calls"
        flow.apply("duplicate_ids", "variants", repeated, "ID seen once", why, table["id"].to_numpy())
    below("maf", "variants", "maf", "minor allele frequency", np.minimum(frequency, 1 - frequency))
    below("mac", "variants", "mac", "minor allele count", mac, form="d")
    below("hwe_p", "variants", "hwe_p", "Hardy-Weinberg exact p", measures["hwe_p"].to_numpy(), form=".3g")

    measures.insert(0, "index", table["index"].to_numpy())
    measures = measures.assign(
        passed=flow.passed["variants"], filter=flow.filter["variants"], reason=flow.reason["variants"]
    )
    write_parquet(measures, out_variants, QC_VARIANTS)
    persons = pd.concat([people[["sample_index", "fid", "iid", "recorded_sex"]], persons], axis=1)
    persons = persons.assign(passed=person_passed, filter=flow.filter["people"], reason=flow.reason["people"])
    write_parquet(persons, out_samples, QC_SAMPLES, metadata={"f_bounds": f_bounds})
    write_tsv(pd.DataFrame(flow.rows), out_flow)
    if het_haploid:
        logger.warning(
            "%s heterozygous haploid calls count as missing, %s of them in people who passed (recorded sex wrong, or bad calls on X, Y, MT)",
            f"{het_haploid:,}",
            f"{int(measures['het_haploid'].sum()):,}",
        )


def _filter_sex(
    flow: Flow,
    settings: Mapping[str, Any],
    recorded: np.ndarray,
    persons: pd.DataFrame,
    bounds: tuple[float, float],
    n_variants: int,
) -> None:
    """Compare recorded sex with F on X; remove who differs or is unclear, or only say so."""
    action = settings.get("sex_check")
    if action not in ("exclude", "warn"):
        return
    rule = f"recorded sex as F on X: female < {bounds[0]:g}, male > {bounds[1]:g} ({n_variants:,} variants)"
    none = np.zeros(len(recorded), dtype=bool)
    if n_variants < _LEAST_X:
        flow.apply("sex_check", "people", none, f"not done: {n_variants} variants on X, {_LEAST_X} are needed", "")
        return
    inferred = persons["inferred_sex"].to_numpy()
    _refuse_foreign_sex(recorded, inferred, flow.passed["people"])
    known = (recorded > 0) & np.isfinite(persons["x_f"].to_numpy())
    fails = known & (recorded != inferred)
    if action == "warn":
        count = int((fails & flow.passed["people"]).sum())
        logger.warning(
            "%s people differ from their recorded sex, or their F on X is unclear (kept: sex_check is warn)", count
        )
        flow.apply("sex_check", "people", none, f"{rule}; {count:,} people differ, kept (warn only)", "")
        return
    names = np.array(["unclear", "male", "female"], dtype=object)
    flow.apply(
        "sex_check", "people", fails, rule, "recorded sex {}, sex by X {} (F {:.3f})",
        names[recorded], names[inferred], persons["x_f"].to_numpy(), key="qc.sex_check",
    )  # fmt: skip


def _complete_sex(
    people: pd.DataFrame, persons: pd.DataFrame, settings: Mapping[str, Any], n_variants: int, out: str | Path | None
) -> np.ndarray:
    """Return each person's sex for the tests (int8), with that by F on X where none is recorded and it is to be used; list these people."""
    recorded = people["recorded_sex"].to_numpy(dtype=np.int8)
    inferred = persons["inferred_sex"].to_numpy(dtype=np.int8)
    use = bool(settings.get("infer_sex"))
    sex = np.where((recorded == 0) & use, inferred, recorded).astype(np.int8)
    unknown = recorded == 0
    table = people.loc[unknown, ["sample_index", "fid", "iid"]].assign(
        x_f=persons["x_f"].to_numpy()[unknown], inferred_sex=inferred[unknown], used_sex=sex[unknown]
    )
    if out is not None:
        write_tsv(table, out)
    if not len(table) or not n_variants:
        return sex
    where = "qc/inferred_sex.tsv has each"
    if use:
        logger.warning(
            "sex of %s people is taken from F on X (%s variants), since none is recorded: %s male, %s female, %s unclear and left out on X (%s)",
            f"{len(table):,}", f"{n_variants:,}", *(f"{int((sex[unknown] == code).sum()):,}" for code in (1, 2, 0)), where,
        )  # fmt: skip
        names = np.array(["unclear", "male", "female"], dtype=object)
        for row in table.itertuples():
            logger.info("%s %s: %s by F on X (%.3f)", row.fid, row.iid, names[row.used_sex], row.x_f)
    else:
        logger.warning(
            "no sex is recorded of %s people: they are left out on X and Y; F on X tells it for %s of them, and qc.infer_sex would use that (%s)",
            f"{len(table):,}", f"{int((inferred[unknown] > 0).sum()):,}", where,
        )  # fmt: skip
    return sex


def _refuse_foreign_sex(recorded: np.ndarray, inferred: np.ndarray, counted: np.ndarray) -> None:
    """Refuse recorded sexes that mostly differ from what X tells: they are of other people, or coded the other way round."""
    clear = counted & (recorded > 0) & (inferred > 0)
    wrong = int((clear & (recorded != inferred)).sum())
    if clear.sum() >= _LEAST_PEOPLE and wrong > _MOST_WRONG * clear.sum():
        raise InputError(
            f"recorded sex and X differ in {wrong:,} of {int(clear.sum()):,} people of whom F on X is clear: either 1 and 2 are the wrong way round "
            "(1 is male, 2 female), or the .fam is not that of this .bed, and everybody would get somebody else's genotypes. Compare the files; "
            'if the sexes alone are wrong, leave them out (0), or switch the check off (qc.sex_check: "off")'
        )


def _filter_heterozygosity(flow: Flow, settings: Mapping[str, Any], f: np.ndarray) -> list[float]:
    """Remove people with an extreme inbreeding coefficient: by a bound on |F|, then by distance from the mean; give the cut-offs."""
    bound, k = float(settings.get("heterozygosity_f") or 0), float(settings.get("heterozygosity_sd") or 0)
    bounds: list[float] = []
    known = f[flow.passed["people"] & np.isfinite(f)]
    spread = float(np.diff(np.quantile(known, [0.1587, 0.8413]))[0]) / 2 if len(known) else 0.0
    if bound and bound < 4 * spread:
        rule = f"not done: F of most people varies by {spread:.3f}, too much for a bound of {bound:g} (few variants, or mixed ancestry)"
        flow.apply("heterozygosity_f", "people", np.zeros(len(f), dtype=bool), rule, "")
        logger.warning("heterozygosity_f: %s", rule)
    elif bound:
        bounds += [-bound, bound]
        with np.errstate(invalid="ignore"):
            fails = np.abs(f) > bound
        flow.apply(
            "heterozygosity_f", "people", fails, f"|F| on autosomes <= {bound:g}", f"F on autosomes {{:.4f}}, beyond {bound:g}", f,
            key="qc.heterozygosity_f",
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

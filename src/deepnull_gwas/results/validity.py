"""Calibration and power on a simulated cohort, where the truth is known.

Does DeepNull keep the type I error, and what does it find? The page with the answers is written by
:mod:`deepnull_gwas.results.validity_page`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.genome import expected_ratio, read_states
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_npz
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

ARMS = ("baseline", "deepnull", "oracle")
#: Levels at which the type I error is measured.
LEVELS = (1e-2, 1e-3, 1e-4, 5e-8)
#: Bounds of the minor allele frequency within which lambda is measured.
BINS = ((0.01, 0.05), (0.05, 0.2), (0.2, 0.5))
_BLOCK = 500
_COLUMNS = ["original_id", "effect_allele_frequency", "neg_log_10_p_value"]


@dataclass(frozen=True)
class SimulatedPhenotype:
    """A simulated phenotype and the studies that analyse it.

    Attributes
    ----------
    name
        The phenotype.
    kind
        Trait and covariate effects, such as ``quantitative, nonlinear``: phenotypes of one kind are measured together.
    trait
        ``quantitative`` or ``binary``.
    study
        The study with the arms baseline and deepnull.
    oracle
        The study that has the true covariate effect as a covariate: what a perfect prediction would give.
    """

    name: str
    kind: str
    trait: str
    study: str
    oracle: str


def simulated_phenotypes(
    cohort: str, simulate: Mapping[str, Any] | None, studies: Sequence[Mapping[str, Any]]
) -> list[SimulatedPhenotype]:
    """Pair the studies of a simulated cohort: for each phenotype one with both arms, and one that is given the truth.

    Parameters
    ----------
    cohort
        Its name.
    simulate
        Its ``simulate`` settings; None for a cohort that is not simulated.
    studies
        study, phenotype, covariates and arms of each study of the cohort.

    Raises
    ------
    InputError
        When the cohort is not simulated, or a phenotype lacks one of its studies; the message says which.
    """
    if simulate is None:
        raise InputError(
            f"cohort {cohort}: validity is measured on simulated cohorts only; see config/validity/config.yaml"
        )
    if not simulate.get("truth_columns"):
        raise InputError(
            f"cohort {cohort}: validity needs simulate.truth_columns: true, so that there is an oracle to compare with"
        )
    found = []
    for name, settings in simulate["phenotypes"].items():
        truth = f"{name}_covariates"
        own = [s for s in studies if s["phenotype"] == name]
        both = [s["study"] for s in own if truth not in s["covariates"] and len(s["arms"]) == 2]
        oracle = [s["study"] for s in own if truth in s["covariates"] and "baseline" in s["arms"]]
        if len(both) != 1 or len(oracle) != 1:
            raise InputError(
                f"cohort {cohort}: phenotype {name}: validity needs one study with the arms baseline and deepnull "
                f"(found {len(both)}), and one with the arm baseline and the covariate {truth} (found {len(oracle)})"
            )
        kind = f"{settings['trait']}, {settings.get('covariate_effects', 'nonlinear')}"
        found.append(SimulatedPhenotype(name, kind, settings["trait"], both[0], oracle[0]))
    return found


def effective_tests(fileset: Genotypes, tested: np.ndarray) -> float:
    """Return the effective number of independent tests among variants.

    That is m² / sum of r² in each block of 500 variants, less what chance adds to r².

    Parameters
    ----------
    fileset
        The genotypes of the cohort.
    tested
        bool[variants]: which variants count.
    """
    total = 0.0
    progress = Progress(fileset.n_variants, "variants")
    for start in range(0, fileset.n_variants, _BLOCK):
        stop = min(start + _BLOCK, fileset.n_variants)
        packed = fileset.calls_between(start, stop)[tested[start:stop]]
        progress.add(stop - start)
        if not len(packed):
            continue
        g = kernels.decode(packed, fileset.n_samples).astype(np.float64)
        g = np.where(np.isnan(g), np.nanmean(g, axis=1, keepdims=True), g)
        r2 = np.atleast_2d(np.corrcoef(g)) ** 2
        excess = np.maximum(r2 - 1 / fileset.n_samples, 0)
        np.fill_diagonal(excess, 1)
        total += len(packed) ** 2 / excess.sum()
    return total


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate among ``n`` (effective) trials (Wilson 1927).

    Examples
    --------
    >>> low, high = wilson(0.05, 1000)
    >>> f"{low:.4f} to {high:.4f}"
    '0.0381 to 0.0653'
    """
    z = 1.959963984540054
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # at the ends exactly, not up to rounding
    return (middle - half if rate > 0 else 0.0), (middle + half if rate < 1 else 1.0)


def measure_validity(
    results: str | Path,
    phenotypes: Sequence[SimulatedPhenotype],
    out: str | Path,
    out_points: str | Path,
    genome_wide: float,
    genomes: Sequence[str | Path] = (),
) -> None:
    """Measure type I error and lambda on phenotypes without causal variants, and power on those that have some.

    Parameters
    ----------
    results
        Folder of the cohort's results.
    phenotypes
        See :func:`simulated_phenotypes`.
    out
        validity.json: ``null``, one row per kind and arm: for each level the rate, its Wilson interval with the
        effective number of tests; lambda of all and by frequency with twice its standard error between phenotypes.
        ``power``: mean chi-square at causal variants, its ratio to the baseline's with a bootstrap interval over
        phenotypes, what theory expects, share found at the genome-wide level, found and lost; over the causal variants
        that all three arms tested. ``left_out``: phenotypes of which a study failed.
    out_points
        .npz with what the figure draws.
    genome_wide
        The p-value below which a variant counts as found.
    genomes
        genome.json of the studies whose model is the whole-genome regression: what theory expects then counts what the
        genome explains, too.
    """
    results = Path(results)
    collected = _collect(results, phenotypes)
    known = {Path(path).parts[-3]: {"expected_ratio": expected_ratio(read_states(path))} for path in genomes}
    measured: dict[str, Any] = {
        "phenotypes": [asdict(p) for p in phenotypes],
        "left_out": collected.left_out,
        "genome_wide": genome_wide,
        "null": [],
        "power": [],
    }
    if collected.tested is not None:
        counted = read_parquet(results / "variants.parquet", columns=["id"])["id"].isin(collected.tested).to_numpy()
        measured["variants"] = int(counted.sum())
        measured["effective_tests"] = effective_tests(open_genotypes(results / "genotypes.json"), counted)
    points: dict[str, np.ndarray] = {}
    for kind, own in _by_kind(collected.null).items():
        for arm in ARMS:
            parts = [collected.tables[p.name, arm] for p in own]
            measured["null"].append({"kind": kind, "arm": arm} | _type_one_error(parts, measured["effective_tests"]))
            points[f"null/{kind}/{arm}"] = np.concatenate([t["neg_log_10_p_value"] for t in parts])
    shares = read_json(results / "simulated" / "truth.json")["phenotypes"]
    for kind, own in _by_kind(collected.causal).items():
        chi2 = {
            arm: [chi2_of_neg_log10_p(collected.tables[p.name, arm]["neg_log_10_p_value"].to_numpy()) for p in own]
            for arm in ARMS
        }
        metrics = [read_json(results / p.study / "deepnull" / "metrics.json") | known.get(p.study, {}) for p in own]
        measured["power"] += _power_rows(kind, own, chi2, metrics, shares, genome_wide)
        points |= {f"power/{kind}/{arm}": np.concatenate(chi2[arm]) for arm in ARMS}
    write_npz(out_points, **points)
    write_json(measured, out)


@dataclass(frozen=True)
class _Collected:
    """What was published of the simulated phenotypes.

    Attributes
    ----------
    tables
        (phenotype, arm) -> frequencies and p-values: of all variants where none is causal, else of the causal ones.
    tested
        Names of the variants that a phenotype without causal variants was tested on; None where there is no such
        phenotype.
    null, causal
        Phenotypes without and with causal variants.
    left_out
        Names of those of which a study failed.
    """

    tables: Mapping[tuple[str, str], pd.DataFrame]
    tested: pd.Series | None
    null: Sequence[SimulatedPhenotype]
    causal: Sequence[SimulatedPhenotype]
    left_out: list[str]


def _collect(results: Path, phenotypes: Sequence[SimulatedPhenotype]) -> _Collected:
    """Read what was published of each phenotype and arm."""
    truth = pd.read_csv(results / "simulated" / "truth.tsv", sep="\t")
    causal = {name: set(rows["id"]) for name, rows in truth.groupby("phenotype")}
    tables: dict[tuple[str, str], pd.DataFrame] = {}
    tested: pd.Series | None = None
    left_out = []
    progress = Progress(len(phenotypes) * len(ARMS), "summary statistics")
    for phenotype in phenotypes:
        own = {}
        for arm in ARMS:
            folder = (phenotype.oracle, "baseline") if arm == "oracle" else (phenotype.study, arm)
            own[arm] = read_sumstats(results.joinpath(*folder, "sumstats.tsv.gz"), _COLUMNS).to_pandas()
            progress.add(1)
        variants = causal.get(phenotype.name)
        # a variant that one arm could not test tells nothing about the others
        common = set.intersection(*(set(t["original_id"]) for t in own.values())) if variants else set()
        if not all(map(len, own.values())) or (variants and not common & variants):
            left_out.append(phenotype.name)
            logger.warning("%s: left out, an arm has no result; see status of its studies", phenotype.name)
            continue
        for arm, table in own.items():
            if variants:
                table = table[table["original_id"].isin(common & variants)].sort_values("original_id")
            elif tested is None:
                tested = table["original_id"]
            # names take more memory than all else
            tables[phenotype.name, arm] = table.drop(columns="original_id")
    kept = [p for p in phenotypes if p.name not in left_out]
    null, other = [p for p in kept if not causal.get(p.name)], [p for p in kept if causal.get(p.name)]
    return _Collected(tables, tested, null, other, left_out)


def _by_kind(phenotypes: Sequence[SimulatedPhenotype]) -> dict[str, list[SimulatedPhenotype]]:
    """Group phenotypes by their kind, in the order in which kinds come first."""
    return {kind: [p for p in phenotypes if p.kind == kind] for kind in dict.fromkeys(p.kind for p in phenotypes)}


def _power_rows(
    kind: str,
    phenotypes: Sequence[SimulatedPhenotype],
    chi2: Mapping[str, Sequence[np.ndarray]],
    metrics: Sequence[Mapping[str, Any]],
    shares: Mapping[str, Any],
    genome_wide: float,
) -> Iterator[dict[str, Any]]:
    """Yield the row of each arm for phenotypes of one kind: power, variance explained, what theory expects."""
    key = trait_of(phenotypes[0].trait).measure
    explained = {
        "baseline": np.mean([m["linear"][key] for m in metrics]),
        "deepnull": np.mean([m["deepnull"][key] for m in metrics]),
        "oracle": np.mean([shares[p.name][f"best_covariate_{key}"] for p in phenotypes]),
    }
    expected = None
    if key == "r2":
        expected = np.mean([_expected_ratio(m) for m in metrics])
    cut = chi2_of_neg_log10_p(-np.log10([genome_wide]))[0]
    for arm in ARMS:
        row = {"kind": kind, "arm": arm} | _power(chi2[arm], chi2["baseline"], cut)
        row |= {"measure": key, "explained": explained[arm]}
        yield row | {"expected_ratio": expected if arm == "deepnull" else None}


def _expected_ratio(metrics: Mapping[str, Any]) -> float:
    """Return the ratio of chi-squares that the accuracies of a study lead one to expect."""
    ratio = metrics.get("expected_ratio")
    return (1 - metrics["linear"]["r2"]) / (1 - metrics["deepnull"]["r2"]) if ratio is None else ratio


def _type_one_error(parts: Sequence[pd.DataFrame], tests: float) -> dict[str, Any]:
    """Measure rates and lambdas of phenotypes without genetic effects in one arm; ``tests``: effective number."""
    p = np.concatenate([t["neg_log_10_p_value"] for t in parts])
    rates = []
    for level in LEVELS:
        rate = float(np.mean(p >= -np.log10(level)))
        low, high = wilson(rate, tests * len(parts))
        rates.append({"level": level, "rate": rate, "low": low, "high": high})

    def inflation(low: float, high: float) -> dict[str, Any]:
        each = []
        for table in parts:
            frequency = table["effect_allele_frequency"].to_numpy()
            maf = np.minimum(frequency, 1 - frequency)
            each.append(table["neg_log_10_p_value"].to_numpy()[(maf >= low) & (maf < high + 1e-9)])
        values = [lambda_gc(values) for values in each]
        error = 2 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 2 else None
        return {"maf": [low, high], "lambda_gc": lambda_gc(np.concatenate(each)), "twice_standard_error": error}

    return {"phenotypes": len(parts), "rates": rates, "lambda": [inflation(0.0, 0.5), *(inflation(*b) for b in BINS)]}


def _power(chi2: Sequence[np.ndarray], base: Sequence[np.ndarray], cut: float) -> dict[str, Any]:
    """Measure an arm's power at causal variants against the baseline's; one array per phenotype, the same variants."""
    sums, base_sums = np.array([c.sum() for c in chi2]), np.array([c.sum() for c in base])
    drawn = np.random.default_rng(1).integers(0, len(sums), (2000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / base_sums[drawn].sum(axis=1), [0.025, 0.975])
    values, base_values = np.concatenate(chi2), np.concatenate(base)
    hit, base_hit = values >= cut, base_values >= cut
    return {
        "phenotypes": len(chi2),
        "variants": len(values),
        "mean_chi2": values.mean(),
        "ratio": sums.sum() / base_sums.sum(),
        "low": low,
        "high": high,
        "power": hit.mean(),
        "found": int((hit & ~base_hit).sum()),
        "lost": int((base_hit & ~hit).sum()),
    }

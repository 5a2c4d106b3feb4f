"""What DeepNull gained: the two arms of a study side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from deepnull_gwas.genes.nearest import with_genes
from deepnull_gwas.genes.table import read_genes
from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.genome import ARMS, MODEL, expected_ratio, read_states
from deepnull_gwas.results.loci import lead_variants, read_leads
from deepnull_gwas.results.ssf import INFORMATION, TABLES_VERSION, significant
from deepnull_gwas.results.sumstats import OTHER_ALLELES, POINTS, in_order_of_genome, read_blocks
from deepnull_gwas.tables import atomic_path, read_json, write_json, write_tsv
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

KEY = ["chromosome", "base_pair_location", "variant_id", "original_id", "effect_allele", "other_allele"]
#: Columns of a batch's table of comparisons.
BATCH_COLUMNS = (
    "study",
    "status",
    "explained_measure",
    "explained_linear",
    "explained_deepnull",
    "auc_linear",
    "auc_deepnull",
    "mean_chi2_at_loci_baseline",
    "mean_chi2_at_loci_deepnull",
    "chi2_ratio",
    "chi2_ratio_expected",
    "effective_sample_size_gained_fraction",
    "lambda_gc_baseline",
    "lambda_gc_deepnull",
    "loci_shared",
    "loci_gained",
    "loci_lost",
)
#: Further columns of a batch with a study whose model is the whole-genome regression.
GENOME_COLUMNS = tuple(f"explained_{what}_{arm}" for what in ("genome", "covariates", "both") for arm in ARMS)
P = "neg_log_10_p_value"


def join_arms(baseline: str | Path, deepnull: str | Path) -> Iterator[pl.DataFrame]:
    """Go through both arms side by side, variant by variant; each file is read once, and never held as a whole.

    Both are in the order of the genome, so that a variant of one is near that of the other: what both have read up to a
    place is joined.

    Parameters
    ----------
    baseline, deepnull
        sumstats.tsv.gz of the arms; variants with other alleles, in the files beside them, come after the others.

    Yields
    ------
    Key columns, ``n``, and ``beta``, ``standard_error`` and ``neg_log_10_p_value`` with the arm's name behind, null
    where the arm did not test the variant.
    """
    for files in ((baseline, deepnull), [Path(f).with_name(OTHER_ALLELES) for f in (baseline, deepnull)]):
        if all(Path(file).exists() for file in files):
            yield from _join_files(*files)


def _join_files(*files: str | Path) -> Iterator[pl.DataFrame]:
    columns = [*KEY, "n", "beta", "standard_error", P]
    place = (pl.col("chromosome") * (1 << 33) + pl.col("base_pair_location")).alias("place")
    streams = [(part.with_columns(place) for part in read_blocks(file, columns)) for file in files]
    held, done = [next(stream) for stream in streams], [False, False]
    while not all(done) or any(len(part) for part in held):
        # what has been read of each reaches to here; more may come at the last place itself
        ends = [part["place"][-1] if len(part) else -1 for part in held]
        until = min((end for end, over in zip(ends, done) if not over), default=np.inf)
        ready = [part.filter(pl.col("place") < until) for part in held]
        held = [part.filter(pl.col("place") >= until) for part in held]
        yield _side_by_side(*(part.drop("place") for part in ready))
        for i, stream in enumerate(streams):
            if not done[i] and ends[i] == until:
                more = next(stream, None)
                done[i] = more is None
                held[i] = held[i] if more is None else pl.concat([held[i], more])


def _side_by_side(*arms: pl.DataFrame) -> pl.DataFrame:
    left, right = (
        part.rename({c: f"{c}_{arm}" for c in ("n", "beta", "standard_error", P)}) for part, arm in zip(arms, ARMS)
    )
    if left.select(KEY).equals(right.select(KEY)):
        both = left.hstack(right.drop(KEY))
    else:
        # an ID may be there twice: number the copies, so that each meets its own
        left, right = (t.with_columns(pl.int_range(pl.len()).over(KEY).alias("copy")) for t in (left, right))
        both = left.join(
            right, on=[*KEY, "copy"], how="full", coalesce=True, nulls_equal=True, maintain_order="left_right"
        )
        both = both.sort(["chromosome", "base_pair_location"], maintain_order=True)
    return both.select(
        *KEY,
        pl.coalesce("n_baseline", "n_deepnull").alias("n"),
        *(f"{c}_{arm}" for arm in ARMS for c in ("beta", "standard_error", P)),
    )


def _points(blocks: Iterator[pl.DataFrame] | Sequence[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return for each arm what figures need of joined blocks, row by row the same variants; p null if not tested."""
    table = in_order_of_genome(_of_points(block) for block in blocks)
    place = ("chromosome", "base_pair_location")
    return {arm: table.select(*place, pl.col(f"{P}_{arm}").alias(P)) for arm in ARMS}


def _of_points(block: pl.DataFrame) -> pl.DataFrame:
    types = {c: POINTS[c] for c in ("chromosome", "base_pair_location")}
    return block.select(*types, *(f"{P}_{arm}" for arm in ARMS)).cast(types)


def points_of_arms(
    baseline: str | Path | pl.DataFrame, deepnull: str | Path | pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return chromosome, position and -log10 p of both arms, row by row the same variants; p is null where not tested.

    Parameters
    ----------
    baseline, deepnull
        sumstats.tsv.gz of the arms; or what :func:`compare_arms` returned of them, which is given back: several figures
        share one read.
    """
    if isinstance(baseline, pl.DataFrame) and isinstance(deepnull, pl.DataFrame):
        return baseline, deepnull
    points = _points(join_arms(baseline, deepnull))
    return points["baseline"], points["deepnull"]


def loci_of_both(baseline: pl.DataFrame, deepnull: pl.DataFrame, window: int) -> pl.DataFrame:
    """Unite the loci of both arms: lead variants within ``window`` of each other are one locus.

    Returns
    -------
    One row per locus: the stronger lead variant, whether each arm found the locus, and ``verdict``: ``shared``,
    ``gained`` (deepnull only) or ``lost``; of imputed genotypes also its ``info``, which both arms share; first and
    last hit of either arm.
    """
    both = pl.concat(
        [t.with_columns(pl.lit(arm).alias("arm")) for arm, t in (("baseline", baseline), ("deepnull", deepnull))]
    )
    united = lead_variants(both, window)
    verdicts, starts, ends = [], [], []
    for row in united.iter_rows(named=True):
        near = both.filter(
            (pl.col("chromosome") == row["chromosome"])
            & ((pl.col("base_pair_location") - row["base_pair_location"]).abs() <= window)
        )
        arms = set(near["arm"])
        verdicts.append("shared" if len(arms) == 2 else "gained" if arms == {"deepnull"} else "lost")
        starts.append(near["locus_start"].min())
        ends.append(near["locus_end"].max())
    information = [c for c in united.columns if c == INFORMATION]
    places = [
        pl.Series(name, values, dtype=pl.Int64) for name, values in (("locus_start", starts), ("locus_end", ends))
    ]
    return united.select(*KEY, pl.Series("verdict", verdicts, dtype=pl.String), *information, *places)


def compare_batch(comparisons: Sequence[str | Path], out: str | Path) -> None:
    """Put the comparisons of a batch's studies in one table.

    Parameters
    ----------
    comparisons
        comparison.json of each study with both arms.
    out
        TSV with one row per study: ``explained_linear`` and ``explained_deepnull`` (out of fold, in the
        ``explained_measure``: ``r2``; binary: ``r2_mcfadden``), AUCs of binary traits, mean chi-squares at the loci,
        their ratio and what the accuracy leads one to expect, effective sample size gained, lambdas, and loci shared,
        gained and lost. Where the model of any study is the whole-genome regression, also ``model``, and for each arm
        what the genome beyond the covariates (``explained_genome_...``), the covariates (``explained_covariates_...``)
        and both (``explained_both_...``) explain in its folds (binary: R2 of Brier's score).
    """
    rows = []
    has_genome = False
    for path in comparisons:
        one = read_json(path)
        accuracy = {arm: one["prediction"].get(arm) or {} for arm in ("linear", "deepnull")}
        rows.append(
            {
                "study": one["study"],
                "status": one["prediction"]["status"],
                "explained_measure": next((m for m in ("r2", "r2_mcfadden") if m in accuracy["linear"]), None),
                **{f"explained_{a}": v.get("r2", v.get("r2_mcfadden")) for a, v in accuracy.items()},
                **{f"auc_{a}": v.get("auc") for a, v in accuracy.items()},
                **{f"mean_chi2_at_loci_{arm}": one["mean_chi2_at_loci"][arm] for arm in ARMS},
                "chi2_ratio": one["chi2_ratio"],
                "chi2_ratio_expected": one.get("chi2_ratio_expected"),
                "effective_sample_size_gained_fraction": one["effective_sample_size_gained"],
                **{f"lambda_gc_{arm}": one["lambda_gc"][arm] for arm in ARMS},
                **{f"loci_{verdict}": count for verdict, count in one["loci"].items()},
                "model": one.get("model", "linear"),
            }
        )
        if genome := one.get("genome"):
            has_genome = True
            explained = {
                f"explained_{w}_{a}": genome[a][f"r2_{w}"] for w in ("genome", "covariates", "both") for a in ARMS
            }
            rows[-1] |= explained
    columns = [*BATCH_COLUMNS, "model", *GENOME_COLUMNS] if has_genome else [*BATCH_COLUMNS]
    write_tsv(pd.DataFrame(rows, columns=columns), out)


def compare_arms(
    sumstats: Mapping[str, str | Path],
    leads: Mapping[str, str | Path],
    metrics: str | Path,
    genome: str | Path | None,
    window_kb: float,
    out_summary: str | Path,
    out_loci: str | Path,
    genes: str | Path | None = None,
) -> dict[str, pl.DataFrame]:
    """Compare the arms of a study, in one read of each file.

    Parameters
    ----------
    sumstats, leads
        sumstats.tsv.gz and leads.tsv of each arm.
    metrics
        metrics.json of the prediction.
    genome
        genome.json, where the model is the whole-genome regression.
    window_kb
        Half width of a locus in kb.
    out_summary, out_loci
        comparison.json and comparison.tsv.
    genes
        Table of genes (:func:`~deepnull_gwas.genes.table.read_genes`); None, none is named.

    Returns
    -------
    Arm -> what figures of both arms need, see :func:`points_of_arms`.

    Notes
    -----
    The gain in effective sample size is the ratio of the mean chi-squares at the loci of either arm, less 1, since the
    non-centrality grows with n; the theory for a quantitative trait is (1 - R2 linear) / (1 - R2 DeepNull) - 1, an R2
    below 0 counting as 0. With the whole-genome regression the R2 are those of covariates and genome together, where
    an arm uses what the genome predicts.
    """
    loci = loci_of_both(*(read_leads(leads[arm]) for arm in ARMS), int(window_kb * 1000))
    loci = with_genes(loci, read_genes(genes) if genes else None)
    blocks, at_loci = [], []
    for block in join_arms(*(sumstats[arm] for arm in ARMS)):
        at_loci.append(block.join(loci, on=KEY, how="semi", nulls_equal=True, maintain_order="left"))
        blocks.append(_of_points(block))
    found = pl.concat(at_loci)
    loci = loci.join(found, on=KEY, how="left", nulls_equal=True, maintain_order="left")
    points = _points(blocks)
    compared = loci.drop_nulls([f"{P}_{arm}" for arm in ARMS])
    tested = points["baseline"][P].is_not_null() & points["deepnull"][P].is_not_null()
    prediction: Mapping[str, Any] = read_json(metrics)
    chi2 = {arm: chi2_of_neg_log10_p(compared[f"{P}_{arm}"].to_numpy()) for arm in ARMS}
    verdict = loci["verdict"]
    summary: dict[str, Any] = {
        "tables_version": TABLES_VERSION,
        "study": prediction["study"],
        "prediction": {k: prediction.get(k) for k in ("status", "reason", "linear", "deepnull")},
        "variants": int(tested.sum()),
        "lambda_gc": {arm: lambda_gc(points[arm][P].filter(tested).to_numpy()) for arm in ARMS},
        "loci": {name: int((verdict == name).sum()) for name in ("shared", "gained", "lost")},
        "mean_chi2_at_loci": {arm: float(values.mean()) if len(values) else None for arm, values in chi2.items()},
        "chi2_ratio": float(chi2["deepnull"].mean() / chi2["baseline"].mean()) if len(chi2["baseline"]) else None,
    }
    summary["effective_sample_size_gained"] = None if summary["chi2_ratio"] is None else summary["chi2_ratio"] - 1
    if prediction.get("status") == "ok":
        summary |= _accuracy_gained(prediction)
    if genome is not None:
        summary |= {"model": MODEL, "genome": (states := read_states(genome))}
        if "r2_gained" in summary:
            # of a quantitative trait
            summary["chi2_ratio_expected"] = expected_ratio(states)
    logger.info("%s: %s", summary["study"], summary["loci"])
    write_json(summary, out_summary)
    with atomic_path(out_loci) as temporary:
        # digits, not decimals: the effects of a phenotype of small numbers are small numbers
        digits = pl.col(pl.Float64).map_batches(lambda s: pl.Series(significant(s.to_numpy())).fill_nan(None))
        loci.with_columns(digits).write_csv(temporary, separator="\t", null_value="NA", quote_style="never")
    return points


def _accuracy_gained(prediction: Mapping[str, Any]) -> dict[str, float]:
    """Return what DeepNull explains beyond the linear model, out of fold, and the ratio of chi-squares to expect.

    A measure below its value for a prediction that knows nothing counts as that value: losing less is no gain.
    """
    linear, deepnull = prediction["linear"], prediction["deepnull"]
    if trait_of(prediction["trait"]).has_cases:
        least = {"r2_mcfadden": 0.0, "auc": 0.5}
        return {f"{key}_gained": max(low, deepnull[key]) - max(low, linear[key]) for key, low in least.items()}
    before, after = max(0.0, linear["r2"]), max(0.0, deepnull["r2"])
    return {"chi2_ratio_expected": (1 - before) / (1 - after), "r2_gained": after - before}

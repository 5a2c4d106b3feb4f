"""What DeepNull bought: the two arms of a study side by side."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.loci import lead_variants, read_leads
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.tables import atomic_path, read_json, write_json, write_tsv

logger = logging.getLogger(__name__)

KEY = ["chromosome", "base_pair_location", "variant_id", "effect_allele", "other_allele"]


def join_arms(baseline: str | Path, deepnull: str | Path) -> pl.DataFrame:
    """Put the two arms side by side, variant by variant.

    Returns
    -------
    Key columns, ``n``, and ``beta``, ``se`` and ``p`` (-log10) with the arm's name behind; variants tested in both arms.
    """
    columns = [*KEY, "n", "beta", "standard_error", "neg_log_10_p_value"]
    left, right = (
        read_sumstats(path, columns).rename(
            {"beta": f"beta_{arm}", "standard_error": f"se_{arm}", "neg_log_10_p_value": f"p_{arm}"}
        )
        for path, arm in ((baseline, "baseline"), (deepnull, "deepnull"))
    )
    # an ID may be there twice: number the copies, so that each meets its own
    left, right = (t.with_columns(pl.int_range(pl.len()).over(KEY).alias("copy")) for t in (left, right))
    return left.join(right.drop("n"), on=[*KEY, "copy"], how="inner", maintain_order="left").drop("copy")


def loci_of_both(baseline: pl.DataFrame, deepnull: pl.DataFrame, window: int) -> pl.DataFrame:
    """Unite the loci of both arms: lead variants within ``window`` of each other are one locus.

    Returns
    -------
    One row a locus: the stronger lead variant, whether each arm found the locus, and ``verdict``: ``shared``, ``gained`` (deepnull only) or ``lost``.
    """
    both = pl.concat(
        [t.with_columns(pl.lit(arm).alias("arm")) for arm, t in (("baseline", baseline), ("deepnull", deepnull))]
    )
    united = lead_variants(both, window)
    verdicts = []
    for row in united.iter_rows(named=True):
        near = both.filter(
            (pl.col("chromosome") == row["chromosome"])
            & ((pl.col("base_pair_location") - row["base_pair_location"]).abs() <= window)
        )
        arms = set(near["arm"])
        verdicts.append("shared" if len(arms) == 2 else "gained" if arms == {"deepnull"} else "lost")
    return united.select(*KEY).with_columns(pl.Series("verdict", verdicts, dtype=pl.String))


def compare_batch(comparisons: Sequence[str | Path], out: str | Path) -> None:
    """Put the comparisons of a batch's studies in one table.

    Parameters
    ----------
    comparisons
        comparison.json of each study with both arms.
    out
        TSV with one row a study: ``explained_linear`` and ``explained_deepnull`` (R2; binary: McFadden's, out of fold), AUCs of binary traits, mean
        chi-squares at the loci, their ratio and what the accuracy leads one to expect, effective sample size gained, lambdas, and loci shared,
        gained and lost.
    """
    rows = []
    for path in comparisons:
        one = read_json(path)
        accuracy = {arm: one["prediction"].get(arm) or {} for arm in ("linear", "deepnull")}
        rows.append(
            {
                "study": one["study"],
                "status": one["prediction"]["status"],
                **{f"explained_{a}": v.get("r2", v.get("r2_mcfadden")) for a, v in accuracy.items()},
                **{f"auc_{a}": v.get("auc") for a, v in accuracy.items()},
                **{f"mean_chi2_{arm}": one["mean_chi2_at_loci"][arm] for arm in ("baseline", "deepnull")},
                "chi2_ratio": one["chi2_ratio"],
                "chi2_ratio_expected": one.get("chi2_ratio_expected"),
                "effective_sample_size_gained": one["effective_sample_size_gained"],
                **{f"lambda_gc_{arm}": one["lambda_gc"][arm] for arm in ("baseline", "deepnull")},
                **one["loci"],
            }
        )
    names = ["study", "status", "explained_linear", "explained_deepnull", "auc_linear", "auc_deepnull"]
    names += [
        "mean_chi2_baseline",
        "mean_chi2_deepnull",
        "chi2_ratio",
        "chi2_ratio_expected",
        "effective_sample_size_gained",
    ]
    names += ["lambda_gc_baseline", "lambda_gc_deepnull", "shared", "gained", "lost"]
    write_tsv(pd.DataFrame(rows, columns=names), out)


def compare_arms(
    baseline: str | Path,
    deepnull: str | Path,
    leads_baseline: str | Path,
    leads_deepnull: str | Path,
    metrics: str | Path,
    window_kb: float,
    out_summary: str | Path,
    out_loci: str | Path,
) -> None:
    """Compare the arms of a study.

    Parameters
    ----------
    baseline, deepnull
        sumstats.tsv.gz of the arms.
    leads_baseline, leads_deepnull
        Their leads.tsv.
    metrics
        metrics.json of the prediction.
    window_kb
        Half width of a locus in kb.
    out_summary, out_loci
        comparison.json and comparison.tsv.

    Notes
    -----
    The gain in effective sample size is the ratio of the mean chi-squares at the loci of either arm, less 1, since the non-centrality grows with n;
    the theory for a quantitative trait is (1 - R2 linear) / (1 - R2 DeepNull) - 1, an R2 below 0 counting as 0.
    """
    both = join_arms(baseline, deepnull)
    loci = loci_of_both(read_leads(leads_baseline), read_leads(leads_deepnull), int(window_kb * 1000)).join(
        both, on=KEY, how="left", maintain_order="left"
    )
    prediction: Mapping[str, Any] = read_json(metrics)
    chi2 = {arm: chi2_of_neg_log10_p(loci[f"p_{arm}"].drop_nulls().to_numpy()) for arm in ("baseline", "deepnull")}
    verdict = loci["verdict"]
    summary: dict[str, Any] = {
        "study": prediction["study"],
        "prediction": {k: prediction.get(k) for k in ("status", "reason", "linear", "deepnull")},
        "variants": len(both),
        "lambda_gc": {arm: lambda_gc(both[f"p_{arm}"].to_numpy()) for arm in ("baseline", "deepnull")},
        "loci": {name: int((verdict == name).sum()) for name in ("shared", "gained", "lost")},
        "mean_chi2_at_loci": {arm: float(values.mean()) if len(values) else None for arm, values in chi2.items()},
        "chi2_ratio": float(chi2["deepnull"].mean() / chi2["baseline"].mean()) if len(chi2["baseline"]) else None,
    }
    summary["effective_sample_size_gained"] = None if summary["chi2_ratio"] is None else summary["chi2_ratio"] - 1
    if prediction.get("status") == "ok" and prediction["trait"] == "quantitative":
        # below 0 a prediction explains nothing, and losing less is no gain
        linear, deepnull = (max(0.0, prediction[arm]["r2"]) for arm in ("linear", "deepnull"))
        summary["chi2_ratio_expected"] = (1 - linear) / (1 - deepnull)
        summary["r2_gained"] = deepnull - linear
    elif prediction.get("status") == "ok":
        summary |= {
            f"{key}_gained": max(least, prediction["deepnull"][key]) - max(least, prediction["linear"][key])
            for key, least in (("r2_mcfadden", 0.0), ("auc", 0.5))
        }
    logger.info("%s: %s", summary["study"], summary["loci"])
    write_json(summary, out_summary)
    with atomic_path(out_loci) as temporary:
        loci.with_columns(
            pl.col(pl.Float64).map_batches(lambda s: pl.Series(np.asarray(s.to_numpy(), dtype=float)))
        ).write_csv(temporary, separator="\t", null_value="NA", float_precision=5)

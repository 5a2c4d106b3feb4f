"""The page of a study, and its row in the index (rule ``describe_study``)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepnull_gwas.results.advice import advice_on
from deepnull_gwas.results.genome import MODEL, notes, read_states
from deepnull_gwas.site.genome import genome_of, spark_of
from deepnull_gwas.site.learned import learned_of
from deepnull_gwas.site.pvalues import read_p_values
from deepnull_gwas.site.quantiles import qq_of
from deepnull_gwas.site.script_files import plain, write_script
from deepnull_gwas.tables import read_json, read_metadata, write_json

logger = logging.getLogger(__name__)

#: What is shown of study.json: no names of people.
ABOUT = ("study", "cohort", "phenotype", "trait", "transform", "status", "stage", "reason", "n", "cases", "controls")
#: Columns of loci that are text.
TEXTS = ("variant_id", "original_id", "effect_allele", "other_allele", "verdict", "nearest_gene", "genes")


def describe_study(
    folder: str | Path,
    chunks: Sequence[str | Path],
    entry: Mapping[str, Any],
    settings: Mapping[str, Any],
    out: str | Path,
    out_row: str | Path,
) -> None:
    """Write what the site shows of a study.

    Parameters
    ----------
    folder
        Results of the study; its files are read by their names.
    chunks
        Association tables of the batch, in the order of chunks.
    entry
        ``cohort``, ``study``, ``arms``, ``model`` of the tests, ``genome_build``.
    settings
        The ``report`` section: genome_wide, suggestive, top_loci_labelled.
    out, out_row
        The page's data as a script, and the row of the index as JSON: numbers of the published files, and p-values
        thinned as :func:`~deepnull_gwas.site.genome.genome_of` and :func:`~deepnull_gwas.site.quantiles.qq_of` do it.
    """
    folder, arms = Path(folder), list(entry["arms"])
    about = read_json(folder / "study.json")
    head = read_metadata(chunks[0])["studies"][entry["study"]]["arms"]
    tests = {arm: read_json(folder / arm / "tests.json") for arm in arms}
    states = {arm: {**head[arm], **tests[arm]} for arm in arms}
    compared = read_json(folder / "comparison.json") if len(arms) == 2 else None
    whole = read_states(folder / "genome" / "genome.json") if entry["model"] == MODEL else None
    learned = None
    if "deepnull" in arms:
        learned = learned_of(folder / "deepnull" / "metrics.json", folder / "samples.parquet")
    # the deepnull arm first: it is drawn above
    p = read_p_values(chunks, entry["study"], sorted(arms, reverse=True))
    noted = [*about.get("notes", []), *(notes(whole) if whole else [])]
    noted += [note for arm in arms for note in head[arm].get("notes", [])]
    lambdas = {arm: tests[arm]["lambda_gc"] for arm in arms}
    advice = advice_on(about["n"], lambdas, compared, noted, (learned or {}).get("warnings") or [])
    collinear = {name: "collinear" for arm in arms for name in head[arm].get("dropped_covariates", [])}
    page = {
        "about": {key: about.get(key) for key in ABOUT} | {"model": entry["model"]},
        "arms": {arm: _state(states[arm]) for arm in arms},
        "accounting": [{k: step[k] for k in ("step", "people", "removed")} for step in about.get("accounting", [])],
        "covariates": [{k: c.get(k) for k in ("name", "kind")} for c in about.get("covariates", [])],
        "deepnull_covariates": [c.get("name") for c in about.get("deepnull_covariates", [])],
        "dropped_covariates": {c["name"]: c["reason"] for c in about.get("dropped_covariates", [])} | collinear,
        "warnings": [dataclasses.asdict(one) for one in advice],
        "comparison": compared,
        "loci": loci_of(folder, arms),
        "genome": genome_of(p, chunks, entry["study"]),
        "qq": qq_of(p),
        "learned": learned,
        "whole_genome": whole,
        "settings": {key: settings[key] for key in ("genome_wide", "suggestive", "top_loci_labelled")},
    }
    write_script(f"study/{entry['cohort']}/{entry['study']}", page, out)
    row = _row(page, learned) | {"genome_build": entry["genome_build"], "spark": spark_of(p)}
    write_json(plain(row), out_row)
    logger.info("%s: %d of %d variants by name", entry["study"], page["genome"]["counts"]["named"], len(p.code))


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of an arm."""
    keys = ("status", "stage", "reason", "tested", "other_alleles", "untested", "lambda_gc", "loci")
    return {key: state.get(key) for key in keys}


def loci_of(folder: Path, arms: Sequence[str]) -> dict[str, Any]:
    """Return the loci of a study, column by column: of both arms with their verdict, of one arm its lead variants."""
    path = folder / "comparison.tsv" if len(arms) == 2 else folder / arms[0] / "leads.tsv"
    table = pl.read_csv(
        path, separator="\t", null_values="NA", quote_char=None, schema_overrides=dict.fromkeys(TEXTS, pl.String),
        infer_schema_length=None,
    )  # fmt: skip
    if len(arms) == 1:
        own = ("beta", "standard_error", "neg_log_10_p_value")
        table = table.rename({c: f"{c}_{arms[0]}" for c in own}).with_columns(pl.lit("single").alias("verdict"))
    return {name: table[name].to_list() for name in table.columns}


def _row(page: Mapping[str, Any], learned: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the row of the index."""
    about, compared = page["about"], page["comparison"] or {}
    keys = ("cohort", "study", "phenotype", "trait", "n", "cases", "model", "status", "stage", "reason")
    row = {key: about[key] for key in keys}
    failed = next((s for s in page["arms"].values() if s["status"] == "failed"), None)
    if failed and row["status"] != "failed":
        row |= {key: failed[key] for key in ("status", "stage", "reason")}
    row["arms"] = {arm: {key: s[key] for key in ("status", "lambda_gc", "loci")} for arm, s in page["arms"].items()}
    row["verdicts"] = compared.get("loci")
    row["gained"] = compared.get("effective_sample_size_gained")
    if learned and learned.get("accuracy"):
        accuracy = learned["accuracy"]
        measure = next((m for m in ("r2", "r2_mcfadden") if m in accuracy["linear"]), None)
        row["explained"] = {"measure": measure} | {name: values.get(measure) for name, values in accuracy.items()}
    if page["whole_genome"]:
        row["r2_genome"] = {arm: page["whole_genome"][arm]["r2_genome"] for arm in page["arms"]}
    row |= {"warnings": [w["what"] for w in page["warnings"]], "genome_wide": page["settings"]["genome_wide"]}
    best = _strongest_locus(page["loci"])
    return row | ({"strongest": best} if best else {})


def _strongest_locus(loci: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the lead variant with the smallest p-value of either arm."""
    columns = [loci[c] for c in loci if c.startswith("neg_log_10_p_value_")]
    p = np.array([[np.nan if v is None else v for v in c] for c in columns], dtype=float)
    if not p.size:
        return None
    at = int(np.nanargmax(np.nanmax(p, axis=0)))
    gene = loci.get("nearest_gene")
    return {
        "name": (gene and gene[at]) or loci["original_id"][at],
        "neg_log_10_p_value": float(np.nanmax(p[:, at])),
    }

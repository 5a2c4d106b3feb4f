"""The state of a run: what became of every study and arm."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.results.genome import MEASURES, MODEL, notes, read_states
from deepnull_gwas.results.sumstats import OTHER_ALLELES
from deepnull_gwas.tables import atomic_path, read_json, read_metadata, write_tsv

logger = logging.getLogger(__name__)

#: At most this many are shown on the screen at the end of a run: analyses one by one (of more, counts), failed ones,
#: those with most loci, notes.
ROWS_SHOWN, FAILED_SHOWN, MOST_SHOWN, NOTES_SHOWN = 20, 10, 6, 10
#: At most this many pairs of alleles that the standard does not know are named there.
ALLELES_SHOWN = 5
#: Columns of status.tsv where the model of any study is the whole-genome regression: how what the genome predicts came
#: about (``linear``, ``logistic``, ``logistic_fallback``, ``none``), and shares of variance explained out of fold.
GENOME_COLUMNS = ("model", "genome_method", *MEASURES)


def summarise_run(
    results: str | Path, studies: Sequence[Mapping[str, Any]], out: str | Path, out_text: str | Path
) -> None:
    """Write one row for every study and arm, and the same as one screen of text.

    Parameters
    ----------
    results
        Folder of the results.
    studies
        cohort, study, batch, arms and model of each study, in the order of the sheet. Where the model of any is the
        whole-genome regression, :data:`GENOME_COLUMNS` are added.
    out, out_text
        status.tsv, summary.txt.
    """
    results = Path(results)
    rows, examples = [], {}
    for entry in studies:
        folder = results / entry["cohort"] / entry["study"]
        about = read_json(folder / "study.json")
        chunk = results / entry["cohort"] / "associations" / entry["batch"] / "0.parquet"
        head = read_metadata(chunk)["studies"][entry["study"]]["arms"]
        genome = read_states(folder / "genome" / "genome.json") if entry["model"] == MODEL else {}
        about_study = [*about.get("notes", []), *notes(genome)]
        for arm in entry["arms"]:
            state = head[arm]
            tests = read_json(folder / arm / "tests.json")
            rows.append(
                {
                    "cohort": entry["cohort"],
                    "study": entry["study"],
                    "arm": arm,
                    "trait": about["trait"],
                    "status": state["status"],
                    "stage": state["stage"],
                    "reason": state["reason"],
                    "n": about["n"],
                    "cases": about.get("cases"),
                    "variants": tests["tested"],
                    "variants_with_other_alleles": tests["other_alleles"],
                    "lambda_gc": tests["lambda_gc"],
                    "loci": tests["loci"],
                    **_of_genome(entry["model"], genome.get(arm, {})),
                    "notes": "; ".join(about_study),
                }
            )
            if tests["other_alleles"]:
                examples.update(dict.fromkeys(tests["examples_of_other_alleles"]))
    frame = pd.DataFrame(rows).astype({"cases": "Int64", "lambda_gc": float} | dict.fromkeys(MEASURES, float))
    if not (frame["model"] == MODEL).any():
        frame = frame.drop(columns=[*GENOME_COLUMNS])
    write_tsv(frame, out)
    with atomic_path(out_text) as temporary:
        temporary.write_text(_text(frame, results, list(examples)), encoding="utf-8")


def _of_genome(model: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns :data:`GENOME_COLUMNS` of a study and arm; ``state``: of its whole-genome regression."""
    return {"model": model, "genome_method": state.get("method", ""), **{key: state.get(key) for key in MEASURES}}


def _text(frame: pd.DataFrame, results: Path, examples: Sequence[str] = ()) -> str:
    """Return one screen: failures first, then counts by arm, every analysis where they are few, where things are."""
    failed = frame[frame["status"] == "failed"]
    lines = [
        f"FAILED {row.cohort}/{row.study} ({row.arm}) at {row.stage}: {row.reason}"
        for row in failed.head(FAILED_SHOWN).itertuples()
    ]
    if len(failed) > FAILED_SHOWN:
        lines.append(f"FAILED and {len(failed) - FAILED_SHOWN} more: see {results}/status.tsv")
    lines += [""] if lines else []
    if len(frame) <= ROWS_SHOWN:
        shown = frame.drop(columns=["stage", "reason", "variants_with_other_alleles", "notes"], errors="ignore").copy()
        shown["lambda_gc"] = shown["lambda_gc"].map(lambda v: "NA" if pd.isna(v) else f"{v:.3f}")
        shown["cases"] = shown["cases"].astype(str).replace("<NA>", "")
        # on the screen the one that tells what the model gained
        shown = shown.drop(columns=["genome_method", "r2_covariates", "r2_both"], errors="ignore")
        if "r2_genome" in shown:
            shown["r2_genome"] = shown["r2_genome"].map(lambda v: "" if pd.isna(v) else f"{v:.3f}")
        lines += [shown.to_string(index=False), ""]
    else:
        done = frame[frame["status"] != "failed"]
        for arm, part in done.groupby("arm", sort=True):
            low, middle, high = part["lambda_gc"].quantile([0.0, 0.5, 1.0])
            lines.append(
                f"{arm}: {len(part)} studies, {int((part['loci'] > 0).sum())} with hits, "
                f"{int(part['loci'].sum())} loci in all; lambda {middle:.3f} ({low:.3f} to {high:.3f})"
            )
        if "r2_genome" in done and len(known := done["r2_genome"].dropna()):
            low, middle, high = known.quantile([0.0, 0.5, 1.0])
            lines.append(
                f"whole-genome regression of {len(known)} analyses: R2 of the genome, out of fold, {middle:.3f} "
                f"({low:.3f} to {high:.3f})"
            )
        most = done.sort_values(["loci", "cohort", "study", "arm"], ascending=[False, True, True, True]).head(
            MOST_SHOWN
        )
        lines += ["Most loci: " + ", ".join(f"{r.study} ({r.arm}) {r.loci}" for r in most.itertuples()), ""]
    if examples:
        most = int(frame["variants_with_other_alleles"].max())
        lines += [
            f"Up to {most:,} tested variants of an analysis have alleles that GWAS-SSF does not know "
            f"({', '.join(examples[:ALLELES_SHOWN])}): "
            f"they are in {OTHER_ALLELES} beside sumstats.tsv.gz, with the same columns.",
            "",
        ]
    lines += _notes(frame)
    lines += [
        f"{len(frame) - len(failed)} of {len(frame)} analyses done.",
        f"Summary statistics: {results}/<cohort>/<study>/<arm>/sumstats.tsv.gz "
        "(GWAS-SSF; effect allele: A1 of a .bim, ALT of a .pvar or VCF, of a .bgen the one that is not the reference)",
        f"Figures: {results}/<cohort>/<study>/{{qq,manhattan,arms,miami}}.{{svg,pdf}}; "
        "gains and losses: comparison.tsv beside them",
        f"State of all studies: {results}/status.tsv; where they came from: {results}/provenance.html",
    ]
    return "\n".join(lines) + "\n"


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return what has to be known about studies that are done: each note once, with its studies, and an empty line."""
    noted = frame[frame["notes"] != ""].drop_duplicates(["cohort", "study"])
    lines = []
    for note, part in noted.groupby("notes", sort=False):
        names = [f"{row.cohort}/{row.study}" for row in part.itertuples()]
        lines.append(f"NOTE {some(names, 3)}: {note}")
    if len(lines) > NOTES_SHOWN:
        lines = [*lines[:NOTES_SHOWN], f"NOTE and {len(lines) - NOTES_SHOWN} more: column notes of status.tsv"]
    return [*lines, ""] if lines else []


def check_status(status: str | Path, out: str | Path) -> None:
    """Fail if any study failed; else leave a mark.

    Raises
    ------
    InputError
        Naming the studies that failed, where and why.
    """
    frame = pd.read_csv(status, sep="\t", keep_default_na=False)
    failed = frame[frame["status"] == "failed"]
    if len(failed):
        lines = [f"  {row.cohort}/{row.study} ({row.arm}) at {row.stage}: {row.reason}" for row in failed.itertuples()]
        raise InputError(
            f"{len(failed)} of {len(frame)} analyses failed (all others are done; see {status}):\n" + "\n".join(lines)
        )
    with atomic_path(out) as temporary:
        temporary.write_text("all studies ok\n")

"""The state of a run: what became of every study and arm."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepnull_gwas.errors import InputError
from deepnull_gwas.results.genome import MEASURES, MODEL, notes, read_states
from deepnull_gwas.results.run_screen import run_screen
from deepnull_gwas.tables import atomic_path, read_json, read_metadata, write_tsv

logger = logging.getLogger(__name__)

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
    rows: list[dict[str, Any]] = []
    examples: dict[str, None] = {}
    comparisons, warnings = {}, {}
    for entry in studies:
        folder = results / entry["cohort"] / entry["study"]
        about = read_json(folder / "study.json")
        chunk = results / entry["cohort"] / "associations" / entry["batch"] / "0.parquet"
        head = read_metadata(chunk)["studies"][entry["study"]]["arms"]
        genome = read_states(folder / "genome" / "genome.json") if entry["model"] == MODEL else {}
        about_study = [*about.get("notes", []), *notes(genome)]
        key = entry["cohort"], entry["study"]
        if len(entry["arms"]) == 2:
            comparisons[key] = read_json(folder / "comparison.json")
        if "deepnull" in entry["arms"]:
            warnings[key] = read_json(folder / "deepnull" / "metrics.json").get("warnings", [])
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
        screen = run_screen(frame, str(results), comparisons, warnings, list(examples))
        temporary.write_text(screen, encoding="utf-8")


def _of_genome(model: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns :data:`GENOME_COLUMNS` of a study and arm; ``state``: of its whole-genome regression."""
    return {"model": model, "genome_method": state.get("method", ""), **{key: state.get(key) for key in MEASURES}}


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

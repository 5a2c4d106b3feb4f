"""What a run says at its end: one screen about all studies, and the same in summary.txt."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from deepnull_gwas.errors import some
from deepnull_gwas.results.advice import advice_on
from deepnull_gwas.results.genome import ARMS, MODEL
from deepnull_gwas.results.sumstats import OTHER_ALLELES
from deepnull_gwas.text import plain

#: Columns of the screen.
WIDTH = 100
#: At most this many are shown: studies one by one, those with most loci where there are more of them, warnings,
#: failures.
STUDIES_SHOWN, MOST_SHOWN, WARNINGS_SHOWN, FAILED_SHOWN = 16, 6, 4, 5
#: Lines of a warning, and of the reason of a failure where there are more than two.
LINES_SHOWN = 3
#: At most this many pairs of alleles that the standard does not know are named.
ALLELES_SHOWN = 5
#: Characters of the name of a study.
NAME = 34

Key = tuple[str, str]


def run_screen(
    status: pd.DataFrame,
    results: str,
    comparisons: Mapping[Key, Mapping[str, Any]] | None = None,
    warnings: Mapping[Key, Sequence[str]] | None = None,
    other_alleles: Sequence[str] = (),
) -> str:
    """Return one screen about a run: a table of its studies, what to look at, what failed, where things are.

    Parameters
    ----------
    status
        The table status.tsv, with missing values as pandas has them.
    results
        Folder of the results, as it is to be shown.
    comparisons
        (cohort, study) -> comparison.json, of studies with both arms.
    warnings
        (cohort, study) -> ``warnings`` of metrics.json.
    other_alleles
        Examples of alleles that GWAS-SSF does not know.
    """
    studies = _studies(status, comparisons or {})
    failed = status[status["status"] == "failed"]
    lines = _table(studies) if len(studies) <= STUDIES_SHOWN else _of_many(studies)
    if any(len(study["arms"]) == 2 for study in studies):
        lines.append("lambda, loci: baseline -> deepnull; gain: of effective sample size, from the loci of both arms")
    told = _warnings(studies, status, warnings or {})
    told += _other_alleles(status, other_alleles)
    if told:
        lines += ["", "WARNINGS", *told]
    if len(failed):
        lines += ["", "FAILED", *_failures(failed, results)]
    lines += [
        "",
        f"{len(status) - len(failed)} of {len(status)} analyses done.",
        f"  summary statistics  {results}/<cohort>/<study>/<arm>/sumstats.tsv.gz   (beta: per effect allele)",
        f"  gained and lost     {results}/<cohort>/<study>/comparison.tsv; figures are beside it",
        f"  every study         {results}/status.tsv; where it all came from: {results}/provenance.html",
    ]
    return "\n".join(lines) + "\n"


def _studies(status: pd.DataFrame, comparisons: Mapping[Key, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one record per study: its rows of the table by arm, its comparison, its name on the screen."""
    many = status["cohort"].nunique() > 1
    studies = []
    for (cohort, study), part in status.groupby(["cohort", "study"], sort=False):
        arms = {row["arm"]: row for row in part.to_dict("records")}
        first = next(iter(arms.values()))
        studies.append(
            {
                "key": (cohort, study),
                "name": plain(f"{cohort}/{study}" if many else study, NAME),
                "n": int(first["n"]),
                "cases": None if pd.isna(first["cases"]) else int(first["cases"]),
                "model": first.get("model", ""),
                "arms": arms,
                "comparison": comparisons.get((cohort, study), {}),
            }
        )
    return studies


def _table(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the aligned table of some studies; columns in which nothing stands are left out."""
    rows = [_row(study) for study in studies]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    for name in ("R2 genome", "lambda", "loci"):
        _align([row for row in rows if " -> " in row[name]], name)
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}

    def line(row: Mapping[str, str]) -> str:
        left = ("study", "R2 genome", "lambda", "loci")
        cells = [f"{row[c]:<{width[c]}}" if c in left else f"{row[c]:>{width[c]}}" for c in columns]
        return "  ".join(cells).rstrip()

    head = line({name: name for name in columns}), line({name: "-" * width[name] for name in columns})
    return [*head, *map(line, rows)]


def _align(rows: Sequence[dict[str, str]], name: str) -> None:
    """Put the arrows of a column below each other."""
    cells = [row[name].split(" -> ") for row in rows]
    width = max((len(baseline) for baseline, _ in cells), default=0)
    for row, (baseline, deepnull) in zip(rows, cells):
        row[name] = f"{baseline:>{width}} -> {deepnull}"


def _row(study: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of a study's line."""
    has_failed = any(row["status"] == "failed" for row in study["arms"].values())
    compared = {} if has_failed else study["comparison"]
    loci, gain = compared.get("loci", {}), compared.get("effective_sample_size_gained")
    return {
        "study": study["name"],
        "n": f"{study['n']:,}",
        "cases": "" if study["cases"] is None else f"{study['cases']:,}",
        "R2 genome": _both(study["arms"], "r2_genome", "{:.2f}") if study["model"] == MODEL else "",
        "lambda": _both(study["arms"], "lambda_gc", "{:.3f}"),
        "loci": _both(study["arms"], "loci", "{:.0f}"),
        "gained": f"{loci['gained']}" if loci else "",
        "lost": f"{loci['lost']}" if loci else "",
        "gain": "" if gain is None else f"{100 * gain:+.0f} %",
    }


def _both(arms: Mapping[str, Mapping[str, Any]], column: str, form: str) -> str:
    """Return a measure of both arms, ``failed`` in place of one that has none."""
    cells = []
    for arm in [arm for arm in ARMS if arm in arms]:
        value = arms[arm][column]
        failed = arms[arm]["status"] == "failed"
        cells.append("failed" if failed else "NA" if pd.isna(value) else form.format(value))
    if set(cells) == {"failed"}:
        return "failed"
    return " -> ".join(cells) if len(cells) == 2 else f"{cells[0]} ({next(iter(arms))})"


def _of_many(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sums and medians of many studies, and those with most loci."""
    lines = [f"{len(studies)} studies"]
    for arm in ARMS:
        rows = pd.DataFrame([s["arms"][arm] for s in studies if arm in s["arms"]])
        rows = rows[rows["status"] != "failed"] if len(rows) else rows
        if len(rows):
            low, middle, high = rows["lambda_gc"].astype(float).quantile([0.0, 0.5, 1.0])
            lines.append(
                f"{arm}: {len(rows)} studies, {int((rows['loci'] > 0).sum())} with hits, {int(rows['loci'].sum())} "
                f"loci in all; lambda {middle:.3f} ({low:.3f} to {high:.3f})"
            )
    genome = pd.Series([row.get("r2_genome") for s in studies for row in s["arms"].values()], dtype=float).dropna()
    if len(genome):
        low, middle, high = genome.quantile([0.0, 0.5, 1.0])
        lines.append(
            f"whole-genome regression of {len(genome)} analyses: R2 of the genome, out of fold, {middle:.3f} "
            f"({low:.3f} to {high:.3f})"
        )
    compared = [s["comparison"] for s in studies if s["comparison"]]
    if compared:
        gains = pd.Series([c["effective_sample_size_gained"] for c in compared], dtype=float)
        count = {k: sum(c["loci"][k] for c in compared) for k in ("shared", "gained", "lost")}
        gain = "" if gains.isna().all() else f"; gain {100 * gains.median():+.0f} % (median)"
        lines.append(f"loci: {count['shared']} shared, {count['gained']} gained, {count['lost']} lost{gain}")
    most = sorted(studies, key=lambda s: -sum(_loci(row) for row in s["arms"].values()))[:MOST_SHOWN]
    return [*lines, "", "those with most loci (all: status.tsv)", *_table(most)]


def _loci(row: Mapping[str, Any]) -> int:
    return 0 if row["status"] == "failed" or pd.isna(row["loci"]) else int(row["loci"])


def _warnings(
    studies: Sequence[Mapping[str, Any]], status: pd.DataFrame, warnings: Mapping[Key, Sequence[str]]
) -> list[str]:
    """Return what to look at, each warning once with its studies."""
    names: dict[str, list[str]] = {}
    for study in studies:
        arms = {arm: row for arm, row in study["arms"].items() if row["status"] != "failed"}
        notes = [row["notes"] for row in study["arms"].values() if row["notes"]]
        lambdas = {arm: row["lambda_gc"] for arm, row in arms.items()}
        for advice in advice_on(study["n"], lambdas, study["comparison"], notes, warnings.get(study["key"], ())):
            # one warning for all studies that are to be treated alike
            name = f"{study['name']} ({advice.what})" if advice.do else study["name"]
            names.setdefault(advice.do or advice.what, []).append(name)
    lines = []
    for text, of in list(names.items())[:WARNINGS_SHOWN]:
        lines += _wrapped(f"{some(of, 3)}: {text}", LINES_SHOWN)
    if len(names) > WARNINGS_SHOWN:
        lines.append(f"  and {len(names) - WARNINGS_SHOWN} more: see the pages of the studies")
    return lines


def _other_alleles(status: pd.DataFrame, examples: Sequence[str]) -> list[str]:
    """Return where tested variants are whose alleles the standard does not know, where there are any."""
    if not examples:
        return []
    most = int(status["variants_with_other_alleles"].max())
    return _wrapped(
        f"up to {most:,} tested variants of an analysis have alleles that GWAS-SSF does not know "
        f"({', '.join(examples[:ALLELES_SHOWN])}): they are in {OTHER_ALLELES} next to sumstats.tsv.gz, with the same "
        "columns"
    )


def _failures(failed: pd.DataFrame, results: str) -> list[str]:
    """Return the analyses that failed: both arms of a study in one line where they failed alike."""
    reasons: dict[tuple[str, str, str, str], list[str]] = {}
    for row in failed.itertuples():
        reasons.setdefault((row.cohort, row.study, row.stage, row.reason), []).append(row.arm)
    lines = []
    for (cohort, study, stage, reason), arms in list(reasons.items())[:FAILED_SHOWN]:
        most = LINES_SHOWN if len(reasons) > 2 else None
        lines += _wrapped(f"{cohort}/{study} ({', '.join(arms)}) at {stage}: {reason}", most)
    if len(reasons) > FAILED_SHOWN:
        lines.append(f"  and {len(reasons) - FAILED_SHOWN} more: {results}/status.tsv")
    return lines


def _wrapped(text: str, most: int | None = None) -> list[str]:
    """Return a text in lines of the screen, indented but for the first; what is longer than ``most`` lines is cut."""
    return textwrap.wrap(
        plain(" ".join(text.split()), 4000),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        max_lines=most,
        placeholder=" ... (status.tsv)",
    )

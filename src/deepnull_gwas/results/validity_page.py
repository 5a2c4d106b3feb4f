"""The page on calibration and power: the tables of validity.json as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.results.validity import BINS, LEVELS
from deepnull_gwas.tables import atomic_path, read_json


def write_validity(measured: str | Path, figure: str, out: str | Path) -> None:
    """Write the tables of :func:`deepnull_gwas.results.validity.measure_validity` as Markdown.

    Parameters
    ----------
    measured
        validity.json.
    figure
        Address of the figure, as the page is to have it.
    out
        The page.
    """
    found = read_json(measured)
    lines = [*_null_lines(found), *_power_lines(found), ""]
    if found["left_out"]:
        lines += [f"Left out, because a study of theirs failed: {', '.join(found['left_out'])}.", ""]
    lines += [f"![QQ plots and chi-squares of causal variants]({figure})", ""]
    with atomic_path(out) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _null_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["null"]:
        return []
    lines = [
        "## Type I error",
        "",
        f"Phenotypes without genetic effects; {found['variants']:,} variants tested in each, effectively "
        f"{found['effective_tests']:,.0f} independent tests. In brackets 95 % intervals: of rates Wilson's with the "
        "effective number of tests, of lambda (of all tests of all phenotypes together) twice its standard error to "
        "either side, from how it varies between phenotypes (with three phenotypes or more).",
        "",
        "| covariate effects | arm | phenotypes | "
        + " | ".join(f"{level:g}" for level in LEVELS)
        + " | lambda |"
        + "".join(f" MAF {low:g}-{high:g} |" for low, high in BINS),
        "| --- " * (4 + len(LEVELS) + len(BINS)) + "|",
    ]
    for row in found["null"]:
        cells = [f"{r['rate']:.2g} ({r['low']:.2g}-{r['high']:.2g})" for r in row["rates"]]
        for part in row["lambda"]:
            value, error = part["lambda_gc"], part["twice_standard_error"]
            if value is None:
                cells.append("NA")
            else:
                cells.append(f"{value:.3f}" + (f" ({value - error:.3f}-{value + error:.3f})" if error else ""))
        lines.append(f"| {row['kind']} | {row['arm']} | {row['phenotypes']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _power_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["power"]:
        return []
    lines = [
        "## Power",
        "",
        f"Causal variants, found at p < {found['genome_wide']:g}. The ratio of mean chi-squares is to the baseline; in "
        "brackets its 95 % interval by resampling phenotypes; expected: (1 - R² linear) / (1 - R² prediction), from "
        "the out-of-fold R² (quantitative traits). Found, lost: variants that this arm finds and the baseline does "
        "not, and the other way round.",
        "",
        "| covariate effects | arm | variants | mean χ² | ratio | expected | power | found, lost "
        "| explained, out of fold |",
        "| --- " * 9 + "|",
    ]
    for row in found["power"]:
        baseline = row["arm"] == "baseline"
        ratio = "1" if baseline else f"{row['ratio']:.3f} ({row['low']:.3f}-{row['high']:.3f})"
        expected = "" if row["expected_ratio"] is None else f"{row['expected_ratio']:.3f}"
        moved = "" if baseline else f"+{row['found']}, -{row['lost']}"
        best = " (best possible)" if row["arm"] == "oracle" else ""
        lines.append(
            f"| {row['kind']} | {row['arm']} | {row['variants']} | {row['mean_chi2']:.2f} | {ratio} | {expected} | "
            f"{row['power']:.3f} | {moved} | {row['measure']} {row['explained']:.3f}{best} |"
        )
    return lines

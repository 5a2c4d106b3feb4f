"""The page of a cohort: flow of people and variants, quality control, structure (rule ``describe_cohort``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepnull_gwas.site.script_files import short, write_script
from deepnull_gwas.tables import parts_of_table, read_json, read_table

BINS = 50
#: Cells of a plane of two components, in each direction; component pairs that are shown.
PLANE, PAIRS = 80, 3


def describe_cohort(
    folder: str | Path, name: str, qc: Mapping[str, Any], structure: Mapping[str, bool], out: str | Path
) -> None:
    """Write what the site shows of a cohort: counts in bins only, no person and no name of one.

    Parameters
    ----------
    folder
        Results of the cohort; files are read by their names.
    name
        The cohort.
    qc
        Its ``qc`` settings: the cut-offs.
    structure
        Whether there are ``relatives`` and ``components``.
    out
        The page's data as a script.
    """
    folder = Path(folder)
    genotypes = read_json(folder / "genotypes.json")
    keys = ("format", "genome_build", "samples", "variants", "autosomal_variants", "variants_on_x", "variants_on_y")
    page: dict[str, Any] = {
        "cohort": name,
        "genotypes": {key: genotypes.get(key) for key in keys},
        "flow": _rows(folder / "qc" / "flow.tsv"),
        "histograms": _of_variants(folder / "qc" / "variants.parquet", qc)
        + _of_people(folder / "qc" / "samples.parquet", qc),
    }
    if structure["relatives"]:
        page["relatives"] = _relatives(folder / "structure" / "relatives.tsv")
    if structure["components"]:
        page["eigenvalues"] = _rows(folder / "structure" / "eigenvalues.tsv")
        page["planes"] = _planes(folder / "structure" / "pcs.parquet")
        page["stratification"] = _rows(folder / "structure" / "stratification.tsv")
    write_script(f"cohort/{name}", page, out)


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table for people."""
    table = pl.read_csv(path, separator="\t", null_values="NA", quote_char=None, infer_schema_length=None)
    return table.to_dicts()


def _histogram(
    what: str, label: str, unit: str, values: np.ndarray, cuts: list[float], ends: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return counts in equal bins that hold all values and cut-offs."""
    values = values[np.isfinite(values)]
    low, high = ends or (
        min([*cuts, *([values.min()] if len(values) else [])], default=0.0),
        max([*cuts, *([values.max()] if len(values) else [])], default=1.0),
    )
    counts, edges = np.histogram(values, bins=BINS, range=(float(low), float(max(high, low + 1e-9))))
    return {
        "what": what,
        "label": label,
        "unit": unit,
        "from": short(edges[0], 6).item(),
        "to": short(edges[-1], 6).item(),
        "counts": counts,
        "cuts": [short(c, 6).item() for c in cuts],
    }


def _of_variants(path: Path, qc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the distributions of the variants; memory does not grow with them by more than 12 bytes each."""
    columns = ["call_rate", "effect_allele_frequency", "hwe_p"]
    parts = [
        [part[c].to_numpy().astype(np.float32) for c in columns] for part in parts_of_table(path, columns)
    ]  # fmt: skip
    call, frequency, hwe = (
        np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, np.float32) for i in range(3)
    )
    with np.errstate(divide="ignore"):
        strength = np.minimum(-np.log10(hwe), 50)
    return [
        _histogram("Missing calls", "fraction of people without a call", "variants", 1 - call,
                   _less(qc, "variant_call_rate"), None),
        _histogram("Allele frequency", "minor-allele frequency", "variants", np.minimum(frequency, 1 - frequency),
                   [qc["maf"]] if qc.get("maf") else [], (0.0, 0.5)),
        _histogram("Hardy-Weinberg", "−log₁₀(p), exact test; 50 and over as 50", "variants", strength,
                   [-float(np.log10(qc["hwe_p"]))] if qc.get("hwe_p") else []),
    ]  # fmt: skip


def _of_people(path: Path, qc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the distributions of the people, with the cut-offs of report.qc."""
    table = read_table(path, columns=["call_rate", "heterozygosity_f", "x_f", "passed"])
    call, f, x, passed = (table[c].to_numpy() for c in table.column_names)
    cuts = [-qc["heterozygosity_f"], qc["heterozygosity_f"]] if qc.get("heterozygosity_f") else []
    inside, k = f[passed.astype(bool)], qc.get("heterozygosity_sd")
    if k and len(inside) > 1:
        cuts += [float(np.nanmean(inside) + s * k * np.nanstd(inside, ddof=1)) for s in (-1, 1)]
    checked = qc.get("sex_check") in ("exclude", "warn")
    sexes = [qc[key] for key in ("sex_f_female", "sex_f_male") if checked and qc.get(key) is not None]
    found = [
        _histogram("Missing calls", "fraction of variants without a call", "people", 1 - call,
                   _less(qc, "sample_call_rate")),
        _histogram("Autosomal F", "F: contaminated low, inbred high", "people", f, cuts),
    ]  # fmt: skip
    if np.isfinite(x).any():
        found.append(_histogram("F on X", "F: female near 0, male near 1", "people", x, sexes))
    return found


def _less(qc: Mapping[str, Any], key: str) -> list[float]:
    return [1 - qc[key]] if qc.get(key) else []


def _relatives(path: Path) -> dict[str, Any]:
    """Return how many pairs there are of each relation, and the distribution of their kinship."""
    columns = {"relation": pl.String, "kinship": pl.Float64}
    table = pl.read_csv(path, separator="\t", null_values="NA", quote_char=None, infer_schema_length=0)
    table = table.select(pl.col(name).cast(kind) for name, kind in columns.items())
    counts = table["relation"].value_counts().sort("relation")
    kinship = table["kinship"].to_numpy()
    return {
        "pairs": len(table),
        "relations": dict(counts.iter_rows()),
        "kinship": _histogram("Kinship", "kinship coefficient", "pairs", kinship, [], None) if len(table) else None,
    }


def _planes(path: Path) -> list[dict[str, Any]]:
    """Return how many people lie in each cell of the planes of the first components, as counts of cells with any."""
    names = [c for c in pl.read_parquet_schema(path) if c.startswith("PC")]
    planes = []
    for i in range(0, min(2 * PAIRS, len(names) - 1), 2):
        table = read_table(path, columns=names[i : i + 2])
        x, y = (table[c].to_numpy() for c in names[i : i + 2])
        counts, xs, ys = np.histogram2d(x, y, bins=PLANE)
        cells = np.flatnonzero(counts)
        planes.append(
            {
                "names": names[i : i + 2],
                "x": short(xs[[0, -1]], 5),
                "y": short(ys[[0, -1]], 5),
                "cells": cells,
                "counts": counts.ravel()[cells].astype(int),
            }
        )
    return planes

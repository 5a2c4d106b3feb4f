"""What the plots along the genome are made of, small enough to be sent: named variants, points, binned background."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.site.pvalues import PValues, rows_of_chunks
from deepnull_gwas.site.script_files import packed, short, written_length

#: Names of chromosomes that are no numbers.
NAMES = {23: "X", 24: "Y", 25: "MT"}
#: Of variants with p < 1e-3 each is a point; so are all variants where there are no more than the points.
NEG_LOG10_P = 3.0
#: Most points that are no named ones, most named ones, and most characters of these for each arm.
POINTS, NAMED, CHARACTERS = 50_000, 10_000, 375_000
#: The rest is drawn in cells: their width in base pairs (at least), most of them along the genome, and their number
#: up to the strongest variant of the rest.
CELL, CELLS, LEVELS = 100_000, 32_000, 30
#: Characters of an allele that are kept.
ALLELE = 12
#: Rows of which something is computed at a time.
ROWS_AT_A_TIME = 1 << 19
#: Columns of the small plot in the index.
SPARK = 150


def genome_of(p: PValues, chunks: Sequence[str | Path], study: str) -> dict[str, Any]:
    """Return what the plots along the genome need.

    Parameters
    ----------
    p
        The p-values.
    chunks, study
        Where names and effects of the named variants are read.

    Returns
    -------
    ``chromosomes`` (name, first and last position, first cell), ``named`` (columns of the strongest variants, with
    names and effects), ``points`` (packed places and -log10 p of the next strongest), ``background`` (cells that hold
    at least one of the others), each in the order of the genome, and how many variants are in each.
    """
    strength = p.strength()
    listed = strongest(strength, POINTS + NAMED, -np.inf if len(strength) <= POINTS + NAMED else NEG_LOG10_P)
    by_strength = listed[np.argsort(-strength[listed], kind="stable")]
    named = np.sort(by_strength[:NAMED])
    columns, keep = _named(p, named, strength[named], chunks, study)
    others = np.setdiff1d(listed, named[keep], assume_unique=True)
    chromosomes, cell = _chromosomes(p)
    rest = np.ones(len(strength), dtype=bool)
    rest[listed] = False
    return {
        "tested": len(strength),
        "chromosomes": chromosomes,
        "cell": cell,
        "named": columns,
        "points": _points(p, others),
        "background": _background(p, rest, chromosomes, cell),
        "counts": {
            "named": int(keep.sum()),
            "points": len(others),
            "binned": int(rest.sum()),
            # of these as many have p < 1e-3: more than there is room for
            "binned_strong": int((strength[rest] >= NEG_LOG10_P).sum()),
        },
    }


def strongest(strength: np.ndarray, most: int, least: float) -> np.ndarray:
    """Return the ascending rows of the strongest variants, at most so many; of equals those that come first.

    Examples
    --------
    >>> strongest(np.array([1.0, 5.0, 3.0, 5.0, 4.0]), 3, 3.0).tolist()
    [1, 3, 4]
    """
    rows = np.flatnonzero(strength >= least)
    if len(rows) <= most:
        return rows
    cut = np.partition(strength[rows], len(rows) - most)[len(rows) - most]
    rows = rows[strength[rows] >= cut]
    return np.sort(rows[np.argsort(-strength[rows], kind="stable")[:most]])


def _chromosomes(p: PValues) -> tuple[list[dict[str, Any]], int]:
    """Return the chromosomes with their range and first cell, and the width of a cell."""
    edges = [0, *(np.flatnonzero(np.diff(p.code)) + 1).tolist(), len(p.code)]
    found = [
        {"code": int(p.code[a]), "start": int(p.position[a]), "end": int(p.position[b - 1])}
        for a, b in itertools.pairwise(edges)
        if b > a
    ]
    width = max(CELL, -(-sum(c["end"] - c["start"] + 1 for c in found) // CELLS))
    first = 0
    for c in found:
        c["name"] = NAMES.get(c["code"], str(c["code"]))
        c["cell"] = first
        first += (c["end"] - c["start"]) // width + 1
    return found, width


def _per_chromosome(p: PValues, rows: np.ndarray) -> list[list[int]]:
    """Return pairs of chromosome and number of rows, in order."""
    codes, counts = np.unique(p.code[rows], return_counts=True)
    return [[int(c), int(n)] for c, n in zip(codes, counts)]


def _named(
    p: PValues, rows: np.ndarray, strength: np.ndarray, chunks: Sequence[str | Path], study: str
) -> tuple[dict[str, Any], np.ndarray]:
    """Return the columns of the named variants, and which of the rows there is room for (the strongest)."""
    names = ["id", "effect_allele", "other_allele", f"{study}.n", f"{study}.eaf"]
    names += [f"{study}.{arm}.{what}" for arm in p.arms for what in ("beta", "se", "neg_log10_p")]
    table = rows_of_chunks(chunks, names, p.row[rows])
    alleles = [table[c].str.slice(0, ALLELE + 1) for c in ("effect_allele", "other_allele")]
    # as it is written, non-ASCII letters and `<` take six characters
    size = np.array([85 + sum(map(written_length, texts)) for texts in zip(table["id"], *alleles)])
    by_strength = np.argsort(-strength, kind="stable")
    keep = np.zeros(len(rows), dtype=bool)
    keep[by_strength[np.cumsum(size[by_strength]) <= CHARACTERS * len(p.arms)]] = True
    rows, table = rows[keep], table[keep]
    alleles = [[a if len(a) <= ALLELE else f"{a[:ALLELE]}…" for a in column[keep]] for column in alleles]
    arms = {}
    for arm in p.arms:
        tested = ~np.isnan(p.neg_log10_p[arm][rows])
        arms[arm] = {
            key: np.where(tested, short(table[f"{study}.{arm}.{column}"]), np.nan)
            for key, column in (("beta", "beta"), ("se", "se"), ("p", "neg_log10_p"))
        }
    return {
        "per_chromosome": _per_chromosome(p, rows),
        "position": p.position[rows],
        "id": table["id"].tolist(),
        "effect_allele": alleles[0],
        "other_allele": alleles[1],
        "n": table[f"{study}.n"].to_numpy(),
        "frequency": short(table[f"{study}.eaf"]),
        "arms": arms,
    }, keep


def _points(p: PValues, rows: np.ndarray) -> dict[str, Any]:
    """Return places and -log10 p of some variants, packed: hundredths, or coarser where they would not fit."""
    largest = max((float(np.nanmax(v[rows], initial=0.0)) for v in p.neg_log10_p.values()), default=0.0)
    scale = 0.01 if largest <= 655 else largest / 65_000
    arms = {
        arm: packed(np.where(np.isnan(v[rows]), 65_535, np.rint(np.nan_to_num(v[rows]) / scale)).astype(np.uint16))
        for arm, v in p.neg_log10_p.items()
    }
    return {
        "per_chromosome": _per_chromosome(p, rows),
        "position": packed(p.position[rows].astype(np.uint32)),
        "scale": scale,
        "arms": arms,
    }


def _background(p: PValues, rest: np.ndarray, chromosomes: list[dict[str, Any]], cell: int) -> dict[str, Any]:
    """Return for each arm the cells along the genome and up -log10 p in which there is a variant of the rest."""
    if not rest.any():
        return {}
    first, start = np.zeros(128, dtype=np.int32), np.zeros(128, dtype=np.int32)
    for c in chromosomes:
        first[c["code"]], start[c["code"]] = c["cell"], c["start"]
    last = chromosomes[-1]
    width = last["cell"] + (last["end"] - last["start"]) // cell + 1
    arms, level = {}, {}
    for arm, values in p.neg_log10_p.items():
        highest = max(float(np.nanmax(np.where(rest[s], values[s], 0), initial=0.0)) for s in slices(len(values)))
        level[arm] = max(highest, 1e-3) / LEVELS * 1.000001
        grid = np.zeros(width * LEVELS, dtype=bool)
        for s in slices(len(values)):
            here = rest[s] & ~np.isnan(values[s])
            code, position, value = p.code[s][here], p.position[s][here], values[s][here]
            at = (first[code] + (position - start[code]) // cell) * LEVELS
            grid[at + (value / np.float32(level[arm])).astype(np.int32)] = True
        arms[arm] = packed(np.packbits(grid))
    return {"levels": LEVELS, "height": {arm: float(short(h, 6)) for arm, h in level.items()}, "arms": arms}


def spark_of(p: PValues) -> dict[str, Any]:
    """Return a small Manhattan plot: tenths of the largest -log10 p of each arm in columns along the genome."""
    if not len(p.code):
        return {}
    chromosomes, _ = _chromosomes(p)
    total = sum(c["end"] - c["start"] + 1 for c in chromosomes)
    offset = np.zeros(128)
    parity, at = np.zeros(SPARK, dtype=int), 0
    for i, c in enumerate(chromosomes):
        offset[c["code"]] = at - c["start"]
        at += c["end"] - c["start"] + 1
        parity[int((at - (c["end"] - c["start"] + 1)) / total * SPARK) :] = i % 2
    highest = {arm: np.zeros(SPARK, dtype=np.float32) for arm in p.arms}
    for s in slices(len(p.code)):
        column = np.minimum(((p.position[s] + offset[p.code[s]]) / total * SPARK).astype(np.int16), SPARK - 1)
        for arm, values in p.neg_log10_p.items():
            np.fmax.at(highest[arm], column, values[s])
    tenths = {arm: np.rint(10 * np.minimum(values, 1000)).astype(int) for arm, values in highest.items()}
    return {"parity": parity, "arms": tenths}


def slices(n: int) -> Iterator[slice]:
    """Yield stretches of n rows: what is computed of each takes little room beside the rows."""
    for first in range(0, n, ROWS_AT_A_TIME):
        yield slice(first, min(first + ROWS_AT_A_TIME, n))

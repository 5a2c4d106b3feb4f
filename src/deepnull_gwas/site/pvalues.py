"""The p-values of a study along the genome, read from its association tables in types that take little room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.results.ssf import LEAST_NEG_LOG10_P
from deepnull_gwas.tables import parts_of_table, rows_of, rows_of_table

#: Lower bounds of the classes of minor-allele frequency, most common first.
CLASSES = (0.05, 0.01, 0.001, 0.0)


@dataclass(frozen=True)
class PValues:
    """What was tested of a study, in the order of the genome: chromosome by chromosome, by position.

    Attributes
    ----------
    code
        int8[m], chromosomes as the standard numbers them (X 23, Y 24, MT 25).
    position
        int32[m].
    frequency_class
        int8[m], index in :data:`CLASSES` by the minor-allele frequency among the study's people.
    neg_log10_p
        Arm -> float32[m]; NaN where the arm did not test the variant.
    row
        int32[m], rows of the tables, counted through them all.
    """

    code: np.ndarray
    position: np.ndarray
    frequency_class: np.ndarray
    neg_log10_p: Mapping[str, np.ndarray]
    row: np.ndarray

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms."""
        return tuple(self.neg_log10_p)

    def strength(self) -> np.ndarray:
        """Return the larger -log10 p of the arms, float32[m]."""
        strongest = np.full(len(self.code), -np.inf, dtype=np.float32)
        for values in self.neg_log10_p.values():
            np.fmax(strongest, values, out=strongest)
        return strongest


def read_p_values(chunks: Sequence[str | Path], study: str, arms: Sequence[str]) -> PValues:
    """Read the p-values of a study; variants that no arm tested are left out.

    Parameters
    ----------
    chunks
        Association tables of the batch, in the order of chunks.
    study, arms
        Whose columns.
    """
    room = sum(rows_of(chunk) for chunk in chunks)
    types = {
        "code": np.int8,
        "position": np.int32,
        "class": np.int8,
        "row": np.int32,
        **dict.fromkeys(arms, np.float32),
    }
    whole, m = {name: np.empty(room, dtype=kind) for name, kind in types.items()}, 0
    for part in _parts(chunks, study, arms):
        more = len(part["code"])
        for name, values in part.items():
            whole[name][m : m + more] = values
        m += more
    whole = {name: values[:m] for name, values in whole.items()}
    if not _in_order(whole["code"], whole["position"]):
        order = np.lexsort((whole["position"], whole["code"]))
        for name in types:
            whole[name] = whole[name][order]
    return PValues(whole["code"], whole["position"], whole["class"], {arm: whole[arm] for arm in arms}, whole["row"])


def _in_order(code: np.ndarray, position: np.ndarray) -> bool:
    """Return whether variants are in the order of chromosomes and positions."""
    step = np.diff(code)
    return bool(((step > 0) | ((step == 0) & (position[1:] >= position[:-1]))).all())


def _parts(chunks: Sequence[str | Path], study: str, arms: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the tested variants of some rows at a time."""
    columns = ["chromosome", "position", f"{study}.eaf"]
    columns += [f"{study}.{arm}.{what}" for arm in arms for what in ("neg_log10_p", "reason")]
    first = 0
    for chunk in chunks:
        for table in parts_of_table(chunk, columns):
            tested = {arm: _is_empty(table[f"{study}.{arm}.reason"]) for arm in arms}
            rows = np.flatnonzero(np.logical_or.reduce(list(tested.values())))
            eaf = table[f"{study}.eaf"].to_numpy()[rows]
            part = {
                "code": _codes(table["chromosome"])[rows],
                "position": table["position"].to_numpy()[rows].astype(np.int32),
                "class": frequency_class(eaf),
                "row": (first + rows).astype(np.int32),
            }
            for arm in arms:
                p = table[f"{study}.{arm}.neg_log10_p"].to_numpy()[rows]
                # as published: see results.ssf
                p = np.maximum(p, LEAST_NEG_LOG10_P)
                part[arm] = np.where(tested[arm][rows], p, np.nan).astype(np.float32)
            first += table.num_rows
            yield part


def frequency_class(frequency: np.ndarray) -> np.ndarray:
    """Return the class of each effect-allele frequency, int8, an index in :data:`CLASSES`.

    Examples
    --------
    >>> frequency_class(np.array([0.5, 0.95, 0.99, 0.0001])).tolist()
    [0, 0, 1, 3]
    """
    # rounded: 1 - .95 is a little more than .05
    minor = np.round(np.minimum(frequency, 1 - frequency), 12)
    return (len(CLASSES) - np.searchsorted(CLASSES[::-1], minor, side="right")).astype(np.int8)


def _is_empty(words: pa.ChunkedArray) -> np.ndarray:
    """Return which entries of a column of words (a dictionary) are empty."""
    found = [pc.equal(part.cast(pa.string()), "") for part in words.chunks]
    return np.concatenate([part.to_numpy(zero_copy_only=False) for part in found]) if found else np.zeros(0, dtype=bool)


def _codes(names: pa.ChunkedArray) -> np.ndarray:
    """Return the standard's codes of chromosome names, int8."""
    out = []
    for part in names.chunks:
        encoded = part if pa.types.is_dictionary(part.type) else part.dictionary_encode()
        codes = np.array([SSF_CODE[name] for name in encoded.dictionary.to_pylist()], dtype=np.int8)
        out.append(codes[encoded.indices.to_numpy()])
    return np.concatenate(out) if out else np.zeros(0, dtype=np.int8)


def rows_of_chunks(chunks: Sequence[str | Path], columns: Sequence[str], rows: np.ndarray) -> pd.DataFrame:
    """Read some rows of association tables, in the order asked for.

    Parameters
    ----------
    chunks
        Association tables, in the order of chunks.
    columns
        Which.
    rows
        Numbers of rows, counted through all tables.
    """
    order = np.argsort(rows, kind="stable")
    ascending, first, parts = rows[order].astype(np.int64), 0, []
    for chunk in chunks:
        count = rows_of(chunk)
        low, high = np.searchsorted(ascending, [first, first + count])
        if high > low or not parts:
            parts.append(rows_of_table(chunk, columns, ascending[low:high] - first))
        first += count
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return pd.concat(parts, ignore_index=True).iloc[back].reset_index(drop=True)

"""The table of variants that every format of genotypes is read to, and what is wrong with one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputErrors, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.chromosomes import normalise

#: A tabix index (.tbi) holds positions below 2^29 (SAM/BAM specification, 5.3).
LAST_POSITION = 2**29


def check_variants(
    path: str,
    code: np.ndarray,
    position: np.ndarray,
    identifier: np.ndarray,
    effect: np.ndarray,
    other: np.ndarray,
    label: str = "rows",
    first: int | np.ndarray = 1,
) -> pd.DataFrame:
    """Return a checked table of variants.

    Parameters
    ----------
    path
        The file, for messages.
    code, position, identifier, effect, other
        Of each variant: chromosome as written, 1-based position, identifier, effect allele and the other one.
    label, first
        What messages call the places of variants in the file (``rows``), and the number of the first, or of each.

    Returns
    -------
    chromosome (normalised), position (int64), id, effect_allele, other_allele; an unknown allele is ``0``.

    Raises
    ------
    InputErrors
        When chromosomes are unknown, positions negative or beyond 2^29, or the two alleles the same.
    """
    names = {c: normalise(c) for c in pd.unique(code)}
    number = first if isinstance(first, np.ndarray) else np.arange(first, first + len(code))
    position = np.asarray(position, dtype=np.int64)
    effect, other = (np.where((a == ".") | (a == ""), "0", a) for a in (effect, other))
    problems = []
    if unknown := [c for c, name in names.items() if name is None]:
        rows = np.flatnonzero(np.isin(code, unknown))
        problems.append(
            f"{path}: {len(rows)} variants on unknown chromosomes {some([repr(c) for c in unknown])} ({label} "
            f"{some(number[rows])}); known are 1-22, X, Y, XY, MT, 23-26, PAR1, PAR2, with or without 'chr'; leave "
            "the others out: plink2 --chr 1-26"
        )
    if (negative := np.flatnonzero(position < 0)).size:
        problems.append(
            f"{path}: {negative.size} variants have a negative position ({label} {some(number[negative])}); leave "
            "them out, as PLINK does"
        )
    if (far := np.flatnonzero(position >= LAST_POSITION)).size:
        shown = some([f"{number[i]}: {position[i]}" for i in far], 3)
        problems.append(
            f"{path}: {far.size} variants have a position of {LAST_POSITION:,} or more ({label} {shown}), beyond what "
            "a tabix index can hold and twice as far as any human chromosome goes; correct these positions, or leave "
            "the variants out: plink2 --exclude"
        )
    if (same := np.flatnonzero((in_capitals(effect) == in_capitals(other)) & (effect != "0"))).size:
        shown = some([f"{number[i]}: {effect[i]} {other[i]}" for i in same], 3)
        problems.append(
            f"{path}: {same.size} variants have the same allele twice ({label} {shown}); expected two alleles"
        )
    if problems:
        raise InputErrors(problems)
    return pd.DataFrame(
        {
            "chromosome": np.array([names[c] for c in code], dtype=object),
            "position": position,
            "id": np.asarray(identifier, dtype=object),
            "effect_allele": effect.astype(object),
            "other_allele": other.astype(object),
        }
    )

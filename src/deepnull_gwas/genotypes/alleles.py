"""Alleles as they are compared: ``a`` and ``A`` are one allele, however a file writes it."""

from __future__ import annotations

import numpy as np
import pandas as pd


def in_capitals(alleles: np.ndarray) -> np.ndarray:
    """Return alleles in capitals, for comparisons only: files keep them as they are written.

    Parameters
    ----------
    alleles
        Text, object array of any length.

    Examples
    --------
    >>> in_capitals(np.array(["a", "G", "a", "ct"], dtype=object)).tolist()
    ['A', 'G', 'A', 'CT']
    """
    values = np.asarray(alleles, dtype=object)
    codes, distinct = pd.factorize(values)
    # most files have capitals only, and a few distinct alleles
    capitals = np.array([str(allele).upper() for allele in distinct], dtype=object)
    return values if (capitals == distinct).all() else capitals[codes]

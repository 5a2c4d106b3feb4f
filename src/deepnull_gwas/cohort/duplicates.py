"""Variants that are there more than once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.alleles import in_capitals


def duplicated_variants(table: pd.DataFrame, call_rate: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Mark the variants that repeat another's position and alleles (in either order); the one with most calls stays."""
    # only variants that share their place with another have alleles to compare
    shared = np.flatnonzero(passed)
    shared = shared[table[["chromosome", "position"]].iloc[shared].duplicated(keep=False).to_numpy()]
    keys = table[["chromosome", "position"]].iloc[shared].reset_index(drop=True)
    a, b = (in_capitals(table[c].to_numpy(dtype=object)[shared]) for c in ("effect_allele", "other_allele"))
    turned = np.array([x > y for x, y in zip(a, b)], dtype=bool)
    keys["a"], keys["b"] = np.where(turned, b, a), np.where(turned, a, b)
    out = np.zeros(len(table), dtype=bool)
    out[shared] = _all_but_best(keys, call_rate[shared], np.arange(len(shared)))
    return out


def duplicated_ids(ids: np.ndarray, call_rate: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Mark the variants that repeat another's ID (``.`` and ``0`` are none); the one with most calls stays."""
    named = passed & ~np.isin(np.asarray(ids, dtype=object), [".", "0", ""])
    return _all_but_best(pd.DataFrame({"id": ids}), call_rate, np.flatnonzero(named))


def _all_but_best(keys: pd.DataFrame, call_rate: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Mark those of some rows whose keys are repeated, but for the (first) one with the most calls."""
    repeated = repeated[keys.iloc[repeated].duplicated(keep=False).to_numpy()]
    best_first = repeated[np.lexsort((repeated, -call_rate[repeated]))]
    out = np.zeros(len(keys), dtype=bool)
    out[best_first[keys.iloc[best_first].duplicated(keep="first").to_numpy()]] = True
    return out

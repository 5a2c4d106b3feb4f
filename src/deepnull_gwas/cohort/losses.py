"""Who or what the filters removed, in words for a message."""

from __future__ import annotations

import pandas as pd


def losses(filters: pd.Series) -> str:
    """List the filters that removed something, the largest loss first: ``sample_call_rate 1,940, sex_check 10``.

    Parameters
    ----------
    filters
        Column ``filter`` of qc/samples.parquet or qc/variants.parquet (empty where passed).
    """
    counts = filters[filters != ""].value_counts(sort=False)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered)

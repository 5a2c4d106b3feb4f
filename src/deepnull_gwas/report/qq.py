"""QQ plot: observed against expected p-values of a study's arms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from scipy import special

from deepnull_gwas.report.style import (
    COLOURS,
    LABELS,
    ONE_COLUMN,
    P_LABEL,
    figure,
    legend_below,
    say_instead,
    study_title,
)
from deepnull_gwas.results.calibration import lambda_gc
from deepnull_gwas.results.sumstats import points_of
from deepnull_gwas.tables import read_json

#: Points drawn below this rank; above it every one is.
THINNED = 2000


def ranks_shown(n: int) -> np.ndarray:
    """Return the ranks (1 = strongest) that are drawn: all of the strongest, the others evenly on the log scale.

    Examples
    --------
    >>> len(ranks_shown(3000)), len(ranks_shown(10_000_000))
    (3000, 3999)
    """
    if n <= 2 * THINNED:
        return np.arange(1, n + 1)
    rest = np.unique(np.geomspace(THINNED, n, THINNED).round().astype(np.int64))
    return np.unique(np.concatenate([np.arange(1, THINNED + 1), rest]))


def confidence_band(n: int, ranks: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the band in which the k-th strongest of ``n`` independent null p-values lies, point by point.

    Parameters
    ----------
    n
        Number of p-values.
    ranks
        int64, k; 1 is the strongest.
    level
        Probability of each point to lie in the band.

    Returns
    -------
    Lower and upper bound of -log10 p: quantiles of Beta(k, n - k + 1).

    Examples
    --------
    >>> low, high = confidence_band(1000, np.array([1, 500]))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([2.43, 0.28], [4.6, 0.33])
    """
    tail = (1 - level) / 2
    upper, lower = (special.betaincinv(ranks, n - ranks + 1, q) for q in (tail, 1 - tail))
    return -np.log10(lower), -np.log10(upper)


def plot_qq(sumstats: Mapping[str, str | Path | pl.DataFrame], study_json: str | Path, out: str | Path) -> None:
    """Draw the QQ plot of a study.

    Parameters
    ----------
    sumstats
        arm -> sumstats.tsv.gz, or what :func:`~deepnull_gwas.results.sumstats.points_of` read of it.
    study_json
        study.json.
    out
        Figure.
    """
    about = read_json(study_json)
    values = {arm: points_of(source)["neg_log_10_p_value"].drop_nulls().to_numpy() for arm, source in sumstats.items()}
    title = study_title(about, 0.85 * ONE_COLUMN)
    with figure(out, ONE_COLUMN, 3.9) as fig:
        if not any(len(v) for v in values.values()):
            say_instead(fig, title, f"no variant tested: {about.get('reason') or 'see untested.tsv.gz'}")
            return
        ax = fig.add_subplot()
        largest = max(len(v) for v in values.values())
        ranks = ranks_shown(largest)
        expected = -np.log10(ranks / (largest + 1))
        low, high = confidence_band(largest, ranks)
        ax.fill_between(expected, low, high, color="#dddddd", linewidth=0, label="95 % band of the null")
        ax.plot([0, expected[0]], [0, expected[0]], color=COLOURS["line"], linewidth=0.8)
        for arm, p in values.items():
            p = np.sort(p)[::-1]
            shown = ranks_shown(len(p))
            ax.scatter(
                -np.log10(shown / (len(p) + 1)), p[shown - 1], s=4, color=COLOURS[arm], linewidth=0, rasterized=True,
            alpha=0.8,
                label=f"{LABELS[arm]}, λ = {lambda_gc(p):.3f}",
            )  # fmt: skip
        ax.set(xlabel=f"expected {P_LABEL}", ylabel=f"observed {P_LABEL}", xlim=(0, None), ylim=(0, None), title=title)
        legend_below(fig, ax)

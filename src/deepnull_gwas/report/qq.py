"""QQ plot: observed against expected p-values of a study's arms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

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
from deepnull_gwas.results.calibration import confidence_band, lambda_gc, ranks_shown
from deepnull_gwas.results.sumstats import points_of
from deepnull_gwas.tables import read_json


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
    if measured := [f"{lambda_gc(p):.3f} {LABELS[arm]}" for arm, p in values.items() if len(p)]:
        title = f"{title}\nλ = {', '.join(measured)}"
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
                label=LABELS[arm],
            )  # fmt: skip
        ax.set(xlabel=f"expected {P_LABEL}", ylabel=f"observed {P_LABEL}", xlim=(0, None), ylim=(0, None), title=title)
        legend_below(fig, ax)

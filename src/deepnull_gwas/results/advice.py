"""What somebody should look at in a finished study before using its numbers, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Inflation beyond 1 that is called high, for a study of at most :data:`PEOPLE` people; of more it may grow with them.
INFLATED, PEOPLE = 0.1, 1000
#: Lambda below which statistics are called deflated.
DEFLATED = 0.9
#: Loss of mean chi-square at the loci that is worth a word.
LOSS = 0.02


@dataclass(frozen=True, order=True)
class Advice:
    """A warning about a study.

    Attributes
    ----------
    what
        What was found.
    do
        What to do about it; empty where the finding says it.
    """

    what: str
    do: str = ""

    def __str__(self) -> str:
        """Return both as one text."""
        return f"{self.what}: {self.do}" if self.do else self.what


def advice_on(
    n: int,
    lambdas: Mapping[str, float | None],
    comparison: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> list[Advice]:
    """Return the warnings about a study that was analysed, most serious first.

    Parameters
    ----------
    n
        People analysed.
    lambdas
        Arm -> lambda GC of its statistics; None where it is not known.
    comparison
        The study's comparison.json, where it has both arms.
    notes
        ``notes`` of its study.json, and those of :func:`deepnull_gwas.results.genome.notes`.
    warnings
        ``warnings`` of its metrics.json.

    Examples
    --------
    >>> [advice.what for advice in advice_on(1000, {"baseline": 1.3, "deepnull": 1.0}, notes=["X was not tested"])]
    ['lambda is 1.300 (baseline)', 'X was not tested']
    """
    found = [*_of_inflation(n, lambdas), *_of_loss(comparison or {})]
    return found + [Advice(text) for text in dict.fromkeys([*warnings, *notes])]


def _of_inflation(n: int, lambdas: Mapping[str, float | None]) -> Iterator[Advice]:
    known = {arm: value for arm, value in lambdas.items() if value is not None and not math.isnan(value)}
    high = {arm: v for arm, v in known.items() if (v - 1) * min(1, PEOPLE / max(n, 1)) > INFLATED}
    low = {arm: v for arm, v in known.items() if v < DEFLATED}
    if high:
        yield Advice(
            f"lambda is {_by_arm(high)}",
            "look at the QQ plot and structure/stratification.tsv; more components (pcs), or association.model: "
            "whole_genome, take population structure and relatives into account",
        )
    if low:
        yield Advice(
            f"lambda is {_by_arm(low)}",
            "there are fewer small p-values than chance gives; if the QQ plot shows that rare variants make it so, "
            "raise association.min_mac",
        )


def _by_arm(values: Mapping[str, float]) -> str:
    """Return numbers, each with its arm."""
    return ", ".join(f"{value:.3f} ({arm})" for arm, value in values.items())


def _of_loss(comparison: Mapping[str, Any]) -> Iterator[Advice]:
    gained = comparison.get("effective_sample_size_gained")
    if gained is not None and gained < -LOSS:
        yield Advice(
            f"loses power with DeepNull: {100 * gained:+.0f} % chi-square at the loci",
            "publish the arm baseline of this study; deepnull/summary.md shows how well each model predicts",
        )

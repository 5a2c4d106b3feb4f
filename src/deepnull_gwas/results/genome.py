"""What is reported of the whole-genome regression of a study, from its genome.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.tables import read_json

MODEL = "whole_genome"
#: The arms that are compared with each other.
ARMS = ("baseline", "deepnull")
#: How it came about, and the shares of the phenotype's variance that are explained out of fold.
MEASURES = ("r2_genome", "r2_covariates", "r2_both")
REPORTED = ("status", "method", "used", "reason", *MEASURES)

States = Mapping[str, Mapping[str, Any]]


def read_states(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read what became of the whole-genome regression of a study: arm -> :data:`REPORTED`, None where not known."""
    arms = read_json(path)["arms"]
    return {arm: {key: arms.get(arm, {}).get(key) for key in REPORTED} for arm in ARMS}


def notes(states: States) -> Iterator[str]:
    """Yield what has to be known about arms that do without an offset, or got theirs in another way than is usual.

    Examples
    --------
    >>> states = {"baseline": {"status": "ok", "method": "linear", "used": False, "reason": "R2 .002 is below .005"}}
    >>> list(notes(states))
    ['whole-genome regression: no offset (baseline: R2 .002 is below .005)']
    """
    done = {arm: state for arm, state in states.items() if state["status"] in ("ok", "none")}
    without = {arm: state["reason"] for arm, state in done.items() if not state["used"]}
    if without:
        yield f"whole-genome regression: no offset ({_by_arm(without)})"
    other = {arm: s["reason"] or s["method"] for arm, s in done.items() if s["used"] and s["method"] not in _USUAL}
    if other:
        methods = ", ".join(dict.fromkeys(str(states[arm]["method"]) for arm in other))
        yield f"whole-genome regression: {methods} ({_by_arm(other)})"


#: Methods that need no word.
_USUAL = ("linear", "logistic")


def _by_arm(reasons: Mapping[str, str]) -> str:
    """Return reasons, each with its arms."""
    arms = {reason: [arm for arm in reasons if reasons[arm] == reason] for reason in reasons.values()}
    return "; ".join(f"{' and '.join(own)}: {reason}" for reason, own in arms.items())


def expected_ratio(states: States) -> float | None:
    """Return the ratio of chi-squares, deepnull over baseline, that the variance explained leads one to expect.

    The chi-square of a variant of a quantitative trait is inverse to the variance that is left: the ratio is
    (1 - R2 baseline) / (1 - R2 deepnull), of covariates and genome together where an arm uses its offset. An R2 below 0
    counts as 0.

    Returns
    -------
    None where an R2 is not known.
    """
    explained = [states[arm]["r2_both" if states[arm]["used"] else "r2_covariates"] for arm in ARMS]
    if None in explained:
        return None
    before, after = (max(0.0, r2) for r2 in explained)
    return (1 - before) / (1 - after)

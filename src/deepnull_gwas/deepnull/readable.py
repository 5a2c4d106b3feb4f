"""What DeepNull learned of a study, for people: metrics.json as a page of text (summary.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.tables import atomic_path, read_json
from deepnull_gwas.text import plain
from deepnull_gwas.traits import trait_of

#: Names of the measures in a table.
MEASURES = {
    "r2": "R²",
    "correlation": "correlation",
    "auc": "AUC",
    "r2_mcfadden": "McFadden's R²",
    "log_loss": "log loss",
}
#: Names of the parts of the people of a fold.
PARTS = {"outside": "learned from", "train": "learned from", "validation": "watched", "evaluation": "predicted"}
#: Covariates of strongest dependence that are listed.
LISTED = 12
#: Gain in a measure (R², or area under the curve) below which there is none to speak of.
NONE_TO_SPEAK_OF = 0.002


def write_summary(metrics: str | Path, study_json: str | Path, out: str | Path) -> None:
    """Write what the prediction of a study is worth and what it is made of, as Markdown.

    Parameters
    ----------
    metrics, study_json
        metrics.json and study.json of the study.
    out
        summary.md.
    """
    text = summary_of(read_json(metrics), read_json(study_json))
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def summary_of(metrics: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """Return what is gained, accuracy by model and fold, calibration, dependence; as a page."""
    trait = trait_of(metrics["trait"])
    lines = [f"# DeepNull: {_cell(study['study'])}", ""]
    people = f"{study['n']:,} people"
    people += f", {study['cases']:,} cases" if trait.has_cases and study.get("cases") is not None else ""
    lines += [
        f"Cohort {_cell(study['cohort'])}, phenotype {_cell(study['phenotype'])} ({trait.name}), {people}.",
        "",
    ]
    if metrics["status"] != "ok":
        return "\n".join([*lines, f"**Failed** at `{metrics['stage']}`: {_cell(metrics['reason'], 2000)}", ""])
    folds = metrics["folds"]
    lines += [
        _verdict(metrics),
        "",
        f"All measures are out of fold ({len(folds)} folds, model `{metrics['model']}`): nobody is predicted by a "
        "model that has seen their phenotype.",
        "",
    ]
    lines += [f"* **Warning:** {_cell(text, 2000)}" for text in metrics["warnings"]]
    lines += [""] if metrics["warnings"] else []
    for heading, table in (
        ("Accuracy", _accuracy(metrics)),
        ("Covariates", _covariates(metrics)),
        ("Calibration", _calibration(metrics)),
        ("Folds", _folds(metrics)),
    ):
        lines += [f"## {heading}", "", *table, ""]
    return "\n".join(lines)


def _verdict(metrics: Mapping[str, Any]) -> str:
    """Return what the deepnull arm can be expected to gain, in a sentence or two."""
    trait = trait_of(metrics["trait"])
    before, after = metrics["linear"][trait.measure], metrics["deepnull"][trait.measure]
    if before is None or after is None:
        return "**How accurate the prediction is cannot be measured in these people.**"
    gain = max(after, trait.uninformative) - max(before, trait.uninformative)
    if trait.has_cases:
        figures = f"AUC {after:.3f}, of the linear model {before:.3f}"
    else:
        figures = f"R² {after:.3f}, of the linear model {before:.3f}"
    if gain < NONE_TO_SPEAK_OF:
        words = "predicts as well as" if gain > -NONE_TO_SPEAK_OF else "predicts worse than"
        return (
            f"**DeepNull {words} the linear model** ({figures}): the covariates act linearly, as far as these people "
            "tell, and the arm `deepnull` has nothing to gain."
        )
    if trait.has_cases:
        return f"**DeepNull predicts better than the linear model** ({figures})."
    ratio = (1 - max(0.0, before)) / (1 - max(0.0, after))
    return (
        f"**DeepNull predicts better than the linear model** ({figures}): chi-squares of associated variants can be "
        f"expected to grow by {100 * (ratio - 1):.0f} %, as if there were that many more people."
    )


def _accuracy(metrics: Mapping[str, Any]) -> Iterator[str]:
    measures = [key for key in MEASURES if key in metrics["deepnull"]]
    main = trait_of(metrics["trait"]).measure
    pooled = {"linear": metrics["linear"]} | metrics["models"] | {"deepnull": metrics["deepnull"]}
    weights = _mean_weights(metrics)
    rows = []
    for name, values in pooled.items():
        own = [fold["deepnull"] if name == "deepnull" else fold["models"].get(name, {}) for fold in metrics["folds"]]
        of_folds = [value for fold in own if (value := fold.get(main)) is not None]
        spread = f"{min(of_folds):.3f} to {max(of_folds):.3f}" if of_folds else ""
        label = "**DeepNull**" if name == "deepnull" else name.replace("_", " ")
        rows.append([label, *(_number(values.get(key)) for key in measures), spread, weights.get(name, "")])
    yield from _table(["model", *(MEASURES[key] for key in measures), f"{MEASURES[main]} by fold", "weight"], rows)
    yield ""
    if weights:
        yield "Weight: the model's in the prediction, mean over the folds; what is left to 1 is the linear model's."


def _mean_weights(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the mean weight of each model, where the prediction is a weighted sum of several."""
    given = [fold["weights"] for fold in metrics["folds"] if fold["weights"]]
    if metrics["model"] != "auto" or not given:
        return {}
    names = list(dict.fromkeys(name for weights in given for name in weights))
    means = {name: float(np.mean([weights.get(name, 0.0) for weights in given])) for name in names}
    means["linear"] = max(0.0, 1 - sum(means.values())) if "linear" not in means else means["linear"]
    return {name: f"{value:.2f}" for name, value in means.items()}


def _covariates(metrics: Mapping[str, Any]) -> Iterator[str]:
    unit = "logits" if trait_of(metrics["trait"]).has_cases else "units of the phenotype"
    curves = [c for c in metrics["dependence"]["covariates"] if len(c["prediction"])]
    curves = sorted(curves, key=lambda c: -float(np.ptp(c["prediction"])))
    rows = []
    for curve in curves[:LISTED]:
        at, values = np.asarray(curve["prediction"]), curve["values"]
        low, high = int(at.argmin()), int(at.argmax())
        rows.append([_cell(curve["name"]), f"{np.ptp(at):.3g}", f"{values[low]:.4g}", f"{values[high]:.4g}"])
    if not rows:
        yield "None."
        return
    yield f"How far the mean prediction moves ({unit}) where everybody is given each value of a covariate in turn:"
    yield ""
    yield from _table(["covariate", "range", "lowest at", "highest at"], rows)
    if len(curves) > LISTED:
        yield f"\nand {len(curves) - LISTED} more of less effect."
    if metrics["constant_covariates"]:
        yield f"\nThey do not vary: {_cell(', '.join(metrics['constant_covariates']), 500)}."
    if pair := metrics["dependence"].get("interaction"):
        first, second = map(_cell, pair["names"])
        yield ""
        yield (
            f"Strongest interaction: {first} with {second}; {100 * pair['share']:.0f} % of the variance of their joint "
            "effect is not a sum of one of each."
        )


def _calibration(metrics: Mapping[str, Any]) -> Iterator[str]:
    has_cases = trait_of(metrics["trait"]).has_cases
    yield "People in tenths of their prediction:"
    yield ""
    heads = ["people", "mean prediction", "share of cases" if has_cases else "mean phenotype"]
    yield from _table(
        heads, [[f"{r['people']:,}", _number(r["predicted"]), _number(r["observed"])] for r in metrics["calibration"]]
    )


def _folds(metrics: Mapping[str, Any]) -> Iterator[str]:
    main = trait_of(metrics["trait"]).measure
    rows = [
        [f"{fold['fold']}", *(f"{n:,}" for n in fold["people"].values()), _number(fold["deepnull"].get(main))]
        for fold in metrics["folds"]
    ]
    heads = ["fold", *(f"people {PARTS.get(key, key)}" for key in metrics["folds"][0]["people"]), MEASURES[main]]
    yield from _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, its first column to the left, the others to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _cell(text: object, longest: int = 80) -> str:
    """Return a name as text of Markdown: no markup, no tags."""
    text = plain(text, longest)
    for sign in "\\`*|<>":
        text = text.replace(sign, f"\\{sign}")
    # no link
    text = text.replace("](", "]\\(")
    return text

"""The job of level 1: from the predictors of all blocks to the LOCO offsets of a study, and how well they predict."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from deepnull_gwas.tables import write_json
from deepnull_gwas.traits import trait_of
from deepnull_gwas.whole_genome.array_file import ArrayFile
from deepnull_gwas.whole_genome.blocks import EFFECT_GRID
from deepnull_gwas.whole_genome.columns import on_grid
from deepnull_gwas.whole_genome.inputs import Study, StudyPaths, read_study
from deepnull_gwas.whole_genome.logistic import stack_binary
from deepnull_gwas.whole_genome.offsets import SPREAD, WHOLE, write_offsets
from deepnull_gwas.whole_genome.relatives import OTHER_FOLD, RelatedPairs, family_covariance, read_related_pairs
from deepnull_gwas.whole_genome.spread import spread_by_ancestry
from deepnull_gwas.whole_genome.stacking import Stacked, stack

logger = logging.getLogger(__name__)

#: Version of genome.json.
FORMAT = 1
#: Below this out-of-fold R2 no offset is used, as in LDAK-KVIK: it would only add noise. Nor is it below this number
#: per person: the weights of the kinds of predictors fit noise, which shows in a few hundred people (level 1).
LEAST_R2, LEAST_R2_PEOPLE = 0.005, 8.0


@dataclass(frozen=True)
class Place:
    """Where the predictors of a study and arm are in the file of a part.

    Attributes
    ----------
    file
        The file.
    group, target
        Numbers of its group and, within, of the study and arm.
    """

    file: ArrayFile
    group: int
    target: int

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Read rows of an array of the study and arm."""
        return self.file.read(f"{self.group}.{self.target}.{name}", start, stop)


def read_sums(places: Sequence[Place], covariates: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Read the predictors of a study and arm, summed over the blocks of each chromosome.

    Parameters
    ----------
    places
        Where they are, by part.
    covariates
        float64[n, c], those that all arms share, the people as in the files.

    Returns
    -------
    The chromosomes, and float64[n, chromosomes, kinds], on the scale of the phenotype.
    """
    names = tuple(places[0].file.description["all_chromosomes"])
    predicted: dict[str, Any] = dict.fromkeys(names, 0)
    on_covariates: dict[str, Any] = dict.fromkeys(names, 0)
    for place in places:
        for i, name in enumerate(place.file.description["chromosomes"]):
            # whole numbers: a chromosome may lie in several parts
            predicted[name] = predicted[name] + place.read("predicted", i, i + 1)[0]
            on_covariates[name] = on_covariates[name] + place.read("on_covariates", i, i + 1)[0]
    first = places[0]
    fold, sd = first.file.read(f"{first.group}.fold"), first.file.read(f"{first.group}.sd")[first.target]
    out = np.empty((len(fold), len(names), first.file.shape(f"{first.group}.{first.target}.predicted")[2]))
    rounded = on_grid(covariates)
    # people are sorted by fold
    own_rows = [(f, slice(*np.searchsorted(fold, [f, f + 1]))) for f in np.unique(fold)]
    for i, name in enumerate(names):
        for f, own in own_rows:
            of_covariates = rounded[own] @ (on_covariates[name][:, f].T * EFFECT_GRID)
            out[own, i] = (predicted[name][own] * EFFECT_GRID + of_covariates) * sd[f]
    return names, out


def stack_study(
    study: StudyPaths,
    parts: Sequence[str | Path],
    relatives: str | Path | None,
    offsets_out: str | Path,
    genome_out: str | Path,
) -> None:
    """Weigh the predictors of all blocks for each arm of a study, and leave out one chromosome after the other.

    Parameters
    ----------
    study
        The study.
    parts
        What the last pass wrote of all parts (:mod:`deepnull_gwas.whole_genome.part`), in any order.
    relatives
        structure/relatives.tsv of the cohort.
    offsets_out
        See :mod:`deepnull_gwas.whole_genome.offsets`.
    genome_out
        JSON: ``format`` and, for each of ``arms``, ``status`` (``ok``, ``none``: nothing can be predicted, ``failed``:
        in a step before), ``reason``, ``method``, out-of-fold ``r2_genome`` (of the variance beyond the covariates),
        ``r2_covariates`` and ``r2_both``, ``used`` (whether there are offsets), ``penalty`` (share of variance),
        ``variants``, ``blocks``, ``skipped_variants`` (which carry nothing beyond the covariates), ``folds``, and
        ``relatives`` (:mod:`deepnull_gwas.whole_genome.relatives`), and ``spread``: the least and the largest standard
        deviation of a person, of the study's, where it goes with ancestry (:mod:`deepnull_gwas.whole_genome.spread`).
    """
    inputs = read_study(study)
    files = sorted((ArrayFile(path) for path in parts), key=lambda file: file.description["part"])
    pairs = read_related_pairs(relatives, inputs.sample_index) if relatives and inputs.arms else None
    arms: dict[str, dict[str, Any]] = {}
    offsets: dict[str, dict[str, np.ndarray]] = {}
    covered: tuple[str, ...] = ()
    fold = None
    # one BLAS thread: what is computed then does not depend on the number of threads
    with threadpool_limits(limits=1):
        for arm in study.arms:
            if arm in inputs.failures:
                failure = inputs.failures[arm]
                arms[arm] = _entry("failed", f"{failure.stage}: {failure.reason}")
                continue
            places = _places(files, inputs.name, arm)
            arms[arm], offsets[arm], covered = _stack_arm(inputs, arm, places, pairs)
            if any(name.endswith(OTHER_FOLD) for name in arms[arm]["relatives"] or ()):
                file, group = places[0].file, places[0].group
                fold = file.read(f"{group}.fold")[np.argsort(file.read(f"{group}.sample_index"))]
    for arm, entry in arms.items():
        logger.info("study %s, arm %s: %s", inputs.name, arm, _in_words(entry))
    write_offsets(offsets_out, inputs.sample_index, offsets, covered, fold)
    write_json({"format": FORMAT, "arms": arms}, genome_out)


def _places(files: Sequence[ArrayFile], study: str, arm: str) -> list[Place]:
    """Find a study and arm in the files of all parts."""
    found = []
    for file in files:
        for g, targets in enumerate(file.description["groups"]):
            if [study, arm] in targets:
                found.append(Place(file, g, targets.index([study, arm])))
    if not files or len(found) != files[0].description["parts"]:
        raise ValueError(f"study {study}, arm {arm}: {len(found)} of the parts hold predictors of it")
    return found


def _entry(status: str, reason: str = "", **values: Any) -> dict[str, Any]:
    """Return what genome.json says of an arm."""
    empty = {
        "status": status, "reason": reason, "method": "none", "r2_genome": None, "r2_covariates": None,
        "r2_both": None, "used": False, "penalty": None, "variants": 0, "blocks": 0, "skipped_variants": 0,
        "folds": 0, "relatives": None, "spread": None,
    }  # fmt: skip
    return empty | values


def _stack_arm(
    study: Study, arm: str, places: Sequence[Place], pairs: RelatedPairs | None
) -> tuple[dict[str, Any], dict[str, np.ndarray], tuple[str, ...]]:
    """Return what genome.json says of an arm, its offsets, and the chromosomes that took part."""
    first, group = places[0].file, places[0].group
    sample_index, fold = first.read(f"{group}.sample_index"), first.read(f"{group}.fold")
    order = np.searchsorted(study.sample_index, sample_index)
    if not np.array_equal(study.sample_index[order], sample_index) or len(order) != len(study.sample_index):
        raise ValueError(f"study {study.name}: the predictors are not of the analysed people")
    covered = tuple(first.description["all_chromosomes"])
    entry: dict[str, Any] = {
        "variants": first.description["all_variants"],
        "blocks": sum(place.file.description["blocks"] for place in places),
        "skipped_variants": int(sum(place.file.read(f"{place.group}.skipped").sum() for place in places)),
        "folds": len(np.unique(fold)),
    }
    offsets: dict[str, np.ndarray] = {}
    if reason := _nothing_to_do(entry):
        entry = _entry("none", reason, **entry)
    else:
        stacked = _stack(study, arm, order, places, fold)
        values = {
            "r2_genome": stacked.r2, "r2_covariates": stacked.r2_covariates, "r2_both": stacked.r2_both,
            "penalty": stacked.penalty,
        }  # fmt: skip
        entry |= {"method": stacked.method} | {k: None if math.isnan(v) else v for k, v in values.items()}
        least = max(LEAST_R2, LEAST_R2_PEOPLE / len(order))
        used = stacked.method != "none" and stacked.r2 >= least
        entry = _entry(
            "none" if stacked.method == "none" else "ok", _reason(stacked, covered, least), used=used, **entry
        )
        if used:
            back = np.argsort(order)
            offsets[WHOLE] = stacked.whole[back]
            if len(covered) > 1:
                offsets |= {chromosome: values[back] for chromosome, values in stacked.loco.items()}
    if pairs is not None:
        covariates = study.covariates_of(arm)[:, 1:]
        # where one chromosome holds all variants, only its own tests have no offset
        without = dict.fromkeys(covered) if offsets and len(covered) == 1 else {}
        # without offsets nobody is in another's model
        told = pairs.by_fold(fold[np.argsort(order)]) if offsets else pairs
        entry["relatives"] = family_covariance(study.trait, study.y, covariates, offsets | without, told)
    if (spread := _spread(study, arm, offsets.get(WHOLE))) is not None:
        entry["spread"] = [float(spread.min()), float(spread.max())]
        offsets[SPREAD] = spread
    return entry, offsets, covered


def _spread(study: Study, arm: str, offset: np.ndarray | None) -> np.ndarray | None:
    """Return each person's standard deviation beyond the null model where it goes with ancestry, else None."""
    if trait_of(study.trait).has_cases:
        return None
    x, y = study.covariates_of(arm), study.y if offset is None else study.y - offset
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=1e-10)[0]
    return spread_by_ancestry(residuals, study.covariates[:, study.is_component])


def _nothing_to_do(entry: Mapping[str, Any]) -> str:
    """Return why nothing can be predicted; empty where something can be."""
    if not entry["blocks"]:
        return "no autosomal variant is common and called well enough for the regression"
    if entry["folds"] < 2:
        return "all people are in one fold (one cluster of relatives): there is nobody to train on"
    return ""


def _stack(study: Study, arm: str, order: np.ndarray, places: Sequence[Place], fold: np.ndarray) -> Stacked:
    """Stack the predictors of an arm by the model of its trait; ``order`` is that of the people in the files."""
    names, sums = read_sums(places, study.covariates[order])
    y, covariates = study.y[order], study.covariates_of(arm)[order]
    of_trait = stack_binary if trait_of(study.trait).has_cases else stack
    # folds without gaps
    number = np.unique(fold, return_inverse=True)[1].astype(np.int32)
    return of_trait(sums, names, y, covariates, number)


def _reason(stacked: Stacked, covered: Sequence[str], least: float) -> str:
    """Return what a reader has to know of how an arm's offsets came about; empty where there is nothing special."""
    if stacked.reason and stacked.method == "none":
        return stacked.reason
    if stacked.r2 < least:
        return (
            f"out of fold the genome explains {stacked.r2:.4f} of the variance, below {least:.3g}: no offset is used, "
            "it would only add noise"
        )
    if len(covered) == 1:
        return f"only chromosome {covered[0]} has variants in the regression: its own tests have no offset"
    return stacked.reason


def _in_words(entry: Mapping[str, Any]) -> str:
    """Return an arm's outcome for the log."""
    if entry["status"] != "ok":
        return f"{entry['status']}: {entry['reason']}"
    text = (
        f"{entry['method']}, out-of-fold R2 of the genome {entry['r2_genome']:.4f}, of the covariates "
        f"{entry['r2_covariates']:.4f}, of both {entry['r2_both']:.4f}; {entry['variants']:,} variants in "
        f"{entry['blocks']:,} blocks, {entry['skipped_variants']:,} of them skipped"
    )
    return f"{text}; {entry['reason']}" if entry["reason"] else text

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
from deepnull_gwas.whole_genome.inputs import Study, StudyPaths, read_study
from deepnull_gwas.whole_genome.logistic import stack_binary
from deepnull_gwas.whole_genome.offsets import WHOLE, write_offsets
from deepnull_gwas.whole_genome.relatives import RelatedPairs, family_covariance, read_related_pairs
from deepnull_gwas.whole_genome.stacking import stack

logger = logging.getLogger(__name__)

#: Version of genome.json.
FORMAT = 1
#: Below this out-of-fold R2 no offset is used, as in LDAK-KVIK: it would only add noise.
LEAST_R2 = 0.005


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

    @property
    def blocks(self) -> int:
        """Number of blocks in the file."""
        return len(self.file.description["chromosomes"])


class StoredPredictors:
    """Predictors of all blocks of a study and arm, read from the files of the parts when they are asked for.

    Parameters
    ----------
    places
        Where they are, by part.
    people
        Number of people.

    Attributes
    ----------
    shape
        Numbers of people and of predictors, which come in the order of blocks.
    kinds
        Number of predictors of a block.
    """

    def __init__(self, places: Sequence[Place], people: int):
        self._places = [place for place in places if place.blocks]
        names = [f"{place.group}.{place.target}.predictors" for place in self._places]
        self._names, self._people = names, people
        self.kinds = self._places[0].file.shape(names[0])[1] if names else 0
        self.shape = people, self.kinds * sum(place.blocks for place in self._places)

    @property
    def chromosome(self) -> np.ndarray:
        """Chromosome of each predictor."""
        names = [c for place in self._places for c in place.file.description["chromosomes"]]
        return np.repeat(np.array(names, dtype=object), self.kinds)

    def __len__(self) -> int:
        return self._people

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self._people)
        out, column = np.empty((max(stop - start, 0), self.shape[1]), dtype=np.float32), 0
        for place, name in zip(self._places, self._names, strict=True):
            for block in range(place.blocks):
                first = block * self._people
                out[:, column : column + self.kinds] = place.file.read(name, first + start, first + max(stop, start))
                column += self.kinds
        return out


def stack_study(
    study: StudyPaths,
    parts: Sequence[str | Path],
    families: str | Path,
    relatives: str | Path | None,
    settings: Mapping[str, Any],
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
    families, relatives
        structure/families.parquet and relatives.tsv of the cohort.
    settings
        The section ``whole_genome`` and ``seed``.
    offsets_out
        See :mod:`deepnull_gwas.whole_genome.offsets`.
    genome_out
        JSON: ``format`` and, for each of ``arms``, ``status`` (``ok``, ``none``: nothing can be predicted, ``failed``:
        in a step before), ``reason``, ``method``, out-of-fold ``r2_genome`` (of the variance beyond the covariates),
        ``r2_covariates`` and ``r2_both``, ``used`` (whether there are offsets), ``penalty`` (share of variance),
        ``variants``, ``blocks``, ``skipped_variants`` (which carry nothing beyond the covariates), ``folds``, and
        ``relatives`` (:mod:`deepnull_gwas.whole_genome.relatives`).
    """
    inputs = read_study(study)
    files = sorted((ArrayFile(path) for path in parts), key=lambda file: file.description["part"])
    pairs = read_related_pairs(relatives, inputs.sample_index) if relatives and inputs.arms else None
    arms: dict[str, dict[str, Any]] = {}
    offsets: dict[str, dict[str, np.ndarray]] = {}
    covered: tuple[str, ...] = ()
    # one BLAS thread: what is computed then does not depend on the number of threads
    with threadpool_limits(limits=1):
        for arm in study.arms:
            if arm in inputs.failures:
                failure = inputs.failures[arm]
                arms[arm] = _entry("failed", f"{failure.stage}: {failure.reason}")
                continue
            arms[arm], offsets[arm], covered = _stack_arm(inputs, arm, _places(files, inputs.name, arm), pairs)
    for arm, entry in arms.items():
        logger.info("study %s, arm %s: %s", inputs.name, arm, _in_words(entry))
    write_offsets(offsets_out, inputs.sample_index, offsets, covered)
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
        "folds": 0, "relatives": None,
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
    predictors = StoredPredictors(places, len(order))
    covered = tuple(first.description["all_chromosomes"])
    entry: dict[str, Any] = {
        "variants": first.description["all_variants"],
        "blocks": sum(place.blocks for place in places),
        "skipped_variants": int(sum(place.file.read(f"{place.group}.skipped").sum() for place in places)),
        "folds": len(np.unique(fold)),
    }
    offsets: dict[str, np.ndarray] = {}
    if reason := _nothing_to_do(entry):
        entry = _entry("none", reason, **entry)
    else:
        stacked = _stack(study, arm, order, predictors, fold)
        entry |= {
            "method": stacked.method, "r2_genome": stacked.r2, "r2_covariates": stacked.r2_covariates,
            "r2_both": stacked.r2_both, "penalty": None if math.isnan(stacked.penalty) else stacked.penalty,
        }  # fmt: skip
        used = stacked.method != "none" and stacked.r2 >= LEAST_R2
        entry = _entry("none" if stacked.method == "none" else "ok", _reason(stacked, covered), used=used, **entry)
        if used:
            back = np.argsort(order)
            offsets[WHOLE] = stacked.whole[back]
            if len(covered) > 1:
                offsets |= {chromosome: values[back] for chromosome, values in stacked.loco.items()}
    if pairs is not None:
        covariates = study.covariates_of(arm)[:, 1:]
        # where one chromosome holds all variants, only its own tests have no offset
        without = dict.fromkeys(covered) if offsets and len(covered) == 1 else {}
        entry["relatives"] = family_covariance(study.trait, study.y, covariates, offsets | without, pairs)
    return entry, offsets, covered


def _nothing_to_do(entry: Mapping[str, Any]) -> str:
    """Return why nothing can be predicted; empty where something can be."""
    if not entry["blocks"]:
        return "no autosomal variant is common and called well enough for the regression"
    if entry["folds"] < 2:
        return "all people are in one fold (one cluster of relatives): there is nobody to train on"
    return ""


def _stack(study: Study, arm: str, order: np.ndarray, predictors: StoredPredictors, fold: np.ndarray) -> Any:
    """Stack the predictors of an arm by the model of its trait; people come by fold."""
    y, covariates = study.y[order], study.covariates_of(arm)[order]
    # folds without gaps
    number = np.unique(fold, return_inverse=True)[1].astype(np.int32)
    if trait_of(study.trait).has_cases:
        return stack_binary(predictors, predictors.chromosome, y, covariates, number, predictors.kinds)
    return stack(predictors, predictors.chromosome, y, covariates, number)


def _reason(stacked: Any, covered: Sequence[str]) -> str:
    """Return what a reader has to know of how an arm's offsets came about; empty where there is nothing special."""
    if stacked.reason and stacked.method == "none":
        return stacked.reason
    if stacked.r2 < LEAST_R2:
        return (
            f"out of fold the genome explains {stacked.r2:.4f} of the variance, below {LEAST_R2:g}: no offset is used, "
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

"""What the association is given of each study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepnull_gwas.deepnull.covariate import read_deepnull_covariate
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import read_json, read_table, to_numpy
from deepnull_gwas.whole_genome.offsets import read_offsets
from deepnull_gwas.whole_genome.relatives import RelativeCorrelations, read_correlations


@dataclass
class StudyInput:
    """What the association needs to know of one study.

    Parameters
    ----------
    name, trait, arms
        As in the sheet.
    sample_index
        int64[n], people of the cohort that are analysed, ascending.
    y
        float64[n], the phenotype as analysed (binary: 1 case, 0 control).
    covariates
        float64[n, c], encoded, without intercept.
    covariate_names
        Their names.
    deepnull_covariate
        float64[n], what DeepNull's prediction, out of fold, has beyond its linear part; None where the deepnull arm
        is not run or failed.
    failures
        Arms that failed in a step before, and why.
    offsets
        (arm, class of chromosomes, chromosome) -> float64[n]: a number per analysed person, in the order of
        ``sample_index``, that is added to the linear predictor with coefficient 1, as the fit of a whole-genome
        regression that leaves the chromosome out. For a quantitative trait that is a test of ``y -
        offset``, in the unit of ``y``; for a binary one the offset is on the logit scale, in every model of the study
        (null, Firth's, with and without the variant). A key that is absent stands for no offset. The vectors are asked
        for chromosome by chromosome, so that the mapping may read them when they are asked for.
    relatives
        Pairs of relatives among the analysed people, and how correlated their phenotypes are beyond the null models;
        None where all are taken for unrelated.
    spread
        Arm -> float64[n], standard deviation of each person beyond the null model, of quantitative traits; arms in
        which it is the same for all are absent.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    sample_index: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    deepnull_covariate: np.ndarray | None = None
    failures: dict[str, StudyFailure] = field(default_factory=dict)
    offsets: Mapping[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    relatives: RelativeCorrelations | None = None
    spread: Mapping[str, np.ndarray] = field(default_factory=dict)

    def offsets_on(self, name: str, chromosome: str) -> dict[str, np.ndarray]:
        """Return the offsets of a class of chromosomes and a chromosome, by arm; arms without one are absent."""
        keys = {arm: (arm, name, chromosome) for arm in self.arms}
        return {arm: self.offsets[key] for arm, key in keys.items() if key in self.offsets}


def _whole_genome_failures(path: str | Path, sample_index: np.ndarray, arms: Sequence[str]) -> dict[str, StudyFailure]:
    """Return the arms whose whole-genome regression failed or is of other people, and why."""
    people = to_numpy(read_table(path, columns=["sample_index"])["sample_index"])
    if not np.array_equal(people, sample_index):
        reason = (
            f"{path} is of {len(people):,} people, who are not the {len(sample_index):,} people analysed; delete it "
            "and run again"
        )
        return dict.fromkeys(arms, StudyFailure("stack_blocks", reason))
    states = read_json(Path(path).with_name("genome.json"))["arms"]
    return {
        arm: StudyFailure("stack_blocks", states[arm]["reason"]) for arm in arms if states[arm]["status"] == "failed"
    }


def read_study(
    study_json: str | Path,
    samples: str | Path,
    prediction: str | Path | None,
    arms: Sequence[str],
    offsets: str | Path | None = None,
    relatives: str | Path | None = None,
) -> StudyInput:
    """Read one study as the steps before left it; what failed there stays failed here, with its reason.

    Parameters
    ----------
    study_json, samples
        study.json and samples.parquet.
    prediction
        prediction.parquet, metrics.json next to it; None without the arm deepnull.
    arms
        Arms of the study.
    offsets
        offsets.parquet of the whole-genome regression, genome.json next to it; None where that is not its model.
    relatives
        relatives.tsv of the cohort; needed with ``offsets``.
    """
    study = read_json(study_json)
    people = read_table(samples)
    sample_index = to_numpy(people["sample_index"]).astype(np.int64)
    failures: dict[str, StudyFailure] = {}
    if study["status"] != "ok":
        failures = dict.fromkeys(arms, StudyFailure(study["stage"], study["reason"]))
    columns = [c for c in people.column_names if c.startswith("cov_")]
    d = None
    if "deepnull" in arms and prediction is not None and "deepnull" not in failures:
        try:
            d = read_deepnull_covariate(prediction, sample_index)
        except StudyFailure as failure:
            failures["deepnull"] = failure
    known: Mapping[tuple[str, str, str], np.ndarray] = {}
    related, spread = None, {}
    if offsets is not None and (left := [arm for arm in arms if arm not in failures]):
        failures |= _whole_genome_failures(offsets, sample_index, left)
        if any(arm not in failures for arm in left):
            known = read_offsets(offsets)
            spread = {arm: values for arm in left if (values := known.spread(arm)) is not None}
            if relatives is not None:
                related = read_correlations(relatives, Path(offsets).with_name("genome.json"), sample_index)
    return StudyInput(
        name=study["study"],
        trait=study["trait"],
        arms=tuple(arms),
        sample_index=sample_index,
        y=to_numpy(people["phenotype"]).astype(np.float64),
        covariates=np.column_stack([np.empty((len(people), 0)), *(to_numpy(people[c]) for c in columns)]),
        covariate_names=tuple(c.removeprefix("cov_") for c in columns),
        deepnull_covariate=d,
        failures=failures,
        offsets=known,
        relatives=related,
        spread=spread,
    )

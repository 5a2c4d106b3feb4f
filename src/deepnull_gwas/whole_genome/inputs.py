"""What the whole-genome regression reads of a cohort and of its studies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepnull_gwas.deepnull.covariate import read_deepnull_covariate
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import read_json, read_table, to_numpy


@dataclass(frozen=True)
class CohortPaths:
    """Files of a cohort.

    Attributes
    ----------
    genotypes, variants, qc_variants
        genotypes.json, variants.parquet and qc/variants.parquet of the genotypes that stand for structure: hard calls.
    families, relatives
        structure/families.parquet and relatives.tsv.
    """

    genotypes: str | Path
    variants: str | Path
    qc_variants: str | Path
    families: str | Path
    relatives: str | Path | None = None


@dataclass(frozen=True)
class StudyPaths:
    """Files of a study.

    Attributes
    ----------
    study, samples
        study.json and samples.parquet.
    prediction
        deepnull/prediction.parquet; None without the deepnull arm.
    arms
        As in the sheet.
    """

    study: str | Path
    samples: str | Path
    prediction: str | Path | None
    arms: tuple[str, ...]

    @classmethod
    def of_batch(
        cls,
        studies: Sequence[str | Path],
        samples: Sequence[str | Path],
        predictions: Iterable[str | Path],
        arms: Sequence[Sequence[str]],
    ) -> list[StudyPaths]:
        """Return the files of each study of a batch; ``predictions`` are of those with the deepnull arm alone."""
        known = iter(predictions)
        return [
            cls(study, people, next(known) if "deepnull" in of_study else None, tuple(of_study))
            for study, people, of_study in zip(studies, samples, arms, strict=True)
        ]


@dataclass(frozen=True)
class Study:
    """A study as the steps before left it.

    Attributes
    ----------
    name, trait
        As in the sheet.
    arms
        Those that can be done.
    sample_index
        int64[n], the analysed people, ascending.
    y
        float64[n], the phenotype as analysed (binary: 1 case, 0 control).
    covariates
        float64[n, c], the intercept and the others, of mean 0 and variance 1.
    deepnull_covariate
        float64[n], of mean 0 and variance 1; None where the deepnull arm is not done.
    failures
        Arms that failed in a step before, and why.
    is_component
        bool[c], which of the covariates are principal components of ancestry.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    sample_index: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    deepnull_covariate: np.ndarray | None
    failures: dict[str, StudyFailure]
    is_component: np.ndarray

    def covariates_of(self, arm: str) -> np.ndarray:
        """Return the covariates of an arm: float64[n, c] or, with DeepNull's, float64[n, c + 1]."""
        if arm != "deepnull":
            return self.covariates
        return np.column_stack([self.covariates, self.deepnull_covariate])


def read_study(paths: StudyPaths) -> Study:
    """Read a study; what failed in the steps before stays failed, with its reason."""
    study, people = read_json(paths.study), read_table(paths.samples)
    failures: dict[str, StudyFailure] = {}
    if study["status"] != "ok":
        failures = dict.fromkeys(paths.arms, StudyFailure(study["stage"], study["reason"]))
    elif not people.num_rows:
        failures = dict.fromkeys(paths.arms, StudyFailure("fit_blocks", "nobody is analysed"))
    d = None
    if "deepnull" in paths.arms and "deepnull" not in failures:
        try:
            if paths.prediction is None:
                raise StudyFailure("fit_blocks", "the deepnull arm has no prediction")
            d = standardised(read_deepnull_covariate(paths.prediction, to_numpy(people["sample_index"])))
        except StudyFailure as failure:
            failures["deepnull"] = failure
    names = [c for c in people.column_names if c.startswith("cov_")]
    columns = [to_numpy(people[c]) for c in names]
    return Study(
        name=study["study"],
        trait=study["trait"],
        arms=tuple(arm for arm in paths.arms if arm not in failures),
        sample_index=to_numpy(people["sample_index"]).astype(np.int64),
        y=to_numpy(people["phenotype"]).astype(np.float64),
        covariates=np.column_stack([np.ones(people.num_rows), *(standardised(c) for c in columns)]),
        deepnull_covariate=d,
        failures=failures,
        is_component=np.array([False, *(re.fullmatch(r"cov_PC\d+", c) is not None for c in names)]),
    )


def standardised(values: np.ndarray) -> np.ndarray:
    """Return a column with mean 0 and variance 1 (float64); 0 where it does not vary."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return values
    centred = values - values.mean()
    sd = float(np.sqrt(np.mean(centred**2)))
    return centred / sd if sd > 1e-12 * np.abs(values).max() else np.zeros_like(centred)

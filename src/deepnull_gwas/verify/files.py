"""What the second implementation knows of a study, from the files of earlier steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepnull_gwas.tables import read_json, read_table, to_numpy
from deepnull_gwas.traits import trait_of
from deepnull_gwas.verify.relatives import Relatives


@dataclass(frozen=True)
class Study:
    """One study and what its tests are made of: everything from its files, nothing from the scan.

    Attributes
    ----------
    name, trait, arms
        As in the sheet.
    failed
        Arms that failed in a step before.
    people
        int64[n], which of the cohort's people are analysed, by their row in the genotype files.
    y
        float64[n], the phenotype as analysed.
    covariates
        float64[n, c], encoded, without intercept.
    deepnull_covariate
        float64[n], what the deepnull arm has as a further covariate; None where there is no such arm, or it failed.
    folder
        Folder of its results.
    offsets
        (arm, class of chromosomes, chromosome) -> float64[n], what is known of the phenotype before variants there are
        tested: in its unit (quantitative), on the logit scale (binary). A key that is absent stands for no offset.
    relatives
        Pairs of relatives and their correlations; None where all are taken for unrelated.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    failed: tuple[str, ...]
    people: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    deepnull_covariate: np.ndarray | None
    folder: Path
    offsets: Mapping[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    relatives: Relatives | None = None

    def place(self, kind: str, chromosome: str) -> tuple[str, str]:
        """Return where the same null models hold: a class of chromosomes; where there are offsets, one chromosome."""
        return kind, chromosome if self.offsets else ""

    def offsets_on(self, kind: str, chromosome: str) -> dict[str, np.ndarray]:
        """Return the offset of each arm that has one on a chromosome of a class."""
        keys = {arm: (arm, kind, chromosome) for arm in self.arms}
        return {arm: self.offsets[key] for arm, key in keys.items() if key in self.offsets}

    @property
    def has_cases(self) -> bool:
        """Whether the phenotype is 1 for cases and 0 for controls."""
        return trait_of(self.trait).has_cases


def read_study_files(
    study: str | Path, people: str | Path, prediction: str | Path | None, arms: Sequence[str]
) -> Study:
    """Read a study from study.json, samples.parquet and prediction.parquet (with metrics.json next to it)."""
    about, table = read_json(study), read_table(people)
    columns = [c for c in table.column_names if c.startswith("cov_")]
    failed, d = set(arms) if about["status"] != "ok" else set(), None
    if "deepnull" in arms and not failed and prediction is not None:
        metrics = Path(prediction).with_name("metrics.json")
        if metrics.exists() and read_json(metrics).get("status", "ok") != "ok":
            failed.add("deepnull")
        else:
            d = to_numpy(read_table(prediction, columns=["deepnull_covariate"])["deepnull_covariate"]).astype(float)
    covariates = [np.empty((len(table), 0)), *(to_numpy(table[c]) for c in columns)]
    return Study(
        about["study"], about["trait"], tuple(arms), tuple(failed), to_numpy(table["sample_index"]),
        to_numpy(table["phenotype"]).astype(float), np.column_stack(covariates).astype(float), d, Path(study).parent,
    )  # fmt: skip

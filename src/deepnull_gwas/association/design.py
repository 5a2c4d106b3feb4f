"""The design of a study on one class of chromosomes: people, basis of the covariates, DeepNull covariate, offsets.

Notation of docs/method.md: Q an orthonormal basis of the covariates, y~ the phenotype with them taken out, u the unit
vector of the DeepNull covariate with them taken out (Frisch, Waugh and Lovell).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepnull_gwas.association.basis import orthonormal_basis, power_of_two, take_out
from deepnull_gwas.association.clusters import Clusters, find_clusters
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.null_logistic import STAGE
from deepnull_gwas.errors import StudyFailure


@dataclass
class StudyDesign:
    """One study on one class of chromosomes; with :attr:`nulls`, on one chromosome where there are offsets.

    Attributes
    ----------
    study
        The study.
    sample_index
        int64[n], people of the cohort that are analysed on these chromosomes.
    y
        float64[n], their phenotype.
    basis
        float64[n, r] of the shared covariates, orthogonal to the constant.
    dropped
        Covariates that are constant or collinear with those before them.
    u
        float64[n], unit vector of the DeepNull covariate with the covariates taken out, or None where nothing is left
        of it.
    offsets
        arm -> float64[n], added to the linear predictor; arms without an offset are absent.
    relatives
        arm -> clusters of correlated relatives among these people, the same object for arms with the same correlations;
        an arm whose people are taken for unrelated is absent.
    nulls
        arm -> null model, of the kind that the study's trait has.
    failures
        Arms that are not tested, and why.
    notes
        What a reader of the results has to know.
    sex_unknown
        Whether it fails on these chromosomes (X, Y) only because of people whose sex is not known.
    """

    study: StudyInput
    sample_index: np.ndarray
    y: np.ndarray
    basis: np.ndarray
    dropped: list[str]
    u: np.ndarray | None = None
    offsets: dict[str, np.ndarray] = field(default_factory=dict)
    relatives: dict[str, Clusters] = field(default_factory=dict)
    nulls: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, StudyFailure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sex_unknown: bool = False

    @property
    def n(self) -> int:
        """Number of analysed people."""
        return len(self.sample_index)

    @property
    def people_needed(self) -> int:
        """Number of people that leave no degree of freedom: more are needed."""
        return self.basis.shape[1] + 3

    @property
    def arms(self) -> list[str]:
        """Arms that can be tested."""
        return [a for a in self.study.arms if a not in self.failures]

    def fail(self, reason: str) -> None:
        """Fail all arms that have not failed yet."""
        self.failures = {arm: StudyFailure(STAGE, reason) for arm in self.study.arms} | self.failures

    def with_offsets(self, offsets: Mapping[str, np.ndarray], keep: np.ndarray | None) -> StudyDesign:
        """Return the same design, without null models, given the offsets of the study's people.

        Parameters
        ----------
        offsets
            arm -> float64, one per person of the study.
        keep
            bool, one per person of the cohort: who can be analysed on these chromosomes; None, everybody.
        """
        inside = slice(None) if keep is None else keep[self.study.sample_index]
        return dataclasses.replace(
            self,
            offsets={arm: np.asarray(values, dtype=np.float64)[inside] for arm, values in offsets.items()},
            relatives={},
            nulls={},
            failures=dict(self.failures),
            notes=list(self.notes),
        )

    def add_relatives(self, chromosome: str, drop: bool) -> None:
        """Find the clusters of correlated relatives, and weights of people, of each arm for the tests of a chromosome.

        Parameters
        ----------
        chromosome
            The chromosome; "" where the study has the same null models on all of a class.
        drop
            Whether people without a genotype are left out elsewhere: here they are not, which is noted.
        """
        known, inside = self.study.relatives, np.isin(self.study.sample_index, self.sample_index)
        pairs = None if known is None else known.pairs.among(inside)
        made: dict[tuple[bytes, bytes], Clusters | None] = {}
        for arm in self.arms:
            rho = np.empty(0) if known is None else known.on(arm, chromosome, pairs)
            spread = self.study.spread.get(arm)
            key = rho.tobytes(), b"" if spread is None else spread.tobytes()
            if key not in made:
                found = None if pairs is None else find_clusters(self.n, *pairs.rows, rho, pairs.kinship)
                if spread is not None:
                    found = (found or Clusters((), self.n)).scaled(spread[inside])
                made[key] = found
            if (clusters := made[key]) is not None:
                self.relatives[arm] = clusters
        if self.study.spread:
            self.notes.append("people are weighed, since the phenotype's spread goes with ancestry")
        if self.relatives and drop:
            why = "relatives are kept" if known is not None else "people are weighed"
            self.notes.append(f"{why}: missing genotypes are put at the mean, not dropped")


def design_study(study: StudyInput, extra: Mapping[str, np.ndarray], keep: np.ndarray | None) -> StudyDesign:
    """Return the design of a study on a class of chromosomes, without offsets and null models.

    Parameters
    ----------
    study
        The study.
    extra
        Further covariates by name, one value per person of the cohort (sex, on X).
    keep
        bool, one per person of the cohort: who can be analysed on these chromosomes; None, everybody.
    """
    inside = np.ones(len(study.sample_index), dtype=bool) if keep is None else keep[study.sample_index]
    index = study.sample_index[inside]
    covariates = study.covariates[inside]
    names = list(study.covariate_names)
    for name, values in extra.items():
        covariates = np.column_stack([covariates, values[index]])
        names.append(name)
    basis, _, dropped = orthonormal_basis(covariates, names)
    design = StudyDesign(study, index, study.y[inside], basis, dropped, failures=dict(study.failures))
    if design.n <= design.people_needed:
        design.fail(f"{design.n} people for {basis.shape[1]} covariates, prediction and variant")
    elif study.deepnull_covariate is not None and "deepnull" in design.arms:
        _add_deepnull_covariate(design, study.deepnull_covariate[inside])
    return design


def _add_deepnull_covariate(design: StudyDesign, covariate: np.ndarray) -> None:
    """Set what the DeepNull covariate has beyond the covariates, if anything."""
    d = covariate / power_of_two(covariate)
    left = take_out(d, design.basis)
    length = np.linalg.norm(left)
    if length <= 1e-6 * np.linalg.norm(d - d.mean()) or length == 0.0:
        design.notes.append(
            "the prediction is a linear combination of the covariates: the deepnull arm equals the baseline"
        )
    else:
        design.u = left / length

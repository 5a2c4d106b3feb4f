"""Classes of chromosomes: who is analysed there, who is haploid, and what follows for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.null_logistic import STAGE
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block, Mask


@dataclass(frozen=True)
class ClassRules:
    """What holds on a class of chromosomes in one cohort.

    Attributes
    ----------
    name
        Of :data:`deepnull_gwas.genotypes.chromosomes.CLASSES`: ``autosome``, ``X``, ``Y`` or ``MT``.
    known
        bool, one per person of the cohort: whose sex is known.
    keep
        bool, one per person of the cohort: who can be analysed; None, everybody.
    extra
        Further covariates by name, one value per person of the cohort.
    haploid
        Who has one copy; None, nobody.
    single
        Whether a haploid genotype is tested as the one copy that it is: always but on X, by default.
    women
        Among whom alone the Hardy-Weinberg test makes sense; None, everybody.
    """

    name: str
    known: np.ndarray
    keep: np.ndarray | None
    extra: Mapping[str, np.ndarray]
    haploid: Mask | None
    single: bool
    women: Mask | None

    @classmethod
    def of(cls, name: str, sex: np.ndarray, x_male_copies: int) -> ClassRules:
        """Return the rules of a class.

        Parameters
        ----------
        name
            The class.
        sex
            int8, one per person of the cohort: 1 male, 2 female, 0 unknown.
        x_male_copies
            Copies that a man's one allele on X counts for.
        """
        male, known = sex == 1, sex > 0
        if name == "X":
            women = Mask.of(sex == 2)
            return cls(name, known, known, {"sex": sex.astype(np.float64)}, Mask.of(male), x_male_copies == 1, women)
        if name == "Y":
            return cls(name, known, male, {}, Mask.of(male), True, None)
        if name == "MT":
            return cls(name, known, None, {}, Mask.of(np.ones(len(sex), dtype=bool)), True, None)
        return cls(name, known, None, {}, None, False, None)

    def view(self, block: Block) -> Block:
        """Return a block as it is inherited here."""
        return block if self.haploid is None else block.inherited(self.haploid, self.single)

    def hwe_mask(self, mask: Mask) -> Mask | None:
        """Return among whom of some people the Hardy-Weinberg test makes sense; None, among nobody."""
        if self.name in ("Y", "MT"):
            return None
        return mask if self.women is None else mask & self.women

    def annotate(self, design: StudyDesign, analysable: bool) -> None:
        """Add to a fitted design what a reader must know of these chromosomes, and fail it where sexes are not known.

        Parameters
        ----------
        design
            The design; changed in place.
        analysable
            Whether the values of the phenotype can be analysed: false where there are no cases or no controls.
        """
        unknown = int((~self.known[design.study.sample_index]).sum())
        if self.name == "X" and design.arms and "sex" not in design.dropped:
            design.notes.append("sex was added as a covariate on X")
        if self.name == "X" and unknown:
            design.notes.append(f"{unknown} people without a known sex are left out on X")
        if self.name in ("X", "Y"):
            self._fail_for_want_of_sex(design, unknown, analysable)
        if self.name == "Y" or design.arms:
            design.notes.extend(self._coding(design))

    @staticmethod
    def _fail_for_want_of_sex(design: StudyDesign, unknown: int, analysable: bool) -> None:
        """Fail a design with too few people for a model that would not be too few with those whose sex is not known."""
        few = design.n <= design.people_needed or not analysable
        if few and unknown and design.n + unknown > design.people_needed:
            design.sex_unknown = True
            reason = f"the sex of {unknown} of {len(design.study.sample_index)} people is not known"
            design.failures = {a: StudyFailure(STAGE, reason) for a in design.study.arms} | design.study.failures

    def _coding(self, design: StudyDesign) -> list[str]:
        """Return how genotypes are coded here, in words."""
        if self.name == "X" and self.single:
            return ["on X men's genotypes are 0/1: beta is per copy of the effect allele in men and women"]
        if self.name == "X":
            return [
                "on X men's genotypes are 0/2: beta is per copy of the effect allele in women, "
                "and half of what a man's copy does"
            ]
        if self.name == "Y":
            return [
                f"on Y the {design.n} recorded males are analysed, genotypes 0/1: beta is per copy of the effect allele"
            ]
        if self.name == "MT":
            return ["on MT genotypes are 0/1: beta is per copy of the effect allele"]
        return []

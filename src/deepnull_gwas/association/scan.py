"""The scan: one pass over blocks of genotypes for all studies of a batch, each with its own people and covariates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from deepnull_gwas.association import codes
from deepnull_gwas.association.classes import ClassRules
from deepnull_gwas.association.design import StudyDesign, design_study
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.layout import GroupTests, Layout
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.traits import STRATEGIES
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.genotypes.products import Columns

logger = logging.getLogger(__name__)

FORMAT = 1
#: Variants that are imputed worse than this are told of
LOW_INFORMATION = 0.3
#: A class of chromosomes, and the chromosome where any study has offsets (else "").
Place = tuple[str, str]


@dataclass(frozen=True)
class Group:
    """The studies of a batch with the same people, ready to be tested.

    Attributes
    ----------
    mask
        The people.
    members
        Places of the studies in the batch.
    columns, squares
        Columns that the genotypes, and their squares, are multiplied with.
    tests
        Of each kind of trait.
    """

    mask: Mask
    members: list[int]
    columns: Columns
    squares: Columns
    tests: list[GroupTests]


@dataclass
class StudyState:
    """What became of a study on some chromosomes: what the head of a result says of it."""

    failures: dict[str, StudyFailure]
    dropped: list[str]
    notes: list[str]
    het_calls: int = 0
    low_info: int = 0


@dataclass
class Prepared:
    """A batch made ready for a class of chromosomes, and one chromosome where there are offsets."""

    rules: ClassRules
    designs: list[StudyDesign]
    groups: list[Group]
    states: list[StudyState] = field(default_factory=list)

    @cached_property
    def masks(self) -> list[Mask]:
        """The people whose sums over genotypes are asked for: each group, and the haploid among them."""
        out = [g.mask for g in self.groups]
        if self.rules.haploid is not None:
            out += [g.mask & self.rules.haploid for g in self.groups]
        return list(dict.fromkeys(out))

    @property
    def width(self) -> int:
        """Number of columns of all groups."""
        return sum(g.columns.width + g.squares.width for g in self.groups)


class Scan:
    """A batch over a cohort's people, ready to test blocks of variants.

    Parameters
    ----------
    studies
        The batch.
    sex
        int8, one per person of the cohort: 1 male, 2 female, 0 unknown.
    settings
        Of the tests.
    """

    def __init__(self, studies: Sequence[StudyInput], sex: np.ndarray, settings: Settings):
        self.studies = list(studies)
        self.sex = np.asarray(sex)
        self.settings = settings
        self.n_people = len(self.sex)
        self.by_chromosome = any(s.offsets for s in self.studies)
        self._rules: dict[str, ClassRules] = {}
        self._designs: dict[str, list[StudyDesign]] = {}
        self._prepared: dict[Place, Prepared] = {}
        self._states: dict[Place, list[StudyState]] = {}
        self._lock = threading.Lock()

    def place(self, name: str, chromosome: str) -> Place:
        """Return where the same null models hold: on all chromosomes of a class, or on one where there are offsets."""
        return (name, chromosome if self.by_chromosome else "")

    def on(self, name: str, chromosome: str = "") -> Prepared:
        """Return the batch on a class of chromosomes (and a chromosome where there are offsets).

        Made when first asked for.
        """
        place = self.place(name, chromosome)
        if place not in self._prepared:
            prepared = self._prepared[place] = self._prepare(place)
            prepared.states = self._states.setdefault(place, prepared.states)
        return self._prepared[place]

    def keep(self, places: Collection[Place]) -> None:
        """Let go of what was prepared for other places; what became of the studies there is remembered."""
        for place in [p for p in self._prepared if p not in places]:
            del self._prepared[place]

    @property
    def width(self) -> int:
        """Number of columns of what is prepared now."""
        return sum(p.width for p in self._prepared.values())

    def _prepare(self, place: Place) -> Prepared:
        name, chromosome = place
        if name not in self._rules:
            self._rules[name] = ClassRules.of(name, self.sex, self.settings.x_male_copies)
        rules = self._rules[name]
        designs = self._designs.get(name) or [design_study(s, rules.extra, rules.keep) for s in self.studies]
        if self.by_chromosome:
            # bases and people are the same on all chromosomes of a class
            self._designs[name] = designs
            designs = [d.with_offsets(d.study.offsets_on(name, chromosome), rules.keep) for d in designs]
        where = f"{name}, chromosome {chromosome}" if chromosome else name
        for d in designs:
            strategy = STRATEGIES[d.study.trait]
            d.add_relatives(chromosome, self.settings.drop)
            strategy.fit(d)
            rules.annotate(d, strategy.is_analysable(d.y))
            for arm, failure in d.failures.items():
                logger.warning("%s (%s), %s arm: not tested: %s", d.study.name, where, arm, failure.reason)
            if d.dropped:
                logger.info("%s (%s): collinear covariates left out: %s", d.study.name, where, ", ".join(d.dropped))
        states = [StudyState(d.failures, d.dropped, d.notes) for d in designs]
        return Prepared(rules, designs, self._group(rules, designs), states)

    def _group(self, rules: ClassRules, designs: Sequence[StudyDesign]) -> list[Group]:
        """Lay out what the tests need, for the studies of each set of people."""
        members: dict[bytes, list[int]] = {}
        for i, d in enumerate(designs):
            members.setdefault(d.sample_index.tobytes(), []).append(i)
        groups = []
        for together in members.values():
            index = designs[together[0]].sample_index
            mask = Mask.of_people(index, self.n_people)
            layout = Layout(self.n_people, index, mask, self.settings.dtype)
            tests: list[GroupTests] = []
            for trait, strategy in STRATEGIES.items():
                mine = {i: designs[i] for i in together if designs[i].study.trait == trait}
                if mine:
                    tests.extend(strategy.prepare(mine, rules, layout, self.settings))
            groups.append(Group(mask, together, *layout.finish(), tests))
        return groups

    def block(self, block: Block, name: str, chromosome: str = "") -> dict[str, np.ndarray]:
        """Test a block of variants of one class.

        Parameters
        ----------
        block
            The genotypes.
        name
            Class of chromosomes: ``autosome``, ``X``, ``Y`` or ``MT``.
        chromosome
            Of these variants; only studies with offsets need it.

        Returns
        -------
        Columns of the result, by name, each with one value per variant.
        """
        coded = self.coded(block, name, chromosome)
        return {column: codes.to_words(column, values) for column, values in coded.items()}

    def coded(self, block: Block, name: str, chromosome: str = "") -> dict[str, np.ndarray]:
        """Test as :meth:`block` does; methods and reasons are numbers (:mod:`deepnull_gwas.association.codes`)."""
        prepared = self.on(name, chromosome)
        block = prepared.rules.view(block)
        out: dict[str, np.ndarray] = {}
        for group in prepared.groups:
            products = block.multiply(group.columns, group.mask)
            squares = block.multiply(group.squares, group.mask, squared=True)
            for tests in group.tests:
                out |= tests.test(block, products, squares)
            if block.imputed:
                self._put_information(prepared, group, block, out)
            hets = block.haploid_hets(group.mask)
            if hets:
                with self._lock:
                    for i in group.members:
                        prepared.states[i].het_calls += hets
        return out

    def _put_information(self, prepared: Prepared, group: Group, block: Block, out: dict[str, np.ndarray]) -> None:
        """Add the column ``info`` of the studies of a group, and count their tested variants where it is low."""
        info = block.information(group.mask)
        for i in group.members:
            study = self.studies[i]
            out[f"{study.name}.info"] = info
            reasons = [out[f"{study.name}.{arm}.reason"] for arm in study.arms]
            low = int(((info < LOW_INFORMATION) & (np.array(reasons) == codes.TESTED).any(axis=0)).sum())
            with self._lock:
                prepared.states[i].low_info += low

    def metadata(self) -> dict[str, Any]:
        """Return what each study's and arm's null model came to, for the head of the result."""
        return {
            "format": FORMAT,
            "studies": {
                study.name: {"trait": study.trait, "arms": {arm: self._state(i, arm) for arm in study.arms}}
                for i, study in enumerate(self.studies)
            },
        }

    def _state(self, i: int, arm: str) -> dict[str, Any]:
        """Return what became of an arm over all chromosomes seen."""
        out = {"status": "ok", "stage": "", "reason": "", "dropped_covariates": [], "notes": []}
        low = 0
        autosomes = any(name == "autosome" for name, _ in self._states)
        for (name, _), states in self._states.items():
            state = states[i]
            if arm in state.failures and (name == "autosome" or not autosomes):
                failure = state.failures[arm]
                out |= {"status": "failed", "stage": failure.stage, "reason": failure.reason}
            if name == "autosome":
                out["dropped_covariates"] = state.dropped
            notes = list(state.notes)
            if state.het_calls:
                notes.append(f"{state.het_calls} heterozygous calls of haploid genotypes on {name} count as missing")
            low += state.low_info
            out["notes"] += [note for note in notes if note not in out["notes"]]
        if low:
            out["notes"].append(
                f"{low:,} tested variants have an INFO below {LOW_INFORMATION}; association.min_info leaves such out"
            )
        return out

"""Binary traits: a score test of every variant, then maximum likelihood, Firth's, or a saddle point where needed.

The strategy of a kind of trait; see :mod:`deepnull_gwas.association.traits` for what each function promises. Each row
of the result names its method. What one method cannot do falls through to the next; where all fail, the reason of the
first is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from deepnull_gwas.association.binary_arm import BinaryArm, Kin, ScoreColumns
from deepnull_gwas.association.classes import ClassRules
from deepnull_gwas.association.clusters import Clusters
from deepnull_gwas.association.codes import COLLINEAR, COLLINEAR_BELOW, SCORE, TESTED, UNTESTED
from deepnull_gwas.association.columns import Estimates, count_people, find_untestable, frequency, put_arm
from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.null_logistic import LogisticNull, fit_logistic
from deepnull_gwas.association.refinement import DECODED, ScoreTest, refine_by_likelihood, refine_by_saddle_point, widen
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.tails import look_up, neg_log10_p_normal, tail_table
from deepnull_gwas.cohort.missingness import missingness_difference
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block, Mask
from deepnull_gwas.jit import numba

#: Columns of a study in addition to n and eaf.
COLUMNS: dict[str, pa.DataType] = {"n_cases": pa.int32(), "eaf_cases": pa.float64(), "eaf_controls": pa.float64()}
#: Bytes that a thread holds at a time, in addition to the block and its products.
BUFFERS = 6 * DECODED


def is_analysable(y: np.ndarray) -> bool:
    """Return whether the values of a phenotype can be analysed, however many there are: cases and controls."""
    return len(np.unique(y)) == 2


def fit(design: StudyDesign) -> None:
    """Fit the logistic null model of each arm, given its offset."""
    n = design.n
    # columns of length sqrt(n), as long as the intercept: a well-scaled Hessian
    x = np.hstack([np.full((n, 1), 1.0), design.basis * np.sqrt(n)])
    for arm in design.arms:
        columns = x if arm == "baseline" or design.u is None else np.hstack([x, design.u[:, None] * np.sqrt(n)])
        try:
            design.nulls[arm] = fit_logistic(np.ascontiguousarray(columns), design.y, design.offsets.get(arm))
        except StudyFailure as failure:
            design.failures[arm] = failure


class BinaryTests:
    """The tests of one binary study: who is a case is its own.

    Parameters
    ----------
    design
        The study, fitted.
    rules
        The class of chromosomes.
    layout
        Where columns are asked for.
    settings
        Of the tests.
    """

    def __init__(self, design: StudyDesign, rules: ClassRules, layout: Layout, settings: Settings):
        # without some of the people the others' variance would not be the same
        settings = dataclasses.replace(settings, missing_genotypes="impute_mean") if design.relatives else settings
        self.design, self.mask, self.settings = design, layout.mask, settings
        self.n_cases = int((design.y == 1.0).sum())
        self.cases = Mask.of_people(design.sample_index[design.y == 1.0], layout.n_people)
        self.hwe_mask = rules.hwe_mask(Mask.of_people(design.sample_index[design.y == 0.0], layout.n_people))
        self.arms = {
            arm: _lay_out(design.nulls[arm], design.y, layout, design.relatives.get(arm)) for arm in design.arms
        }

    def test(self, block: Block, products: np.ndarray, squares: np.ndarray) -> dict[str, np.ndarray]:
        """See :class:`deepnull_gwas.association.layout.GroupTests`."""
        out: dict[str, np.ndarray] = {}
        smaller = self._count(block, out)
        reason = find_untestable(
            block,
            self.mask,
            self.hwe_mask,
            self.settings,
            smaller < self.settings.min_mac_cases,
            self._differing(block),
        )
        for arm in self.design.study.arms:
            found = None
            if arm in self.arms:
                found = associate_binary(self.arms[arm], block, products, squares, smaller, reason, self.settings)
            put_arm(out, self.design, arm, found, block.n_variants)
        return out

    def _count(self, block: Block, out: dict[str, np.ndarray]) -> np.ndarray:
        """Fill in counts and frequencies.

        Return the copies of the rarer allele in cases or in controls, whichever is fewer.
        """
        name, drop = self.design.study.name, self.settings.drop
        alleles, chromosomes = block.alleles(self.mask)
        case_alleles, case_chromosomes = block.alleles(self.cases)
        other_alleles, other_chromosomes = alleles - case_alleles, chromosomes - case_chromosomes
        out[f"{name}.n"] = count_people(block, self.mask, self.design.n, drop)
        out[f"{name}.eaf"] = frequency(alleles, chromosomes)
        out[f"{name}.eaf_cases"] = frequency(case_alleles, case_chromosomes)
        out[f"{name}.eaf_controls"] = frequency(other_alleles, other_chromosomes)
        cases = block.observed(self.cases) if drop else self.n_cases
        out[f"{name}.n_cases"] = np.where(block.observed(self.mask) > 0, cases, 0).astype(np.int32)
        # copies of the allele that is rarer in all people
        rare = alleles <= chromosomes - alleles
        in_cases = np.where(rare, case_alleles, case_chromosomes - case_alleles)
        in_others = np.where(rare, other_alleles, other_chromosomes - other_alleles)
        return np.minimum(in_cases, in_others)

    def _differing(self, block: Block) -> np.ndarray | None:
        """Return the variants whose calls are missing more often in cases or in controls."""
        threshold = self.settings.missingness_p
        observed, missing = block.observed(self.mask), block.missing(self.mask)
        rows = np.flatnonzero(missing > 0)
        if threshold <= 0 or not len(rows):
            return None
        called, not_called = block.observed(self.cases), block.missing(self.cases)
        p = missingness_difference(
            called[rows], not_called[rows], (observed - called)[rows], (missing - not_called)[rows]
        )
        return rows[p < threshold]


def _lay_out(null: LogisticNull, y: np.ndarray, layout: Layout, clusters: Clusters | None) -> BinaryArm:
    """Ask for the columns of the score test of an arm."""
    basis = layout.add(null.weights[:, None] * (null.x @ null.half))
    residual = layout.add((y - null.mu)[:, None]).start
    at = ScoreColumns(basis, residual, layout.add_square(null.weights))
    return BinaryArm(null, y, layout, at, None if clusters is None else Kin.of(clusters, null, layout))


def prepare(
    designs: Mapping[int, StudyDesign], rules: ClassRules, layout: Layout, settings: Settings
) -> list[BinaryTests]:
    """Prepare the tests of the binary studies of a group of people."""
    return [BinaryTests(d, rules, layout, settings) for d in designs.values()]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _score(products, squares, at, table, values, sums, reason):
    q0, q1, r, w = at
    score, information = sums
    for v in range(len(reason)):
        if reason[v] != TESTED:
            continue
        explained = 0.0
        for j in range(q0, q1):
            explained += products[v, j] * products[v, j]
        left = squares[v, w] - explained
        if not left > COLLINEAR_BELOW * squares[v, w]:
            reason[v] = COLLINEAR
            continue
        score[v] = products[v, r]
        information[v] = left
        root = np.sqrt(left)
        values[v, 0] = score[v] / left
        values[v, 1] = 1.0 / root
        values[v, 2] = look_up(score[v] / root, table)


def associate_binary(
    arm: BinaryArm,
    block: Block,
    products: np.ndarray,
    squares: np.ndarray,
    smaller: np.ndarray,
    reason: np.ndarray,
    settings: Settings,
) -> Estimates:
    """Test a block of variants for one study and arm.

    Parameters
    ----------
    arm
        Null model and columns.
    block
        The genotypes.
    products, squares
        Products of the centred genotypes, and of their squares, with the columns of the people's layout.
    smaller
        Copies of the rarer allele in cases or in controls, whichever is fewer.
    reason
        int8[variants]; only variants with code 0 are tested.
    settings
        missing_genotypes, refine_below, refine_by, firth, firth_form, firth_mac.

    Returns
    -------
    Estimates: log odds ratio per copy of A1. Where relatives are correlated, standard errors and p are those of the
    variance that they give scores, see :class:`.binary_arm.Kin`.
    """
    b = len(reason)
    estimates = Estimates.empty(reason)
    values, why = estimates.values, estimates.reason
    score, information = np.zeros(b), np.ones(b)
    at = (arm.at.basis.start, arm.at.basis.stop, arm.at.residual, arm.at.square)
    _score(products, squares, at, tail_table(), values, (score, information), why)
    far = np.flatnonzero((why == TESTED) & np.isnan(values[:, 2]))
    values[far, 2] = neg_log10_p_normal(score[far] / np.sqrt(information[far]))
    estimates.method = np.where(why == TESTED, SCORE, UNTESTED).astype(np.int8)
    chosen = why == TESTED
    if settings.refine_below < 1.0:
        chosen &= values[:, 2] > -np.log10(max(settings.refine_below, 1e-300))
    incomplete = (block.missing(arm.mask) > 0) & settings.drop
    # without the people who have no call the null model is another: such variants are always fitted
    chosen |= (why == TESTED) & incomplete
    rows = np.flatnonzero(chosen)
    if len(rows):
        test = ScoreTest(arm, block, products, estimates, score, information, incomplete)
        if settings.refine_by == "spa":
            refine_by_saddle_point(test, rows)
        else:
            refine_by_likelihood(test, rows, smaller, settings)
    if arm.kin is not None:
        tested = np.flatnonzero(estimates.reason == TESTED)
        ratio = arm.kin.ratio(block, arm.mask, products, arm.at.basis, information)
        widen(estimates, tested, ratio[tested])
    return estimates

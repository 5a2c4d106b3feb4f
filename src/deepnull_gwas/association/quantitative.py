"""Quantitative traits: least squares, both arms of all studies of the same people from one product.

The strategy of a kind of trait; see :mod:`deepnull_gwas.association.traits` for what each function promises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from deepnull_gwas.association.basis import power_of_two, take_out
from deepnull_gwas.association.classes import ClassRules
from deepnull_gwas.association.columns import Estimates, count_people, find_untestable, frequency, put_arm
from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.dropped import DropInput, linear_dropped
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.linear import LinearColumns, left_over, linear_imputed, mark
from deepnull_gwas.association.null_logistic import STAGE
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block

#: Columns of a study in addition to n and eaf.
COLUMNS: dict[str, pa.DataType] = {}
#: Bytes that a thread holds at a time, in addition to the block and its products.
BUFFERS = 0


@dataclass(frozen=True)
class LinearNull:
    """The phenotype of a study, less its offset, with the covariates taken out.

    Attributes
    ----------
    y_residual
        float64[n], y~ in units of ``unit``.
    unit
        A power of two near the length of y~: the products in single precision are of a vector of about unit length.
        Effects and their standard errors are to be multiplied by it.
    """

    y_residual: np.ndarray
    unit: float


def is_analysable(y: np.ndarray) -> bool:
    """Return whether the values of a phenotype can be analysed, however many there are: always."""
    return True


def fit(design: StudyDesign) -> None:
    """Take the covariates out of the phenotype, less the offset of each arm.

    Arms with the same offset share the result.
    """
    arms = design.arms
    for arm in arms:
        offset = design.offsets.get(arm)
        like = next((a for a in design.nulls if _same(design.offsets.get(a), offset)), None)
        if like is not None:
            design.nulls[arm] = design.nulls[like]
            continue
        try:
            design.nulls[arm] = _residualise(design.y if offset is None else design.y - offset, design.basis)
        except StudyFailure as failure:
            failed = [a for a in arms if _same(design.offsets.get(a), offset)]
            design.failures = dict.fromkeys(failed, failure) | design.failures


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _residualise(y: np.ndarray, basis: np.ndarray) -> LinearNull:
    unit = power_of_two(y)
    scaled = y / unit
    left = take_out(scaled, basis)
    length = float(np.linalg.norm(left))
    if not np.isfinite(length):
        raise StudyFailure(STAGE, "the phenotype has values that are no numbers")
    # rounding leaves some 1e-16 of it, a phenotype written with ten digits 1e-10
    if length <= 1e-12 * np.linalg.norm(scaled):
        raise StudyFailure(
            STAGE, "nothing of the phenotype is left beside the covariates: it is a linear combination of them"
        )
    own = power_of_two(np.array([length]))
    return LinearNull(left / own, unit * own)


@dataclass(frozen=True)
class _Entry:
    """One phenotype of a study: that of all its arms, or of those with one offset."""

    study: int
    arms: tuple[str, ...]
    null: LinearNull
    basis: slice
    at: LinearColumns


class QuantitativeTests:
    """The tests of the quantitative studies of a group of people.

    Parameters
    ----------
    designs
        Place in the batch -> design, fitted.
    rules
        The class of chromosomes.
    layout
        Where columns are asked for.
    settings
        Of the tests.
    """

    def __init__(self, designs: Mapping[int, StudyDesign], rules: ClassRules, layout: Layout, settings: Settings):
        self.designs, self.mask, self.settings = dict(designs), layout.mask, settings
        self.hwe_mask = rules.hwe_mask(layout.mask)
        self.entries = self._lay_out(layout)
        self.drops = self._prepare_drops(layout) if settings.drop else []

    def _lay_out(self, layout: Layout) -> list[_Entry]:
        """Ask for the bases, then the phenotypes, then the DeepNull covariates.

        Studies with the same covariates share their basis.
        """
        bases: dict[bytes, slice] = {}
        open_ = []
        for i, d in self.designs.items():
            for null, arms in _arms_by_null(d):
                key = d.basis.tobytes()
                if key not in bases:
                    bases[key] = layout.add(d.basis)
                open_.append((i, d, null, arms, bases[key]))
        ys = [layout.add(null.y_residual[:, None]).start for _, _, null, _, _ in open_]
        us: dict[int, int] = {}
        for i, d, _, _, _ in open_:
            if d.u is not None and i not in us:
                us[i] = layout.add(d.u[:, None]).start
        entries = []
        for (i, d, null, arms, basis), y in zip(open_, ys, strict=True):
            yy = float(null.y_residual @ null.y_residual)
            uy = 0.0 if d.u is None else float(d.u @ null.y_residual)
            df = d.n - (basis.stop - basis.start) - 2
            entries.append(_Entry(i, arms, null, basis, LinearColumns(y, us.get(i, -1), yy, uy, df)))
        return entries

    def _prepare_drops(self, layout: Layout) -> list[tuple[list[_Entry], DropInput]]:
        """Lay out, for the studies of each basis, what dropping missing calls needs."""
        # by both ends: a basis without columns begins where the next one does
        shared: dict[tuple[int, int], list[_Entry]] = {}
        for entry in self.entries:
            shared.setdefault((entry.basis.start, entry.basis.stop), []).append(entry)
        zero = np.zeros(len(layout.index))
        out = []
        for (first, _), entries in shared.items():
            designs = [self.designs[e.study] for e in entries]
            y = np.column_stack([e.null.y_residual for e in entries])
            u = np.column_stack([zero if d.u is None else d.u for d in designs])
            shape = (layout.n_people, layout.dtype)
            out.append((entries, DropInput.of(shape, layout.index, designs[0].basis, y, u, first)))
        return out

    def test(self, block: Block, products: np.ndarray, squares: np.ndarray) -> dict[str, np.ndarray]:
        """See :class:`deepnull_gwas.association.layout.GroupTests`."""
        out: dict[str, np.ndarray] = {}
        # the same people: what is counted is the same for all these studies
        n = count_people(block, self.mask, len(self.mask), self.settings.drop)
        eaf = frequency(*block.alleles(self.mask))
        reason = find_untestable(block, self.mask, self.hwe_mask, self.settings)
        found = self._estimate(block, products, reason)
        for i, d in self.designs.items():
            out[f"{d.study.name}.n"], out[f"{d.study.name}.eaf"] = n, eaf
            for arm in d.study.arms:
                put_arm(out, d, arm, found.get((i, arm)), block.n_variants)
        return out

    def _estimate(self, block: Block, products: np.ndarray, reason: np.ndarray) -> dict[tuple[int, str], Estimates]:
        _, gg = block.moments(self.mask)
        # by both ends, as above
        dens: dict[tuple[int, int], np.ndarray] = {}
        found: list[dict[str, Estimates]] = []
        for e in self.entries:
            columns = (e.basis.start, e.basis.stop)
            if columns not in dens:
                dens[columns] = left_over(products, *columns, gg)
            found.append(linear_imputed(products, dens[columns], gg, e.at, reason))
        self._drop_missing(block, products, reason, found)
        return {
            (e.study, arm): _in_unit(estimates[arm], e.null.unit)
            for e, estimates in zip(self.entries, found, strict=True)
            for arm in e.arms
        }

    def _drop_missing(self, block: Block, products: np.ndarray, reason: np.ndarray, found: list) -> None:
        """Put the exact estimates of variants with missing calls in the place of those with calls at the mean."""
        _, gg = block.moments(self.mask)
        rows = np.flatnonzero((block.missing(self.mask) > 0) & (gg > 0)) if self.drops else []
        if not len(rows):
            return
        sums = gg, block.observed(self.mask)
        place = {id(e): k for k, e in enumerate(self.entries)}
        for entries, given in self.drops:
            reasons = np.stack([reason] * len(entries))
            exact = linear_dropped(block, rows, products, sums, [e.at for e in entries], given, reasons)
            for entry, estimates in zip(entries, exact, strict=True):
                for arm, e in estimates.items():
                    old = found[place[id(entry)]][arm]
                    old.values[rows], old.reason[rows], old.df[rows] = e.values[rows], e.reason[rows], e.df[rows]
                    old.finish()
                    mark(old)


def _arms_by_null(design: StudyDesign) -> list[tuple[LinearNull, tuple[str, ...]]]:
    """Return the null models of the arms that can be tested, each with the arms that share it."""
    shared: dict[int, tuple[LinearNull, list[str]]] = {}
    for arm in design.arms:
        null = design.nulls[arm]
        shared.setdefault(id(null), (null, []))[1].append(arm)
    return [(null, tuple(arms)) for null, arms in shared.values()]


def _in_unit(estimates: Estimates, unit: float) -> Estimates:
    """Return estimates in the phenotype's own unit; both arms may be one object: not in place."""
    if unit == 1.0:
        return estimates
    return dataclasses.replace(estimates, values=estimates.values * np.array([unit, unit, 1.0]))


def prepare(
    designs: Mapping[int, StudyDesign], rules: ClassRules, layout: Layout, settings: Settings
) -> list[QuantitativeTests]:
    """Prepare the tests of the quantitative studies of a group of people."""
    return [QuantitativeTests(designs, rules, layout, settings)]

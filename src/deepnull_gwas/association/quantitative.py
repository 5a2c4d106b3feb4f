"""Quantitative traits: least squares, both arms of all studies of the same people from one product.

The strategy of a kind of trait; see :mod:`deepnull_gwas.association.traits` for what each function promises. Where
relatives are kept and correlated, it is generalised least squares, see :class:`LinearNull`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from deepnull_gwas.association.basis import power_of_two, take_out
from deepnull_gwas.association.classes import ClassRules
from deepnull_gwas.association.clusters import Clusters
from deepnull_gwas.association.codes import TESTED
from deepnull_gwas.association.columns import Estimates, count_people, find_untestable, frequency, put_arm
from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.dropped import DropInput, linear_dropped
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.linear import LinearColumns, left_over, linear_imputed, mark
from deepnull_gwas.association.null_logistic import STAGE
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.tails import neg_log10_p_t
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import Block
from deepnull_gwas.genotypes.quadratic import QuadraticForm

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
    basis
        float64[n, r], orthonormal, what was taken out beside the constant.
    u
        float64[n], unit vector of the DeepNull covariate beyond them, or None.
    clusters
        Relatives and their correlation R = L L', or None. Where there are any, ``y_residual``, ``basis`` and ``u`` are
        of the whitened people, L^-1 y on L^-1 [1, covariates], and the basis spans the whitened constant, too.
    """

    y_residual: np.ndarray
    unit: float
    basis: np.ndarray
    u: np.ndarray | None
    clusters: Clusters | None = None

    @property
    def df(self) -> int:
        """Residual degrees of freedom of the baseline with a variant."""
        # the basis spans the constant only where there are clusters
        return len(self.y_residual) - self.basis.shape[1] - (2 if self.clusters is None else 1)

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Return what genotypes are multiplied with for their products, whitened if need be, with ``x``."""
        return x if self.clusters is None else self.clusters.back(x)


def is_analysable(y: np.ndarray) -> bool:
    """Return whether the values of a phenotype can be analysed, however many there are: always."""
    return True


def fit(design: StudyDesign) -> None:
    """Take the covariates out of the phenotype, less the offset of each arm.

    Arms with the same offset and the same correlations of relatives share the result.
    """
    arms = design.arms
    for arm in arms:
        like = next((a for a in design.nulls if _same(design, a, arm)), None)
        if like is not None:
            design.nulls[arm] = design.nulls[like]
            continue
        try:
            design.nulls[arm] = _residualise(design, arm)
        except StudyFailure as failure:
            failed = [a for a in arms if _same(design, a, arm)]
            design.failures = dict.fromkeys(failed, failure) | design.failures


def _same(design: StudyDesign, arm: str, other: str) -> bool:
    """Return whether two arms have the same offset and the same correlations of relatives."""
    a, b = design.offsets.get(arm), design.offsets.get(other)
    if design.relatives.get(arm) is not design.relatives.get(other):
        return False
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _residualise(design: StudyDesign, arm: str) -> LinearNull:
    offset, clusters = design.offsets.get(arm), design.relatives.get(arm)
    y = design.y if offset is None else design.y - offset
    unit = power_of_two(y)
    scaled, basis, u = y / unit, design.basis, design.u
    if clusters is None:
        left = take_out(scaled, basis)
    else:
        scaled = clusters.whiten(scaled)
        basis = np.linalg.qr(clusters.whiten(np.column_stack([np.ones(design.n), basis])))[0]
        left = _beyond(scaled, basis)
        if u is not None:
            u = _beyond(clusters.whiten(u), basis)
            u /= np.linalg.norm(u)
    length = float(np.linalg.norm(left))
    if not np.isfinite(length):
        raise StudyFailure(STAGE, "the phenotype has values that are no numbers")
    # rounding leaves some 1e-16 of it, a phenotype written with ten digits 1e-10
    if length <= 1e-12 * np.linalg.norm(scaled):
        raise StudyFailure(
            STAGE, "nothing of the phenotype is left beside the covariates: it is a linear combination of them"
        )
    own = power_of_two(np.array([length]))
    return LinearNull(left / own, unit * own, basis, u, clusters)


def _beyond(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what a column has beyond an orthonormal basis, orthogonalised twice (exact to rounding)."""
    left = values - basis @ (basis.T @ values)
    return left - basis @ (basis.T @ left)


@dataclass(frozen=True)
class _Entry:
    """One phenotype of a study: that of all its arms, or of those with one offset."""

    study: int
    arms: tuple[str, ...]
    null: LinearNull
    basis: slice
    at: LinearColumns
    relatives: QuadraticForm | None


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
        #: Whether a study's people without a genotype are left out: never where relatives are correlated, since the
        #: weights of the others would change
        self._drop = {i: settings.drop and not d.relatives for i, d in self.designs.items()}
        self.entries = self._lay_out(layout)
        self.drops = self._prepare_drops(layout) if settings.drop else []

    def _lay_out(self, layout: Layout) -> list[_Entry]:
        """Ask for the bases, then the phenotypes, then the DeepNull covariates.

        Studies with the same covariates share their basis.
        """
        bases: dict[tuple[int, bytes], slice] = {}
        open_ = []
        for i, d in self.designs.items():
            for null, arms in _arms_by_null(d):
                key = id(null.clusters), null.basis.tobytes()
                if key not in bases:
                    bases[key] = layout.add(null.columns(null.basis))
                open_.append((i, null, arms, bases[key]))
        ys = [layout.add(null.columns(null.y_residual)[:, None]).start for _, null, _, _ in open_]
        us: dict[int, int] = {}
        for _, null, arms, _ in open_:
            # whitened for one arm, it is of no use to another
            wanted = null.clusters is None or "deepnull" in arms
            if wanted and null.u is not None and id(null.u) not in us:
                us[id(null.u)] = layout.add(null.columns(null.u)[:, None]).start
        entries = []
        for (i, null, arms, basis), y in zip(open_, ys, strict=True):
            yy = float(null.y_residual @ null.y_residual)
            uy = 0.0 if null.u is None else float(null.u @ null.y_residual)
            form = None if null.clusters is None else null.clusters.precision_form(layout.index)
            at = LinearColumns(y, us.get(id(null.u), -1), yy, uy, null.df)
            entries.append(_Entry(i, arms, null, basis, at, form))
        return entries

    def _prepare_drops(self, layout: Layout) -> list[tuple[list[_Entry], DropInput]]:
        """Lay out, for the studies of each basis, what dropping missing calls needs."""
        # by both ends: a basis without columns begins where the next one does
        shared: dict[tuple[int, int], list[_Entry]] = {}
        for entry in self.entries:
            if not self._drop[entry.study]:
                continue
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
        counts = {d: count_people(block, self.mask, len(self.mask), d) for d in self._drop.values()}
        eaf = frequency(*block.alleles(self.mask))
        reason = find_untestable(block, self.mask, self.hwe_mask, self.settings)
        found = self._estimate(block, products, reason)
        for i, d in self.designs.items():
            out[f"{d.study.name}.n"], out[f"{d.study.name}.eaf"] = counts[self._drop[i]], eaf
            for arm in d.study.arms:
                put_arm(out, d, arm, found.get((i, arm)), block.n_variants)
        return out

    def _estimate(self, block: Block, products: np.ndarray, reason: np.ndarray) -> dict[tuple[int, str], Estimates]:
        _, gg = block.moments(self.mask)
        # by all that they depend on: both ends, as above, and the relatives
        dens: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}
        found: list[dict[str, Estimates]] = []
        for e in self.entries:
            key = (e.basis.start, e.basis.stop, id(e.relatives))
            if key not in dens:
                length = gg if e.relatives is None else gg + block.quadratic(e.relatives, self.mask)
                dens[key] = left_over(products, e.basis.start, e.basis.stop, length), length
            estimates = linear_imputed(products, *dens[key], e.at, reason)
            if e.null.clusters is not None:
                _widen(estimates, 1 + e.null.clusters.share_apart())
            found.append(estimates)
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


def _widen(estimates: Mapping[str, Estimates], factor: float) -> None:
    """Multiply the variances of estimates, in place, by what relatives in different clusters make of them."""
    if factor == 1.0:
        return
    for one in {id(e): e for e in estimates.values()}.values():
        rows = np.flatnonzero(one.reason == TESTED)
        one.values[rows, 1] *= np.sqrt(factor)
        one.values[rows, 2] = neg_log10_p_t(one.values[rows, 0] / one.values[rows, 1], one.df[rows])


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

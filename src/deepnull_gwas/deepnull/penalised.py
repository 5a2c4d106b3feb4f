"""Fitting of linear models on functions of the covariates.

Their penalties chosen by cross-validation over parts of the people.

For quantitative traits everything is solved from one matrix of cross-products a piece of the people, so that neither
the parts nor the grid of penalties cost a pass over the people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.smooth import FAR, TINY, Basis, SmoothModel, chunks, logistic
from deepnull_gwas.traits import trait_of

#: Interactions taken at most; with more candidates the strongest in the training people are taken.
MAX_INTERACTIONS = 200
#: Newton steps at most, and in how many of them penalties are searched: for everybody, and for the people without a
#: part. At the first point the expansion is coarse, so they are searched again at the second; models that had not
#: arrived would be weighed too low.
_STEPS, _SEARCHES = 6, 2
_STEPS_WITHOUT, _SEARCHES_WITHOUT = 5, 2

#: Pieces whose people a fit leaves out, in order.
Without = tuple[int, ...]
#: Penalties of curves and of interactions, and whether they are adaptive.
Point = tuple[float, float, bool]


@dataclass
class SmoothFit:
    """A model of one kind, and the models without each part.

    Attributes
    ----------
    model
        The model fitted on everybody.
    without
        The models without each part, which have not seen it, neither in their coefficients nor in their penalties.
    inner
        float64[n]: the prediction of each person by the model without their part.
    start
        float64[n, stopping + parts]: predictions of everybody by models without each part and a piece that stops what
        is trained from there, in the order of :meth:`Parts.stopping`; then those by models without each part.
    about
        What was chosen.
    """

    model: SmoothModel
    without: list[SmoothModel]
    inner: np.ndarray
    start: np.ndarray
    about: dict[str, Any]


def fit_smooth(kind: str, x: np.ndarray, y: np.ndarray, parts: Parts, trait: str) -> SmoothFit:
    """Fit a model of one kind, its penalties chosen by cross-validation over the parts.

    And the same without each part, chosen without it.

    Parameters
    ----------
    kind
        ``linear``, ``second_order`` or ``splines``.
    x, y
        Covariates float64[n, p] (no constants) and phenotype (binary: 0/1).
    parts
        The parts of the people.
    trait
        ``quantitative`` or ``binary``.
    """
    n, own = len(x), [parts.pieces(j) for j in range(parts.count)]
    stopping = parts.stopping()
    starts = [[tuple(sorted((*own[j], s))) for i, s in stopping if i == j] for j in range(parts.count)]
    trials = _trials(own)
    problem = _Problem.of(kind, x, y, parts, sorted({w for t in trials.values() for _, w in t} | {()}))
    solve = problem.least_squares if not trait_of(trait).has_cases else problem.maximum_likelihood
    (final,), point = solve((), trials[()], [()])
    solved = [solve(own[j], trials[own[j]], [own[j], *starts[j]])[0] for j in range(parts.count)]
    inner_beta, *start_betas = (np.column_stack(betas) for betas in zip(*solved))
    start_beta = np.column_stack([*start_betas, inner_beta])
    inner, start = np.empty(n), np.empty((n, start_beta.shape[1]))
    for rows in chunks(n):
        design = problem.design(np.arange(rows.start, rows.stop))
        start[rows] = design @ start_beta
        inner[rows] = (design @ inner_beta)[np.arange(len(design)), parts.part[rows]]
    model = problem.model((), final)
    without = [problem.model(own[j], beta) for j, beta in enumerate(inner_beta.T)]
    about = {"penalty_curves": point[0], "penalty_interactions": point[1], "adaptive": point[2]}
    return SmoothFit(model, without, inner, start, about | {"columns": len(model.used)})


def _trials(own: Sequence[Without]) -> dict[Without, list[tuple[Without, Without]]]:
    """List on whom the penalties of each model are tried: pairs of the pieces looked at and the pieces left out.

    The pieces looked at are among them.
    """
    trials: dict[Without, list[tuple[Without, Without]]] = {(): [(pieces, pieces) for pieces in own]}
    for pieces in own:
        others = [p for p in own if p != pieces]
        # with one other part only there is nobody else to train on: its pieces are tried
        looked = others if len(others) > 1 else [(v,) for v in others[0]]
        trials[pieces] = [(look, tuple(sorted(pieces + look))) for look in looked]
    return trials


@dataclass
class _Problem:
    """One kind of model on some people: columns, penalties, and sums over the people.

    Attributes
    ----------
    union
        Columns of the basis that any of the models uses.
    place
        Which of them each set of people uses.
    group, weight, families
        Of these columns, see :meth:`Basis.sizes` and :meth:`Basis.families`.
    known
        Solutions that several searches share.
    """

    basis: Basis
    x: np.ndarray
    y: np.ndarray
    piece: np.ndarray
    pieces: int
    union: np.ndarray
    place: dict[Without, np.ndarray]
    group: np.ndarray
    weight: np.ndarray
    families: np.ndarray
    sums: _Moments | None = None
    known: dict[Any, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, x: np.ndarray, y: np.ndarray, parts: Parts, sets: Sequence[Without]) -> _Problem:
        """Make the functions, and choose the interactions of each set of people among these people."""
        basis, pieces = Basis.of(kind, x), parts.count * parts.each
        group, weight = basis.sizes()
        limit = min(MAX_INTERACTIONS, max(10, len(x) // 10))
        chosen = dict.fromkeys(sets, np.arange(len(group)))
        if int((group == 2).sum()) > limit:
            chosen = _screen(basis, x, y, parts.piece, pieces, group, limit, sets)
        union = np.unique(np.concatenate(list(chosen.values())))
        place = {w: np.searchsorted(union, c) for w, c in chosen.items()}
        families = basis.families()[union]
        return cls(basis, x, y, parts.piece, pieces, union, place, group[union], weight[union], families)

    def design(self, rows: np.ndarray) -> np.ndarray:
        """Evaluate an intercept and the columns for some people."""
        return np.column_stack([np.ones(len(rows)), self.basis.columns(self.x[rows])[:, self.union]])

    def model(self, without: Without, beta: np.ndarray) -> SmoothModel:
        """Make the model with these coefficients, of an intercept and the columns."""
        at = self.place[without]
        return SmoothModel(self.basis, self.union[at], beta[at + 1], float(beta[0]))

    def least_squares(
        self, top: Without, trials: list[tuple[Without, Without]], wanted: Sequence[Without]
    ) -> tuple[list[np.ndarray], Point]:
        """Choose penalties for the people outside ``top``.

        Return the solutions with them for the people outside each of ``wanted``.
        """
        if self.sums is None:
            self.sums = _Moments.of(self, np.arange(len(self.x)), None)
        factors, point = self._search(self.sums, top, trials, self.known)
        return [self._solve(self.sums, w, top, factors[top], point) for w in wanted], point

    def maximum_likelihood(
        self, top: Without, trials: list[tuple[Without, Without]], wanted: Sequence[Without]
    ) -> tuple[list[np.ndarray], Point]:
        """Do the same for binary traits: Newton's method for all of ``wanted`` at once.

        They share the points at which the likelihood is expanded, those of the model of the people outside ``top``:
        nobody in it has a say.
        """
        rows = np.flatnonzero(~np.isin(self.piece, top))
        z, y = np.clip((self.x - self.basis.mean) / self.basis.scale, -FAR, FAR)[rows], self.y[rows]
        start = logistic(np.column_stack([np.ones(len(rows)), z]), y, np.full(z.shape[1], TINY))
        linear = np.zeros(len(self.union) + 1)
        linear[: len(start)] = start
        betas, eta = [linear] * len(wanted), start[0] + z @ start[1:]
        at = self.place[top]
        steps, searches = (_STEPS_WITHOUT, _SEARCHES_WITHOUT) if top else (_STEPS, _SEARCHES)
        for step in range(steps):
            sums = _Moments.of(self, rows, eta)
            if step < searches:
                factors, point = self._search(sums, top, trials, {})
            penalty = self._penalty(at, factors[top], point) * float(sums.mass.sum())

            def cost(beta: np.ndarray, eta: np.ndarray, penalty: np.ndarray = penalty) -> float:
                return float(np.sum(np.logaddexp(0, eta) - y * eta)) + 0.5 * float(penalty @ beta[at + 1] ** 2)

            proposed = [self._solve(sums, w, top, factors[top], point) for w in wanted]
            now = cost(betas[0], eta)
            for _ in range(8):
                new_eta = np.concatenate([self.design(rows[part]) @ proposed[0] for part in chunks(len(rows))])
                gained = now - cost(proposed[0], new_eta)
                if gained >= 0:
                    break
                proposed = [(b + p) / 2 for b, p in zip(betas, proposed)]
            if gained < 0:
                break
            betas, eta = proposed, new_eta
            if step > 1 and gained < 0.1:
                break
        return betas, point

    def _penalty(self, place: np.ndarray, factor: np.ndarray, point: Point) -> np.ndarray:
        """Return the ridge per person of these columns; ``factor`` counts where penalties are adaptive."""
        group = self.group[place]
        size = np.where(group == 1, point[0], np.where(group == 2, point[1], 0.0)) * self.weight[place]
        return (TINY + size) * (factor if point[2] else 1.0)

    def _solve(self, sums: _Moments, without: Without, like: Without, factor: np.ndarray, point: Point) -> np.ndarray:
        """Solve for the people outside some pieces, with the columns that the set ``like`` uses."""
        place = self.place[like]
        at = np.r_[0, place + 1]
        gram, cross, mass = sums.outside(without, like, at)
        g = gram.copy()
        g[np.diag_indices_from(g)] += np.r_[0.0, self._penalty(place, factor, point) * mass]
        beta = np.zeros(sums.cross.shape[1])
        beta[at] = np.linalg.solve(g, cross)
        return beta

    def _search(
        self, sums: _Moments, top: Without, trials: list[tuple[Without, Without]], known: dict[Any, np.ndarray]
    ) -> tuple[dict[Without, np.ndarray], Point]:
        """Find the penalties of least loss over the trials.

        With the same penalty for all functions and with a smaller one for those that matter.

        In the second case the penalty of a family of functions (a covariate's curve, a product) is divided by how large
        its effect was in the first fit on the same people (adaptive ridge).
        """
        grid = _grid(self.group)
        sets = [without for _, without in trials] + [top]
        factors = {w: np.ones(len(self.place[w])) for w in sets}
        seen: dict[Point, float] = {}

        def solution(without: Without, point: Point) -> np.ndarray:
            if point[2]:
                return self._solve(sums, without, without, factors[without], point)
            if (without, point) not in known:
                known[without, point] = self._solve(sums, without, without, factors[without], point)
            return known[without, point]

        def cost(point: Point) -> float:
            if point not in seen:
                value = 0.0
                for look, without in trials:
                    beta = solution(without, point)
                    gram, cross, square = sums.inside(look)
                    value += float(square - 2 * beta @ cross + beta @ gram @ beta)
                seen[point] = value
            return seen[point]

        def descend(adaptive: bool, point: Point) -> Point:
            for _ in range(2):
                point = min(((c, point[1], adaptive) for c in grid[0]), key=cost)
                point = min(((point[0], i, adaptive) for i in grid[1]), key=cost)
            return point

        best = (grid[0][len(grid[0]) // 2], grid[1][len(grid[1]) // 2], False)
        if len(grid[0]) == len(grid[1]) == 1:
            return factors, best
        best = descend(False, best)
        for without in sets:
            place = self.place[without]
            beta = solution(without, best)[place + 1]
            family = self.families[place]
            energy = np.bincount(family, beta**2)
            factor = np.ones(len(beta))
            for g in (1, 2):
                mine = self.group[place] == g
                if mine.any():
                    own = energy[np.unique(family[mine])]
                    ratio = energy[family[mine]] / max(float(own.mean()), 1e-300)
                    factor[mine] = 1 / np.clip(ratio, 1e-3, 1e3)
            factors[without] = factor
        other = descend(True, (*best[:2], True))
        return factors, min((best, other), key=cost)


@dataclass
class _Moments:
    """Weighted cross-products of the design with itself and with the (working) response, for each piece."""

    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    mass: np.ndarray
    added: dict[Any, tuple[Any, ...]] = field(default_factory=dict)

    def outside(self, without: Without, like: Without, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return cross-products and mass of the people outside some pieces.

        For the columns ``at`` that the set ``like`` uses.
        """
        if (without, like) not in self.added:
            keep = np.ones(len(self.mass), dtype=bool)
            keep[list(without)] = False
            gram, cross = self.gram[keep].sum(axis=0), self.cross[keep].sum(axis=0)
            self.added[without, like] = gram[np.ix_(at, at)], cross[at], float(self.mass[keep].sum())
        return self.added[without, like]

    def inside(self, look: Without) -> tuple[np.ndarray, np.ndarray, float]:
        """Return cross-products of the people of some pieces."""
        if look not in self.added:
            at = list(look)
            self.added[look] = self.gram[at].sum(axis=0), self.cross[at].sum(axis=0), float(self.square[at].sum())
        return self.added[look]

    @classmethod
    def of(cls, problem: _Problem, people: np.ndarray, eta: np.ndarray | None) -> _Moments:
        """Sum over some people, for binary traits at their linear predictor ``eta``."""
        count, m = problem.pieces, len(problem.union) + 1
        sums = cls(np.zeros((count, m, m)), np.zeros((count, m)), np.zeros(count), np.zeros(count))
        for part in chunks(len(people)):
            rows = people[part]
            d, y, piece = problem.design(rows), problem.y[rows], problem.piece[rows]
            if eta is None:
                w, target = np.ones(len(d)), y
            else:
                mu = 1 / (1 + np.exp(-eta[part]))
                w = np.maximum(mu * (1 - mu), 1e-6)
                target = eta[part] + (y - mu) / w
            for j in range(count):
                here = piece == j
                if here.any():
                    dj, wj, tj = d[here], w[here], target[here]
                    weighted = dj if eta is None else dj * wj[:, None]
                    sums.gram[j] += weighted.T @ dj
                    sums.cross[j] += weighted.T @ tj
                    sums.square[j] += wj @ tj**2
                    sums.mass[j] += wj.sum()
        return sums


def _grid(group: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    curves = (3e-5, 3e-4, 3e-3, 3e-2, 0.3) if (group == 1).any() else (0.0,)
    interactions = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0) if (group == 2).any() else (0.0,)
    return curves, interactions


def _screen(
    basis: Basis,
    x: np.ndarray,
    y: np.ndarray,
    piece: np.ndarray,
    pieces: int,
    group: np.ndarray,
    limit: int,
    sets: Sequence[Without],
) -> dict[Without, np.ndarray]:
    """Return the interactions to take, for each set of training people.

    Those that go most with what the linear model leaves over in these people.
    """
    p = len(basis.mean)
    m = len(group)
    xx, xy, zz, zy = (
        np.zeros((pieces, m, p + 1)),
        np.zeros((pieces, m)),
        np.zeros((pieces, p + 1, p + 1)),
        np.zeros((pieces, p + 1)),
    )
    squares = np.zeros((pieces, m))
    for rows in chunks(len(x)):
        d = basis.columns(x[rows])
        z = np.column_stack([np.ones(len(d)), d[:, :p]])
        for j in range(pieces):
            here = piece[rows] == j
            dj, zj, yj = d[here], z[here], y[rows][here]
            xx[j] += dj.T @ zj
            xy[j] += dj.T @ yj
            squares[j] += np.einsum("ij,ij->j", dj, dj)
            zz[j] += zj.T @ zj
            zy[j] += zj.T @ yj
    chosen = {}
    others = np.flatnonzero(group != 2)
    for without in sets:
        keep = [i for i in range(pieces) if i not in without]
        a = zz[keep].sum(axis=0)
        a[np.diag_indices_from(a)] += TINY * a[0, 0]
        cross = xx[keep].sum(axis=0)
        score = np.abs(xy[keep].sum(axis=0) - cross @ np.linalg.solve(a, zy[keep].sum(axis=0)))
        spread = squares[keep].sum(axis=0) - np.einsum("ij,ji->i", cross, np.linalg.solve(a, cross.T))
        score /= np.sqrt(np.maximum(spread, 1e-6 * a[0, 0]))
        score[others] = -1
        chosen[without] = np.sort(np.r_[others, np.argsort(-score, kind="stable")[:limit]])
    return chosen

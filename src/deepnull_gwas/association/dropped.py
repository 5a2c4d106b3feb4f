"""Linear association in which people without a call are left out, variant by variant, exactly.

The cross-products of the people without a call are taken from those of all people, and the normal equations solved by
Cholesky's method: no second pass over the genotypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import TESTED
from deepnull_gwas.association.columns import Estimates
from deepnull_gwas.association.linear import LinearColumns, mark, student
from deepnull_gwas.association.tails import tail_table
from deepnull_gwas.genotypes.block import Block
from deepnull_gwas.genotypes.rare import list_missing
from deepnull_gwas.jit import FAST, numba

#: Variants whose small systems are solved at a time, side by side in memory
LANES = 8


@dataclass
class DropInput:
    """What the exact dropping of missing calls needs of the studies that share people and covariates.

    Attributes
    ----------
    basis_rows
        [people of the cohort, 1 + r]: intercept and basis, zero for those who are not analysed; float32 is enough for
        the few people who are taken away.
    own_rows
        [people of the cohort, 2s]: y~ of each study, then u of each (zero where it has none).
    basis_total, cross_total, own_total
        Cross-products over all analysed people: basis with basis, basis with own; y~.y~, u.u and u.y~ of each study (3
        x s).
    first
        First column of the basis in the products.
    """

    basis_rows: np.ndarray
    own_rows: np.ndarray
    basis_total: np.ndarray
    cross_total: np.ndarray
    own_total: np.ndarray
    first: int

    @classmethod
    def of(
        cls, shape: tuple[int, type], index: np.ndarray, basis: np.ndarray, y: np.ndarray, u: np.ndarray, first: int
    ) -> DropInput:
        """Lay out basis (n x r), y~ and u (n x s) of the people ``index``.

        ``shape`` is the size of the cohort and the precision.
        """
        n_people, dtype = shape
        k = np.column_stack([np.ones(len(index)), basis])
        own = np.column_stack([y, u])
        rows = np.zeros((n_people, k.shape[1]), dtype=dtype)
        own_rows = np.zeros((n_people, own.shape[1]), dtype=dtype)
        rows[index], own_rows[index] = k, own
        # column by column: a matrix product sums in an order that depends on how many columns, that is studies, there
        # are
        columns = [np.ascontiguousarray(column) for column in own.T]
        cross = np.column_stack([k.T @ column for column in columns])
        pairs = list(zip(columns[: y.shape[1]], columns[y.shape[1] :], strict=True))
        totals = np.array([[a @ a for a, _ in pairs], [b @ b for _, b in pairs], [b @ a for a, b in pairs]])
        return cls(rows, own_rows, k.T @ k, cross, totals, first)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of it but ``first``, for the kernel."""
        return self.basis_rows, self.own_rows, self.basis_total, self.cross_total, self.own_total


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _cross(a, i, b, out, n, count):
    """Multiply row ``i`` of ``a`` with the first ``n`` rows of ``b`` (and up to three more: there is room for them)."""
    x = a[i]
    for j in range(0, n, 4):
        y0, y1, y2, y3 = b[j], b[j + 1], b[j + 2], b[j + 3]
        s0 = s1 = s2 = s3 = a.dtype.type(0)
        for k in range(count):
            s0 += x[k] * y0[k]
            s1 += x[k] * y1[k]
            s2 += x[k] * y2[k]
            s3 += x[k] * y3[k]
        out[j], out[j + 1], out[j + 2], out[j + 3] = s0, s1, s2, s3


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _take_away(stored, v, basis_rows, own_rows, people, left, own, room, a, c, squares, lane):
    """Subtract one variant's people without a call from the cross-products in its lane.

    Return larger buffers where these are too small.
    """
    m, s = basis_rows.shape[1], own_rows.shape[1] // 2
    count = list_missing(stored, v, people)
    kept = 0
    # those without a call who are not analysed have nothing to take away
    for i in range(count):
        if basis_rows[people[i], 0] != 0.0:
            people[kept] = people[i]
            kept += 1
    if kept > left.shape[1]:
        left = np.zeros((m + 4, kept), dtype=left.dtype)
        own = np.zeros((2 * s + 4, kept), dtype=own.dtype)
    # column by column, so that sums over people are over neighbours in memory
    for i in range(kept):
        source = basis_rows[people[i]]
        for j in range(m):
            left[j, i] = source[j]
        source = own_rows[people[i]]
        for j in range(2 * s):
            own[j, i] = source[j]
    for i in range(m):
        _cross(left, i, left, room, i + 1, kept)
        for j in range(i + 1):
            a[i, j, lane] -= room[j]
        _cross(left, i, own, room, 2 * s, kept)
        for j in range(2 * s):
            c[j, i, lane] -= room[j]
    for j in range(s):
        y, u = own[j], own[s + j]
        yy = uu = uy = own.dtype.type(0)
        for k in range(kept):
            yy += y[k] * y[k]
            uu += u[k] * u[k]
            uy += u[k] * y[k]
        squares[0, j, lane] -= yy
        squares[1, j, lane] -= uu
        squares[2, j, lane] -= uy
    return left, own


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def _minus_dot(x, y, n, out):
    """Subtract from ``out`` the products of the first ``n`` rows of x and y, lane by lane."""
    t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = 0.0
    for k in range(n):
        t0 += x[k, 0] * y[k, 0]
        t1 += x[k, 1] * y[k, 1]
        t2 += x[k, 2] * y[k, 2]
        t3 += x[k, 3] * y[k, 3]
        t4 += x[k, 4] * y[k, 4]
        t5 += x[k, 5] * y[k, 5]
        t6 += x[k, 6] * y[k, 6]
        t7 += x[k, 7] * y[k, 7]
    out[0] -= t0
    out[1] -= t1
    out[2] -= t2
    out[3] -= t3
    out[4] -= t4
    out[5] -= t5
    out[6] -= t6
    out[7] -= t7


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _solve_lanes(a, c, g, inverse, rank, basis_total):
    """Factorise by Cholesky's method, in place, and solve forwards.

    A column that has become collinear drops out of its lane.
    """
    m, s2 = a.shape[0], c.shape[0]
    rank[:] = 0.0
    for i in range(m):
        for j in range(i + 1):
            _minus_dot(a[i], a[j], j, a[i, j])
            if j < i:
                for lane in range(LANES):
                    a[i, j, lane] *= inverse[j, lane]
        for lane in range(LANES):
            if a[i, i, lane] > 1e-9 * basis_total[i, i]:
                inverse[i, lane] = 1.0 / np.sqrt(a[i, i, lane])
                rank[lane] += 1.0
            else:
                inverse[i, lane] = 0.0
        _minus_dot(a[i], g, i, g[i])
        for lane in range(LANES):
            g[i, lane] *= inverse[i, lane]
        for j in range(s2):
            _minus_dot(a[i], c[j], i, c[j, i])
            for lane in range(LANES):
                c[j, i, lane] *= inverse[i, lane]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _test_lane(products, v, lane, at, sums, solved, table, base, deep):
    """Turn the solved systems of one variant into the estimates of all studies."""
    ys, us = at
    gg, observed = sums
    c, g, squares, rank = solved
    m, s, n = g.shape[0], len(ys), len(products)
    den = gg
    for i in range(m):
        den -= g[i, lane] * g[i, lane]
    for j in range(s):
        # results of one study after the other
        place = j * n + v
        if base[2][place] != TESTED:
            continue
        gy, yy = products[v, ys[j]], squares[0, j, lane]
        for i in range(m):
            gy -= g[i, lane] * c[j, i, lane]
            yy -= c[j, i, lane] * c[j, i, lane]
        df = observed - rank[lane] - 1
        student(gy, den, yy, df, gg, table, base, place)
        if us[j] < 0:
            continue
        gu, uu, uy = products[v, us[j]], squares[1, j, lane], squares[2, j, lane]
        for i in range(m):
            gu -= g[i, lane] * c[s + j, i, lane]
            uu -= c[s + j, i, lane] * c[s + j, i, lane]
            uy -= c[s + j, i, lane] * c[j, i, lane]
        explained = 0.0
        if uu > 1e-9:
            gy -= gu * uy / uu
            yy -= uy * uy / uu
            explained = gu * gu / uu
            df -= 1
        student(gy, den - explained, yy, df, gg, table, deep, place)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _dropped(stored, rows, products, at, sums, given, table, out):
    ys, us, q0 = at
    gg, observed = sums
    basis_rows, own_rows, basis_total, cross_total, own_total = given
    base, deep = out
    m, s = basis_rows.shape[1], len(ys)
    people = np.empty(basis_rows.shape[0], dtype=np.int64)
    left = np.zeros((m + 4, 256), dtype=basis_rows.dtype)
    own = np.zeros((2 * s + 4, 256), dtype=basis_rows.dtype)
    room = np.zeros(max(m, 2 * s) + 4)
    a = np.zeros((m, m, LANES))
    c = np.zeros((2 * s, m, LANES))
    g = np.zeros((m, LANES))
    squares = np.zeros((3, s, LANES))
    rank = np.zeros(LANES)
    inverse = np.zeros((m, LANES))
    for first in range(0, len(rows), LANES):
        count = min(LANES, len(rows) - first)
        for lane in range(LANES):
            v = rows[first + min(lane, count - 1)]
            a[:, :, lane] = basis_total
            c[:, :, lane] = cross_total.T
            squares[:, :, lane] = own_total
            left, own = _take_away(stored, v, basis_rows, own_rows, people, left, own, room, a, c, squares, lane)
            # the product with the intercept is the sum of the centred genotypes
            g[0, lane] = 0.0
            for i in range(1, m):
                g[i, lane] = products[v, q0 + i - 1]
        _solve_lanes(a, c, g, inverse, rank, basis_total)
        for lane in range(count):
            v = rows[first + lane]
            solved = (c, g, squares, rank)
            _test_lane(products, v, lane, (ys, us), (gg[v], observed[v]), solved, table, base, deep)


def linear_dropped(
    block: Block,
    rows: np.ndarray,
    products: np.ndarray,
    sums: tuple[np.ndarray, np.ndarray],
    at: Sequence[LinearColumns],
    given: DropInput,
    reason: np.ndarray,
) -> list[dict[str, Estimates]]:
    """Test both arms of studies that share people and covariates, each variant among the people with a call.

    Parameters
    ----------
    block
        The genotypes.
    rows
        Which of its variants to compute.
    products
        Products of the genotypes (centred among the people observed, missing calls 0) with the columns of the design.
    sums
        Squared length of the centred genotypes, and people with a call, one per variant each.
    at
        Columns of each study.
    given
        Of these studies.
    reason
        int8[studies, variants]; only variants with code 0 are tested.

    Returns
    -------
    Arm -> estimates, per study; untouched outside ``rows``.
    """
    s, n = len(at), block.n_variants
    values, df = np.full((2, s, n, 3), np.nan), np.full((2, s, n), np.nan)
    reasons = np.stack([reason, reason])
    ys, us = np.array([a.y for a in at]), np.array([a.u for a in at])
    base, deep = ((values[a].reshape(-1, 3), df[a].reshape(-1), reasons[a].reshape(-1)) for a in range(2))
    where = (ys, us, given.first)
    _dropped(
        block.stored, np.asarray(rows, dtype=np.int64), products, where, sums, given.arrays, tail_table(), (base, deep)
    )
    out = []
    for c in range(s):
        arms = [Estimates(values[a, c], reasons[a, c], np.zeros(n, dtype=np.int8), df[a, c]) for a in range(2)]
        for e in arms:
            mark(e)
        out.append({"baseline": arms[0], "deepnull": arms[0] if us[c] < 0 else arms[1]})
    return out

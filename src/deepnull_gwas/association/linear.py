"""Linear association of a block of variants: both arms from one product of genotypes and design.

Frisch-Waugh-Lovell, as in the design document, section 4. Genotype vectors are centred at their mean among the analysed people, and a
missing call is put at that mean (``impute_mean``) or left out together with its person (``drop``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import COLLINEAR, COLLINEAR_BELOW, NOT_CONVERGED, TESTED
from deepnull_gwas.association.tails import neg_log10_p_t, student_tail, tail_table
from deepnull_gwas.genotypes.block import Block
from deepnull_gwas.genotypes.rare import list_missing
from deepnull_gwas.jit import FAST, numba

#: Variants whose small systems are solved at a time
LANES = 8


@dataclass
class Estimates:
    """Results of one study and arm on a block: arrays over variants; NaN where not tested.

    Attributes
    ----------
    values
        float64[variants, 3]: beta, standard error, -log10 p.
    df
        float64[variants], residual degrees of freedom.
    reason
        int8[variants], see :mod:`deepnull_gwas.association.codes`.
    """

    values: np.ndarray
    df: np.ndarray
    reason: np.ndarray

    @classmethod
    def empty(cls, reason: np.ndarray) -> Estimates:
        """Make room for the variants of a block, some of which are not to be tested."""
        return cls(np.full((len(reason), 3), np.nan), np.full(len(reason), np.nan), reason.copy())

    def finish(self) -> None:
        """Compute the tails that the table does not reach; give an estimate that is not a number its reason."""
        beta, se, p = self.values.T
        rows = np.flatnonzero((self.reason == TESTED) & ~np.isfinite(p))
        if len(rows):
            with np.errstate(divide="ignore", invalid="ignore"):
                self.values[rows, 2] = neg_log10_p_t(beta[rows] / se[rows], self.df[rows])
            rows = rows[~(np.isfinite(self.values[rows]).all(axis=1) & (se[rows] > 0))]
            self.reason[rows] = NOT_CONVERGED
            self.values[rows] = np.nan


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _student(num, den, rss0, df, gg, table, values, degrees, reason, v):
    """Turn the sums of one variant into its estimates: g.y and g.g with covariates taken out, y.y with them taken out."""
    if not den > COLLINEAR_BELOW * gg:
        reason[v] = COLLINEAR
        return
    beta = num / den
    rss = max(rss0 - num * beta, 0.0)
    se = np.sqrt(rss / df / den)
    values[v, 0] = beta
    values[v, 1] = se
    values[v, 2] = student_tail(beta / se, df, table)
    degrees[v] = df


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _imputed(products, y, u, gg, den, yy, uy, df, table, base, base_df, base_reason, deep, deep_df, deep_reason):
    """Give whether some tails must be computed otherwise."""
    open_ = False
    for v in range(len(gg)):
        if base_reason[v] != TESTED:
            continue
        gy = products[v, y]
        _student(gy, den[v], yy, df, gg[v], table, base, base_df, base_reason, v)
        open_ |= not base[v, 2] >= 0.0
        if u >= 0:
            gu = products[v, u]
            left = den[v] - gu * gu
            _student(gy - gu * uy, left, yy - uy * uy, df - 1.0, gg[v], table, deep, deep_df, deep_reason, v)
            open_ |= not deep[v, 2] >= 0.0
    return open_


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def left_over(products: np.ndarray, first: int, last: int, gg: np.ndarray) -> np.ndarray:
    """Give the squared length of each genotype vector that the basis in columns ``first`` to ``last`` (exclusive) leaves over."""
    out = np.empty(len(gg))
    for v in range(len(gg)):
        explained = 0.0
        for j in range(first, last):
            explained += products[v, j] * products[v, j]
        out[v] = gg[v] - explained
    return out


def linear_imputed(
    products: np.ndarray,
    den: np.ndarray,
    y: int,
    u: int | None,
    gg: np.ndarray,
    yy: float,
    uy: float,
    df: int,
    reason: np.ndarray,
) -> dict[str, Estimates]:
    """Both arms with missing calls at the mean.

    Parameters
    ----------
    products
        Products of the centred genotypes with the columns of the design, variants x columns.
    den
        Squared length of the genotypes with the covariates taken out, from :func:`left_over`.
    y, u
        Columns of y~ and of u; u None where the prediction adds nothing.
    gg
        Squared length of the centred genotypes.
    yy, uy
        y~.y~ and u.y~.
    df
        Residual degrees of freedom of the baseline.
    reason
        int8[variants]; only variants with code 0 are tested.
    """
    baseline, deepnull = Estimates.empty(reason), Estimates.empty(reason)
    if _imputed(
        products, y, -1 if u is None else u, gg, den, yy, uy, float(df), tail_table(),
        baseline.values, baseline.df, baseline.reason, deepnull.values, deepnull.df, deepnull.reason,
    ):  # fmt: skip
        baseline.finish()
        deepnull.finish()
    return {"baseline": baseline, "deepnull": baseline if u is None else deepnull}


@dataclass
class DropInput:
    """What the exact dropping of missing calls needs of the studies that share people and covariates.

    Attributes
    ----------
    basis_rows
        [people of the .fam, 1 + r]: intercept and basis, zero for those who are not analysed; float32 is enough for the few people who
        are taken away.
    own_rows
        [people of the .fam, 2s]: y~ of each study, then u of each (zero where it has none).
    basis_total, cross_total, own_total
        Cross-products over all analysed people: basis with basis, basis with own; y~.y~, u.u and u.y~ of each study (3 x s).
    """

    basis_rows: np.ndarray
    own_rows: np.ndarray
    basis_total: np.ndarray
    cross_total: np.ndarray
    own_total: np.ndarray

    @classmethod
    def of(
        cls, n_people: int, index: np.ndarray, basis: np.ndarray, y: np.ndarray, u: np.ndarray, dtype: type
    ) -> DropInput:
        """Lay out basis (n x r), y~ and u (n x s) of the people ``index`` of ``n_people``."""
        k = np.column_stack([np.ones(len(index)), basis])
        own = np.column_stack([y, u])
        rows = np.zeros((n_people, k.shape[1]), dtype=dtype)
        own_rows = np.zeros((n_people, own.shape[1]), dtype=dtype)
        rows[index], own_rows[index] = k, own
        # column by column: a matrix product sums in an order that depends on how many columns, that is studies, there are
        columns = [np.ascontiguousarray(column) for column in own.T]
        cross = np.column_stack([k.T @ column for column in columns])
        pairs = list(zip(columns[: y.shape[1]], columns[y.shape[1] :], strict=True))
        totals = np.array([[a @ a for a, _ in pairs], [b @ b for _, b in pairs], [b @ a for a, b in pairs]])
        return cls(rows, own_rows, k.T @ k, cross, totals)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _cross(a, i, b, out, n, count):
    """Products of row ``i`` of ``a`` with the first ``n`` rows of ``b`` (and up to three more: there is room for them)."""
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
def _take_away(stored, v, basis_rows, own_rows, people, left, own, sums, a, c, squares, lane):
    """Subtract one variant's people without a call from the cross-products in its lane; give larger buffers where these are too small."""
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
        _cross(left, i, left, sums, i + 1, kept)
        for j in range(i + 1):
            a[i, j, lane] -= sums[j]
        _cross(left, i, own, sums, 2 * s, kept)
        for j in range(2 * s):
            c[j, i, lane] -= sums[j]
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
def _dropped(
    stored, rows, products, q0, ys, us, gg, observed, basis_rows, own_rows, basis_total, cross_total, own_total,
    table, base, base_df, base_reason, deep, deep_df, deep_reason,
):  # fmt: skip
    m = basis_rows.shape[1]
    s = len(ys)
    people = np.empty(basis_rows.shape[0], dtype=np.int64)
    left = np.zeros((m + 4, 256), dtype=basis_rows.dtype)
    own = np.zeros((2 * s + 4, 256), dtype=basis_rows.dtype)
    sums = np.zeros(max(m, 2 * s) + 4)
    # several variants at a time, side by side in memory: the small systems are then solved by vector instructions
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
            left, own = _take_away(stored, v, basis_rows, own_rows, people, left, own, sums, a, c, squares, lane)
            # the product with the intercept is the sum of the centred genotypes
            g[0, lane] = 0.0
            for i in range(1, m):
                g[i, lane] = products[v, q0 + i - 1]
        rank[:] = 0.0
        # Cholesky's factor, in place; a column that has become collinear drops out. Then the right sides, forwards.
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
            for j in range(2 * s):
                _minus_dot(a[i], c[j], i, c[j, i])
                for lane in range(LANES):
                    c[j, i, lane] *= inverse[i, lane]
        for lane in range(count):
            v = rows[first + lane]
            den = gg[v]
            for i in range(m):
                den -= g[i, lane] * g[i, lane]
            for j in range(s):
                if base_reason[j, v] != TESTED:
                    continue
                gy, yy = products[v, ys[j]], squares[0, j, lane]
                for i in range(m):
                    gy -= g[i, lane] * c[j, i, lane]
                    yy -= c[j, i, lane] * c[j, i, lane]
                df = observed[v] - rank[lane] - 1
                _student(gy, den, yy, df, gg[v], table, base[j], base_df[j], base_reason[j], v)
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
                _student(gy, den - explained, yy, df, gg[v], table, deep[j], deep_df[j], deep_reason[j], v)


def linear_dropped(
    block: Block,
    rows: np.ndarray,
    products: np.ndarray,
    basis: slice,
    ys: np.ndarray,
    us: np.ndarray,
    gg: np.ndarray,
    observed: np.ndarray,
    given: DropInput,
    reason: np.ndarray,
) -> list[dict[str, Estimates]]:
    """Both arms of the studies that share people and covariates, each variant among the people whose call is there, exactly.

    The cross-products of the people without a call are taken from those of all people, and the normal equations solved by Cholesky's
    method: no second pass over the genotypes.

    Parameters
    ----------
    block
        The genotypes.
    rows
        Which of its variants to compute.
    products
        Products of the genotypes (centred among the people observed, missing calls 0) with the columns of the design.
    basis, ys, us
        Columns of the basis, and of y~ and u of each study (u -1 where it has none).
    gg
        Squared length of the centred genotypes.
    observed
        People with a call, a variant.
    given
        Of these studies.
    reason
        int8[studies, variants]; only variants with code 0 are tested.

    Returns
    -------
    Arm -> estimates, a study; untouched outside ``rows``.
    """
    s = len(ys)
    values, df = np.full((2, s, block.n_variants, 3), np.nan), np.full((2, s, block.n_variants), np.nan)
    reasons = np.stack([reason, reason])
    _dropped(
        block.stored, np.asarray(rows, dtype=np.int64), products, basis.start, ys, us, gg, observed,
        given.basis_rows, given.own_rows, given.basis_total, given.cross_total, given.own_total, tail_table(),
        values[0], df[0], reasons[0], values[1], df[1], reasons[1],
    )  # fmt: skip
    out = []
    for c in range(s):
        baseline = Estimates(values[0, c], df[0, c], reasons[0, c])
        deepnull = baseline if us[c] < 0 else Estimates(values[1, c], df[1, c], reasons[1, c])
        out.append({"baseline": baseline, "deepnull": deepnull})
    return out

"""Products of genotypes with the columns of a design, and of their squares.

The product never decodes a genotype vector as a whole: a tile of people of a few variants is decoded into the
first-level cache and multiplied with the same tile of the columns at once. What a variant gets does not depend on its
neighbours in the block, nor on the other columns: results are the same bytes for any blocks, chunks, threads and
batches.
"""

from __future__ import annotations

import threading

import llvmlite.binding
import numpy as np

from deepnull_gwas.genotypes.tiles import STRIDE, TILE, TILE_BYTES, load_dosages, load_packed
from deepnull_gwas.jit import FAST, numba

#: 32 vector registers hold 6 x 4 sums and what feeds them, 16 hold 4 x 3
WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
VARIANTS, COLUMNS = (6, 4) if WIDE else (4, 3)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _dots_6x4(g, k, out, v, j):
    """Add to ``out`` the dot products over a tile of 6 variants with 4 columns."""
    g0 = g[0]
    g1 = g[1]
    g2 = g[2]
    g3 = g[3]
    g4 = g[4]
    g5 = g[5]
    k0 = k[j + 0]
    k1 = k[j + 1]
    k2 = k[j + 2]
    k3 = k[j + 3]
    z = k.dtype.type(0)
    a0 = a1 = a2 = a3 = z
    b0 = b1 = b2 = b3 = z
    c0 = c1 = c2 = c3 = z
    d0 = d1 = d2 = d3 = z
    e0 = e1 = e2 = e3 = z
    f0 = f1 = f2 = f3 = z
    for p in range(TILE):
        x0, x1, x2, x3, x4, x5 = g0[p], g1[p], g2[p], g3[p], g4[p], g5[p]
        y0, y1, y2, y3 = k0[p], k1[p], k2[p], k3[p]
        a0 += x0 * y0
        a1 += x0 * y1
        a2 += x0 * y2
        a3 += x0 * y3
        b0 += x1 * y0
        b1 += x1 * y1
        b2 += x1 * y2
        b3 += x1 * y3
        c0 += x2 * y0
        c1 += x2 * y1
        c2 += x2 * y2
        c3 += x2 * y3
        d0 += x3 * y0
        d1 += x3 * y1
        d2 += x3 * y2
        d3 += x3 * y3
        e0 += x4 * y0
        e1 += x4 * y1
        e2 += x4 * y2
        e3 += x4 * y3
        f0 += x5 * y0
        f1 += x5 * y1
        f2 += x5 * y2
        f3 += x5 * y3
    out[v + 0, j + 0] += a0
    out[v + 0, j + 1] += a1
    out[v + 0, j + 2] += a2
    out[v + 0, j + 3] += a3
    out[v + 1, j + 0] += b0
    out[v + 1, j + 1] += b1
    out[v + 1, j + 2] += b2
    out[v + 1, j + 3] += b3
    out[v + 2, j + 0] += c0
    out[v + 2, j + 1] += c1
    out[v + 2, j + 2] += c2
    out[v + 2, j + 3] += c3
    out[v + 3, j + 0] += d0
    out[v + 3, j + 1] += d1
    out[v + 3, j + 2] += d2
    out[v + 3, j + 3] += d3
    out[v + 4, j + 0] += e0
    out[v + 4, j + 1] += e1
    out[v + 4, j + 2] += e2
    out[v + 4, j + 3] += e3
    out[v + 5, j + 0] += f0
    out[v + 5, j + 1] += f1
    out[v + 5, j + 2] += f2
    out[v + 5, j + 3] += f3


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _dots_4x3(g, k, out, v, j):
    """Add to ``out`` the dot products over a tile of 4 variants with 3 columns."""
    g0 = g[0]
    g1 = g[1]
    g2 = g[2]
    g3 = g[3]
    k0 = k[j + 0]
    k1 = k[j + 1]
    k2 = k[j + 2]
    z = k.dtype.type(0)
    a0 = a1 = a2 = z
    b0 = b1 = b2 = z
    c0 = c1 = c2 = z
    d0 = d1 = d2 = z
    for p in range(TILE):
        x0, x1, x2, x3 = g0[p], g1[p], g2[p], g3[p]
        y0, y1, y2 = k0[p], k1[p], k2[p]
        a0 += x0 * y0
        a1 += x0 * y1
        a2 += x0 * y2
        b0 += x1 * y0
        b1 += x1 * y1
        b2 += x1 * y2
        c0 += x2 * y0
        c1 += x2 * y1
        c2 += x2 * y2
        d0 += x3 * y0
        d1 += x3 * y1
        d2 += x3 * y2
    out[v + 0, j + 0] += a0
    out[v + 0, j + 1] += a1
    out[v + 0, j + 2] += a2
    out[v + 1, j + 0] += b0
    out[v + 1, j + 1] += b1
    out[v + 1, j + 2] += b2
    out[v + 2, j + 0] += c0
    out[v + 2, j + 1] += c1
    out[v + 2, j + 2] += c2
    out[v + 3, j + 0] += d0
    out[v + 3, j + 1] += d1
    out[v + 3, j + 2] += d2


dots = _dots_6x4 if WIDE else _dots_4x3


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _multiply(stored, rows, centre, squared, tiles, buffer, out):
    # not `load_tile`: what is stored is taken apart once, not for every tile
    packed, values, units, halved = stored
    hard = packed.shape[0] > 0
    n_variants = len(rows)
    n_tiles, n_columns, _ = tiles.shape
    for t in range(n_tiles):
        for v0 in range(0, n_variants, VARIANTS):
            for i in range(VARIANTS):
                v = rows[min(v0 + i, n_variants - 1)]
                if hard:
                    load_packed(packed, v, t, centre[v], squared, buffer[i])
                else:
                    load_dosages(values[v], t, units[v], halved, centre[v], squared, buffer[i])
            for j in range(0, n_columns, COLUMNS):
                # rows past the last variant take a copy of it, and `out` has room for them
                dots(buffer, tiles[t], out, v0, j)


def make_tiles(n_people: int, rows: np.ndarray, columns: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Lay out the columns of a design for :func:`multiply`.

    Parameters
    ----------
    n_people
        Number of people of the cohort.
    rows
        int64[n], the people that the columns are about; the others get zeros.
    columns
        float64[n, k].
    dtype
        float32 or float64: the precision of the products.

    Returns
    -------
    tiles x columns (padded to a multiple of COLUMNS) x STRIDE: within a tile first every fourth person, then those who
    follow them, and so on, so that decoding packed calls is the same operation on neighbouring bytes.
    """
    k = columns.shape[1]
    n_tiles = max(-(-n_people // TILE), 1)
    tiles = np.zeros((n_tiles, -(-k // COLUMNS) * COLUMNS, STRIDE), dtype=dtype)
    tile, within = np.divmod(rows, TILE)
    place = within % 4 * TILE_BYTES + within // 4
    for j in range(k):
        tiles[tile, j, place] = columns[:, j]
    return tiles


def rows_of_tiles(tiles: np.ndarray, n_people: int) -> np.ndarray:
    """Return the columns that :func:`make_tiles` laid out: people x columns (with their padding)."""
    tile, within = np.divmod(np.arange(n_people), TILE)
    return tiles[tile, :, within % 4 * TILE_BYTES + within // 4]


class Columns:
    """Columns that genotypes are multiplied with, laid out for the kernels.

    Parameters
    ----------
    n_people
        Number of people of the cohort.
    index
        int64[n], the people that the columns are about; the others count as zeros.
    columns
        float64[n, k].
    dtype
        float32 or float64: the precision of the products.

    Attributes
    ----------
    tiles
        From :func:`make_tiles`.
    width
        Number of columns of the products: those given, and padding.
    """

    def __init__(self, n_people: int, index: np.ndarray, columns: np.ndarray, dtype: type = np.float32):
        self.n_people = n_people
        self.tiles = make_tiles(n_people, index, columns, dtype)
        self.width = self.tiles.shape[1]
        self._lock = threading.Lock()
        self._by_person: tuple[np.ndarray, np.ndarray] | None = None

    def by_person(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns with a row for everybody in the cohort, and their sums; made when first asked for."""
        with self._lock:
            if self._by_person is None:
                rows = rows_of_tiles(self.tiles, self.n_people)
                # column by column: the order of a sum must not depend on how many columns there are
                totals = [np.ascontiguousarray(column).sum(dtype=np.float64) for column in rows.T]
                self._by_person = rows, np.array(totals, dtype=np.float64)
            return self._by_person


def multiply(
    stored: tuple[np.ndarray, ...],
    centre: np.ndarray,
    tiles: np.ndarray,
    squared: bool = False,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Multiply centred genotypes, or their squares, with columns.

    Parameters
    ----------
    stored
        Genotypes as a block stores them (:attr:`deepnull_gwas.genotypes.block.Block.stored`).
    centre
        float64[variants], subtracted from each dosage of A1; a missing call counts as this value.
    tiles
        From :func:`make_tiles`; sums within a tile are of its precision, sums of tiles are in float64.
    squared
        Whether the centred dosages are squared first.
    rows
        Which of the variants; None, all.

    Returns
    -------
    float64, variants (those of ``rows``) x columns (with their padding).
    """
    rows = np.arange(len(centre)) if rows is None else np.asarray(rows, dtype=np.int64)
    n = len(rows)
    out = np.zeros((-(-n // VARIANTS) * VARIANTS, tiles.shape[1]))
    if out.size:
        buffer = np.zeros((VARIANTS, STRIDE), dtype=tiles.dtype)
        _multiply(stored, rows, np.ascontiguousarray(centre), squared, tiles, buffer, out)
    return out[:n]

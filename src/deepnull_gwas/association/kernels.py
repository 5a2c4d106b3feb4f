"""Kernels of the linear scan: packed genotypes times the columns of a design, and sums over the few people without a call.

The product never decodes a genotype vector as a whole: a tile of people of a few variants is decoded into the first-level cache and
multiplied with the same tile of the columns at once. What a variant gets does not depend on its neighbours in the block, nor on the
other columns: results are the same bytes for any blocks, chunks, threads and batches.
"""

from __future__ import annotations

import numba
import numpy as np

#: People in a tile: tiles of 8 variants and of 4 columns stay in the first-level cache
TILE = 1024
_TILE_BYTES = TILE // 4
_VARIANTS = 8
#: Columns are padded to a multiple of this, so that each goes through the same instructions
_COLUMNS = 4

# sums may be reordered (vectorised) and multiplications fused; no assumption on NaN or infinities
_FAST = {"reassoc", "contract", "nsz"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _decode_tile(row, two, one, none, out):
    """Decode one variant's bytes lane by lane (the order of the people within `out` is that of `tiles`); missing calls are 0."""
    zero = none * 0
    count = len(row)
    for lane in range(4):
        mask = 3 << (2 * lane)
        high = 2 << (2 * lane)
        target = out[lane * _TILE_BYTES : lane * _TILE_BYTES + count]
        # comparisons of masked bytes with constants, not shifts: this is what the compiler vectorises well
        for b in range(count):
            code = row[b] & mask
            value = none if code == mask else zero
            value = one if code == high else value
            target[b] = two if code == 0 else value


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _multiply(packed, centre, tiles, buffer, out):
    n_variants, n_bytes = packed.shape
    n_tiles, n_columns, _ = tiles.shape
    for t in range(n_tiles):
        first = t * _TILE_BYTES
        last = min(first + _TILE_BYTES, n_bytes)
        if last - first < _TILE_BYTES:
            buffer[:] = 0
        for v0 in range(0, n_variants, _VARIANTS):
            for i in range(_VARIANTS):
                v = min(v0 + i, n_variants - 1)
                c = centre[v]
                two, one, none = buffer.dtype.type(2 - c), buffer.dtype.type(1 - c), buffer.dtype.type(-c)
                _decode_tile(packed[v, first:last], two, one, none, buffer[i])
            for j in range(0, n_columns, _COLUMNS):
                k0, k1, k2, k3 = tiles[t, j], tiles[t, j + 1], tiles[t, j + 2], tiles[t, j + 3]
                for i in range(0, _VARIANTS, 2):
                    g0, g1 = buffer[i], buffer[i + 1]
                    z = buffer.dtype.type(0)
                    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = z
                    for p in range(TILE):
                        s00 += g0[p] * k0[p]
                        s01 += g0[p] * k1[p]
                        s02 += g0[p] * k2[p]
                        s03 += g0[p] * k3[p]
                        s10 += g1[p] * k0[p]
                        s11 += g1[p] * k1[p]
                        s12 += g1[p] * k2[p]
                        s13 += g1[p] * k3[p]
                    if v0 + i < n_variants:
                        o = out[v0 + i]
                        o[j] += s00
                        o[j + 1] += s01
                        o[j + 2] += s02
                        o[j + 3] += s03
                    if v0 + i + 1 < n_variants:
                        o = out[v0 + i + 1]
                        o[j] += s10
                        o[j + 1] += s11
                        o[j + 2] += s12
                        o[j + 3] += s13


@numba.njit(nogil=True, cache=True)
def _cross_missing(packed, k, out):
    n = k.shape[0]
    width = k.shape[1]
    for v in range(packed.shape[0]):
        row = packed[v]
        for b in range(row.shape[0]):
            x = row[b]
            lanes = x & ~(x >> 1) & 0x55
            if lanes == 0:
                continue
            for lane in range(4):
                person = 4 * b + lane
                if (lanes >> (2 * lane)) & 1 and person < n:
                    for i in range(width):
                        for j in range(i + 1):
                            out[v, i, j] += k[person, i] * k[person, j]
        for i in range(width):
            for j in range(i):
                out[v, j, i] = out[v, i, j]


def make_tiles(n_people: int, rows: np.ndarray, columns: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Lay out the columns of a design for :func:`multiply`.

    Parameters
    ----------
    n_people
        Number of people of the .fam.
    rows
        int64[n], the people that the columns are about; the others get zeros.
    columns
        float64[n, k].
    dtype
        float32 or float64: the precision of the products.

    Returns
    -------
    tiles x columns (padded to a multiple of 4) x TILE: within a tile first all people in the lowest bits of their bytes, then those
    in the next bits, and so on, so that decoding is the same operation on neighbouring bytes.
    """
    k = columns.shape[1]
    n_tiles = max(-(-n_people // TILE), 1)
    tiles = np.zeros((n_tiles, -(-k // _COLUMNS) * _COLUMNS, 4, _TILE_BYTES), dtype=dtype)
    tile, within = np.divmod(rows, TILE)
    for j in range(k):
        tiles[tile, j, within % 4, within // 4] = columns[:, j]
    return tiles.reshape(n_tiles, -1, TILE)


def multiply(packed: np.ndarray, centre: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Multiply centred genotypes with columns.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    centre
        float64[variants], subtracted from each dosage of A1; a missing call counts as this value.
    tiles
        From :func:`make_tiles`; sums within a tile are of its precision, sums of tiles are in float64.

    Returns
    -------
    float64, variants x columns (with their padding).
    """
    out = np.zeros((packed.shape[0], tiles.shape[1]))
    if out.size:
        buffer = np.zeros((_VARIANTS, TILE), dtype=tiles.dtype)
        _multiply(np.ascontiguousarray(packed), np.ascontiguousarray(centre), tiles, buffer, out)
    return out


def cross_missing(packed: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Add up, for each variant, the outer products of the rows of ``k`` of the people whose call is missing.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    k
        float64, people x columns.

    Returns
    -------
    float64, variants x columns x columns.
    """
    out = np.zeros((packed.shape[0], k.shape[1], k.shape[1]))
    _cross_missing(np.ascontiguousarray(packed), np.ascontiguousarray(k), out)
    return out

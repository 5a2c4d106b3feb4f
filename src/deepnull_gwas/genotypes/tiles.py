"""Tiles: genotypes of some people as numbers in the first-level cache, as the products take them.

This is the one place where stored genotypes become numbers inside a kernel: kernels above get them from :func:`load_tile` and do not know
how they are stored.
"""

from __future__ import annotations

from deepnull_gwas.jit import FAST, numba

#: People in a tile: a tile of the variants and columns that are multiplied at a time stays in the first-level cache
TILE = 1024
TILE_BYTES = TILE // 4
#: Rows of tiles and buffers lie a little apart, so that they do not fall on the same sets of the cache
STRIDE = TILE + 32


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _decode_tile(row, two, one, none, out):
    """Decode one variant's bytes: first everybody in the lowest two bits of a byte, then those in the next two; missing calls are 0."""
    zero = none * 0
    count = len(row)
    for place in range(4):
        mask = 3 << (2 * place)
        high = 2 << (2 * place)
        target = out[place * TILE_BYTES : place * TILE_BYTES + count]
        # comparisons of masked bytes with constants, not shifts: this is what the compiler vectorises well
        for b in range(count):
            code = row[b] & mask
            value = none if code == mask else zero
            value = one if code == high else value
            target[b] = two if code == 0 else value


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_tile(stored, v, tile, centre, squared, out):
    """Load a tile of one variant, centred; a missing call is 0, and so is what lies past the last person.

    Parameters
    ----------
    stored
        Genotypes as a block stores them (:attr:`deepnull_gwas.genotypes.block.Block.stored`).
    v, tile
        Which variant, and which 1,024 people.
    centre
        Subtracted from each dosage of A1.
    squared
        Whether the centred dosages are squared.
    out
        float32 or float64[STRIDE], in the order of people of :func:`deepnull_gwas.genotypes.products.make_tiles`.
    """
    packed = stored[0]
    first = tile * TILE_BYTES
    last = min(first + TILE_BYTES, packed.shape[1])
    if last - first < TILE_BYTES:
        out[:] = 0
    two, one, none = 2.0 - centre, 1.0 - centre, -centre
    if squared:
        two, one, none = two * two, one * one, none * none
    real = out.dtype.type
    _decode_tile(packed[v, first:last], real(two), real(one), real(none), out)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_presence(stored, v, tile, out):
    """Load who of a tile has a call for a variant: 1, and 0 for the others and past the last person; as :func:`load_tile`."""
    packed = stored[0]
    first = tile * TILE_BYTES
    last = min(first + TILE_BYTES, packed.shape[1])
    if last - first < TILE_BYTES:
        out[:] = 0
    one = out.dtype.type(1.0)
    _decode_tile(packed[v, first:last], one, one, one, out)

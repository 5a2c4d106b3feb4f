"""Tiles: genotypes of some people as numbers in the first-level cache, as the products take them.

This is the one place where stored genotypes become numbers inside a kernel: kernels above get them from
:func:`load_tile` and do not know how they are stored.
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import FAST, numba

#: People in a tile: a tile of the variants and columns that are multiplied at a time stays in the first-level cache
TILE = 1024
TILE_BYTES = TILE // 4
#: Rows of tiles and buffers lie a little apart, so that they do not fall on the same sets of the cache
STRIDE = TILE + 32
#: Variants whose genotypes of one person are loaded at a time, where only some people are asked for
LANES = 8
#: What stands in the place of packed calls where there are dosages, and of dosages, their units and haploid people
#: where there are calls
NO_CALLS, NO_DOSAGES = np.empty((0, 0), dtype=np.uint8), np.empty((0, 0), dtype=np.uint16)
NO_UNITS, NOBODY = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.bool_)
#: A missing dosage
_MISSING = 65_535


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _decode_tile(row, two, one, none, out):
    """Decode one variant's bytes: first everybody in the lowest two bits of a byte, then those in the next two.

    Missing calls are 0.
    """
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


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def load_dosages(row, tile, unit, halved, centre, squared, out):
    """Load a tile of one variant's dosages, centred: every fourth person first, as :func:`_decode_tile`.

    Missing ones are 0.
    """
    real = out.dtype.type
    zero, one, middle = real(0.0), real(unit), real(centre)
    first = tile * TILE
    count = min(TILE, len(row) - first)
    if count < TILE:
        out[:] = 0
    whole = count // 4
    # four people at a time as one number: shifts of neighbouring numbers are what the compiler vectorises
    words = row[first : first + 4 * whole].view(np.uint64)
    for place in range(4):
        target = out[place * TILE_BYTES : place * TILE_BYTES + whole]
        shift = np.uint64(16 * place)
        for b in range(whole):
            value = np.int32((words[b] >> shift) & np.uint64(0xFFFF))
            x = real(value) * one - middle
            target[b] = zero if value == _MISSING else x
        if 4 * whole + place < count:
            value = np.int32(row[first + 4 * whole + place])
            out[place * TILE_BYTES + whole] = zero if value == _MISSING else real(value) * one - middle
    if len(halved):
        for place in range(4):
            target = out[place * TILE_BYTES : (place + 1) * TILE_BYTES]
            source, half = row[first + place : first + count : 4], halved[first + place : first + count : 4]
            for i in range(len(source)):
                if half[i] and source[i] != _MISSING:
                    target[i] = (target[i] + middle) * real(0.5) - middle
    if squared:
        for i in range(TILE):
            out[i] *= out[i]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _load_presence_of_dosages(row, tile, out):
    first = tile * TILE
    count = min(TILE, len(row) - first)
    if count < TILE:
        out[:] = 0
    for place in range(4):
        target = out[place * TILE_BYTES : (place + 1) * TILE_BYTES]
        source = row[first + place : first + count : 4]
        for i in range(len(source)):
            target[i] = 0.0 if source[i] == _MISSING else 1.0


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def load_packed(packed, v, tile, centre, squared, out):
    """Load a tile of packed hard calls, as :func:`load_tile`."""
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
    packed, values, units, halved = stored
    if packed.shape[0]:
        load_packed(packed, v, tile, centre, squared, out)
    else:
        load_dosages(values[v], tile, units[v], halved, centre, squared, out)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_presence(stored, v, tile, out):
    """Load who of a tile has a call for a variant: 1, and 0 for the others and past the last person.

    As :func:`load_tile`.
    """
    packed, values = stored[0], stored[1]
    if packed.shape[0] == 0:
        _load_presence_of_dosages(values[v], tile, out)
        return
    first = tile * TILE_BYTES
    last = min(first + TILE_BYTES, packed.shape[1])
    if last - first < TILE_BYTES:
        out[:] = 0
    one = out.dtype.type(1.0)
    _decode_tile(packed[v, first:last], one, one, one, out)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_table(centre, first, table):
    """Fill in what the codes of hard calls stand for, centred, for the variants of :func:`load_person`."""
    for k in range(LANES):
        middle = centre[min(first + k, len(centre) - 1)]
        table[k, 0] = 2.0 - middle
        table[k, 1] = 0.0
        table[k, 2] = 1.0 - middle
        table[k, 3] = -middle


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_person(packed, first, last, person, table, out, i):
    """Load one person's centred hard calls of :data:`LANES` variants, in float64; a missing call is 0.

    Parameters
    ----------
    packed, person
        The genotypes, and who.
    first, last
        The first of the variants, and the last one there is: past it follow copies of it.
    table
        float64[LANES, 4], from :func:`load_table`.
    out, i
        float64[:, LANES], and which of its rows is filled in.
    """
    byte, shift = person >> 2, np.uint8(2 * (person & 3))
    for k in range(LANES):
        out[i, k] = table[k, (packed[min(first + k, last), byte] >> shift) & np.uint8(3)]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def load_person_of_dosages(values, units, halved, first, last, person, table, out, i):
    """Load one person's centred dosages, as :func:`load_person`."""
    half = 0.5 if len(halved) and halved[person] else 1.0
    for k in range(LANES):
        v = min(first + k, last)
        value = values[v, person]
        # what the code of no copies stands for is minus the mean
        out[i, k] = 0.0 if value == _MISSING else value * units[v] * half + table[k, 3]

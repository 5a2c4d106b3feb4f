"""Products of genotypes with columns, by tables of the sums of four genotypes.

Four whole numbers of copies are one of 81 codes. For four people (or four variants) and some columns all 81 sums are
made once; after that, one addition stands for four multiplications and additions (the method of Arlazarov, Dinic,
Kronrod and Faradzhev 1970, "of the four Russians"). It is exact for columns on a grid, as all of the whole-genome
regression are: sums in any order are then the same bytes (:mod:`deepnull_gwas.whole_genome.blocks`).
"""

from __future__ import annotations

import llvmlite.ir as ir
import numpy as np

from deepnull_gwas.jit import numba

#: Genotypes of a code, its values, and codes that are looked up together.
FOUR, CODES, GROUPS = 4, 81, 8
#: Genotypes that are looked up together.
CHUNK = FOUR * GROUPS
#: Columns of a table: the tables of a chunk then stay in the second cache, and most of their rows in the first.
COLUMNS = 16
#: Bytes of a vector; processors with narrower registers take several.
_VECTOR = 64
#: Product of which with four bytes, as one number, the highest byte is the code.
_POWERS = np.uint32(27 + (9 << 8) + (3 << 16) + (1 << 24))


def _vectors(context, builder, array_type, array):
    """Return how to load and store a row of an array, given the number of its first element, as vectors."""
    data = context.make_array(array_type)(context, builder, array).data
    size = np.dtype(array_type.dtype.name).itemsize
    number, width = ir.IntType(64), _VECTOR // size
    vector = ir.VectorType(context.get_data_type(array_type.dtype), width)

    def places(first):
        for part in range(0, COLUMNS, width):
            at = builder.gep(data, [builder.add(first, ir.Constant(number, part))])
            yield builder.bitcast(at, vector.as_pointer())

    def load(first):
        return [builder.load(place, align=size) for place in places(first)]

    def store(first, vectors):
        for place, value in zip(places(first), vectors, strict=True):
            builder.store(value, place, align=size)

    return load, store


# In both of these vectors are written out: LLVM makes none of loops in which what is read may be what is written. The
# numbers of elements that they are given are not checked.
@numba.extending.intrinsic
def _add_row(typingctx, table, to, of, values, added):
    """Write a row of ``values`` (its first element ``added``) plus one of ``table`` (``of``) into another (``to``)."""

    def generate(context, builder, signature, arguments):
        load, store = _vectors(context, builder, signature.args[0], arguments[0])
        load_values, _ = _vectors(context, builder, signature.args[3], arguments[3])
        pairs = zip(load(arguments[2]), load_values(arguments[4]), strict=True)
        store(arguments[1], [builder.fadd(one, other) for one, other in pairs])
        return context.get_dummy_value()

    return numba.types.void(table, numba.types.uint64, numba.types.uint64, values, numba.types.uint64), generate


@numba.extending.intrinsic
def _add_looked_up(typingctx, codes, tables, out, item):
    """Add, to row ``item`` of ``out``, the row of each table that the item's code names."""

    def generate(context, builder, signature, arguments):
        def constant(value):
            return ir.Constant(ir.IntType(64), value)

        load, store = _vectors(context, builder, signature.args[2], arguments[2])
        load_table, _ = _vectors(context, builder, signature.args[1], arguments[1])
        own_codes = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        row = builder.mul(arguments[3], constant(COLUMNS))
        sums = load(row)
        # all codes of the item as one number
        at = builder.gep(own_codes, [builder.mul(arguments[3], constant(GROUPS))])
        word = builder.load(builder.bitcast(at, ir.IntType(64).as_pointer()), align=1)
        for group in range(GROUPS):
            code = builder.and_(builder.lshr(word, constant(8 * group)), constant(255))
            first = builder.add(builder.mul(code, constant(COLUMNS)), constant(group * CODES * COLUMNS))
            sums = [builder.fadd(one, other) for one, other in zip(sums, load_table(first), strict=True)]
        store(row, sums)
        return context.get_dummy_value()

    return numba.types.void(codes, tables, out, numba.types.uint64), generate


@numba.njit(nogil=True, cache=True)
def _fill(tables, values, start, beyond_one):
    """Fill the tables of a chunk, whose columns are the rows of ``values`` from ``start`` on."""
    wide = np.uint64(COLUMNS)
    for group in range(np.uint64(0), np.uint64(GROUPS)):
        begin, row = group * np.uint64(CODES) * wide, start + group * np.uint64(FOUR)
        for c in range(np.uint64(COLUMNS)):
            tables[group, 0, c] = 0
            if beyond_one:
                for i in range(np.uint64(FOUR)):
                    tables[group, 0, c] -= values[row + i, c]
        count = np.uint64(1)
        for i in range(np.uint64(FOUR)):
            # with one copy more, and then with another
            for code in range(np.uint64(0), np.uint64(2) * count):
                of = begin + code * wide
                _add_row(tables, of + count * wide, of, values, (row + i) * wide)
            count *= np.uint64(3)


@numba.njit(nogil=True, cache=True)
def _multiply(codes, values, places, beyond_one, whole, out):
    items = np.uint64(codes.shape[1])
    tables = np.empty((GROUPS, CODES, COLUMNS), dtype=values.dtype)
    sums = np.empty((codes.shape[1], COLUMNS), dtype=values.dtype)
    for first in range(0, len(places), COLUMNS):
        columns = values[first // COLUMNS]
        sums[:] = 0
        for q in range(np.uint64(len(codes))):
            _fill(tables, columns, q * np.uint64(CHUNK), beyond_one)
            own = codes[q]
            for item in range(np.uint64(0), items):
                _add_looked_up(own, tables, sums, item)
        for c in range(min(COLUMNS, len(places) - first)):
            place = places[first + c]
            for item in range(items):
                value = sums[item, c]
                out[item, place] += np.rint(value) if whole else value


def empty_tiles(rows: int, columns: int, dtype: type = np.float64) -> np.ndarray:
    """Return zeros in the place of columns: [tiles, rows, COLUMNS], with rows that fill up the last chunk."""
    return np.zeros((-(-columns // COLUMNS), -(-rows // CHUNK) * CHUNK, COLUMNS), dtype=dtype)


def put_columns(tiles: np.ndarray, first: int, values: np.ndarray) -> None:
    """Write columns ([rows, columns]) into :func:`empty_tiles`, from column ``first`` on."""
    done = 0
    while done < values.shape[1]:
        tile, place = divmod(first + done, COLUMNS)
        some = values[:, done : done + COLUMNS - place]
        tiles[tile, : len(values), place : place + some.shape[1]] = some
        done += some.shape[1]


def tiled(values: np.ndarray) -> np.ndarray:
    """Return columns ([rows, columns]) as :func:`add_products` takes them."""
    out = empty_tiles(*values.shape, values.dtype)
    put_columns(out, 0, values)
    return out


def add_products(
    codes: np.ndarray, values: np.ndarray, out: np.ndarray, places: np.ndarray, beyond_one: bool = False
) -> None:
    """Add products of genotypes with columns.

    Parameters
    ----------
    codes
        uint8[chunks, items, GROUPS], from :func:`codes_of_people` or :func:`codes_of_variants`.
    values
        float32 or float64, one row for each of the genotypes of an item, :func:`tiled`.
    out
        [items, any]: to its column ``places[j]`` is added the sum over rows of copies times column j of ``values``,
        rounded where ``out`` holds whole numbers.
    places
        int64, one for each column, but for those that fill up the last tile.
    beyond_one
        Whether copies count from 1: -1, 0 or 1.

    Raises
    ------
    ValueError
        Where these do not belong together.
    """
    chunks, items, groups = codes.shape
    if codes.dtype != np.uint8 or groups != GROUPS or values.shape[1:] != (chunks * CHUNK, COLUMNS):
        raise ValueError(f"codes {codes.dtype}{codes.shape} do not belong to columns {values.shape}")
    if len(places) > len(values) * COLUMNS or len(out) != items:
        raise ValueError(f"{len(places)} columns of {items} items, but {values.shape} and {out.shape}")
    if len(places) and not 0 <= places.min() <= places.max() < out.shape[1]:
        raise ValueError(f"places beyond the {out.shape[1]} columns")
    # what is read without bounds is in one piece
    codes, values = np.ascontiguousarray(codes), np.ascontiguousarray(values)
    _multiply(codes, values, places, beyond_one, out.dtype.kind == "i", out)


@numba.njit(nogil=True, cache=True)
def _code_people(quads, out):
    for v in range(len(quads)):
        row = quads[v]
        for q in range(out.shape[0]):
            own = out[q, v]
            for group in range(GROUPS):
                own[group] = (row[q * GROUPS + group] * _POWERS) >> np.uint32(24)


def codes_of_people(copies: np.ndarray) -> np.ndarray:
    """Return the codes of four people each, for sums over people.

    Parameters
    ----------
    copies
        int8[variants, people], 0, 1 or 2.

    Returns
    -------
    uint8[chunks of people, variants, GROUPS]; the last chunk is filled up with people of no copy.
    """
    chunks = -(-copies.shape[1] // CHUNK)
    padded = copies
    if copies.shape[1] != chunks * CHUNK or not copies.flags.c_contiguous:
        padded = np.zeros((len(copies), chunks * CHUNK), dtype=np.int8)
        padded[:, : copies.shape[1]] = copies
    out = np.empty((chunks, len(copies), GROUPS), dtype=np.uint8)
    # the first of four people is the lowest byte
    _code_people(padded.view("<u4"), out)
    return out


@numba.njit(nogil=True, cache=True)
def _code_variants(copies, out):
    for q in range(out.shape[0]):
        for group in range(GROUPS):
            v = CHUNK * q + FOUR * group
            there = min(FOUR, max(len(copies) - v, 0))
            for p in range(copies.shape[1]):
                out[q, p, group] = 0
            power = 1
            for i in range(there):
                row = copies[v + i]
                for p in range(copies.shape[1]):
                    out[q, p, group] += np.uint8(row[p] * power)
                power *= 3


def codes_of_variants(copies: np.ndarray) -> np.ndarray:
    """Return the codes of four variants each, for sums over variants.

    Parameters
    ----------
    copies
        int8[variants, people], 0, 1 or 2.

    Returns
    -------
    uint8[chunks of variants, people, GROUPS]; the last chunk is filled up with variants of no copy.
    """
    out = np.empty((-(-len(copies) // CHUNK), copies.shape[1], GROUPS), dtype=np.uint8)
    # `codes_of_people` of the transpose, in three fifths of the time, since nothing is transposed
    _code_variants(np.ascontiguousarray(copies), out)
    return out

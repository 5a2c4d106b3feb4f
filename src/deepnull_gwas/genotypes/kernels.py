"""Kernels on packed 2-bit genotypes that all others share: decoding, counting, masks, selecting people.

Dosages count the effect allele (A1). All kernels release the GIL and take contiguous rows.
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import numba


@numba.njit(nogil=True, cache=True)
def _decode_float32(packed, n_samples, table, out):
    for v in range(packed.shape[0]):
        row = packed[v]
        target = out[v]
        whole = n_samples // 4
        for b in range(whole):
            values = table[row[b]]
            i = 4 * b
            target[i] = values[0]
            target[i + 1] = values[1]
            target[i + 2] = values[2]
            target[i + 3] = values[3]
        for i in range(4 * whole, n_samples):
            target[i] = table[row[whole], i - 4 * whole]


@numba.njit(nogil=True, cache=True)
def popcount(x):
    """Count the bits that are set in an unsigned 64-bit integer."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@numba.njit(nogil=True, cache=True)
def lowest_bit(x):
    """Return the place of the lowest bit set in a 64-bit integer; ``x & (x - 1)`` is what is left after it."""
    one = np.uint64(1)
    return np.int64(popcount((x & (~x + one)) - one))


@numba.njit(nogil=True, cache=True)
def tail_word(row):
    """Return the bytes of a packed variant beyond its whole 64-bit words as one word; missing bytes are 0."""
    first = len(row) // 8 * 8
    word = np.uint64(0)
    for b in range(first, len(row)):
        word |= np.uint64(row[b]) << np.uint64(8 * (b - first))
    return word


@numba.njit(nogil=True, cache=True)
def _count_masked(packed, lanes, out):
    low_bits = np.uint64(0x5555555555555555)
    n_bytes = packed.shape[1]
    n_words = n_bytes // 8
    for v in range(packed.shape[0]):
        row = packed[v]
        words = row[: n_words * 8].view(np.uint64)
        mask_words = lanes[: n_words * 8].view(np.uint64)
        missing = np.uint64(0)
        het = np.uint64(0)
        hom2 = np.uint64(0)
        for w in range(n_words):
            keep = mask_words[w] & low_bits
            low = words[w] & keep
            high = (words[w] >> np.uint64(1)) & keep
            both = low & high
            hom2 += popcount(both)
            missing += popcount(low ^ both)
            het += popcount(high ^ both)
        for b in range(n_words * 8, n_bytes):
            keep = np.uint64(lanes[b]) & low_bits
            low = np.uint64(row[b]) & keep
            high = (np.uint64(row[b]) >> np.uint64(1)) & keep
            both = low & high
            hom2 += popcount(both)
            missing += popcount(low ^ both)
            het += popcount(high ^ both)
        out[v, 1] = het
        out[v, 2] = hom2
        out[v, 3] = missing


def _byte_table(missing: float, dtype: np.dtype | type) -> np.ndarray:
    """Return the 256 x 4 table of the dosages that one packed byte holds."""
    values = np.array([2, missing, 1, 0], dtype=dtype)
    codes = (np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3
    return values[codes]


def decode(
    packed: np.ndarray,
    n_samples: int,
    out: np.ndarray | None = None,
    missing: float = np.nan,
    dtype: np.dtype | type = np.float32,
) -> np.ndarray:
    """Decode packed genotypes to dosages of A1.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    n_samples
        Number of people (the last byte may hold padding).
    out
        Where to, variants x people of ``dtype``; made if None.
    missing
        Value of a missing call.
    dtype
        float32 or float64.

    Returns
    -------
    Dosages of A1 (0, 1, 2 or ``missing``), variants x people.
    """
    if out is None:
        out = np.empty((packed.shape[0], n_samples), dtype=dtype)
    _decode_float32(np.asarray(packed), n_samples, _byte_table(missing, out.dtype), out)
    return out


def pack_mask(selected: np.ndarray) -> np.ndarray:
    """Turn a 0/1 mask over people into 2-bit lanes: 11 for each person in it, 00 for the others and the padding.

    Parameters
    ----------
    selected
        bool, one per person.

    Returns
    -------
    uint8, ``ceil(n / 4)`` bytes.
    """
    selected = np.asarray(selected, dtype=bool)
    lanes = np.zeros((len(selected) + 3) // 4 * 4, dtype=np.uint8)
    lanes[: len(selected)] = np.where(selected, 3, 0)
    lanes = lanes.reshape(-1, 4)
    return lanes[:, 0] | lanes[:, 1] << 2 | lanes[:, 2] << 4 | lanes[:, 3] << 6


def unpack_mask(mask: np.ndarray, n_people: int) -> np.ndarray:
    """Return the people of a mask made by :func:`pack_mask`: bool, one per person."""
    low = np.stack([mask & 1, mask & 4, mask & 16, mask & 64], axis=1)
    return low.ravel()[:n_people] > 0


def count_genotypes(packed: np.ndarray, mask_lanes: np.ndarray) -> np.ndarray:
    """Count the genotypes of each variant among the people of a mask, by popcount of the packed bytes.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    mask_lanes
        From :func:`pack_mask`; the padding of the last byte must not be selected.

    Returns
    -------
    int64, variants x 4: homozygous A1, heterozygous, homozygous A2, missing.
    """
    lanes = np.ascontiguousarray(mask_lanes, dtype=np.uint8)
    out = np.zeros((packed.shape[0], 4), dtype=np.int64)
    _count_masked(np.asarray(packed), lanes, out)
    selected = int(np.unpackbits(lanes).sum()) // 2
    out[:, 0] = selected - out[:, 1] - out[:, 2] - out[:, 3]
    return out


def select_people(packed: np.ndarray, people: np.ndarray, n_words: int) -> np.ndarray:
    """Pack the genotypes of some people next to each other.

    Parameters
    ----------
    packed
        uint8, variants x bytes of all people.
    people
        Numbers of the people, in the order in which they are wanted.
    n_words
        Words of 64 people that a variant gets.

    Returns
    -------
    uint64, variants x 2 n_words: two bits per person; what is beyond the people is 0.
    """
    out = np.zeros((len(packed), n_words * 16), dtype=np.uint8)
    for lane in range(4):
        chosen = people[lane::4]
        shift = (2 * (chosen % 4)).astype(np.uint8)
        out[:, : len(chosen)] |= ((packed[:, chosen // 4] >> shift) & np.uint8(3)) << np.uint8(2 * lane)
    return out.view(np.uint64)

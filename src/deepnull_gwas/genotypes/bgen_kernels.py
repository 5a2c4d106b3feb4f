"""Probabilities of BGEN, layout 2, to dosages: one call per variant, without Python's lock.

A block of probabilities is, after inflation: number of people (4 bytes), of alleles (2), lowest and highest ploidy (1
each), a byte per person (ploidy in the low 6 bits, missing in the highest), whether phased (1), bits per probability
(1), and the probabilities. Unphased, a diploid person has the probabilities of two and of one first alleles; phased,
for each haplotype that of the first allele; haploid, that of the first allele
(https://www.chg.ox.ac.uk/~gav/bgen_format/spec/latest.html).

A probability x is ``x / (2**bits - 1)``. The variance of a person's genotype, which the IMPUTE information is made of,
is in units of the square of that and fits 32 bits exactly (of more than 16 bits, the probabilities are rounded to 16
before).
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.jit import numba

#: Bytes before the ploidies.
HEAD = 8
#: What can be wrong with a block.
(
    SOUND, SHORT, PEOPLE, ALLELES, PLOIDY, PHASED, BITS, LENGTH, PERSON, TOTAL,
) = range(10)  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _uint(raw, at, size):
    value = np.int64(0)
    for b in range(size):
        value |= np.int64(raw[at + b]) << (8 * b)
    return value


@numba.njit(nogil=True, cache=True)
def _bits_at(raw, at, first, bits):
    """Return ``bits`` bits from bit number ``first`` behind byte ``at``, lowest first."""
    byte = at + (first >> 3)
    last = at + ((first + bits - 1) >> 3)
    value = np.uint64(0)
    for b in range(last - byte + 1):
        value |= np.uint64(raw[byte + b]) << np.uint64(8 * b)
    return np.int64((value >> np.uint64(first & 7)) & ((np.uint64(1) << np.uint64(bits)) - np.uint64(1)))


@numba.njit(nogil=True, cache=True)
def _eight(pairs, phased, flip, out):
    """Decode diploid people of 8 bits, a pair in 16; return the largest sum of a person's two probabilities."""
    worst = np.uint16(0)
    for i in range(len(out)):
        a, b = np.uint16(pairs[i] & 255), np.uint16(pairs[i] >> 8)
        e = np.uint16(a + b) if phased else np.uint16(2 * a + b)
        worst = max(worst, np.uint16(a + b))
        out[i] = np.uint16(510 - e) if flip else e
    return worst


@numba.njit(nogil=True, cache=True)
def _sixteen(pairs, phased, flip, out):
    worst = np.uint32(0)
    for i in range(len(out)):
        a, b = np.uint32(pairs[2 * i]), np.uint32(pairs[2 * i + 1])
        e = np.uint32(a + b) if phased else np.uint32(2 * a + b)
        worst = max(worst, np.uint32(a + b))
        e = np.uint32(131070 - e) if flip else e
        out[i] = np.uint32(e * np.uint32(16384) + np.uint32(32767)) // np.uint32(65535)
    return worst


@numba.njit(nogil=True, cache=True)
def _exact(pairs, phased, flip, out):
    """Compute diploid people's dosages in units of ``1 / 65535``, without rounding."""
    for i in range(len(out)):
        a, b = np.uint32(pairs[2 * i]), np.uint32(pairs[2 * i + 1])
        e = np.uint32(a + b) if phased else np.uint32(2 * a + b)
        out[i] = np.uint32(131070 - e) if flip else e


@numba.njit(nogil=True, cache=True)
def _variances(pairs, top, phased, out):
    """Compute diploid people's variances; what is beyond 32 bits on the way cancels in the end."""
    top = np.uint32(top)
    for i in range(len(out)):
        a, b = np.uint32(pairs[2 * i]), np.uint32(pairs[2 * i + 1])
        if phased:
            out[i] = np.uint32(top * (a + b) - a * a - b * b)
        else:
            e = np.uint32(2 * a + b)
            out[i] = np.uint32(top * (4 * a + b) - e * e)


@numba.njit(nogil=True, cache=True)
def _mark_missing(ploidies, out):
    for i in range(len(out)):
        if ploidies[i] & 0x80:
            out[i] = MISSING


@numba.njit(nogil=True, cache=True)
def _any_person(raw, phased, flip, bits, out, variances, exact, found):
    """Decode people of any ploidy up to 2 and any number of bits, one by one."""
    n = len(out)
    at, first = HEAD + n + 2, np.int64(0)
    full = (np.int64(1) << bits) - 1
    top = min(full, 65535)
    for i in range(n):
        ploidy, a, b = raw[HEAD + i] & 0x3F, np.int64(0), np.int64(0)
        if ploidy > 0:
            a = _bits_at(raw, at, first, bits)
        if ploidy > 1:
            b = _bits_at(raw, at, first + bits, bits)
        first += ploidy * bits
        if raw[HEAD + i] & 0x80 or ploidy == 0:
            out[i] = MISSING
            continue
        if ploidy == 2 and not phased and a + b > full:
            found[0], found[1], found[2] = TOTAL, i, a + b
            return
        if bits > 16:
            a, b = (a * 65535 + full // 2) // full, (b * 65535 + full // 2) // full
            if not phased:
                b = min(b, top - a)
        if ploidy == 1:
            e, variance = 2 * a, 4 * a * (top - a)
        elif phased:
            e, variance = a + b, top * (a + b) - a * a - b * b
        else:
            e = 2 * a + b
            variance = top * (4 * a + b) - e * e
        e = 2 * top - e if flip else e
        out[i] = (e * 16384 + 32767) // 65535 if top == 65535 else e
        if len(variances):
            variances[i], exact[i] = variance, e


@numba.njit(nogil=True, cache=True)
def _check_head(raw, n, found):
    """Return whether phased, the bits, and whether all are diploid; the fault in ``found``."""
    found[0] = SOUND
    if len(raw) < HEAD + n + 2:
        found[0], found[1], found[2] = SHORT, len(raw), HEAD + n + 2
    elif _uint(raw, 0, 4) != n:
        found[0], found[1], found[2] = PEOPLE, 0, _uint(raw, 0, 4)
    elif _uint(raw, 4, 2) != 2:
        found[0], found[1], found[2] = ALLELES, 4, _uint(raw, 4, 2)
    elif raw[6] > raw[7] or raw[7] > 2:
        found[0], found[1], found[2] = PLOIDY, 6, np.int64(raw[6]) * 256 + raw[7]
    elif raw[HEAD + n] > 1:
        found[0], found[1], found[2] = PHASED, HEAD + n, raw[HEAD + n]
    elif not 1 <= raw[HEAD + n + 1] <= 32:
        found[0], found[1], found[2] = BITS, HEAD + n + 1, raw[HEAD + n + 1]
    if found[0] != SOUND:
        return False, 0, False, False
    low, high = raw[6], raw[7]
    other = np.uint8(0)
    for i in range(HEAD, HEAD + n):
        other |= raw[i] ^ np.uint8(2)
    # usually everybody is diploid and nobody missing
    probabilities, flagged, odd = (
        (np.int64(0), np.uint8(0), np.int64(0)) if other else (2 * n, np.uint8(0), np.int64(low > 2 or high < 2))
    )
    for i in range(HEAD, HEAD + n if other else HEAD):
        ploidy = raw[i] & 0x3F
        probabilities += ploidy
        flagged |= raw[i]
        odd += np.int64(ploidy < low) | np.int64(ploidy > high)
    if odd:
        for i in range(n):
            if not low <= (raw[HEAD + i] & 0x3F) <= high:
                found[0], found[1], found[2] = PERSON, i, raw[HEAD + i] & 0x3F
                break
        return False, 0, False, False
    bits = np.int64(raw[HEAD + n + 1])
    if len(raw) != HEAD + n + 2 + (probabilities * bits + 7) // 8:
        found[0], found[1], found[2] = LENGTH, len(raw), HEAD + n + 2 + (probabilities * bits + 7) // 8
        return False, 0, False, False
    return raw[HEAD + n] == 1, bits, probabilities == 2 * n, flagged & np.uint8(0x80) != 0


@numba.njit(nogil=True, cache=True)
def decode_block(raw, count_first, out, variances, exact, found):
    """Decode the probabilities of one variant.

    Parameters
    ----------
    raw
        uint8: the block, inflated.
    count_first
        Whether the first allele is the effect allele.
    out
        uint16, one per person: numerators of the effect allele's dosages, 65,535 where missing. Of a variant with a
        fault, without meaning.
    variances
        uint32, one per person: variances of the genotypes on the 0-2 scale; empty if not wanted. Without meaning where
        missing.
    found
        int64, 3: what is wrong (``SOUND`` where nothing), where (a byte, or a person from 0), and what was found there.

    Returns
    -------
    Bits per probability (more than 16 count as 16), 0 where something is wrong.
    """
    n = len(out)
    phased, bits, diploid, missing = _check_head(raw, n, found)
    if found[0] != SOUND:
        return 0
    data = raw[HEAD + n + 2 :]
    if not diploid or (bits != 8 and bits != 16):
        # a mean ploidy of 2 is ploidy 2 for everybody, none being higher
        _any_person(raw, phased, not count_first, bits, out, variances, exact, found)
        return min(bits, 16) if found[0] == SOUND else 0
    top = (np.int64(1) << bits) - 1
    if bits == 8:
        worst = np.int64(_eight(data.view(np.uint16), phased, not count_first, out))
        if len(variances):
            _variances(data, top, phased, variances)
    else:
        pairs = data.view(np.uint16)
        worst = np.int64(_sixteen(pairs, phased, not count_first, out))
        if len(variances):
            _variances(pairs, top, phased, variances)
            _exact(pairs, phased, not count_first, exact)
    if missing:
        _mark_missing(raw[HEAD : HEAD + n], out)
    if not phased and worst > top:
        # perhaps of somebody missing, whose probabilities say nothing
        for i in range(n):
            total = _bits_at(data, 0, 2 * i * bits, bits) + _bits_at(data, 0, (2 * i + 1) * bits, bits)
            if total > top and not raw[HEAD + i] & 0x80:
                found[0], found[1], found[2] = TOTAL, i, total
                return 0
    return bits


@numba.njit(nogil=True, cache=True)
def find_blocks(buffer, starts, sizes, compressed, out):
    """Find the blocks of probabilities behind the identifying data of variants in a buffer of bytes of the file.

    Parameters
    ----------
    buffer
        uint8.
    starts, sizes
        int64, where each variant begins in the buffer, and its bytes.
    compressed
        Whether the inflated length is written before the block.
    out
        int64, variants x 5: where the block begins in the buffer, its bytes, its inflated length, number of alleles,
        and position; the first is -1 where lengths do not fit the variant's bytes.
    """
    for v in range(len(starts)):
        at, end = starts[v], starts[v] + sizes[v]
        out[v, 0], out[v, 3], out[v, 4] = -1, 2, 0
        sound = True
        for _ in range(3):
            if at + 2 > end:
                sound = False
                break
            at += 2 + _uint(buffer, at, 2)
        if not sound or at + 6 > end:
            continue
        out[v, 4] = _uint(buffer, at, 4)
        alleles = _uint(buffer, at + 4, 2)
        at += 6
        out[v, 3] = alleles
        for _ in range(alleles):
            if at + 4 > end:
                sound = False
                break
            at += 4 + _uint(buffer, at, 4)
        if not sound or at + 4 > end:
            continue
        length = _uint(buffer, at, 4)
        at += 4
        if at + length != end or (compressed and length < 4):
            continue
        inflated = length
        if compressed:
            inflated = _uint(buffer, at, 4)
            at += 4
        out[v, 0], out[v, 1], out[v, 2] = at, end - at, inflated

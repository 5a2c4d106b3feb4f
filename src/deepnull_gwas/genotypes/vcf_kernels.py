"""The people's columns of a row of a VCF to dosages: one call per row, without Python's lock."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import numba

#: Fields of FORMAT that hold genotypes.
GT, DS, HDS, GP = range(4)
FIELDS = ("GT", "DS", "HDS", "GP")
#: What can be wrong with a person's column.
SOUND, COLUMNS, NUMBER, RANGE, VALUES, PLOIDY = range(6)

_TAB, _COLON, _COMMA, _DOT, _SLASH, _BAR, _ZERO, _NINE = 9, 58, 44, 46, 47, 124, 48, 57
_POWERS = np.array([10.0**k for k in range(-40, 41)])
#: How far decimals of an imputation server may be beyond what they can be, by rounding.
_ROUNDING = 0.011


@numba.njit(nogil=True, cache=True)
def _parse_number(text, start, stop):
    """Parse a decimal number: NaN where it is missing (a dot, or nothing), infinity where it is none."""
    if start == stop or (stop - start == 1 and text[start] == _DOT):
        return np.nan
    negative = text[start] == 45
    at = start + (negative or text[start] == 43)
    mantissa, digits, exponent, point = 0.0, 0, 0, False
    while at < stop:
        c = text[at]
        if _ZERO <= c <= _NINE:
            mantissa = mantissa * 10 + (c - _ZERO)
            digits += 1
            exponent -= point
        elif c == _DOT and not point:
            point = True
        else:
            break
        at += 1
    if digits == 0 or digits > 30:
        return np.inf
    if at < stop and (text[at] == 101 or text[at] == 69):
        at += 1
        minus = at < stop and text[at] == 45
        at += at < stop and (text[at] == 45 or text[at] == 43)
        power, first = 0, at
        while at < stop and _ZERO <= text[at] <= _NINE and at - first < 3:
            power = power * 10 + (text[at] - _ZERO)
            at += 1
        if at == first:
            return np.inf
        exponent += -power if minus else power
    if at != stop:
        return np.inf
    if exponent > 40:
        return np.inf
    value = mantissa * _POWERS[exponent + 40] if exponent >= -40 else 0.0
    return -value if negative else value


@numba.njit(nogil=True, cache=True)
def _count_allele(text, start, stop, allele):
    """Return how many alleles a GT has, and how many of them are ``allele``; of none where any is missing, ploidy -1
    where it is no GT."""
    ploidy, count, missing, number, digits = 0, 0, False, 0, 0
    for at in range(start, stop + 1):
        c = text[at] if at < stop else _BAR
        if _ZERO <= c <= _NINE:
            number = number * 10 + (c - _ZERO)
            digits += 1
            if digits > 5:
                return -1, 0
        elif c == _DOT:
            missing = True
        elif c in (_BAR, _SLASH):
            if digits == 0 and not missing and stop > start:
                return -1, 0
            ploidy += 1
            count += digits > 0 and number == allele
            number, digits = 0, 0
        else:
            return -1, 0
    return ploidy, -1 if missing or stop == start else count


@numba.njit(nogil=True, cache=True)
def _subfield(text, start, stop, number):
    """Return where a column's subfield begins and ends; at the end of the column where it is left out."""
    at = start
    for _ in range(number):
        while at < stop and text[at] != _COLON:
            at += 1
        if at == stop:
            return stop, stop
        at += 1
    end = at
    while end < stop and text[end] != _COLON:
        end += 1
    return at, end


@numba.njit(nogil=True, cache=True)
def _parse_values(text, start, stop, values):
    """Parse numbers between commas; return how many there are (one more than fit, where there are too many)."""
    count, at = 0, start
    while True:
        end = at
        while end < stop and text[end] != _COMMA:
            end += 1
        if count == len(values):
            return count + 1
        values[count] = _parse_number(text, at, end)
        count += 1
        if end >= stop:
            return count
        at = end + 1


@numba.njit(nogil=True, cache=True)
def _expected(values, count, alleles, allele):
    """Return the expected copies of an allele, 0 to 2, from the probabilities of all genotypes, and what is wrong.

    A haploid person has one for each allele, a diploid one for each pair of alleles j <= k, at k (k + 1) / 2 + j (VCF
    4.3, 1.6.2). Pairs of two different alternative alleles count, which `bcftools norm` drops.
    """
    haploid = count == alleles
    if not haploid and count != alleles * (alleles + 1) // 2:
        return np.nan, VALUES
    total, copies = 0.0, 0.0
    for g in range(count):
        if values[g] < 0:
            return np.nan, RANGE
        total += values[g]
    if abs(total - 1) > max(count, 3) * _ROUNDING:
        return np.nan, RANGE
    if haploid:
        return 2 * values[allele] / total, SOUND
    for other in range(alleles):
        low, high = min(allele, other), max(allele, other)
        copies += (1 + (other == allele)) * values[high * (high + 1) // 2 + low]
    return copies / total, SOUND


@numba.njit(nogil=True, cache=True)
def _dosage(kind, values, count, alternatives, allele, haploid):
    """Return a dosage on the 0-2 scale from the numbers of a column, and what is wrong."""
    for k in range(min(count, len(values))):
        if np.isnan(values[k]):
            return np.nan, SOUND
        if np.isinf(values[k]):
            return np.nan, NUMBER
    if kind == DS:
        if count != alternatives:
            return np.nan, VALUES
        value = values[allele - 1] * (2 if haploid else 1)
    elif kind == HDS:
        if count > 2:
            return np.nan, VALUES
        value = 2 * values[0] if count == 1 else values[0] + values[1]
        if min(values[0], values[count - 1]) < 0 or max(values[0], values[count - 1]) > 1 + _ROUNDING:
            return np.nan, RANGE
    else:
        value, fault = _expected(values, count, alternatives + 1, allele)
        if fault != SOUND:
            return np.nan, fault
    if not 0 <= value <= 2 + 2 * _ROUNDING:
        return np.nan, RANGE
    return min(value, 2.0), SOUND


@numba.njit(nogil=True, cache=True)
def parse_people(text, kind, place, has_calls, alleles, out, found):
    """Parse the columns of people of one row.

    Parameters
    ----------
    text
        uint8, the columns of people, split by tabs.
    kind
        Which field: ``GT``, ``DS``, ``HDS`` or ``GP``.
    place
        Its number among those of FORMAT, from 0; -1 where the row has only GT.
    has_calls
        Whether GT is there (the first): it tells who is haploid, and stands in where the field is missing.
    alleles
        int64, 2: which alternative allele counts, from 1, and how many the row has.
    out
        float32, one per person: dosages, 0 to 2, of haploid people too, -9 where missing.
    found
        int64, 3: what is wrong (``SOUND`` where nothing), the person (from 0), and where the column begins in ``text``.
    """
    n, stop = len(out), len(text)
    allele, alternatives = alleles
    # of GP one per genotype
    values = np.empty(max((alternatives + 1) * (alternatives + 2) // 2 if kind == GP else alternatives, 3))
    at, i = 0, 0
    found[0] = SOUND
    while True:
        end = at
        while end < stop and text[end] != _TAB:
            end += 1
        if i == n or (end >= stop and i != n - 1):
            found[0], found[1], found[2] = COLUMNS, i, at
            return
        value, fault, ploidy, count = np.nan, SOUND, 2, -1
        if has_calls:
            a, b = _subfield(text, at, end, 0)
            ploidy, count = _count_allele(text, a, b, allele)
            if ploidy < 1 or ploidy > 2:
                fault = PLOIDY
        if fault == SOUND and kind != GT and place >= 0:
            a, b = _subfield(text, at, end, place)
            value, fault = _dosage(kind, values, _parse_values(text, a, b, values), alternatives, allele, ploidy == 1)
        if fault != SOUND:
            found[0], found[1], found[2] = fault, i, at
            return
        if np.isnan(value) and count >= 0:
            value = 2.0 * count / ploidy
        out[i] = -9 if np.isnan(value) else value
        i += 1
        if end >= stop:
            return
        at = end + 1

"""The exact Hardy-Weinberg test against full enumeration in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from deepnull_gwas.cohort.hwe import hwe_exact


def enumerated(het: int, hom1: int, hom2: int, mid: bool = False) -> float:
    people, rare = het + hom1 + hom2, het + 2 * min(hom1, hom2)
    weight = {}
    for h in range(rare % 2, rare + 1, 2):
        a = (rare - h) // 2
        b = people - h - a
        weight[h] = Fraction(2**h, factorial(h) * factorial(a) * factorial(b))
    observed = weight[het]
    below = sum(w for w in weight.values() if w < observed)
    ties = sum(w for w in weight.values() if w == observed)
    return float((below + (ties / 2 if mid else ties)) / sum(weight.values()))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_equals_enumeration(het, hom1, hom2, mid):
    if het + hom1 + hom2 == 0:
        return
    # rounding over some dozens of terms
    assert hwe_exact(het, hom1, hom2, mid) == pytest.approx(enumerated(het, hom1, hom2, mid), rel=1e-11)
    assert hwe_exact(het, hom2, hom1, mid) == hwe_exact(het, hom1, hom2, mid)


def test_small_p_values_keep_their_digits():
    assert hwe_exact(0, 100, 300) == pytest.approx(enumerated(0, 100, 300), rel=1e-11)
    assert enumerated(0, 100, 300) < 1e-90


def test_edges():
    assert np.isnan(hwe_exact(0, 0, 0))
    assert hwe_exact(0, 10, 0) == 1
    assert hwe_exact(1, 10, 0) == 1
    assert hwe_exact([[3, 4]], [[5, 6]], [[7, 8]]).shape == (1, 2)
    # far below the smallest double: 0, not NaN
    assert hwe_exact(0, 250_000, 250_000) == 0
    assert hwe_exact(500_000, 0, 0) == 0


def test_biobank_counts_follow_the_chi_square():
    people = 500_000
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.5, 2000)
    counts = np.array([rng.multinomial(people, [q * q, 2 * q * (1 - q), (1 - q) ** 2]) for q in p])
    exact = hwe_exact(counts[:, 1], counts[:, 0], counts[:, 2], mid_p=True)
    q = (2 * counts[:, 0] + counts[:, 1]) / (2 * people)
    z = (1 - counts[:, 1] / (2 * q * (1 - q) * people)) * np.sqrt(people)
    # the continuous approximation is coarse where the rarer homozygotes are few (p = .05)
    near = np.abs(exact - chi2.sf(z**2, 1))
    assert near.max() < 0.02
    assert abs(exact.mean() - 0.5) < 0.03

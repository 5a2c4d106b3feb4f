"""INFO by the second implementation: by its definition, and a wrong one is found by the check of every job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bgen_files import BgenFile, Variant
from deepnull_gwas.association.check import Row, compare
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.genotypes import read_copies, read_probabilities
from deepnull_gwas.verify.second import Second

N = 60
SEX = (1 + np.arange(N) % 2).astype(np.int8)


def second(kind: str) -> Second:
    rng = np.random.default_rng(0)
    people = np.flatnonzero(np.arange(N) % 5 > 0)
    y, x = rng.normal(size=len(people)), rng.normal(size=(len(people), 1))
    return Second(Study("s", "quantitative", ("baseline",), (), people, y, x, None, Path("s")), SEX, kind, {})


def by_definition(e: np.ndarray, variance: np.ndarray | None, haploid: np.ndarray) -> float:
    """One person after the other."""
    alleles = sum(v / 2 if h else v for v, h in zip(e, haploid))
    p = alleles / sum(1 if h else 2 for h in haploid)
    expected = sum((4 if h else 2) * p * (1 - p) for h in haploid)
    if variance is None:
        return sum((v - np.mean(e)) ** 2 for v in e) / expected
    return 1 - sum(variance) / expected


@pytest.mark.parametrize("kind", ["autosome", "X"])
@pytest.mark.parametrize("phased", [False, True])
def test_probabilities_of_a_bgen(tmp_path, kind, phased):
    rng = np.random.default_rng(1)
    ploidy = [1 if kind == "X" and s == 1 else 2 for s in SEX]
    people: list[tuple[int, ...] | None] = []
    for copies in ploidy:
        p = rng.dirichlet([1, 1, 3]) if copies == 2 and not phased else rng.random(2)
        people.append(tuple(int(v * 255) for v in p[:copies]))
    people[7] = None
    variant = Variant(people, phased=phased, ploidy=ploidy, chromosome=kind)
    path, tests = tmp_path / "g.bgen", second(kind)
    BgenFile([variant]).write(path)
    # the first variant begins behind a head of 20 bytes
    place = (str(path), 24, 0)
    calls, probabilities = read_copies(place, N), read_probabilities(place, N)
    assert probabilities is not None
    np.testing.assert_allclose(calls, variant.first_allele_dosages())
    np.testing.assert_allclose(probabilities[1], variant.variances(), atol=1e-12)
    who = tests.people[~np.isnan(calls[tests.people])]
    haploid = np.array(ploidy)[who] == 1
    expected = by_definition(calls[who], variant.variances()[who], haploid)
    assert tests.information(calls, probabilities) == pytest.approx(expected, abs=1e-12)
    assert tests.information(calls) == pytest.approx(by_definition(calls[who], None, haploid), abs=1e-12)
    row = Row(0.0, 0, {"info": expected + 1e-3, "n": len(tests.people)}, "score")
    assert any(text.startswith("info: found") for text in compare(tests, calls, "baseline", row, probabilities))
    right = Row(0.0, 0, {"info": expected}, "score")
    assert not any("info" in text for text in compare(tests, calls, "baseline", right, probabilities))


def test_hard_calls_and_a_constant_variant():
    tests = second("X")
    rng = np.random.default_rng(2)
    men = np.where(SEX == 1, 2.0 * rng.integers(0, 2, N), rng.integers(0, 3, N))
    assert tests.information(men) == pytest.approx(
        by_definition(men[tests.people], None, SEX[tests.people] == 1), abs=1e-12
    )
    assert np.isnan(tests.information(np.zeros(N)))
    assert np.isnan(tests.information(np.full(N, np.nan)))

"""Squared correlations of hard calls: as numpy has them over the people called in both, on every chromosome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.genotypes import correlations
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.correlations import inherited_calls, squared_correlations
from deepnull_gwas.genotypes.formats import open_filesets

N, M = 203, 40


@pytest.fixture(scope="module")
def fileset(tmp_path_factory):
    rng = np.random.default_rng(3)
    g = rng.binomial(2, rng.uniform(0.05, 0.5, M)[:, None], (M, N)).astype(np.int8)
    # copies with errors, so that correlations of all sizes are there; two that do not vary
    for v in range(10, 20):
        g[v] = np.where(rng.random(N) < 0.05 * (v - 10), g[v], g[3])
    g[20], g[21] = 1, 0
    g[25:][rng.random((M - 25, N)) < 0.1] = -1
    prefix = tmp_path_factory.mktemp("r2") / "g"
    bim = pd.DataFrame({"c": 1, "id": [f"v{i}" for i in range(M)], "cm": 0, "p": range(1, M + 1), "a": "A", "b": "G"})
    fam = pd.DataFrame({"fid": range(N), "iid": range(N), "f": 0, "m": 0, "sex": 0, "y": -9})
    write_bed(prefix, g, bim, fam)
    return open_filesets([str(prefix)])


def expected(g, references):
    out = np.full((len(references), len(g)), np.nan)
    for i, r in enumerate(references):
        for j in range(len(g)):
            both = (g[r] >= 0) & (g[j] >= 0)
            a, b = g[r][both].astype(float), g[j][both].astype(float)
            if len(a) and a.std() > 0 and b.std() > 0:
                out[i, j] = np.corrcoef(a, b)[0, 1] ** 2
    return out


@pytest.mark.parametrize("bytes_at_a_time", [16 << 20, 800])
def test_correlations_are_those_of_numpy(fileset, monkeypatch, bytes_at_a_time):
    monkeypatch.setattr(correlations, "BYTES_AT_A_TIME", bytes_at_a_time)
    people = np.random.default_rng(1).permutation(N)[:150]
    g = decode_int8(fileset.calls(np.arange(M)), N)[:, people]
    references = np.array([3, 20, 30, 26])
    classes, sex = np.zeros(M, np.int8), np.ones(N, np.int8)
    found = squared_correlations(fileset, np.arange(M), references, people, classes, sex)
    np.testing.assert_allclose(found, expected(g, references), rtol=1e-10)
    assert np.isnan(found[1]).all() and found[0, 3] == 1 and found[2, 30] == 1


def test_correlations_on_other_chromosomes(fileset):
    """People without a known sex count nowhere on X, men alone on Y, and two copies are not half of one."""
    sex = np.random.default_rng(2).integers(0, 3, N).astype(np.int8)
    classes = (np.arange(M) % 4).astype(np.int8)
    before = fileset.calls(np.arange(M))
    g = decode_int8(before, N)
    for v in range(M):
        name = ("autosome", "X", "Y", "MT")[classes[v]]
        haploid = {"autosome": sex < 0, "X": sex == 1, "Y": sex == 1, "MT": sex >= 0}[name]
        g[v][haploid & (g[v] == 1)] = -1
        g[v][{"X": sex == 0, "Y": sex != 1}.get(name, sex < 0)] = -1
    again = before.copy()
    assert (decode_int8(inherited_calls(before, classes, sex), N) == g).all() and (before == again).all()
    references, people = np.array([4, 5, 6, 7, 27]), np.arange(N)
    found = squared_correlations(fileset, np.arange(M), references, people, classes, sex)
    np.testing.assert_allclose(found, expected(g, references), rtol=1e-10)

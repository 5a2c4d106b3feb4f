"""People of ancestries in which phenotypes spread more: weights of people in the tests of quantitative traits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from deepnull_gwas.tables import read_json, read_parquet
from deepnull_gwas.whole_genome.spread import spread_by_ancestry

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from whole_genome_data import without_relatives
from whole_genome_model import Cohort

N, M = 1000, 400


def test_spread_is_found_where_it_is_and_nowhere_else():
    rng = np.random.default_rng(1)
    pcs = rng.normal(size=(2000, 3))
    sd = np.exp(0.3 * pcs[:, 0])
    found = spread_by_ancestry(50 * sd * rng.normal(size=2000), pcs)
    assert found is not None and np.mean(found**2) == pytest.approx(1)
    assert np.corrcoef(found, sd)[0, 1] > 0.9 and found.max() / found.min() <= 4.0 + 1e-9
    even = [spread_by_ancestry(rng.standard_t(4, size=2000), pcs) for _ in range(40)]
    assert sum(values is not None for values in even) <= 3
    assert spread_by_ancestry(rng.normal(size=20), pcs[:20]) is None
    assert spread_by_ancestry(rng.normal(size=2000), pcs[:, :0]) is None
    assert spread_by_ancestry(np.zeros(2000), pcs) is None


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two ancestries of 300 and 700 people: in the first genotypes and phenotypes vary more."""
    rng = np.random.default_rng(7)
    first = np.arange(N) < 300
    p = np.where(first, 0.45, 0.06)
    genotypes = rng.binomial(2, p, size=(M, N)).astype(np.int8)
    people = without_relatives(genotypes, 1 + np.arange(M) * 4 // M)
    pcs = np.column_stack([first + 0.05 * rng.normal(size=N), rng.normal(size=N)])
    cohort = Cohort(tmp_path_factory.mktemp("spread"), people, block_size=50)
    cohort.add("y", 30 + np.where(first, 3.0, 1.0) * rng.normal(size=N), pcs, None, "quantitative", True)
    cohort.add("plain", 30 + rng.normal(size=N), pcs, None, "quantitative", True)
    case = (rng.random(N) < 0.4).astype(float)
    cohort.add("case", case, pcs, None, "binary", True)
    cohort.fit()
    return cohort, genotypes, pcs


def test_tests_weigh_people_and_hold(cohort):
    """The second implementation has agreed: the job checks itself."""
    cohort, genotypes, pcs = cohort
    assert cohort.fitted("plain").about["spread"] is None and cohort.fitted("case").about["spread"] is None
    low, high = cohort.fitted("y").about["spread"]
    assert high / low > 1.8
    linear, ours = (cohort.test("y", whole)["baseline"] for whole in (False, True))
    assert linear.mean() > 1.4
    assert abs(ours.mean() - 1) < 4 * np.sqrt(2 / M)
    table = read_parquet(cohort.folder / "y/genome/offsets.parquet")
    sd = table["baseline.spread"].to_numpy()
    assert [sd.min(), sd.max()] == read_json(cohort.folder / "y/genome/genome.json")["arms"]["baseline"]["spread"]
    # and they are weighted least squares
    y = read_parquet(cohort.folder / "y/samples.parquet")["phenotype"].to_numpy()
    for v in (0, 150, 399):
        y_left = y - cohort.fitted("y").loco[int(cohort.people.chromosome[v])]
        x = np.column_stack([np.ones(N), pcs, genotypes[v]]) / sd[:, None]
        beta, rss, _, _ = np.linalg.lstsq(x, y_left / sd, rcond=None)
        t2 = beta[-1] ** 2 / (rss[0] / (N - 4) * np.linalg.inv(x.T @ x)[-1, -1])
        assert ours[v] == pytest.approx(t2, rel=1e-4)

"""No close pair above the threshold is kept, and nothing is dropped without a reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_pruning, run_qc
from deepnull_gwas.cohort import pruning


def squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    both = (a >= 0) & (b >= 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(a[both], b[both])[0, 1] ** 2)


def chain(rng: np.random.Generator, variants: int, people: int, stay: float = 0.9) -> np.ndarray:
    """Haplotypes that change slowly along the chromosome."""
    haplotypes = np.empty((variants, 2 * people), dtype=np.int8)
    haplotypes[0] = rng.random(2 * people) < 0.3
    for v in range(1, variants):
        fresh = rng.random(2 * people) < rng.uniform(0.1, 0.5)
        haplotypes[v] = np.where(rng.random(2 * people) < stay, haplotypes[v - 1], fresh)
    dosages = haplotypes[:, :people] + haplotypes[:, people:]
    dosages[rng.random(dosages.shape) < 0.02] = -1
    dosages[::3] = np.maximum(dosages[::3], 0)  # every third without missing calls
    return dosages


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("people", [40, 64, 203])
@pytest.mark.parametrize("block_bytes", [1, 64 << 20])
def test_no_close_pair_above_the_threshold(tmp_path, rng, people, block_bytes, monkeypatch):
    monkeypatch.setattr(pruning, "_BLOCK_BYTES", block_bytes)
    dosages = chain(rng, 150, people)
    position = np.sort(rng.integers(1, 200_000, 150))
    folder = make_cohort(tmp_path, dosages, position=position)
    variants, _, _ = run_qc(folder)
    kept = run_pruning(folder, maf=0.05, window_kb=20, r2=0.2)["index"].to_numpy()
    frequency = variants["effect_allele_frequency"].to_numpy()
    maf = np.minimum(frequency, 1 - frequency)
    assert 5 < len(kept) < 100
    for n, i in enumerate(kept):
        for j in kept[n + 1 :]:
            if position[j] - position[i] <= 20_000:
                assert squared_correlation(dosages[i], dosages[j]) <= 0.2
    for j in set(np.flatnonzero(variants["passed"] & (maf >= 0.05))) - set(kept):
        close = np.flatnonzero(np.abs(position - position[j]) <= 20_000)
        assert any(squared_correlation(dosages[i], dosages[j]) > 0.2 and maf[i] >= maf[j] for i in close if i != j)


def test_only_people_who_passed_count(tmp_path, rng):
    dosages = chain(rng, 80, 120)
    folder = make_cohort(tmp_path / "all", dosages)
    run_qc(folder)
    samples = pd.read_parquet(folder / "samples.parquet")
    samples["in_sample_table"] = np.arange(120) % 3 > 0
    samples.to_parquet(folder / "samples.parquet")
    run_qc(folder)
    alone = make_cohort(tmp_path / "some", dosages[:, np.arange(120) % 3 > 0])
    run_qc(alone)
    pd.testing.assert_frame_equal(run_pruning(folder), run_pruning(alone))


def test_what_is_never_a_candidate(tmp_path, rng):
    m = 60
    chromosome = ["6"] * 20 + ["8"] * 20 + ["X"] * 20
    position = np.concatenate([30_000_000 + np.arange(20), np.arange(20) * 5_000_000, 60_000_000 + np.arange(20)])
    dosages = rng.binomial(2, 0.4, (m, 100)).astype(np.int8)
    dosages[25] = 0
    dosages[25, :4] = 1  # rare
    folder = make_cohort(tmp_path, dosages, chromosome, position)
    run_qc(folder)
    kept = run_pruning(folder, r2=0.9)
    # the HLA region, X, the rare variant, and 8:10,000,000 (inversion) and 8:45,000,000 (centromere) are out
    assert kept["index"].tolist() == [i for i in range(20, 40) if i not in (22, 25, 29)]
    assert kept.columns.tolist() == ["index", "chromosome", "position", "id", "effect_allele", "other_allele"]


def test_threads_and_unsorted_positions_change_nothing(tmp_path, rng):
    dosages = np.concatenate([chain(rng, 100, 90), chain(rng, 100, 90)])
    position = np.concatenate([rng.permutation(100), rng.permutation(100)]) * 1000 + 1
    chromosome = ["1"] * 100 + ["2"] * 100
    folder = make_cohort(tmp_path / "a", dosages, chromosome, position)
    run_qc(folder)
    one, two = run_pruning(folder, threads=1), run_pruning(folder, threads=2)
    pd.testing.assert_frame_equal(one, two)
    order = np.concatenate([np.argsort(position[:100]), 100 + np.argsort(position[100:])])
    ordered = make_cohort(tmp_path / "b", dosages[order], chromosome, position[order])
    run_qc(ordered)
    again = run_pruning(ordered)
    assert set(zip(one["chromosome"], one["position"])) == set(zip(again["chromosome"], again["position"]))


def test_no_candidates_give_an_empty_table(tmp_path, rng):
    folder = make_cohort(
        tmp_path, rng.binomial(2, 0.4, (10, 50)).astype(np.int8), ["X"] * 10, 50_000_000 + np.arange(10)
    )
    run_qc(folder)
    assert len(run_pruning(folder)) == 0


def test_regions_of_both_builds():
    from cohort_files import LONG_RANGE_LD
    from deepnull_gwas.genotypes.chromosomes import BUILDS

    for build in BUILDS:
        regions = pruning.long_range_ld(LONG_RANGE_LD, build)
        assert len(regions) == 18
        assert (regions["end"] > regions["start"]).all()
        hla = regions[(regions["chromosome"] == "6") & (regions["start"] < 30e6) & (regions["end"] > 32e6)]
        assert len(hla) == 1

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
        assert len(regions) == 24
        assert (regions["end"] > regions["start"]).all()
        hla = regions[(regions["chromosome"] == "6") & (regions["start"] < 30e6) & (regions["end"] > 32e6)]
        assert len(hla) == 1


def test_all_regions_of_long_range_ld_are_there():
    """The 24 regions of Price et al. 2008 and Anderson et al. 2010, in both builds."""
    from cohort_files import LONG_RANGE_LD

    both = [pruning.long_range_ld(LONG_RANGE_LD, build) for build in ("GRCh37", "GRCh38")]
    expected = {"1": 1, "2": 3, "3": 3, "5": 4, "6": 3, "7": 1, "8": 3, "10": 1, "11": 2, "12": 2, "20": 1}
    for regions in both:
        assert regions["chromosome"].value_counts().to_dict() == expected
        assert regions["name"].is_unique
        for _, own in regions.groupby("chromosome"):
            assert own["start"].is_monotonic_increasing
            assert (own["start"].to_numpy()[1:] > own["end"].to_numpy()[:-1]).all()
    given = [
        ("2", 134783530, 138283530), ("3", 88917310, 96017310), ("5", 97972100, 100472101),
        ("5", 135472101, 138472101), ("11", 46043424, 57243424), ("12", 111015617, 113515617),
    ]  # fmt: skip
    assert set(given) <= set(both[0][["chromosome", "start", "end"]].itertuples(index=False, name=None))
    # a region keeps its length from one build to the other, unless there is a centromere in it
    merged = both[0].merge(both[1], on=["chromosome", "name"], suffixes=("_37", "_38"))
    assert len(merged) == 24
    change = (merged["end_38"] - merged["start_38"]) - (merged["end_37"] - merged["start_37"])
    assert (change.abs()[~merged["name"].str.contains("centromere|HLA|20q11")] < 5000).all()
    # variants that everybody knows, by their positions in dbSNP: LCT (rs4988235), ALDH2 (rs671), HLA (rs9271366), F2
    # (rs1799963)
    for chromosome, *position in (
        ("2", 136608646, 135851076), ("12", 112241766, 111803962), ("6", 32586854, 32619077), ("11", 46761055,
        46739505),
    ):  # fmt: skip
        for regions, place in zip(both, position, strict=True):
            own = regions[regions["chromosome"] == chromosome]
            assert ((own["start"] <= place) & (own["end"] >= place)).sum() == 1

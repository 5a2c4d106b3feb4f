"""Simulated genotypes: families, X, structure, linkage disequilibrium, the exact number of variants, the same bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.genotypes.chromosomes import in_par
from deepnull_gwas.simulate.genotypes import share_out, simulate_genotypes
from deepnull_gwas.simulate.people import draw_people
from deepnull_gwas.simulate.seeds import derive_seed

SETTINGS = {
    "people": 300,
    "variants": 2000,
    "chromosomes": ["X", 1, 2],
    "sibling_pairs": 20,
    "parent_child_pairs": 20,
    "missing_rate": 0.01,
}
SEED = 11
BIM = ["chromosome", "id", "centimorgan", "position", "a1", "a2"]


class Simulated:
    def __init__(self, prefix, settings):
        simulate_genotypes(settings, SEED, prefix)
        self.prefix = prefix
        self.people = draw_people(settings, SEED)
        self.bim = pd.read_csv(f"{prefix}.bim", sep="\t", header=None, names=BIM, dtype={"chromosome": str})
        fileset = BedGenotypes([prefix])
        self.dosages = decode_int8(fileset.calls_between(0, fileset.n_variants), fileset.n_samples)
        self.x = (self.bim["chromosome"] == "X").to_numpy()
        self.sex = self.people.fam["sex"].to_numpy()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return Simulated(tmp_path_factory.mktemp("clean") / "g", {**SETTINGS, "missing_rate": 0})


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    return Simulated(tmp_path_factory.mktemp("spoilt") / "g", SETTINGS)


def test_same_settings_and_seed_give_the_same_bytes(spoilt, tmp_path):
    simulate_genotypes(SETTINGS, SEED, tmp_path / "again")
    simulate_genotypes(SETTINGS, SEED + 1, tmp_path / "other")
    for extension in ("bed", "bim", "fam"):
        first = spoilt.prefix.with_suffix(f".{extension}").read_bytes()
        assert (tmp_path / f"again.{extension}").read_bytes() == first
        assert (tmp_path / f"other.{extension}").read_bytes() != first
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{n}.{e}" for n in ("again", "other") for e in ("bed", "bim", "fam")
    ]


def test_seed_of_a_part_is_pinned():
    # a changed derivation would change every simulated cohort in silence
    assert derive_seed(1, "ancestry", "X") == derive_seed(1, "ancestry", "X")
    assert derive_seed(1, "ancestry", "X") != derive_seed(1, "ancestry", 1)
    assert derive_seed(1, "a", "b") != derive_seed(1, "ab")
    # printf '2024\x1fpeople' | sha256sum: its first 64 bits, modulo 2^32 - 1, plus 1
    assert derive_seed(2024, "people") == 2860090554


def test_exact_number_of_variants_in_order(clean):
    bim = clean.bim
    assert len(bim) == SETTINGS["variants"]
    assert list(bim["chromosome"].unique()) == ["1", "2", "X"]
    assert bim["chromosome"].value_counts().to_dict() == share_out(2000, ["1", "2", "X"])
    assert bim["id"].is_unique
    for _, rows in bim.groupby("chromosome"):
        assert (np.diff(rows["position"]) > 0).all()
        assert rows["position"].max() - rows["position"].min() > 4_000_000
    assert not in_par(bim["chromosome"].to_numpy(), bim["position"].to_numpy(), "GRCh38").any()
    assert not in_par(bim["chromosome"].to_numpy(), bim["position"].to_numpy(), "GRCh37").any()


@pytest.mark.parametrize("total", [3, 7, 2000, 60_001])
def test_shares_of_the_chromosomes_sum_to_the_total(total):
    assert sum(share_out(total, ["1", "22", "X"]).values()) == total


def test_alleles(clean):
    bim = clean.bim
    assert bim["a1"].isin(list("ACGT")).all() and (bim["a1"] != bim["a2"]).all()
    parts = bim["id"].str.split(":", expand=True)
    assert (parts[0] == bim["chromosome"]).all() and (parts[1].astype(int) == bim["position"]).all()
    named = [{a, b} for a, b in zip(parts[2], parts[3])]
    assert named == [{a, b} for a, b in zip(bim["a1"], bim["a2"])]
    frequency = clean.dosages.mean(axis=1) / 2
    # binomial: 10 % of 2,000 with a standard deviation of .7 %; five of them
    assert 0.065 < (frequency > 0.5).mean() < 0.135
    maf = np.minimum(frequency, 1 - frequency)
    assert (maf > 0.05).mean() > 0.5 and (maf > 0).mean() > 0.99


def test_men_have_one_x(clean, spoilt):
    for cohort in (clean, spoilt):
        assert not (cohort.dosages[np.ix_(cohort.x, cohort.sex == 1)] == 1).any()
        assert (cohort.dosages[np.ix_(cohort.x, cohort.sex == 2)] == 1).any()
    # a man's X counts once, so both sexes have the same frequency; 300 people on few independent stretches
    men, women = (clean.dosages[np.ix_(clean.x, clean.sex == s)].mean() for s in (1, 2))
    assert abs(men - women) < 0.06


def test_parents_and_children_share_an_allele_everywhere(clean):
    people = clean.people
    assert len(people.parent_child) == SETTINGS["parent_child_pairs"]
    kinds = set()
    for parent, child in people.parent_child:
        opposite = np.abs(clean.dosages[:, parent].astype(int) - clean.dosages[:, child]) == 2
        kinds.add((clean.sex[parent], clean.sex[child]))
        assert not opposite[~clean.x].any()
        if clean.sex[parent] == 1 and clean.sex[child] == 1:
            assert opposite[clean.x].any()  # a son has no X of his father
        else:
            assert not opposite[clean.x].any()
        column = "father" if clean.sex[parent] == 1 else "mother"
        assert people.fam[column].iat[child] == people.fam["iid"].iat[parent]
        assert people.fam["fid"].iat[child] == people.fam["fid"].iat[parent]
    assert kinds == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_strangers_do_not(clean):
    opposite = np.abs(clean.dosages[:, 0::2].astype(int) - clean.dosages[:, 1::2]) == 2
    assert np.median(opposite.sum(axis=0)) > 50


def test_siblings_share_half(clean):
    people = clean.people
    autosomal = clean.dosages[~clean.x].astype(float)
    standard = autosomal - autosomal.mean(axis=1, keepdims=True)
    variance = (standard**2).sum(axis=0)

    def correlation(pairs):
        a, b = standard[:, pairs[:, 0]], standard[:, pairs[:, 1]]
        return (a * b).sum(axis=0) / np.sqrt(variance[pairs[:, 0]] * variance[pairs[:, 1]])

    siblings = correlation(people.siblings)
    assert len(siblings) == SETTINGS["sibling_pairs"]
    # about 12 Mb, two or three stretches a pair: single pairs range from 0 to 1, the mean of 20 has an error of about
    # .06
    assert abs(siblings.mean() - 0.5) < 0.2
    assert siblings.std() > 0.05
    parents = correlation(people.parent_child)
    assert abs(parents.mean() - 0.5) < 0.12
    rng = np.random.default_rng(0)
    strangers = rng.choice(300, size=(200, 2))
    strangers = strangers[
        people.fam["fid"].to_numpy()[strangers[:, 0]] != people.fam["fid"].to_numpy()[strangers[:, 1]]
    ]
    assert abs(correlation(strangers).mean()) < 0.05
    fid = people.fam["fid"].to_numpy()
    assert (fid[people.siblings[:, 0]] == fid[people.siblings[:, 1]]).all()
    assert len(set(fid)) == 300 - 40


def test_populations_separate_along_the_first_component(clean):
    people, rng = clean.people, np.random.default_rng(1)
    related = np.concatenate([people.siblings[:, 1], people.parent_child[:, 1]])
    keep = np.setdiff1d(np.arange(300), related)
    common = ~clean.x & (np.abs(clean.dosages.mean(axis=1) - 1) < 0.9)
    rows = np.sort(rng.choice(np.flatnonzero(common), size=500, replace=False))
    g = clean.dosages[np.ix_(rows, keep)].astype(float)
    g = (g - g.mean(axis=1, keepdims=True)) / g.std(axis=1, keepdims=True)
    pcs = np.linalg.svd(g, full_matrices=False)[2][:4]
    population = people.population[keep]
    between = []
    for pc in pcs:
        means = {p: pc[population == p].mean() for p in "ABC"}
        between.append(sum((population == p).sum() * (means[p] - pc.mean()) ** 2 for p in "ABC") / (pc**2).sum())
    # on 10 Mb linkage disequilibrium has its own components; by chance a share of 2 / 260 would be expected
    assert max(between) > 0.3

    def fst(a, b):  # Hudson's estimator, ratio of sums
        p, q = (clean.dosages[np.ix_(common, people.population == k)].mean(axis=1) / 2 for k in (a, b))
        n, m = (2 * (people.population == k).sum() for k in (a, b))
        top = (p - q) ** 2 - p * (1 - p) / (n - 1) - q * (1 - q) / (m - 1)
        return top.sum() / (p * (1 - q) + q * (1 - p)).sum()

    # as between populations of one continent; the true values are about .008 to .02, with the noise of 10 Mb
    for pair in ("AB", "AC", "BC"):
        assert 0.002 < fst(*pair) < 0.05


def test_linkage_disequilibrium_decays(clean):
    on_first = (clean.bim["chromosome"] == "1").to_numpy() & (np.abs(clean.dosages.mean(axis=1) - 1) < 0.8)
    position = clean.bim["position"].to_numpy()[on_first]
    r2 = np.corrcoef(clean.dosages[on_first].astype(float)) ** 2
    distance = np.abs(position[:, None] - position)
    upper = np.triu(np.ones_like(r2, dtype=bool), 1)
    near, middle, far = (
        r2[upper & (distance >= a) & (distance < b)].mean() for a, b in ((0, 2e4), (1e5, 2e5), (2e6, 5e6))
    )
    assert near > 0.2
    assert near > 1.5 * middle > 2 * far
    assert far < 0.02  # 1 / 300 by chance, the rest from structure


def test_missing_calls_and_what_quality_control_finds(spoilt, clean):
    missing = spoilt.dosages == -1
    # 1 % asked for; bad variants and people are few in a cohort of this size
    assert 0.006 < missing.mean() < 0.015
    assert (missing.mean(axis=1) > 0.05).sum() >= 5
    assert 1 <= (missing.mean(axis=0) > 0.05).sum() <= 6
    assert not (clean.dosages == -1).any()
    # what was called is the truth, but for the few failed assays
    called = ~missing
    wrong = (called & (spoilt.dosages != clean.dosages)).any(axis=1)
    assert 0 < wrong.sum() < 20 and not wrong[spoilt.x].any()


def test_autosomes_only_and_single_people(tmp_path):
    settings = {"people": 5, "variants": 10, "chromosomes": [22], "missing_rate": 0}
    settings |= {"sibling_pairs": 0, "parent_child_pairs": 0}
    simulate_genotypes(settings, 3, tmp_path / "tiny")
    fileset = BedGenotypes([tmp_path / "tiny"])
    assert (fileset.n_samples, fileset.n_variants) == (5, 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sibling_pairs": 140}, "140 sibling pairs"),
        ({"chromosomes": [1, "Y"]}, "chromosome 'Y' cannot be simulated"),
        ({"chromosomes": [1, "1"]}, "listed twice"),
        ({"chromosomes": []}, "chromosomes is empty"),
        ({"missing_rate": 2}, "missing_rate is 2"),
        ({"variants": 1}, "too few"),
    ],
)
def test_settings_that_cannot_be_met(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        simulate_genotypes({**SETTINGS, **change}, 1, tmp_path / "g")
    assert not list(tmp_path.iterdir())

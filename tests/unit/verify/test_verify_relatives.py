"""The second implementation against the scan where relatives are correlated, from the same files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from association_cases import make_genotypes, pack, settings_of
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.tables import write_json, write_tsv
from deepnull_gwas.verify import relatives as verify_relatives
from deepnull_gwas.verify.compare import differences
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.relatives import read_relatives
from deepnull_gwas.verify.second import Second
from deepnull_gwas.whole_genome.relatives import read_correlations

N, M = 640, 16
ARMS = ("baseline", "deepnull")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return genotypes, values of people, and the files of relatives: families of three or four, and a chain of
    distant relatives that joins most of them into a cluster too large.
    """
    folder = tmp_path_factory.mktemp("relatives")
    rng = np.random.default_rng(8)
    g = make_genotypes(rng, N, M, missing=0.02)
    g[:3] = np.where(rng.random((3, N)) < 0.012, 1, 0)
    first, second, relation = [], [], []
    for k in range(0, 480, 4):
        for i, j, name in ((0, 1, "sibling"), (1, 2, "parent_child"), (0, 2, "parent_child"), (2, 3, "second_degree")):
            first.append(k + i)
            second.append(k + j)
            relation.append(name)
        if k < 400:
            first.append(k + 3)
            second.append(k + 4)
            relation.append("third_degree")
    pairs = pd.DataFrame({"sample_index_1": first, "sample_index_2": second, "relation": relation, "kinship": 0.2})
    write_tsv(pairs.sample(frac=1, random_state=1), folder / "relatives.tsv")
    rho = {"sibling": 0.45, "parent_child": 0.35, "second_degree": 0.2, "third_degree": 0.06}
    arms = {
        arm: {
            "relatives": {
                r: {"rho": value * scale, "rho_by_chromosome": {"1": value * scale + 0.02}} for r, value in rho.items()
            }
        }
        for arm, scale in (("baseline", 1.0), ("deepnull", 1.5))
    }
    write_json({"arms": arms}, folder / "genome.json")
    c = rng.normal(size=(N, 2))
    d = np.cos(2 * c[:, 0])
    y = c[:, 0] + d + 0.4 * np.maximum(g[7], 0) + rng.normal(size=N)
    return folder, g, c, d, y, rng.normal(size=N)


@pytest.mark.parametrize("kind", ["autosome", "X", "Y", "MT"])
@pytest.mark.parametrize("method", ["linear", "score", "logistic", "firth", "firth_approximate", "spa"])
def test_the_second_implementation_agrees_about_relatives(case, kind, method):
    folder, g, c, d, y, offset = case
    people = np.flatnonzero(np.arange(N) % 9 != 4)
    trait = "quantitative" if method == "linear" else "binary"
    values = y if method == "linear" else (y > np.quantile(y, 0.7)).astype(float)
    sex = (1 + np.arange(N) // 2 % 2).astype(np.int8)
    sex[5] = 0
    calls = np.where((g == 1) & (kind in ("Y", "MT") or (kind == "X" and sex == 1)), 2, g)
    chromosome = "1" if kind == "autosome" else kind
    settings = {
        "refine_below": 0.0 if method == "score" else 1.0, "refine_by": "spa" if method == "spa" else "likelihood",
        "firth": "always" if method.startswith("firth") else "never", "missing_genotypes": "drop",
        "firth_form": "approximate" if method == "firth_approximate" else "full",
    }  # fmt: skip
    # of one arm: the other's correlations are those of the whole genome
    offsets = {("deepnull", kind, chromosome): offset[people]}
    known = read_correlations(folder / "relatives.tsv", folder / "genome.json", people)
    study = StudyInput(
        "s", trait, ARMS, people, values[people], c[people], ("a", "b"), d[people], offsets=offsets, relatives=known
    )
    found = Scan([study], sex, settings_of(**settings)).block(PackedBlock(pack(calls), N), kind, chromosome)
    again = Study(
        "s", trait, ARMS, (), people, values[people], c[people], d[people], folder, offsets,
        read_relatives(folder / "relatives.tsv", folder / "genome.json", people),
    )  # fmt: skip
    second = Second(again, sex, kind, settings, chromosome)
    compared = 0
    for arm in ARMS:
        assert arm in second.kin
        for v in range(M):
            if found[f"s.{arm}.method"][v] != method:
                continue
            copies = np.where(calls[v] < 0, np.nan, calls[v]).astype(float)
            values_found = [found[f"s.{arm}.{name}"][v] for name in ("beta", "se", "neg_log10_p")]
            for difference in differences(*values_found, second.test(copies, arm, method)):
                assert difference.agrees, (arm, v, values_found, str(difference))
            assert second.counts(copies)["n"] == found["s.n"][v]
            compared += 1
    assert compared > (1 if method == "spa" else M)


def test_a_cluster_that_is_too_large_is_cut_in_the_same_places(case):
    folder, *_ = case
    people = np.arange(N)
    known = read_correlations(folder / "relatives.tsv", folder / "genome.json", people)
    from deepnull_gwas.association.clusters import find_clusters

    pairs = known.pairs
    clusters = find_clusters(N, pairs.first, pairs.second, known.on("baseline", "1"), pairs.kinship)
    related = read_relatives(folder / "relatives.tsv", folder / "genome.json", people)
    kin = verify_relatives.Kin(related.edges("baseline", "1", np.ones(N, dtype=bool)), N)
    assert clusters.cut == len(kin.apart) > 0
    deviations = np.linspace(0.5, 2, N)
    assert clusters.share_apart() == pytest.approx(kin.beyond_clusters(np.ones(N)), rel=1e-12) != 0
    assert clusters.share_apart(deviations) == pytest.approx(kin.beyond_clusters(deviations), rel=1e-12)
    assert len(clusters.groups) == len(kin.blocks) > 1
    for group, (members, matrix) in zip(clusters.groups, kin.blocks, strict=True):
        assert len(members[0]) <= verify_relatives.LARGEST
        order = np.lexsort(members.T[::-1])
        mine = np.lexsort(group.members.T[::-1])
        np.testing.assert_array_equal(group.members[mine], members[order])
        np.testing.assert_allclose(group.matrix[mine], matrix[order], atol=1e-12)

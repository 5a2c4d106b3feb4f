"""Formats behind the interface of genotypes: several files as one matrix, tables, and what belongs together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bgen_files import BgenFile, random_variant
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bgen import BgenGenotypes
from deepnull_gwas.genotypes.bgen_files import Bgen
from deepnull_gwas.genotypes.block import Mask
from deepnull_gwas.genotypes.blocks import read_block
from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.genotypes.pgen import PgenGenotypes
from deepnull_gwas.genotypes.pgen_files import Pgen
from deepnull_gwas.verify.genotypes import read_copies

pgenlib = pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

PEOPLE = 29


def write_pgen(prefix, alternatives, seed):
    """Write hard calls; return the alleles that people have, rows x people x 2."""
    rng = np.random.default_rng(seed)
    most = max(len(a.split(",")) for a in alternatives) + 1
    codes = np.stack([rng.integers(0, len(a.split(",")) + 1, (PEOPLE, 2)) for a in alternatives]).astype(np.int32)
    path = str(prefix.with_suffix(".pgen")).encode()
    with pgenlib.PgenWriter(
        path, PEOPLE, variant_ct_limit=len(codes), allele_ct_limit=most, nonref_flags=False
    ) as writer:
        for row, a in zip(codes, alternatives):
            writer.append_alleles(row.ravel(), allele_ct=len(a.split(",")) + 1)
    rows = "".join(f"1\t{i + 1}\t{prefix.name}{i}\tG\t{a}\n" for i, a in enumerate(alternatives))
    prefix.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + rows)
    prefix.with_suffix(".psam").write_text("#IID\n" + "".join(f"p{i}\n" for i in range(PEOPLE)))
    return codes


def counts_of(codes, alternatives):
    return np.array(
        [(row == k).sum(axis=1) for row, a in zip(codes, alternatives) for k in range(1, len(a.split(",")) + 1)]
    )


def unpack(packed):
    codes = np.stack([packed >> 2 * k & 3 for k in range(4)], axis=-1).reshape(len(packed), -1)[:, :PEOPLE]
    return np.array([2, -1, 1, 0])[codes]


def test_several_pgen_are_one_matrix(tmp_path):
    alternatives = [["A", "A,C", "C", "T"], ["A", "C", "A"]]
    names = [tmp_path / "one.pgen", tmp_path / "two.pgen"]
    want = np.concatenate(
        [counts_of(write_pgen(n.with_suffix(""), a, i), a) for i, (n, a) in enumerate(zip(names, alternatives))]
    )
    genotypes = PgenGenotypes(names)
    assert (genotypes.n_variants, genotypes.n_samples) == (8, PEOPLE)
    assert genotypes.starts.tolist() == [0, 5, 8]
    assert [len(PgenGenotypes.read_variants(str(n))) for n in names] == [5, 3]
    index = np.array([7, 0, 2, 5, 1])
    for asked in (index, np.arange(8), np.array([6, 7])):
        assert np.array_equal(unpack(genotypes.calls(asked)), want[asked])
        found = genotypes.dosages(asked, np.ones((1, PEOPLE)))
        assert np.array_equal(found.values, want[asked] * 16384)
        assert np.array_equal(found.sums[:, 0, 1], want[asked].sum(axis=1) * 16384)
        assert (found.denominator == 16384).all()
    out = np.empty((5, PEOPLE), dtype=np.uint16)
    assert genotypes.dosages(index, out=out).values is out
    assert np.array_equal(out, want[index] * 16384)
    blocks = [(a, b, unpack(p)) for a, b, p in genotypes.blocks(1, 8, 3)]
    assert [(a, b) for a, b, _ in blocks] == [(1, 4), (4, 5), (5, 8)]
    assert np.array_equal(np.concatenate([p for *_, p in blocks]), want[1:])
    assert genotypes.place_of(2)[:3] == (str(names[0]), 1, 2) and genotypes.place_of(6)[:2] == (str(names[1]), 1)
    for variant in range(8):
        # the second implementation's own reader
        copies = read_copies(genotypes.place_of(variant), PEOPLE)
        assert np.array_equal(copies, want[variant])


def test_no_pvar_is_read_where_the_index_says_as_many_variants_as_rows(tmp_path):
    codes = write_pgen(tmp_path / "x", ["A", "C"], 0)
    (tmp_path / "x.pvar").unlink()
    index = {"filesets": [str(tmp_path / "x.pgen")], "variants": 2}
    genotypes = PgenGenotypes.from_index(index)
    assert np.array_equal(unpack(genotypes.calls(np.arange(2))), counts_of(codes, ["A", "C"]))


def test_other_people(tmp_path, monkeypatch):
    write_pgen(tmp_path / "x", ["A"], 0)
    monkeypatch.setattr("test_formats_joined.PEOPLE", PEOPLE + 1)
    write_pgen(tmp_path / "y", ["A"], 0)
    with pytest.raises(InputError, match=r"y\.psam: 30 people, but .*x\.psam has 29"):
        PgenGenotypes([tmp_path / "x.pgen", tmp_path / "y.pgen"])
    with pytest.raises(InputError, match=r"x\.psam: 30 people, but .*x\.pgen has 29"):
        PgenGenotypes.check(str(tmp_path / "x.pgen"), 1, 30)


def test_files_of_a_pgen(tmp_path):
    write_pgen(tmp_path / "x", ["A", "C,T"], 0)
    form = Pgen()
    assert form.files("x.pgen", str(tmp_path)) == ("x.pgen", "x.pvar", "x.psam")
    (tmp_path / "x.pvar").rename(tmp_path / "x.pvar.zst")
    assert form.files("x.pgen", str(tmp_path)) == ("x.pgen", "x.pvar.zst", "x.psam")
    found = form.extent(("x.pgen",), str(tmp_path))
    assert (found.people, found.variants) == (PEOPLE, (2,))
    assert form.reader() is PgenGenotypes


def write_bgen(path, seed, identifiers=True, **options):
    rng = np.random.default_rng(seed)
    variants = [random_variant(rng, PEOPLE, rsid=f"{path.stem}{i}", position=i + 1, **options) for i in range(4)]
    BgenFile(variants, "zstd", [f"p{i}" for i in range(PEOPLE)] if identifiers else None).write(path)
    return variants


def test_several_bgen_are_one_matrix_of_several_units(tmp_path):
    names = [tmp_path / "one.bgen", tmp_path / "two.bgen"]
    planted = write_bgen(names[0], 0, bits=8) + write_bgen(names[1], 1, bits=16, phased=True)
    settings = {"bgen_reference": "last", "bgen_index": str(tmp_path / "results")}
    variants = [BgenGenotypes.read_variants(str(n), settings) for n in names]
    assert [v["id"].tolist() for v in variants] == [[f"{n.stem}{i}" for i in range(4)] for n in names]
    (tmp_path / "genotypes.json").write_text(
        json.dumps({"filesets": [str(n) for n in names], "variants": 8, **settings})
    )
    genotypes = BgenGenotypes.from_index(json.loads((tmp_path / "genotypes.json").read_text()))
    assert genotypes.has_dosages and genotypes.has_probabilities
    index = np.array([6, 1, 0, 7])
    found = genotypes.dosages(index, np.ones((2, PEOPLE), dtype=bool))
    assert found.denominator.tolist() == [16384, 255, 255, 16384]
    assert found.variance_denominator.tolist() == [65535**2, 255**2, 255**2, 65535**2]
    want = np.array([planted[i].first_allele_dosages() for i in index])
    np.testing.assert_allclose(found.to_float(), want, atol=0.51 / 16384)
    assert np.array_equal(found.values == MISSING, np.isnan(want))
    for reference in ("first", "last"):
        same = BgenGenotypes(names, settings | {"bgen_reference": reference})
        for k, variant in enumerate(index):
            # the second implementation's own reader
            copies = read_copies(same.place_of(variant), PEOPLE)
            expected = same.dosages(index[[k]]).to_float()[0]
            np.testing.assert_allclose(copies, expected, atol=1e-12)
            np.testing.assert_allclose(copies, want[k] if reference == "last" else 2 - want[k], atol=0.51 / 16384)
    variances = np.array([np.nansum(planted[i].variances()) for i in index])
    np.testing.assert_allclose(found.sums[:, 1, 3] / found.variance_denominator, variances, rtol=1e-9)
    assert sorted(p.suffix for p in (tmp_path / "results").iterdir()) == [".parquet", ".parquet"]
    assert not list(tmp_path.glob("*.bgi"))


@pytest.mark.parametrize("bits", [8, 16])
def test_blocks_of_probabilities_have_the_information_of_impute(tmp_path, bits):
    planted = write_bgen(tmp_path / "x.bgen", 3, bits=bits, haploid=0.5)
    genotypes = BgenGenotypes(
        [tmp_path / "x.bgen"], {"bgen_reference": "last", "bgen_index": str(tmp_path / "results")}
    )
    chosen = np.random.default_rng(0).random(PEOPLE) < 0.8
    one = np.random.default_rng(1).random(PEOPLE) < 0.5
    mask, haploid = Mask.of(chosen), Mask.of(one)
    block = read_block(genotypes, np.arange(4), [mask, mask & haploid])
    assert np.array_equal(read_block(genotypes, np.arange(4)).calls(mask), block.calls(mask))
    for by_sex, found in ((False, block.information(mask)), (True, block.inherited(haploid, True).information(mask))):
        for v, variant in enumerate(planted):
            e, spread = variant.first_allele_dosages(), variant.variances()
            use = chosen & ~np.isnan(e)
            single = use & one if by_sex else np.zeros(PEOPLE, dtype=bool)
            double = use & ~single
            copies = 2 * double.sum() + single.sum()
            p = (e[double].sum() + e[single].sum() / 2) / copies
            expected = p * (1 - p) * (2 * double.sum() + 4 * single.sum())
            assert found[v] == pytest.approx(1 - spread[use].sum() / expected, abs=1e-6)


def test_people_of_a_bgen(tmp_path):
    path = tmp_path / "x.bgen"
    write_bgen(path, 0)
    assert BgenGenotypes.read_people(str(path))["iid"].tolist() == [f"p{i}" for i in range(PEOPLE)]
    assert Bgen().people_file(str(path)) == str(path)
    head = "ID_1 ID_2 missing sex\n0 0 0 D\n"
    rows = [f"F{i} p{i} 0 {i % 2 + 1}\n" for i in range(PEOPLE)]
    sample = tmp_path / "x.sample"
    sample.write_text(head + "".join(rows))
    assert BgenGenotypes.read_people(str(path))["sex"].tolist() == [i % 2 + 1 for i in range(PEOPLE)]
    assert Bgen().files("x.bgen", str(tmp_path)) == ("x.bgen", "x.sample")
    sample.write_text(head + "".join(rows[::-1]))
    with pytest.raises(InputError, match="the same people in another order"):
        BgenGenotypes.read_people(str(path))
    sample.write_text(head + "".join(rows[:-1]))
    with pytest.raises(InputError, match=r"28 people, but .*has 29"):
        BgenGenotypes.read_people(str(path))
    with pytest.raises(InputError, match="29 people, but 28 are listed"):
        BgenGenotypes.check(str(path), 4, 28)


def test_an_anonymous_bgen_needs_a_sample(tmp_path):
    write_bgen(tmp_path / "x.bgen", 0, identifiers=False)
    with pytest.raises(InputError, match=r"lists no people, and there is no .*x\.sample"):
        BgenGenotypes.read_people(str(tmp_path / "x.bgen"))


def test_the_extent_of_a_bgen(tmp_path):
    write_bgen(tmp_path / "x.bgen", 0)
    found = Bgen().extent(("x.bgen",), str(tmp_path))
    assert (found.people, found.variants) == (PEOPLE, (4,))
    with pytest.raises(InputError, match="no such file"):
        Bgen().extent(("y.bgen",), str(tmp_path))

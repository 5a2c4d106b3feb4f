"""Ingestion of files with dosages: what is written down of them, and how they are opened again."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.pgen import PgenGenotypes
from dosage_files import UNIT, variant_rows, write_bgen, write_pgen

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")


@pytest.fixture
def imputed(small):
    """Return the small cohort with dosages of twelve variants, its people and variants."""
    rng = np.random.default_rng(5)
    small.dosages = rng.integers(0, 2 * 16384, (12, small.people)) * UNIT
    small.dosages[3, 7] = np.nan
    small.rows = variant_rows(12)
    small.who = pd.DataFrame({"fid": small.fids, "iid": small.iids, "sex": np.tile([1, 2], small.people // 2)})
    return small


def test_a_pgen(imputed):
    name = write_pgen(imputed.folder / "x", imputed.dosages, imputed.rows, imputed.who)
    assert imputed.index([name])["recorded_sex"].tolist()[:2] == [1, 2]
    index = json.loads((imputed.out / "genotypes.json").read_text())
    assert (index["format"], index["filesets"], index["other_is_reference"]) == ("pgen", [name], [True])
    assert "bgen_index" not in index
    check(imputed)


@pytest.mark.parametrize("reference", ["first", "last"])
def test_a_bgen(imputed, reference):
    name = write_bgen(imputed.folder / "x.bgen", imputed.dosages, imputed.rows, imputed.who, reference)
    imputed.index([name], bgen_reference=reference, hard_call_threshold=0.25)
    index = json.loads((imputed.out / "genotypes.json").read_text())
    assert (index["format"], index["bgen_reference"], index["hard_call_threshold"]) == ("bgen", reference, 0.25)
    assert index["other_is_reference"] == [True]
    # its index is kept in the results, and nothing beside the user's files
    assert sorted(p.name for p in imputed.folder.glob("x.*")) == ["x.bgen", "x.sample"]
    assert [p.suffix for p in (imputed.out / "genotypes").iterdir()] == [".parquet"]
    check(imputed)
    calls = open_genotypes(imputed.out / "genotypes.json").calls(np.arange(12))
    missing = (np.stack([calls >> k & 3 for k in (0, 2, 4, 6)], axis=-1).reshape(12, -1) == 1)[:, : imputed.people]
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(imputed.dosages - np.round(imputed.dosages)) <= 0.25)
    assert np.array_equal(missing, far)


def test_the_other_word_swaps_alleles_and_dosages(imputed):
    name = write_bgen(imputed.folder / "x.bgen", imputed.dosages, imputed.rows, imputed.who, "last")
    imputed.index([name], bgen_reference="first")
    variants = pd.read_parquet(imputed.out / "variants.parquet")
    assert variants["effect_allele"].tolist() == imputed.rows["other_allele"].tolist()
    found = open_genotypes(imputed.out / "genotypes.json").dosages(np.arange(12))
    known = ~np.isnan(imputed.dosages)
    assert np.allclose((found.values / found.denominator[:, None])[known], (2 - imputed.dosages)[known], atol=1e-9)


def check(imputed):
    """Check variants and dosages."""
    variants = pd.read_parquet(imputed.out / "variants.parquet")
    assert variants["effect_allele"].tolist() == imputed.rows["effect_allele"].tolist()
    assert variants["other_allele"].tolist() == imputed.rows["other_allele"].tolist()
    found = open_genotypes(imputed.out / "genotypes.json").dosages(np.arange(12))
    missing = np.isnan(imputed.dosages)
    assert np.array_equal(found.values == 65535, missing)
    assert np.array_equal((found.values / found.denominator[:, None])[~missing], imputed.dosages[~missing])


def test_a_bgen_without_the_word(imputed):
    name = write_bgen(imputed.folder / "x.bgen", imputed.dosages, imputed.rows, imputed.who, "last")
    with pytest.raises(InputError, match=r"x\.bgen: bgen_reference is ''; expected 'first' or 'last'"):
        imputed.index([name])
    assert "genotypes.json" not in imputed.written()


def test_a_sample_file_in_another_order(imputed):
    name = write_pgen(imputed.folder / "x", imputed.dosages, imputed.rows, imputed.who)
    other = write_pgen(imputed.folder / "y", imputed.dosages, imputed.rows, imputed.who.iloc[::-1])
    with pytest.raises(InputError, match=r"y\.psam: row 1 is 'F039 0039', but 'F000 0000' in .*x\.psam"):
        imputed.index([name, other])


def test_a_sample_of_another_name(imputed):
    """The named one counts, also where there is one of the .bgen's own name; it has to be this file's."""
    name = write_bgen(imputed.folder / "x.bgen", imputed.dosages, imputed.rows, imputed.who, "last", named=True)
    right = imputed.folder / "ukb_s40.sample"
    (imputed.folder / "x.sample").rename(right)
    (imputed.folder / "x.sample").write_text("not a .sample\n")
    lines = right.read_text().splitlines()
    settings = {"bgen_reference": "last", "bgen_samples": [str(right)]}
    assert imputed.index([name], **settings)["iid"].tolist() == imputed.iids
    index = json.loads((imputed.out / "genotypes.json").read_text())
    assert index["bgen_samples"] == {name: str(right)}
    for wrong, said in (
        (lines[:-1], r"ukb_s40\.sample: 39 people, but .*x\.bgen has 40; name the \.sample that was made with this"),
        ([*lines[:2], *lines[:1:-1]], r"ukb_s40\.sample: row 3 is 'F039 0039', but person 1 of .*x\.bgen"),
    ):
        right.write_text("\n".join(wrong) + "\n")
        with pytest.raises(InputError, match=said):
            imputed.index([name], **settings)
    right.unlink()
    with pytest.raises(InputError, match=r"ukb_s40\.sample: no such file"):
        imputed.index([name], **settings)


PR = "##INFO=<ID=PR,Number=0>\n"


@pytest.mark.parametrize(
    ("nonref", "head", "known"), [(False, "", True), (True, "", False), (None, "", True), (None, PR, False)]
)
def test_references_that_are_guesses(imputed, nonref, head, known):
    name = write_pgen(imputed.folder / "x", imputed.dosages, imputed.rows, imputed.who)
    # bits 6 and 7 of byte 11: what the .pgen says of all its references
    path = imputed.folder / "x.pgen"
    data = bytearray(path.read_bytes())
    data[11] = data[11] & 0x3F | {None: 0, False: 1, True: 2}[nonref] << 6
    path.write_bytes(data)
    if head:
        table = (imputed.folder / "x.pvar").read_text().splitlines()
        table = [table[0] + "\tINFO", *(f"{row}\tPR" for row in table[1:])]
        (imputed.folder / "x.pvar").write_text(head + "\n".join(table) + "\n")
    assert PgenGenotypes.other_is_reference(name) is known
    imputed.index([name])
    assert json.loads((imputed.out / "genotypes.json").read_text())["other_is_reference"] == [known]

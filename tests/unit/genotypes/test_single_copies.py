"""Males on X: on the scale of one copy in some files, found at the index, doubled once by every reader."""

from __future__ import annotations

import logging
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.array import ArrayOutputs, index_array
from deepnull_gwas.cohort.index import index_cohort
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.dosage import pack_dosages
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.vcf import import_vcf
from deepnull_gwas.tables import read_json
from deepnull_gwas.verify.genotypes import read_copies
from dosage_files import UNIT, variant_rows, write_bgen, write_pgen

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")

PEOPLE, AUTOSOMAL, ON_X = 80, 10, 40
SETTINGS = {
    "cohort": "c", "genome_build": "GRCh37", "sample_id": "IID", "family_id": None, "sex": "sex", "missing_values": [],
}  # fmt: skip
MALES = np.arange(PEOPLE) % 2 == 0
IDS = [f"p{i}" for i in range(PEOPLE)]


def rows_of() -> pd.DataFrame:
    table = pd.concat([variant_rows(AUTOSOMAL), variant_rows(ON_X, "X")], ignore_index=True)
    table["position"] += 3_000_000
    return table


def copies_of(hard: bool = False) -> np.ndarray:
    """Return dosages on the scale of two copies, males on X at 0 or 2 or near."""
    rng = np.random.default_rng(4)
    m = AUTOSOMAL + ON_X
    out = rng.binomial(2, rng.uniform(0.2, 0.5, (m, 1)), (m, PEOPLE)).astype(float)
    out[AUTOSOMAL:, MALES] = 2 * rng.binomial(1, rng.uniform(0.2, 0.5, (ON_X, 1)), (ON_X, MALES.sum()))
    if not hard:
        out = np.abs(out - np.where(rng.random(out.shape) < 0.3, rng.uniform(0, 0.4, out.shape), 0))
        out = np.round(np.clip(out, 0, 2) / UNIT / 2) * UNIT * 2
    out[rng.random(out.shape) < 0.03] = np.nan
    return out


def single(dosages: np.ndarray, males: np.ndarray = MALES) -> np.ndarray:
    out = dosages.copy()
    out[AUTOSOMAL:, males] /= 2
    return out


def indexed(folder, name, settings=None):
    (folder / "samples.tsv").write_text("IID\tsex\n" + "".join(f"{i}\t{2 - m}\n" for i, m in zip(IDS, MALES)))
    out = folder / "out"
    out.mkdir()
    index_cohort(
        [str(folder / name)], folder / "samples.tsv", SETTINGS | (settings or {}), 1, out / "genotypes.json",
        out / "variants.parquet", out / "samples.parquet",
    )  # fmt: skip
    return open_genotypes(out / "genotypes.json"), read_json(out / "genotypes.json")


def write(folder, kind, dosages):
    people = pd.DataFrame({"fid": "0", "iid": IDS, "sex": 2 - MALES})
    if kind == "bgen":
        return write_bgen(folder / "g.bgen", dosages, rows_of(), people, "first"), {"bgen_reference": "first"}
    if kind == "calls":
        dosages = np.where(np.isnan(dosages), -1, dosages).astype(np.int8)
    if kind != "vcf":
        return write_pgen(folder / "g", dosages, rows_of(), people), {}
    head = ["##fileformat=VCFv4.3", '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">']
    head.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *IDS]))
    for row, v in zip(dosages, rows_of().itertuples()):
        cells = ["." if np.isnan(d) else f"{d:.6f}" for d in row]
        front = [v.chromosome, str(v.position), v.id, v.other_allele, v.effect_allele, ".", ".", ".", "DS"]
        head.append("\t".join([*front, *cells]))
    (folder / "g.vcf").write_text("\n".join(head) + "\n")
    import_vcf(folder / "g.vcf", folder / "g", "DS")
    return str(folder / "g.pgen"), {}


@pytest.mark.parametrize("kind", ["pgen", "calls", "bgen", "vcf"])
def test_both_scales_are_read_alike(tmp_path, kind, caplog):
    """Dosages, exact sums, hard calls, and what the second implementation reads."""
    found = {}
    for scale, change in (("two", lambda d: d), ("one", single)):
        folder = tmp_path / scale
        folder.mkdir()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            path, settings = write(folder, kind, change(copies_of(hard=kind == "calls")))
            genotypes, index = indexed(folder, path.rpartition("/")[2], settings)
        assert ("single_copies" in index) == (scale == "one")
        assert ("those of one copy" in caplog.text) == (scale == "one")
        rows, masks = np.arange(genotypes.n_variants), np.stack([MALES, ~MALES, np.arange(PEOPLE) < 31])
        dosages = genotypes.dosages(rows, masks)
        second = [read_copies(genotypes.place_of(v), PEOPLE, genotypes.single_copies_at(v)) for v in range(len(rows))]
        np.testing.assert_allclose(dosages.to_float(), second, atol=1e-9)
        some = np.array([3, AUTOSOMAL + 5, AUTOSOMAL + 1]) if kind != "bgen" else np.array([3, AUTOSOMAL + 5])
        assert np.array_equal(genotypes.calls(some), genotypes.calls(rows)[some])
        assert np.array_equal(genotypes.dosages(some).values, dosages.values[some])
        found[scale] = dosages, genotypes.calls(rows)
    for part in (0, 1, 2):
        assert np.array_equal(found["one"][0].sums[:, :, part], found["two"][0].sums[:, :, part])
    assert np.array_equal(found["one"][0].values, found["two"][0].values)
    assert np.array_equal(found["one"][1], found["two"][1])


def array_of(folder, dosages, people):
    """Index a cohort with dosages, and hard calls of some of its people in another order, whose .psam knows no sex."""
    write(folder, "pgen", copies_of())
    indexed(folder, "g.pgen")
    table = pd.DataFrame({"fid": "0", "iid": np.array(IDS)[people], "sex": 0})
    calls = np.where(np.isnan(dosages), -1, dosages).astype(np.int8)[:, people]
    name = write_pgen(folder / "array", calls, rows_of(), table)
    names = ("genotypes.json", "variants.parquet", "samples.parquet", "counts.parquet", "counts.samples.parquet")
    out = ArrayOutputs(*(folder / f"array_{n}" for n in names))
    index_array([name], folder / "out/genotypes.json", folder / "out/samples.parquet", 0.5, out)
    return open_genotypes(out.genotypes), read_json(out.genotypes), pd.read_parquet(out.variant_counts)


def test_hard_calls_for_structure_are_doubled_too(tmp_path, caplog):
    """By the cohort's sex, whatever the order of their people; counts are those of calls of two copies."""
    people, truth = np.random.default_rng(3).permutation(PEOPLE)[:70], copies_of(hard=True)
    found = {}
    for scale, change in (("two", lambda d: d), ("one", single)):
        folder = tmp_path / scale
        folder.mkdir()
        caplog.clear()
        genotypes, index, counts = array_of(folder, change(truth), people)
        assert ("single_copies" in index) == (scale == "one")
        assert ("array.pgen: on X the dosages of males are those of one copy" in caplog.text) == (scale == "one")
        found[scale] = genotypes.calls(np.arange(len(truth))), counts
    assert np.array_equal(found["one"][0], found["two"][0])
    assert found["one"][1].equals(found["two"][1])
    (tmp_path / "mixed").mkdir()
    half = MALES & (np.arange(PEOPLE) < PEOPLE / 2)
    with pytest.raises(InputError, match=r"array\.pgen: on X \d+ males have dosages of 0 to 1"):
        array_of(tmp_path / "mixed", single(truth, half), people)


def test_two_scales_in_one_file_are_refused(tmp_path):
    half = MALES & (np.arange(PEOPLE) < PEOPLE / 2)
    write(tmp_path, "pgen", single(copies_of(), half))
    with pytest.raises(InputError, match=r"g\.pgen: on X 20 males have dosages of 0 to 1 \(p0, p2, p4.* and 20 have"):
        indexed(tmp_path, "g.pgen")


def test_a_male_with_two_copies_among_the_others_is_named(tmp_path):
    """One who is recorded as a male by mistake stays as he is; an allele too many at one variant is an error."""
    dosages = single(copies_of())
    dosages[AUTOSOMAL:, 0] = np.random.default_rng(1).binomial(2, 0.4, ON_X)
    write(tmp_path, "pgen", dosages)
    genotypes, _ = indexed(tmp_path, "g.pgen")
    assert not genotypes.single_copies.people[0] and genotypes.single_copies.people.sum() == MALES.sum() - 1
    genotypes.single_copies.people[0] = True
    with pytest.raises(InputError, match=r"g\.pgen: the variant at .* has a male with a dosage of more than 1 on X"):
        genotypes.dosages(np.arange(genotypes.n_variants))


def test_nothing_tells_without_carriers(tmp_path):
    dosages = np.minimum(copies_of(), 0.5)
    write(tmp_path, "pgen", dosages)
    _, index = indexed(tmp_path, "g.pgen")
    assert "single_copies" not in index


@pytest.mark.skipif(shutil.which("plink2") is None, reason="plink2 is not installed")
def test_plink2_writes_haploid_calls_as_two_copies(tmp_path):
    """What Pgenlib reads of a .pgen that PLINK 2 made of haploid genotypes needs no doubling; nor do dosages."""
    truth = copies_of(hard=True)
    head = ["##fileformat=VCFv4.3", '##FORMAT=<ID=GT,Number=1,Type=String,Description="">', "##contig=<ID=1>"]
    head.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *IDS]))
    for k, (row, v) in enumerate(zip(truth, rows_of().itertuples())):
        haploid = MALES & (k >= AUTOSOMAL)
        cells = [
            "." if np.isnan(d) else (str(int(d / 2)) if one else ("0/0", "0/1", "1/1")[int(d)])
            for d, one in zip(row, haploid)
        ]
        front = [v.chromosome, str(v.position), v.id, v.other_allele, v.effect_allele, ".", ".", ".", "GT"]
        head.append("\t".join([*front, *cells]))
    (tmp_path / "h.vcf").write_text("\n".join(head) + "\n")
    (tmp_path / "sex.txt").write_text("#IID\tSEX\n" + "".join(f"{i}\t{2 - m}\n" for i, m in zip(IDS, MALES)))
    command = ["plink2", "--vcf", "h.vcf", "--update-sex", "sex.txt", "--split-par", "b37", "--silent", "--freq"]
    subprocess.run([*command, "--make-pgen", "--out", "g"], cwd=tmp_path, check=True)
    genotypes, index = indexed(tmp_path, "g.pgen")
    assert "single_copies" not in index
    found = genotypes.dosages(np.arange(len(truth))).to_float()
    assert np.array_equal(found, truth, equal_nan=True)
    theirs = pd.read_table(tmp_path / "g.afreq")["ALT_FREQS"]
    copies = np.where(np.isnan(found), 0, np.where((np.arange(len(truth)) >= AUTOSOMAL)[:, None] & MALES, 1, 2))
    ours = np.nansum(found * np.where(copies == 1, 0.5, 1), axis=1) / copies.sum(axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)


def test_the_threshold_of_an_imported_vcf(tmp_path):
    """Hard calls of an import are made anew where another threshold than the tenth of the import is asked for."""
    path, _ = write(tmp_path, "vcf", copies_of())
    genotypes, index = indexed(tmp_path, "g.pgen", {"hard_call_threshold": 0.3})
    rows = np.arange(genotypes.n_variants)
    assert index["hard_call_threshold"] == 0.3 and path.endswith("g.pgen")
    dosages = genotypes.dosages(rows)
    for threshold, same in ((0.3, True), (0.1, False)):
        assert np.array_equal(genotypes.calls(rows), pack_dosages(dosages, threshold)) == same
    assert np.array_equal(genotypes.calls_beside(rows, dosages), genotypes.calls(rows))

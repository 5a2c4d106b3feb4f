"""Dosages, hard calls, frequencies and INFO of every format against PLINK 2 and the package bgen, on the same data."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.genotypes.bgen import open_bgen
from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.genotypes.information import allele_frequency, impute_information, mach_r2
from deepnull_gwas.genotypes.people_tables import check_identifiers, read_sample
from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.genotypes.vcf import import_vcf

pytestmark = pytest.mark.oracle("plink2")
pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

PEOPLE, VARIANTS = 203, 60


def plink2(*arguments: object) -> None:
    done = subprocess.run(["plink2", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def write_vcf(path: Path, phased: bool) -> None:
    """Write dosages that people have: most near a whole number, some vague, some missing; half of the variants on X."""
    rng = np.random.default_rng(int(phased))
    head = (
        '##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=X>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">\n##FORMAT=<ID=HDS,Number=.,Type=Float,Description="">\n'
    )
    names = [f"p{i}" for i in range(PEOPLE)]
    rows = [head + "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names])]
    for v in range(VARIANTS):
        frequency = rng.beta(0.7, 1)
        cells = []
        for _ in range(PEOPLE):
            truth = rng.random(2) < frequency
            vague = rng.random() < 0.3
            h = np.clip(np.where(vague, 0.5 + (truth - 0.5) * rng.random(2), truth), 0, 1).round(3)
            if rng.random() < 0.04:
                cells.append(".|.:." if phased else "./.:.")
            elif phased:
                cells.append(f"{int(h[0] > 0.5)}|{int(h[1] > 0.5)}:{h[0]:.3f},{h[1]:.3f}")
            else:
                calls = ("0/0", "0/1", "1/1")[round(h.sum())]
                cells.append(f"{calls}:{h.sum():.3f}")
        form = "GT:HDS" if phased else "GT:DS"
        rows.append("\t".join(["1", str(100 + v), f"rs{v}", "G", "ACGT"[v % 2 * 3], ".", ".", ".", form, *cells]))
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    for name, field in (("plain", "DS"), ("phased", "HDS")):
        write_vcf(folder / f"{name}.vcf", name == "phased")
        plink2("--vcf", folder / f"{name}.vcf", f"dosage={field}", "--make-pgen", "--out", folder / name)
        for bits in (8, 16):
            for place in ("first", "last"):
                form = ["bgen-1.2", f"bits={bits}", f"ref-{place}"]
                plink2("--pfile", folder / name, "--export", *form, "--out", folder / f"{name}.{bits}.{place}")
        plink2("--pfile", folder / name, "--freq", "cols=+machr2", "--out", folder / name)
    return folder


def opened(folder: Path, name: str, bits: int, reference: str):
    path = folder / f"{name}.{bits}.{reference}.bgen"
    return open_bgen(path, reference, path.with_suffix(".index.parquet"))


@pytest.mark.parametrize("name", ["plain", "phased"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("reference", ["first", "last"])
def test_bgen_is_the_pgen_that_it_was_made_of(folder, name, bits, reference):
    reader, pvar, people = open_pgen(folder / name)
    bgen, index = opened(folder, name, bits, reference), np.arange(VARIANTS)
    pd.testing.assert_frame_equal(bgen.variants(), pvar.variants)
    want, got = reader.dosages(index).to_float(), bgen.dosages(index).to_float()
    assert np.array_equal(np.isnan(want), np.isnan(got))
    # PLINK 2 rounds each probability, of which a dosage is two
    assert np.nanmax(np.abs(want - got)) <= (1.01 / 255 if bits == 8 else 1 / 16384)
    assert (bgen.calls(index) == reader.calls(index)).mean() > (0.98 if bits == 8 else 0.999)
    sample = read_sample(folder / f"{name}.{bits}.{reference}.sample")
    check_identifiers(sample, bgen.header.identifiers, PEOPLE, "sample", "bgen")
    assert sample["iid"].tolist() == people["iid"].tolist()


@pytest.mark.parametrize("name", ["plain", "phased"])
@pytest.mark.parametrize(("bits", "reference"), [(8, "first"), (16, "last")])
def test_bgen_is_what_plink_reads_from_it(folder, tmp_path, name, bits, reference):
    source = folder / f"{name}.{bits}.{reference}"
    arguments = ["--bgen", f"{source}.bgen", f"ref-{reference}", "--sample", f"{source}.sample"]
    plink2(*arguments, "--make-pgen", "--out", tmp_path / "x")
    reader, index = open_pgen(tmp_path / "x")[0], np.arange(VARIANTS)
    want, got = reader.dosages(index), opened(folder, name, bits, reference).dosages(index)
    assert np.nanmax(np.abs(want.to_float() - got.to_float())) <= (0.51 if bits == 8 else 1) / 16384
    assert np.array_equal(reader.calls(index), opened(folder, name, bits, reference).calls(index))


@pytest.mark.parametrize("name", ["plain", "phased"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bgen_is_what_the_package_bgen_reads(folder, name, bits):
    package = pytest.importorskip("bgen", reason="the package bgen is not installed")
    reader = opened(folder, name, bits, "last")
    everybody = np.ones((1, PEOPLE), dtype=bool)
    found = reader.dosages(np.arange(VARIANTS), masks=everybody)
    info = impute_information(found.sums[:, 0], found.variance_denominator)
    path = folder / f"{name}.{bits}.last.bgen"
    for v, variant in enumerate(package.BgenReader(str(path), delay_parsing=True)):
        p = variant.probabilities.astype(np.float64)
        if variant.is_phased:
            a, b = p[:, 0], p[:, 2]
            two, one = a * b, a * (1 - b) + b * (1 - a)
        else:
            two, one = p[:, 0], p[:, 1]
        e, f = 2 * two + one, 4 * two + one
        assert (variant.rsid, variant.pos) == (reader.index.id[v], reader.index.position[v])
        np.testing.assert_allclose(found.to_float()[v], e, atol=1e-6 if bits == 8 else 0.51 / 16384)
        n = np.isfinite(e).sum()
        theta = np.nansum(e) / (2 * n)
        want = 1 - np.nansum(f - e**2) / (2 * n * theta * (1 - theta))
        assert info[v] == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("name", ["plain", "phased"])
def test_frequency_and_mach_r2_are_those_of_plink(folder, name):
    reader = open_pgen(folder / name)[0]
    sums = reader.dosages(np.arange(VARIANTS), masks=np.ones((1, PEOPLE), dtype=bool)).sums[:, 0]
    denominator = np.full(VARIANTS, 16384)
    plink = pd.read_csv(folder / f"{name}.afreq", sep="\t")
    assert np.array_equal(2 * sums[:, 0], plink["OBS_CT"])
    np.testing.assert_allclose(allele_frequency(sums, None, denominator), plink["ALT_FREQS"], rtol=2e-5)
    np.testing.assert_allclose(mach_r2(sums, denominator), plink["MACH_R2"], rtol=2e-5)


def test_several_alternative_alleles(tmp_path):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 4, (10, 31, 2))
    head = '##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
    rows = [
        "\t".join(
            ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *(f"p{i}" for i in range(31))]
        )
    ]
    for v, row in enumerate(codes):
        cells = [f"{a}/{b}" for a, b in row]
        rows.append("\t".join(["1", str(v + 1), f"rs{v}", "G", "A,C,T", ".", ".", ".", "GT", *cells]))
    (tmp_path / "x.vcf").write_text(head + "\n".join(rows) + "\n")
    plink2("--vcf", tmp_path / "x.vcf", "--make-pgen", "vzs", "--out", tmp_path / "x")
    plink2("--pfile", tmp_path / "x", "vzs", "--freq", "cols=+altfreq,+nobs", "--out", tmp_path / "x")
    reader, pvar, _ = open_pgen(tmp_path / "x")
    found = reader.dosages(np.arange(30)).values
    want = (codes[pvar.row] == pvar.allele[:, None, None]).sum(axis=2)
    assert np.array_equal(found, want * 16384) and not (found == MISSING).any()
    frequencies = pd.read_csv(tmp_path / "x.afreq", sep="\t")["ALT_FREQS"].str.split(",").explode().astype(float)
    np.testing.assert_allclose(want.mean(axis=1) / 2, frequencies, rtol=2e-5)


@pytest.mark.parametrize(("name", "fields"), [("plain", ["GT", "DS"]), ("phased", ["GT", "HDS"])])
def test_vcf_is_imported_as_plink_does(folder, tmp_path, name, fields):
    index = np.arange(VARIANTS)
    for field in fields:
        import_vcf(folder / f"{name}.vcf", tmp_path / "x", field)
        reader, pvar, people = open_pgen(tmp_path / "x")
        if field == "GT":
            plink2("--vcf", folder / f"{name}.vcf", "--make-pgen", "--out", tmp_path / "y")
        plink, plink_pvar, plink_people = open_pgen(tmp_path / "y" if field == "GT" else folder / name)
        assert np.array_equal(reader.dosages(index).values, plink.dosages(index).values)
        assert np.array_equal(reader.calls(index), plink.calls(index))
        assert pvar.variants.equals(plink_pvar.variants) and people.equals(plink_people)
    plink2("--pfile", tmp_path / "x", "--validate", "--out", tmp_path / "x")

"""Quality control of imputed genotypes: uncertain ones are not missing, and what is measured is that of PLINK 2."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import NO_FILTER
from deepnull_gwas.cohort.counts import count_chunk
from deepnull_gwas.cohort.pruning import prune_variants
from deepnull_gwas.cohort.qc import QcInputs, QcOutputs, filter_cohort
from deepnull_gwas.tables import write_json, write_parquet

pgenlib = pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")

PEOPLE = 400


def write_cohort(folder, dosages, chromosome=None, chunks=2):
    """Write dosages (variants x people, NaN missing, 0-2 for everybody) as a PLINK 2 fileset, and index it."""
    m, n = dosages.shape
    chromosome = ["1"] * m if chromosome is None else chromosome
    numbers = np.where(np.isnan(dosages), -9, dosages).astype(np.float32)
    with pgenlib.PgenWriter(
        str(folder / "x.pgen").encode(), n, variant_ct=m, nonref_flags=False, dosage_present=True
    ) as file:
        file.append_dosages_batch(numbers)
    rows = "".join(f"{c}\t{3_000_000 + 5000 * i}\tv{i}\tG\tA\n" for i, c in enumerate(chromosome))
    (folder / "x.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + rows)
    (folder / "x.psam").write_text("#IID\tSEX\n" + "".join(f"p{i}\t{i % 2 + 1}\n" for i in range(n)))
    index = np.arange(m)
    table = pd.DataFrame(
        {
            "index": index, "chromosome": chromosome, "position": 3_000_000 + 5000 * index,
            "id": [f"v{i}" for i in index], "effect_allele": "A", "other_allele": "G",
            "file": np.zeros(m, dtype=np.int32), "file_row": index, "chunk": (index * chunks // m).astype(np.int32),
        }
    )  # fmt: skip
    people = pd.DataFrame(
        {
            "sample_index": np.arange(n), "fid": "0", "iid": [f"p{i}" for i in range(n)],
            "recorded_sex": (np.arange(n) % 2 + 1).astype(np.int8), "in_sample_table": True,
        }
    )  # fmt: skip
    head = {"filesets": [str(folder / "x.pgen")], "samples": n, "variants": m, "genome_build": "GRCh37"}
    write_json(head, folder / "genotypes.json")
    write_parquet(table, folder / "variants.parquet")
    write_parquet(people, folder / "samples.parquet")


def run_qc(folder, settings, chunks=2):
    tables = [folder / name for name in ("genotypes.json", "variants.parquet", "samples.parquet")]
    counts = [[folder / f"{c}.parquet" for c in range(chunks)], [folder / f"{c}.s.parquet" for c in range(chunks)]]
    for c in range(chunks):
        count_chunk(*tables, c, counts[0][c], counts[1][c])
    out = [folder / name for name in ("v.parquet", "p.parquet", "flow.tsv", "sex.tsv")]
    filter_cohort(QcInputs(*tables, *counts), {**NO_FILTER, **settings}, QcOutputs(*out))
    return pd.read_parquet(out[0]), pd.read_parquet(out[1])


def noisy(rng, m, n=PEOPLE, noise=0.15):
    """Return dosages that are mostly too far from whole numbers for a hard call at .1."""
    p = rng.uniform(0.2, 0.5, (m, 1))
    return np.clip(np.round((rng.binomial(2, p, (m, n)) + rng.normal(0, noise, (m, n))) * 16384) / 16384, 0, 2)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


STRICT = {
    "variant_call_rate": 0.95, "sample_call_rate": 0.95, "maf": 0.01, "mac": 20, "hwe_p": 1e-15,
    "heterozygosity_f": 0.2,
}  # fmt: skip


def test_noisy_dosages_are_not_missing(tmp_path, rng):
    dosages = noisy(rng, 300)
    dosages[5, :40] = np.nan  # a tenth is not in the file
    dosages[10:100, 7] = np.nan  # nor most of a person
    write_cohort(tmp_path, dosages)
    variants, people = run_qc(tmp_path, STRICT)
    assert variants.index[~variants["passed"]].tolist() == [5]
    assert people.index[~people["passed"]].tolist() == [7]
    kept = np.delete(dosages, 7, axis=1)
    call = np.abs(kept - np.round(kept)) <= 0.1
    assert (variants["uncertain"].to_numpy() == (~call & ~np.isnan(kept)).sum(axis=1)).all()
    assert (variants["uncertain"] > 0.2 * PEOPLE).mean() > 0.9
    for name, value in (("hom_effect", 2), ("het", 1), ("hom_other", 0)):
        assert (variants[name].to_numpy() == (call & (np.round(kept) == value)).sum(axis=1)).all()
    assert (variants["missing"].to_numpy() == np.isnan(kept).sum(axis=1)).all()
    np.testing.assert_allclose(variants["effect_allele_frequency"], np.nanmean(kept, axis=1) / 2, rtol=1e-12)
    p = np.nanmean(kept, axis=1) / 2
    np.testing.assert_allclose(variants["info"], np.nanvar(kept, axis=1) / (2 * p * (1 - p)), rtol=1e-9)
    # no excess of homozygous people, though heterozygous ones are the sooner uncertain
    assert abs(people["heterozygosity_f"].mean()) < 0.02


def test_whole_dosages_are_measured_as_hard_calls(tmp_path, rng):
    """One uncertain genotype makes a format of dosages of the same whole numbers."""
    p = rng.uniform(0.05, 0.5, (120, 1))
    dosages = rng.binomial(2, p, (120, PEOPLE)).astype(float)
    dosages[rng.random(dosages.shape) < 0.02] = np.nan
    chromosome = ["1"] * 60 + ["X"] * 30 + ["Y"] * 15 + ["MT"] * 15
    (tmp_path / "calls").mkdir()
    (tmp_path / "dosages").mkdir()
    write_cohort(tmp_path / "calls", dosages, chromosome)
    dosages[3, 0] = 0.3
    write_cohort(tmp_path / "dosages", dosages, chromosome)
    of_calls, people_of_calls = run_qc(tmp_path / "calls", {"sample_call_rate": 0.9})
    found, people = run_qc(tmp_path / "dosages", {"sample_call_rate": 0.9})
    assert "uncertain" not in of_calls and found["uncertain"].sum() == 1
    same = np.arange(120) != 3
    for name in of_calls.columns:
        np.testing.assert_array_equal(found[name][same], of_calls[name][same], err_msg=name)
    for name in ("call_rate", "passed", "y_call_rate", "heterozygosity"):
        np.testing.assert_array_equal(people[name][1:], people_of_calls[name][1:], err_msg=name)
    # another expectation, of few variants
    np.testing.assert_allclose(people["x_f"][1:], people_of_calls["x_f"][1:], atol=0.2)


@pytest.mark.skipif(shutil.which("plink2") is None, reason="plink2 is not installed")
def test_frequencies_on_all_chromosomes_are_those_of_plink2(tmp_path, rng):
    dosages = noisy(rng, 60, noise=0.05)
    dosages[rng.random(dosages.shape) < 0.03] = np.nan
    chromosome = ["1"] * 20 + ["X"] * 40
    males = np.arange(PEOPLE) % 2 == 0
    on_x = np.arange(60) >= 20
    dosages[np.ix_(on_x, males)] = (
        np.clip(np.round(rng.binomial(1, 0.3, (40, males.sum())) + rng.normal(0, 0.03, (40, males.sum())), 3), 0, 1) * 2
    )
    write_cohort(tmp_path, dosages, chromosome)
    found, _ = run_qc(tmp_path, {})
    subprocess.run(
        ["plink2", "--pfile", "x", "--freq", "cols=+machr2", "--missing", "variant-only", "--out", "x", "--silent"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    theirs = pd.read_table(tmp_path / "x.afreq")
    np.testing.assert_allclose(found["effect_allele_frequency"], theirs["ALT_FREQS"], rtol=2e-5)
    np.testing.assert_allclose(found["info"][:20], theirs["MACH_R2"][:20], rtol=1e-4)
    assert found["info"][20:].between(0.75, 1.25).all()


def test_components_are_of_certain_variants(tmp_path, rng):
    good, bad = noisy(rng, 60, noise=0.01), noisy(rng, 60, noise=0.2)
    write_cohort(tmp_path, np.concatenate([good, bad]))
    run_qc(tmp_path, {})
    (tmp_path / "regions.tsv").write_text("build\tchromosome\tstart\tend\tname\n")
    settings = {"maf": 0.05, "window_kb": 1000, "r2": 0.5, "genome_build": "GRCh37"}
    files = [tmp_path / name for name in ("genotypes.json", "variants.parquet", "v.parquet", "p.parquet")]
    prune_variants(*files, tmp_path / "regions.tsv", settings, tmp_path / "pruned.parquet")
    kept = pd.read_parquet(tmp_path / "pruned.parquet")["index"]
    assert len(kept) > 40
    assert kept.max() < 60

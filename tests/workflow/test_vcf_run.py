"""The workflow on VCF files, one per chromosome: imported once, then what a PLINK 2 fileset of the same dosages is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.results.sumstats import read_sumstats
from dosage_files import UNIT, variant_rows, write_pgen
from workflow_runs import CONFIG, Run

pytestmark = pytest.mark.workflow
pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")

PEOPLE, OF_CHROMOSOME = 200, {"1": 60, "22": 40}


def write_vcf(path: Path, dosages: np.ndarray, variants: pd.DataFrame, people: list[str]) -> None:
    import pysam

    head = ["##fileformat=VCFv4.3", '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">']
    head.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]))
    for row, v in zip(dosages, variants.itertuples()):
        front = [f"chr{v.chromosome}", str(v.position), v.id, v.other_allele, v.effect_allele, ".", "PASS", ".", "DS"]
        head.append("\t".join([*front, *(f"{x:.5f}" for x in row)]))
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(("\n".join(head) + "\n").encode())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("vcf")
    rng = np.random.default_rng(2)
    people = [f"p{i:03d}" for i in range(PEOPLE)]
    rows, dosages = [], []
    for chromosome, m in OF_CHROMOSOME.items():
        copies = rng.binomial(2, rng.uniform(0.2, 0.5, (m, 1)), (m, PEOPLE))
        d = np.clip(copies + rng.normal(0, 0.2, copies.shape), 0, 2)
        d = np.round(d / UNIT) * UNIT
        variants = variant_rows(m, chromosome, 50_000)
        write_vcf(folder / f"g{chromosome}.vcf.gz", d, variants, people)
        rows.append(variants)
        dosages.append(d)
    write_pgen(
        folder / "same", np.concatenate(dosages), pd.concat(rows), pd.DataFrame({"fid": "0", "iid": people, "sex": 0})
    )
    table = pd.DataFrame({"IID": people, "age": rng.uniform(40, 70, PEOPLE).round(2)})
    table["y"] = (dosages[0][7] + rng.normal(size=PEOPLE)).round(5)
    table.to_csv(folder / "samples.tsv", sep="\t", index=False)
    common = {"samples": "samples.tsv", "genome_build": "GRCh38", "qc": {"preset": "imputed"}}
    cohorts = {
        "vcf": common | {"genotypes": "g{chromosome}.vcf.gz", "vcf_field": "DS", "vcf_multiallelic": "split"},
        "pgen": common | {"genotypes": "same.pgen"},
    }
    study = {"study": "y", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0, "arms": "baseline"}
    run = Run(folder)
    run.configure(CONFIG | {"cohorts": cohorts}, [study | {"cohort": name} for name in cohorts])
    run.snakemake("--cores", "2", "associations")
    return run


def test_import_stands_for_the_files(run):
    one, other = (read_sumstats(run.results / name / "y" / "baseline" / "sumstats.tsv.gz") for name in ("vcf", "pgen"))
    # noisy dosages lose nothing to the filters of imputed data
    assert len(one) == sum(OF_CHROMOSOME.values())
    assert one.equals(other)
    reader, _, people = open_pgen(run.results / "vcf/imported/1")
    assert (reader.n_variants, len(people)) == (OF_CHROMOSOME["22"], PEOPLE)
    assert "importing DS" in (run.folder / "logs/import_vcf/vcf/0.log").read_text()
    assert list(run.folder.rglob("import_vcf/vcf/0.tsv"))
    assert not [p for p in run.folder.glob("g*") if not p.name.endswith(".vcf.gz")]


def test_only_the_file_that_changed_is_imported_again(run):
    assert (
        "Nothing to be done" in run.snakemake("-n", "associations").stderr + run.snakemake("-n", "associations").stdout
    )
    data = (run.folder / "g22.vcf.gz").read_bytes()
    (run.folder / "g22.vcf.gz").write_bytes(data[:-28] + data[-28:] + data[-28:])
    found = run.snakemake("-n", "associations")
    text = found.stdout + found.stderr
    (run.folder / "g22.vcf.gz").write_bytes(data)
    assert text.count("rule import_vcf:") == 1
    assert "vcf/imported/1.pgen" in text and "rule associate:" in text
    os.utime(run.folder / "g22.vcf.gz")

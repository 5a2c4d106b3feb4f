"""Real genotypes and phenotypes through the workflow, against PLINK 2; both allele orders; wrong input."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.genotypes.fileset import write_bed
from deepnull_gwas.results.sumstats import read_sumstats

pytestmark = pytest.mark.workflow
COVARIATES = ["SEX", "PHASE1", "PC1", "PC2", "PC3"]


def compare_with_plink2(run, prefix, table, phenotype, covariates, sumstats, trait="quantitative") -> int:
    """Assert that a published file agrees with plink2 on the same people and covariates; returns the number of variants."""
    table[["FID", "IID", phenotype]].to_csv(run.folder / "p.txt", sep="\t", index=False, na_rep="NA")
    table[["FID", "IID", *covariates]].to_csv(run.folder / "c.txt", sep="\t", index=False, na_rep="NA")
    glm = ["--glm", "hide-covar", "log10", "omit-ref", "cols=+beta", *(["no-firth"] if trait == "binary" else [])]
    command = [
        "plink2",
        "--bfile",
        prefix,
        "--pheno",
        run.folder / "p.txt",
        "--pheno-name",
        phenotype,
        "--covar",
        run.folder / "c.txt",
        "--covar-variance-standardize",
    ]
    command += [*glm, "--out", run.folder / "plink", *(["--1"] if trait == "binary" else [])]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    model = "logistic" if trait == "binary" else "linear"
    theirs = pd.read_csv(run.folder / f"plink.{phenotype}.glm.{model}", sep="\t", dtype={"#CHROM": str, "A1": str})
    ours = read_sumstats(sumstats).to_pandas()
    both = ours.merge(theirs, left_on=["variant_id", "base_pair_location"], right_on=["ID", "POS"], validate="1:1")
    assert len(both) == len(ours)
    # plink2 too counts A1 of the .bim with omit-ref
    assert (both["effect_allele"] == both["A1"]).all()
    error = both["LOG(OR)_SE"] if "LOG(OR)_SE" in both else both["SE"]
    beta_theirs = both["BETA"]
    # both print six or seven significant digits: up to 5e-7 of beta, which is t times that in standard errors
    assert (np.abs(both["beta"] - beta_theirs) / error).max() < 1e-4
    p, q = both["neg_log_10_p_value"], both["LOG10_P"]
    assert ((np.abs(p - q) < 1e-3) | (np.abs(p - q) < 1e-3 * q)).all()
    return len(both)


@pytest.mark.oracle("plink2")
def test_geuvadis_equals_plink2(run, real_data):
    prefix = real_data("geuvadis") / "geuvadis343"
    table = pd.read_csv(f"{prefix}.samples.tsv", sep="\t")
    genes = [c for c in table if c.startswith("ENSG")][:3]
    cohort = {"genotypes": str(prefix), "samples": f"{prefix}.samples.tsv", "genome_build": "GRCh37"}
    sheet = [
        {
            "study": g,
            "cohort": "geuvadis",
            "phenotype": g,
            "trait": "quantitative",
            "covariates": ",".join(COVARIATES),
            "pcs": 0,
            "arms": "baseline",
        }
        for g in genes
    ]
    run.configure({"cohorts": {"geuvadis": cohort}, "association": {"chunks": 2}}, sheet)
    run.snakemake("--cores", "2", "associations")
    for gene in genes:
        assert (
            compare_with_plink2(
                run, prefix, table, gene, COVARIATES, run.results / f"geuvadis/{gene}/baseline/sumstats.tsv.gz"
            )
            > 250_000
        )


def small_cohort(folder, swap: bool = False, n: int = 400, m: int = 300):
    """Write a small cohort with one planted effect of the allele G at v7 on y and on case."""
    rng = np.random.default_rng(11)
    copies = rng.binomial(2, rng.uniform(0.1, 0.5, m)[:, None], (m, n)).astype(np.int8)
    a1, a2 = ("A", "G") if swap else ("G", "A")
    bim = pd.DataFrame(
        {"c": 1, "id": [f"v{i}" for i in range(m)], "cm": 0, "p": np.arange(m) * 100_000 + 1, "a1": a1, "a2": a2}
    )
    ids = [f"p{i:03d}" for i in range(n)]
    write_bed(
        folder / "g",
        2 - copies if swap else copies,
        bim,
        pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": rng.integers(1, 3, n), "ph": -9}),
    )
    age = rng.uniform(40, 70, n).round(2)
    liability = 0.9 * copies[7] + 0.03 * (age - 55) + rng.logistic(size=n)
    table = pd.DataFrame(
        {"FID": ids, "IID": ids, "age": age, "y": liability.round(5), "case": (liability > 0.5).astype(int)}
    )
    table.sample(frac=1, random_state=1).to_csv(folder / "samples.tsv", sep="\t", index=False)
    return table


CONFIG = {
    "cohorts": {"c": {"genotypes": "g", "samples": "samples.tsv", "genome_build": "GRCh38"}},
    "association": {"chunks": 1},
    "deepnull": {"folds": 3, "recipe": {"max_epochs": 5, "ensemble": 1}},
}
SHEET = [
    {"study": "y", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0},
    {"study": "case", "cohort": "c", "phenotype": "case", "trait": "binary", "covariates": "age", "pcs": 0},
]


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("swap", [False, True])
def test_allele_contract_to_the_published_file(run, swap):
    table = small_cohort(run.folder, swap)
    run.configure(CONFIG, [row | {"arms": "baseline"} for row in SHEET])
    run.snakemake("--cores", "2", "associations")
    for study, trait in (("y", "quantitative"), ("case", "binary")):
        path = run.results / f"c/{study}/baseline/sumstats.tsv.gz"
        row = read_sumstats(path).to_pandas().set_index("variant_id").loc["v7"]
        assert row["effect_allele"] == ("A" if swap else "G")
        effect_of_g = row["beta"] if row["effect_allele"] == "G" else -row["beta"]
        assert effect_of_g > 0.4
        assert compare_with_plink2(run, run.folder / "g", table, study, ["age"], path, trait) > 200


def test_a_failed_study_is_named_and_the_others_finish(run):
    small_cohort(run.folder)
    table = pd.read_csv(run.folder / "samples.tsv", sep="\t")
    # four cases, all of them younger than anybody else: age separates them
    table["rare"] = 0
    table.loc[table["age"].nsmallest(4).index, "rare"] = 1
    table.to_csv(run.folder / "samples.tsv", sep="\t", index=False)
    sheet = [
        SHEET[0] | {"arms": "baseline"},
        {
            "study": "rare",
            "cohort": "c",
            "phenotype": "rare",
            "trait": "binary",
            "covariates": "age",
            "pcs": 0,
            "arms": "baseline",
        },
    ]
    run.configure(CONFIG, sheet)
    done = run.snakemake("--cores", "2", check=False)
    assert done.returncode != 0
    status = pd.read_csv(run.results / "status.tsv", sep="\t").set_index("study")
    assert status.loc["y", "status"] == "ok"
    assert status.loc["rare", "status"] == "failed"
    assert len(read_sumstats(run.results / "c/y/baseline/sumstats.tsv.gz")) > 200
    assert "c/rare (baseline)" in done.stdout + done.stderr


def truncate_bed(folder):
    data = (folder / "g.bed").read_bytes()
    (folder / "g.bed").write_bytes(data[:-50])


def other_people(folder):
    table = pd.read_csv(folder / "samples.tsv", sep="\t")
    table["IID"] = "x" + table["IID"]
    table.to_csv(folder / "samples.tsv", sep="\t", index=False)


def three_values(folder):
    table = pd.read_csv(folder / "samples.tsv", sep="\t")
    table.loc[0, "case"] = 7
    table.to_csv(folder / "samples.tsv", sep="\t", index=False)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate_bed, ["g.bed", "bytes"]),
        (other_people, ["samples.tsv", "in common"]),
        (three_values, ["case", "7"]),
        (lambda folder: (folder / "g.bim").unlink(), ["g.bim"]),
        (
            lambda folder: (folder / "studies.tsv").write_text(
                (folder / "studies.tsv").read_text().replace("case\tc\tcase", "case\tc\tcasse")
            ),
            ["casse", "did you mean 'case'"],
        ),
        (
            lambda folder: (folder / "config.yaml").write_text(
                (folder / "config.yaml").read_text() + "asociation: {}\n"
            ),
            ["asociation", "did you mean 'association'"],
        ),
    ],
)
def test_wrong_input_is_named_before_any_long_job(run, spoil, words):
    small_cohort(run.folder)
    run.configure(CONFIG, SHEET)
    spoil(run.folder)
    done = run.snakemake("--cores", "2", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for word in words:
        assert word in said, said[-3000:]
    written = [p for p in run.results.rglob("*") if p.is_file()] if run.results.exists() else []
    # at most the index of a cohort whose files are right; nothing of quality control or after
    assert {p.name for p in written} <= {"genotypes.json", "variants.parquet", "samples.parquet"}


@pytest.mark.slow
@pytest.mark.oracle("plink2")
def test_all_forty_genes_of_geuvadis(run, real_data):
    """The shipped configuration of 40 real expression phenotypes, both arms."""
    from pathlib import Path

    import yaml

    root = Path(__file__).resolve().parents[2]

    prefix = real_data("geuvadis") / "geuvadis343"
    config = yaml.safe_load((root / "tests/configs/geuvadis.yaml").read_text())
    config["cohorts"]["geuvadis"] |= {"genotypes": str(prefix), "samples": f"{prefix}.samples.tsv"}
    shutil.copy(root / "tests/configs/geuvadis_studies.tsv", run.folder / "studies.tsv")
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config | {"studies": "studies.tsv"}))
    run.snakemake("--cores", "2")
    table = pd.read_csv(f"{prefix}.samples.tsv", sep="\t")
    status = pd.read_csv(run.results / "status.tsv", sep="\t")
    assert len(status) == 80
    assert (status["status"] == "ok").all()
    for gene in [c for c in table if c.startswith("ENSG")][:3]:
        assert (
            compare_with_plink2(
                run, prefix, table, gene, COVARIATES, run.results / f"geuvadis/{gene}/baseline/sumstats.tsv.gz"
            )
            > 250_000
        )

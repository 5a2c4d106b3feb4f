"""Real genotypes and phenotypes through the workflow, against PLINK 2; both allele orders; wrong input."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.genotypes.bed import BedGenotypes, write_bed
from deepnull_gwas.results.regions import read_regions
from deepnull_gwas.results.sumstats import read_sumstats
from ssf_validator import problems_of
from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow
COVARIATES = ["SEX", "PHASE1", "PC1", "PC2", "PC3"]
#: Genes with variants near them that change their expression: the strongest one on the chromosome (least squares in
#: numpy), and the nearest gene that makes a protein.
CIS = {
    "ENSG00000260065": ("rs4275", "TPST2"),
    "ENSG00000133466": ("rs9610669", "SSTR3"),
    "ENSG00000100290": ("rs6519362", "BIK"),
}


def compare_with_plink2(run, prefix, table, phenotype, covariates, sumstats, trait="quantitative") -> int:
    """Assert that a published file agrees with plink2 on the same people and covariates; returns the number of
    variants.
    """
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
    both = ours.merge(theirs, left_on=["original_id", "base_pair_location"], right_on=["ID", "POS"], validate="1:1")
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


@pytest.fixture(scope="module")
def geuvadis(tmp_path_factory, real_data) -> Run:
    """Analyse three genes of GEUVADIS, once for all tests that look at them."""
    run = Run(tmp_path_factory.mktemp("geuvadis"))
    prefix = real_data("geuvadis") / "geuvadis343"
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
        for g in CIS
    ]
    # compared on the same people
    config = {"cohorts": {"geuvadis": cohort}, "association": {"chunks": 2}, "structure": {"relatives": "keep"}}
    run.configure(config, sheet)
    regions = [f"results/geuvadis/{g}/regions.json.gz" for g in CIS]
    run.snakemake("--cores", "2", "associations", *regions)
    return run


def genes_of(run: Run) -> list[str]:
    """List the genes that were analysed."""
    return sorted(folder.name for folder in (run.results / "geuvadis").glob("ENSG*"))


@pytest.mark.oracle("plink2")
def test_geuvadis_equals_plink2(geuvadis, real_data):
    prefix = real_data("geuvadis") / "geuvadis343"
    table = pd.read_csv(f"{prefix}.samples.tsv", sep="\t")
    assert set(genes_of(geuvadis)) == set(CIS)
    for gene in genes_of(geuvadis):
        path = geuvadis.results / f"geuvadis/{gene}/baseline/sumstats.tsv.gz"
        assert compare_with_plink2(geuvadis, prefix, table, gene, COVARIATES, path) > 250_000


def test_the_gwas_catalogs_validator_takes_geuvadis(geuvadis):
    files = [geuvadis.results / f"geuvadis/{gene}/baseline/sumstats.tsv.gz" for gene in genes_of(geuvadis)]
    # chromosomes 13 to 22 are all that there is of these genotypes
    assert problems_of(files, all_autosomes=False) == {str(f): [] for f in files}


@pytest.mark.oracle("plink1.9")
def test_regions_of_geuvadis_show_the_known_leads(geuvadis, real_data):
    """The lead variant, the nearest gene, and correlations as PLINK's --r2 has them of the same people."""
    prefix = real_data("geuvadis") / "geuvadis343"
    names = pd.read_csv(f"{prefix}.bim", sep=r"\s+", header=None, usecols=[1, 3], names=["id", "bp"])
    for study, (lead, gene) in CIS.items():
        content = read_regions(geuvadis.results / f"geuvadis/{study}/regions.json.gz")
        region = content["loci"][0]
        assert region["id"][region["lead"]] == lead == region["id"][region["references"][0]]
        assert (region["nearest_gene"], region["verdict"]) == (gene, "single")
        assert gene in [g["symbol"] for g in region["genes"]]
        bp = int(names.set_index("id").loc[lead, "bp"])
        assert (region["start"], region["stop"], region["name"]) == (bp - 500_000, bp + 500_000, f"chr22_{bp}")
        published = read_sumstats(geuvadis.results / f"geuvadis/{study}/baseline/sumstats.tsv.gz").to_pandas()
        inside = published[(published["chromosome"] == 22) & (published["base_pair_location"] - bp).abs().le(500_000)]
        assert inside["original_id"].to_list() == region["id"] and len(region["id"]) > 500
        assert inside["neg_log_10_p_value"].to_list() == region["arms"]["baseline"]["neg_log_10_p"]
        for row in (0, 30):
            reference = region["id"][region["references"][row]]
            options = ["--ld-window-kb", "1100", "--ld-window", "99999", "--ld-window-r2", "0"]
            command = ["plink1.9", "--bfile", prefix, "--r2", "--ld-snp", reference, *options]
            done = subprocess.run([*command, "--out", geuvadis.folder / "r2"], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            theirs = pd.read_csv(geuvadis.folder / "r2.ld", sep=r"\s+").set_index("SNP_B")["R2"].loc[region["id"]]
            assert np.abs(np.array(region["r2"][row]) / 1000 - theirs).max() < 6e-4


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("swap", [False, True])
def test_allele_contract_to_the_published_file(run, published, swap):
    table = small_cohort(run.folder, swap)
    if swap:
        run.configure(CONFIG, [row | {"arms": "baseline"} for row in SHEET])
        run.snakemake("--cores", "2", "associations")
    results = run.results if swap else published.results
    for study, trait in (("y", "quantitative"), ("case", "binary")):
        path = results / f"c/{study}/baseline/sumstats.tsv.gz"
        row = read_sumstats(path).to_pandas().set_index("original_id").loc["v7"]
        assert row["effect_allele"] == ("A" if swap else "G")
        effect_of_g = row["beta"] if row["effect_allele"] == "G" else -row["beta"]
        assert effect_of_g > 0.4
        assert compare_with_plink2(run, run.folder / "g", table, study, ["age"], path, trait) > 200


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
    for gene in [c for c in table if c.startswith("ENSG")]:
        assert (
            compare_with_plink2(
                run, prefix, table, gene, COVARIATES, run.results / f"geuvadis/{gene}/baseline/sumstats.tsv.gz"
            )
            > 250_000
        )


def test_a_messy_array_cohort_from_raw_to_results(run, real_data):
    """sampleA: wrong sexes, heterozygous haploid calls, relatives, people and variants with missing calls, batches and
    sites.
    """
    folder = real_data("sampleA")
    cohort = {
        "genotypes": str(folder / "sampleA"),
        "samples": str(folder / "sample-batch-site.phe"),
        "missing_values": ["NA", "", "-9"],
        "genome_build": "GRCh37",
    }
    config = {
        "cohorts": {"sampleA": cohort},
        "qc": {"preset": "array"},
        # 3,098 variants
        "structure": {"pcs": 4, "r2": 0.5, "colour_by": ["site", "batch"]},
        "association": {"chunks": 1},
        "deepnull": {"model": "linear", "compare": False},
    }
    study = {"study": "ra", "cohort": "sampleA", "phenotype": "RA", "trait": "binary", "covariates": "SEX,batch,site"}
    run.configure(config, [study | {"categorical_covariates": "batch,site", "case_value": 2, "control_value": 1}])
    run.snakemake("--cores", "2", "qc", "associations")
    qc = run.results / "sampleA" / "qc"
    people, variants = pd.read_parquet(qc / "samples.parquet"), pd.read_parquet(qc / "variants.parquet")
    recorded = pd.read_parquet(run.results / "sampleA" / "samples.parquet")["recorded_sex"]
    problems = (recorded > 0) & people["x_f"].notna() & (recorded != people["inferred_sex"])
    assert problems.sum() == 66
    assert not people.loc[problems, "passed"].any()
    # the person with 23.7 % missing calls, the variants without any call
    worst = people.loc[people["call_rate"].idxmin()]
    assert worst["call_rate"] == pytest.approx(1 - 0.237, abs=5e-4)
    assert "call rate 0.7629 is below 0.98" in worst["reason"]
    empty = variants[variants["call_rate"] == 0]
    assert len(empty) >= 1
    assert (empty["reason"] == "call rate 0 is below 0.95").all()
    # four of the 119 heterozygous haploid calls are of people who are removed
    assert variants["het_haploid"].sum() == 115
    assert "119 heterozygous haploid calls" in (run.folder / "logs/filter_cohort/sampleA.log").read_text()
    for table in (people, variants):
        assert (table["passed"] == (table["reason"] == "")).all()
    relatives = pd.read_csv(run.results / "sampleA/structure/relatives.tsv", sep="\t")
    king = pd.read_csv(run.results / "sampleA/structure/king/relatives.tsv", sep="\t")
    # 75 pairs lie above .1 over all variants and people (tests/oracle); with the 2,900 variants here most of those
    # below .12 are chance
    assert king["relation"].value_counts().loc[["duplicate", "sibling"]].tolist() == [5, 15]
    assert 20 <= (king["kinship"] > 0.12).sum() <= 25
    assert king["kinship"].min() > 0.085
    # five people are alike by .2, and .1 like half a hundred others, for heterozygous calls that are too many (as of
    # mixed samples): to KING-robust siblings, beyond what their ancestry lets expect far less
    assert relatives["relation"].value_counts().loc[["duplicate", "sibling"]].tolist() == [5, 5]
    assert set(relatives.loc[relatives["relation"] == "third_degree", "iid_1"]) <= {1951, 1952, 1953, 1954, 1955}
    assert len(relatives) == 20
    account = json.loads((run.results / "sampleA/ra/study.json").read_text())["accounting"]
    steps = {step["step"].split(" (")[0]: step["removed"] for step in account}
    assert steps["no copy of a person's sample"] + steps["unrelated"] >= 14
    flow = pd.read_csv(qc / "flow.tsv", sep="\t")
    assert flow.loc[flow["unit"] == "people", "removed"].sum() == (~people["passed"]).sum()
    assert flow.loc[flow["unit"] == "variants", "removed"].sum() == (~variants["passed"]).sum()
    assert (qc / "qc.svg").stat().st_size > 10_000
    assert (run.results / "sampleA/structure/stratification.tsv").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"qc": {"sample_call_rate": 1.0, "variant_call_rate_first": 0}}, ["sample_call_rate", "people"]),
        ({"qc": {"preset": "none", "maf": 0.5}}, ["maf", "variants"]),
        ({"qc": {"preset": "none"}, "structure": {"pcs": 10, "maf": 0.4999}}, ["variants"]),
    ],
)
def test_a_filter_that_leaves_nothing_is_named(run, settings, words):
    small_cohort(run.folder, n=60, m=40)
    genotypes = decode_int8(BedGenotypes([run.folder / "g"]).calls_between(0, 40), 60)
    genotypes[np.arange(60) % 40, np.arange(60)] = -1
    bim = pd.read_csv(run.folder / "g.bim", sep="\t", header=None)
    fam = pd.read_csv(run.folder / "g.fam", sep="\t", header=None)
    write_bed(run.folder / "g", genotypes, bim, fam)
    sheet = [SHEET[0] | {"pcs": settings.get("structure", {}).get("pcs", 0), "arms": "baseline"}]
    run.configure(CONFIG | settings, sheet)
    done = run.snakemake("--cores", "2", "associations", check=False)
    assert done.returncode != 0
    # once in the line of the step, cut, and once at the end
    _, message = (line for line in done.stderr.splitlines() if "Input error:" in line)
    assert all(word in message for word in words), message

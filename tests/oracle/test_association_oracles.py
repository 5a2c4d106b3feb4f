"""The association engine against PLINK 2, R and published results, on real genotypes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.association.design import StudyInput
from deepnull_gwas.association.scan import Scan, chromosome_classes
from deepnull_gwas.genotypes.fileset import Fileset, write_bed
from deepnull_gwas.genotypes.kernels import decode

SETTINGS = {"min_mac": 0, "hwe_p": 0.0, "missing_genotypes": "drop"}


def read_people(prefix: Path) -> pd.DataFrame:
    return pd.read_csv(
        f"{prefix}.fam",
        sep=r"\s+",
        header=None,
        names=["FID", "IID", "father", "mother", "sex", "pheno"],
        dtype={"FID": str, "IID": str},
    )


def read_variants(prefix: Path) -> pd.DataFrame:
    names = ["chromosome", "id", "cm", "position", "a1", "a2"]
    return pd.read_csv(
        f"{prefix}.bim", sep=r"\s+", header=None, names=names, dtype={"chromosome": str, "a1": str, "a2": str}
    )


def study(table: pd.DataFrame, phenotype: str, covariates: list[str], trait: str) -> StudyInput:
    """Make a study of the people whose values are all there; the table is in the order of the .fam."""
    here = table[[phenotype, *covariates]].notna().all(axis=1).to_numpy()
    index = np.flatnonzero(here)
    return StudyInput(
        phenotype,
        trait,
        ("baseline",),
        index,
        table.loc[here, phenotype].to_numpy(float),
        table.loc[here, covariates].to_numpy(float),
        tuple(covariates),
    )


def scan(
    prefix: Path, studies: list[StudyInput], sex: np.ndarray, build: str = "GRCh37", **settings
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    files, variants = Fileset([prefix]), read_variants(prefix)
    engine = Scan(studies, sex, SETTINGS | settings)
    classes = chromosome_classes(
        variants["chromosome"].replace({"23": "X", "25": "XY"}).to_numpy(), variants["position"].to_numpy(), build
    )
    parts, rows = [], []
    for name in pd.unique(classes):
        at = np.flatnonzero(classes == name)
        for first in range(0, len(at), 2000):
            rows.append(at[first : first + 2000])
            parts.append(engine.block(files.take(rows[-1]), name))
    order = np.argsort(np.concatenate(rows))
    return variants, {key: np.concatenate([p[key] for p in parts])[order] for key in parts[0]}


def plink2(
    prefix: Path, folder: Path, table: pd.DataFrame, phenotypes: list[str], covariates: list[str], glm: str, *more: str
) -> Path:
    table[["FID", "IID", *phenotypes]].to_csv(folder / "pheno.txt", sep="\t", index=False, na_rep="NA")
    table[["FID", "IID", *covariates]].to_csv(folder / "covar.txt", sep="\t", index=False, na_rep="NA")
    command = [
        "plink2",
        "--bfile",
        prefix,
        "--pheno",
        folder / "pheno.txt",
        "--covar",
        folder / "covar.txt",
        "--pheno-name",
        ",".join(phenotypes),
        "--threads",
        "1",
    ]
    # log10 prints -log10 p with six digits; the default columns print beta and se with six digits
    command += ["--glm", *glm.split(), "--covar-variance-standardize", "--out", folder / "glm", *more]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode in (0, 13), done.stdout + done.stderr  # 13: a phenotype was skipped
    return folder / "glm"


def compare(
    variants: pd.DataFrame,
    ours: dict[str, np.ndarray],
    name: str,
    theirs: pd.DataFrame,
    beta: str = "BETA",
    se: str = "SE",
) -> int:
    """Assert that all variants tested by PLINK agree; returns how many."""
    theirs = theirs.reset_index(drop=True)
    assert list(theirs["ID"]) == list(variants["id"])
    sign = np.where(theirs["A1"].astype(str).to_numpy() == variants["a1"].to_numpy(), 1.0, -1.0)
    tested = theirs[se].notna().to_numpy() & np.isfinite(ours[f"{name}.baseline.beta"])
    # every variant that PLINK tests is tested here
    assert (np.isfinite(ours[f"{name}.baseline.beta"]) >= theirs[se].notna().to_numpy()).all(), ours[
        f"{name}.baseline.reason"
    ][theirs[se].notna().to_numpy()]
    difference = (
        np.abs(ours[f"{name}.baseline.beta"] - sign * theirs[beta].to_numpy())[tested] / theirs[se].to_numpy()[tested]
    )
    # PLINK prints six significant digits: up to 5e-6 of beta, which is |t| of them in standard errors
    t = np.abs(theirs[beta] / theirs[se]).to_numpy()[tested]
    assert np.max(difference / np.maximum(1.0, t / 10)) < 1e-4
    p, q = ours[f"{name}.baseline.neg_log10_p"][tested], theirs["LOG10_P"].to_numpy()[tested]
    assert np.all((np.abs(p - q) < 1e-3) | (np.abs(p - q) < 1e-3 * q))
    return int(tested.sum())


@pytest.mark.oracle("plink2")
def test_linear_equals_plink2_on_geuvadis(real_data, tmp_path):
    prefix = real_data("geuvadis") / "geuvadis343"
    table = read_people(prefix)[["FID", "IID", "sex"]].merge(
        pd.read_csv(f"{prefix}.samples.tsv", sep="\t"), on=["FID", "IID"], how="left", validate="1:1"
    )
    genes = [c for c in table if c.startswith("ENSG")][:3]
    covariates = ["SEX", "PHASE1", "PC1", "PC2", "PC3"]
    variants, ours = scan(prefix, [study(table, g, covariates, "quantitative") for g in genes], table["sex"].to_numpy())
    out = plink2(prefix, tmp_path, table, genes, covariates, "hide-covar log10 allow-no-covars omit-ref")
    for gene in genes:
        assert (
            compare(variants, ours, gene, pd.read_csv(f"{out}.{gene}.glm.linear", sep="\t", dtype={"#CHROM": str}))
            > 300_000
        )


def epacts(real_data) -> tuple[Path, pd.DataFrame]:
    folder = real_data("epacts")
    table = read_people(folder / "epacts")
    table = table.merge(
        pd.read_csv(folder / "epacts.pheno.txt", sep="\t"), on=["FID", "IID"], how="left", validate="1:1"
    )
    table = table.merge(pd.read_csv(folder / "epacts.cov.txt", sep="\t"), on=["FID", "IID"], how="left", validate="1:1")
    table["CASE"] = table["CASE"].map({1: 0.0, 2: 1.0})
    return folder, table


def r_glm(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit as R's glm does by default: it starts at (y + 1/2)/2, stops when the deviance moves by less than 1e-8 of itself, and takes the
    standard error from the weights before the last step."""
    mu, old = (y + 0.5) / 2, np.inf
    eta = np.log(mu / (1 - mu))
    for _ in range(25):
        w = mu * (1 - mu)
        information = (x * w[:, None]).T @ x
        beta = np.linalg.solve(information, x.T @ (w * eta + y - mu))
        eta = x @ beta
        mu = 1 / (1 + np.exp(-eta))
        deviance = -2 * np.sum(np.where(y == 1, np.log(mu), np.log(1 - mu)))
        if abs(deviance - old) / (abs(deviance) + 0.1) < 1e-8:
            break
        old = deviance
    return beta[-1], np.sqrt(np.linalg.inv(information)[-1, -1])


@pytest.mark.parametrize("test", ["wald", "lrt", "score"])
def test_logistic_reproduces_epacts(real_data, test):
    folder, table = epacts(real_data)
    expected = pd.read_csv(folder / "expected.tsv", sep="\t")
    s = study(table, "CASE", ["FEMALE", "PC1", "PC2"], "binary")
    variants, ours = scan(folder / "epacts", [s], table["sex"].to_numpy(), test=test, missing_genotypes="impute_mean")
    assert list(variants["id"]) == list(expected["ID"])
    sign = np.sign(ours["CASE.baseline.beta"] * expected["wald_beta"].to_numpy())
    printed = 5e-5  # five significant digits
    beta, se, p = ours["CASE.baseline.beta"], ours["CASE.baseline.se"], 10 ** -ours["CASE.baseline.neg_log10_p"]
    np.testing.assert_allclose(beta, sign * expected["wald_beta"], rtol=printed)
    if test != "wald":
        np.testing.assert_allclose(p, expected[f"{test}_p"], rtol=printed)
        return
    # The published Wald columns are those of R's glm at its default tolerance, which stops a step early: its standard errors are off by up
    # to 8e-4 at the two rare variants. We iterate to the end; where R has converged the printed digits are ours, and where it has not,
    # R's own rule takes our data to its digits.
    genotypes = decode(Fileset([folder / "epacts"]).packed(0, 5), len(table), dtype=np.float64)
    x = np.column_stack([np.ones(len(s.y)), s.covariates])
    stopped = [r_glm(np.column_stack([x, g]), s.y) for g in genotypes]
    np.testing.assert_allclose([b for b, _ in stopped], sign * expected["wald_beta"], rtol=printed)
    np.testing.assert_allclose([e for _, e in stopped], expected["wald_se"], rtol=printed)
    np.testing.assert_allclose([abs(b / e) for b, e in stopped], np.abs(expected["wald_z"]), rtol=printed)
    common = slice(0, 3)
    np.testing.assert_allclose(se[common], expected["wald_se"][common], rtol=printed)
    np.testing.assert_allclose(p[common], expected["wald_p"][common], rtol=printed * 2)
    np.testing.assert_allclose(se, expected["wald_se"], rtol=1e-3)


@pytest.mark.oracle("Rscript")
def test_logistic_equals_r_iterated_to_the_end(real_data, tmp_path):
    folder, table = epacts(real_data)
    s = study(table, "CASE", ["FEMALE", "PC1", "PC2"], "binary")
    _, ours = scan(folder / "epacts", [s], table["sex"].to_numpy())
    genotypes = decode(Fileset([folder / "epacts"]).packed(0, 5), len(table), dtype=np.float64)
    for i, g in enumerate(genotypes):
        table[f"g{i}"] = g
    table.to_csv(tmp_path / "d.csv", index=False)
    code = (
        f'd <- read.csv("{tmp_path}/d.csv"); for (i in 0:4) {{ f <- glm(reformulate(c("FEMALE","PC1","PC2",paste0("g",i)),"CASE"), data=d, '
        'family=binomial, epsilon=1e-15, maxit=100); cat(sprintf("%.12g %.12g %.12g\\n", coef(summary(f))[5,1], coef(summary(f))[5,2], coef(summary(f))[5,4])) }'
    )
    theirs = np.array(
        subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout.split(), dtype=float
    ).reshape(5, 3)
    # both iterate to rounding, R takes its standard error from the weights before its last step: 2e-8
    np.testing.assert_allclose(ours["CASE.baseline.beta"], theirs[:, 0], rtol=1e-8)
    np.testing.assert_allclose(ours["CASE.baseline.se"], theirs[:, 1], rtol=1e-7)
    np.testing.assert_allclose(10 ** -ours["CASE.baseline.neg_log10_p"], theirs[:, 2], rtol=1e-7)


def asthma(real_data) -> tuple[Path, pd.DataFrame]:
    prefix = real_data("asthma") / "asthma"
    table = read_people(prefix)[["FID", "IID"]].merge(
        pd.read_csv(f"{prefix}.covar.tsv", sep="\t"), on=["FID", "IID"], how="left", validate="1:1"
    )
    table = table.merge(
        pd.read_csv(f"{prefix}.pheno.tsv", sep="\t")[["FID", "IID", "asthma"]],
        on=["FID", "IID"],
        how="left",
        validate="1:1",
    )
    return prefix, table


@pytest.mark.parametrize(
    ("phenotype", "covariates", "trait", "file", "statistic"),
    [
        ("asthma", ["age", "sex"], "binary", "expected_R_glm_asthma_age_sex.tsv", "Z"),
        ("bmi", ["age", "sex", "smoke"], "quantitative", "expected_R_lm_bmi_age_sex_smoke.tsv", "T"),
    ],
)
def test_asthma_equals_r(real_data, phenotype, covariates, trait, file, statistic):
    prefix, table = asthma(real_data)
    expected = pd.read_csv(prefix.parent / file, sep="\t")
    variants, ours = scan(
        prefix, [study(table, phenotype, covariates, trait)], np.zeros(len(table), dtype=np.int8), exact=True
    )
    expected = expected.set_index("ID").reindex(variants["id"])
    sign = np.where(expected["A1"].to_numpy() == variants["a1"].to_numpy(), 1.0, -1.0)
    key = f"{phenotype}.baseline"
    np.testing.assert_array_equal(ours[f"{phenotype}.n"], expected["N"])
    # R prints ten digits; its glm stops at a relative change of the deviance of 1e-8, hence 1e-5 of a standard error there
    limit = 1e-5 if trait == "binary" else 1e-8
    assert np.max(np.abs(ours[f"{key}.beta"] - sign * expected["BETA"]) / expected["SE"]) < limit
    np.testing.assert_allclose(ours[f"{key}.se"], expected["SE"], rtol=limit)
    np.testing.assert_allclose(
        ours[f"{key}.beta"] / ours[f"{key}.se"], sign * expected[statistic], rtol=limit, atol=limit
    )
    np.testing.assert_allclose(10 ** -ours[f"{key}.neg_log10_p"], expected["P"], rtol=10 * limit)


@pytest.mark.oracle("plink2")
def test_asthma_equals_plink2(real_data, tmp_path):
    prefix, table = asthma(real_data)
    variants, ours = scan(
        prefix, [study(table, "asthma", ["age", "sex"], "binary")], np.zeros(len(table), dtype=np.int8)
    )
    out = plink2(
        prefix, tmp_path, table, ["asthma"], ["age", "sex"], "no-firth hide-covar log10 cols=+beta omit-ref", "--1"
    )
    theirs = pd.read_csv(f"{out}.asthma.glm.logistic", sep="\t")
    assert compare(variants, ours, "asthma", theirs, se="LOG(OR)_SE" if "LOG(OR)_SE" in theirs else "SE") > 45


@pytest.mark.oracle("plink2")
def test_x_and_rare_variants_equal_plink2_on_kg1126(real_data, tmp_path):
    prefix = real_data("kg1126") / "kg1126"
    table = read_people(prefix)[["FID", "IID", "sex"]].merge(
        pd.read_csv(f"{prefix}.pheno.tsv", sep="\t").drop(columns="sex"), on=["FID", "IID"], how="left", validate="1:1"
    )
    table["SEXCOV"] = table["sex"].astype(float)
    age = [c for c in table if c.lower() == "age"]
    variants, ours = scan(prefix, [study(table, "outcome", ["SEXCOV", *age], "quantitative")], table["sex"].to_numpy())
    out = plink2(prefix, tmp_path, table, ["outcome"], ["SEXCOV", *age], "hide-covar log10 omit-ref no-x-sex")
    theirs = pd.read_csv(f"{out}.outcome.glm.linear", sep="\t", dtype={"#CHROM": str})
    assert compare(variants, ours, "outcome", theirs) > 20_000


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_allele_contract(tmp_path, swap, trait):
    """A planted effect of the allele G keeps its sign for both orders of the .bim, and PLINK says the same."""
    rng = np.random.default_rng(4)
    n = 600
    copies_of_g = rng.binomial(2, 0.3, (3, n)).astype(np.int8)
    a1, a2 = ("A", "G") if swap else ("G", "A")
    dosages = 2 - copies_of_g if swap else copies_of_g
    bim = pd.DataFrame({"c": "1", "id": ["v0", "v1", "v2"], "cm": 0, "p": [10, 20, 30], "a1": a1, "a2": a2})
    ids = [f"p{i}" for i in range(n)]
    write_bed(tmp_path / "x", dosages, bim, pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": 1, "ph": -9}))
    liability = 0.8 * copies_of_g[1] + rng.logistic(size=n)
    table = pd.DataFrame(
        {
            "FID": ids,
            "IID": ids,
            "c": rng.normal(size=n),
            "y": liability if trait == "quantitative" else (liability > 0.5).astype(float),
        }
    )
    variants, ours = scan(tmp_path / "x", [study(table, "y", ["c"], trait)], np.ones(n, dtype=np.int8), exact=True)
    effect_of_g = ours["y.baseline.beta"][1] * (1 if a1 == "G" else -1)
    assert effect_of_g > 0.5
    flag = "no-firth " if trait == "binary" else ""
    out = plink2(
        tmp_path / "x",
        tmp_path,
        table,
        ["y"],
        ["c"],
        f"{flag}hide-covar log10 cols=+beta omit-ref",
        *(["--1"] if trait == "binary" else []),
    )
    theirs = pd.read_csv(f"{out}.y.glm.{'logistic' if trait == 'binary' else 'linear'}", sep="\t")
    assert compare(variants, ours, "y", theirs, se="LOG(OR)_SE" if "LOG(OR)_SE" in theirs else "SE") == 3

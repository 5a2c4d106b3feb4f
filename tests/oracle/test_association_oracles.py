"""The association against PLINK 2, R, statsmodels and published results on real genotypes."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from association_cases import Cohort, impute, make_cohort, make_genotypes
from cohort_files import decode_int8
from deepnull_gwas.association.tails import neg_log10_p_normal
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import write_parquet
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.genotypes import read_copies
from deepnull_gwas.verify.second import Second


def open_cohort(folder: Path, prefix: Path) -> Cohort:
    fam = pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None, dtype={0: str, 1: str})
    cohort = Cohort(folder, prefix, fam[4].to_numpy())
    cohort.iid = fam[1]
    return cohort


def in_order(table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    table = table.assign(IID=table["IID"].astype(str)).set_index("IID")
    return table.reindex(cohort.iid).rename_axis("IID").reset_index()


def plink_glm(
    folder: Path,
    prefix: Path,
    table: pd.DataFrame,
    phenotypes: list[str],
    covariates: list[str],
    *options: str,
    modifiers=(),
) -> dict:
    """Run plink2 --glm; return one table per phenotype (additive rows only), indexed by variant ID."""
    ids = table[["FID", "IID"]].rename(columns={"FID": "#FID"})
    pd.concat([ids, table[phenotypes]], axis=1).to_csv(folder / "p.txt", sep="\t", index=False, na_rep="NA")
    command = [
        "plink2", "--bfile", str(prefix), "--pheno", str(folder / "p.txt"), "--threads", "1", "--out",
        str(folder / "plink"),
        "--glm", "hide-covar", "omit-ref", "log10", *modifiers,
    ]  # fmt: skip
    if covariates:
        pd.concat([ids, table[covariates]], axis=1).to_csv(folder / "c.txt", sep="\t", index=False, na_rep="NA")
        command += ["--covar", str(folder / "c.txt"), "--covar-variance-standardize"]
    else:
        command += ["allow-no-covars"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    out = {}
    for path in folder.glob("plink.*.glm.*"):
        if path.suffix == ".id":
            continue
        frame = pd.read_csv(path, sep="\t").set_index("ID")
        out[path.name.split(".")[1]] = frame[frame["TEST"] == "ADD"]
    return out


def assert_agrees(mine: pd.DataFrame, key: str, plink: pd.DataFrame, effect: float = 1e-4, logp: float = 1e-3) -> int:
    """Compare effect (in standard errors) and -log10 p (relative or absolute) of the variants that both tested."""
    both = mine.set_index("id").join(plink, how="inner", rsuffix="_plink")
    assert (both["A1"] == both["effect_allele"]).all()
    both = both[both[f"{key}.beta"].notna() & both["BETA" if "BETA" in both else "OR"].notna()]
    beta = both["BETA"] if "BETA" in both else np.log(both["OR"])
    se = both["SE"] if "SE" in both else both["LOG(OR)_SE"]
    assert (np.abs(both[f"{key}.beta"] - beta) / se).max() < effect
    difference = np.abs(both[f"{key}.neg_log10_p"] - both["LOG10_P"])
    assert (difference / np.maximum(1, both["LOG10_P"])).max() < logp
    return len(both)


@pytest.mark.realdata
@pytest.mark.oracle("plink2")
def test_three_genes_of_geuvadis_equal_plink(real_data, tmp_path):
    prefix = real_data("geuvadis") / "geuvadis343"
    cohort = open_cohort(tmp_path, prefix)
    table = in_order(pd.read_csv(real_data("geuvadis") / "geuvadis343.samples.tsv", sep="\t"), cohort)
    genes = [c for c in table if c.startswith("ENSG")][:3]
    covariates = ["SEX", "PHASE1", "PC1", "PC2", "PC3"]
    columns = {c: table[c].to_numpy(float) for c in covariates}
    rng = np.random.default_rng(1)
    table["prediction"] = rng.normal(size=len(table))
    studies = [cohort.study(gene, table[gene], columns, table["prediction"]) for gene in genes]
    mine = cohort.run(studies, variants_per_block=1024)
    assert (mine[f"{genes[0]}.baseline.reason"] == "").mean() > 0.99
    for arm, with_prediction in (("baseline", []), ("deepnull", ["prediction"])):
        folder = tmp_path / arm
        folder.mkdir()
        some = ["--chr", "22"] if arm == "deepnull" else []
        plink = plink_glm(folder, prefix, table, genes, [*covariates, *with_prediction], *some)
        for gene in genes:
            compared = assert_agrees(mine, f"{gene}.{arm}", plink[gene])
            assert compared > (300_000 if arm == "baseline" else 10_000)


@pytest.mark.realdata
def test_epacts_wald_and_score_to_the_printed_digits(real_data, tmp_path):
    folder = real_data("epacts")
    cohort = open_cohort(tmp_path, folder / "epacts")
    table = in_order(
        pd.read_csv(folder / "epacts.pheno.txt", sep="\t").merge(pd.read_csv(folder / "epacts.cov.txt", sep="\t")),
        cohort,
    )
    study = [cohort.study("s", table["CASE"] - 1, {c: table[c] for c in ("FEMALE", "PC1", "PC2")}, trait="binary")]
    expected = pd.read_csv(folder / "expected.tsv", sep="\t").set_index("ID")
    wald = cohort.run(study, exact=True).set_index("id").reindex(expected.index)
    # no result is below this p, so that none is refined beyond the score test
    score = cohort.run(study, exact=True, refine_below=0.0).set_index("id").reindex(expected.index)
    assert set(score["s.baseline.method"]) == {"score"}
    printed = 5e-5  # five significant digits
    np.testing.assert_allclose(wald["s.baseline.beta"], expected["wald_beta"], rtol=printed)
    single = cohort.run(study).set_index("id").reindex(expected.index)
    np.testing.assert_allclose(single["s.baseline.beta"], expected["wald_beta"], rtol=printed)
    np.testing.assert_allclose(10 ** -score["s.baseline.neg_log10_p"], expected["score_p"], rtol=printed)
    # The published standard errors are R's default: from the weights of the iteration before the last, up to 8e-4 from
    # those at
    # the maximum. Ours are at the maximum (as R's are with a smaller epsilon); taken the published way they are the
    # same digits.
    x = np.column_stack([np.ones(len(table)), table[["FEMALE", "PC1", "PC2"]].to_numpy(float)])
    g = decode_int8(BedGenotypes([str(folder / "epacts")]).calls_between(0, 5), len(table))
    order = cohort.variants["id"].tolist()
    for name, row in expected.iterrows():
        full = np.column_stack([x, g[order.index(name)]])
        beta, se = r_glm(full, table["CASE"].to_numpy(float) - 1, epsilon=1e-8)
        assert se == pytest.approx(row["wald_se"], rel=printed)
        assert beta / se == pytest.approx(row["wald_z"], rel=printed)
        assert 10 ** -neg_log10_p_normal(beta / se) == pytest.approx(row["wald_p"], rel=printed)
        beta, se = r_glm(full, table["CASE"].to_numpy(float) - 1, epsilon=1e-14)
        assert wald.loc[name, "s.baseline.beta"] == pytest.approx(beta, rel=1e-7)
        assert wald.loc[name, "s.baseline.se"] == pytest.approx(se, rel=1e-6)


def r_glm(x: np.ndarray, y: np.ndarray, epsilon: float) -> tuple[float, float]:
    """Logistic regression as R's glm.fit does it, its start and its rule to stop included: the last coefficient and its
    standard error.
    """
    mu, deviance = (y + 0.5) / 2, np.inf
    eta = np.log(mu / (1 - mu))
    while True:
        w = mu * (1 - mu)
        information = (x * w[:, None]).T @ x
        beta = np.linalg.solve(information, x.T @ (w * eta + y - mu))
        eta = x @ beta
        mu = 1 / (1 + np.exp(-eta))
        before, deviance = deviance, -2 * np.sum(np.log(np.where(y == 1, mu, 1 - mu)))
        if abs(deviance - before) / (abs(deviance) + 0.1) < epsilon:
            return beta[-1], np.sqrt(np.linalg.inv(information)[-1, -1])


@pytest.fixture(scope="module")
def asthma(real_data, tmp_path_factory):
    folder = real_data("asthma")
    cohort = open_cohort(tmp_path_factory.mktemp("asthma"), folder / "asthma")
    table = pd.read_csv(folder / "asthma.covar.tsv", sep="\t").merge(
        pd.read_csv(folder / "asthma.pheno.tsv", sep="\t")[["FID", "IID", "asthma"]]
    )
    return folder, cohort, in_order(table, cohort)


@pytest.mark.realdata
def test_asthma_equals_r_on_every_variant_when_missing_calls_are_dropped(asthma):
    folder, cohort, table = asthma
    logistic = cohort.study("glm", table["asthma"], {c: table[c] for c in ("age", "sex")}, trait="binary")
    linear = cohort.study("lm", table["bmi"], {c: table[c] for c in ("age", "sex", "smoke")})
    wald = cohort.run([logistic, linear], missing_genotypes="drop", exact=True)
    for key, name in (("glm", "expected_R_glm_asthma_age_sex.tsv"), ("lm", "expected_R_lm_bmi_age_sex_smoke.tsv")):
        r = pd.read_csv(folder / name, sep="\t").set_index("ID")
        mine = wald.set_index("id").loc[r.index]
        assert (mine["effect_allele"] == r["A1"]).all()
        assert (mine[f"{key}.n"] == r["N"]).all()
        # R's glm stops when the deviance moves by less than 1e-8
        assert (np.abs(mine[f"{key}.baseline.beta"] - r["BETA"]) / r["SE"]).max() < 1e-6
        np.testing.assert_allclose(mine[f"{key}.baseline.se"], r["SE"], rtol=1e-5)
        np.testing.assert_allclose(10 ** -mine[f"{key}.baseline.neg_log10_p"], r["P"], rtol=1e-5)


@pytest.mark.realdata
def test_asthma_equals_r_on_variants_without_missing_calls_when_imputed(asthma):
    folder, cohort, table = asthma
    logistic = cohort.study("glm", table["asthma"], {c: table[c] for c in ("age", "sex")}, trait="binary")
    linear = cohort.study("lm", table["bmi"], {c: table[c] for c in ("age", "sex", "smoke")})
    mine = cohort.run([logistic, linear]).set_index("id")
    for key, name in (("glm", "expected_R_glm_asthma_age_sex.tsv"), ("lm", "expected_R_lm_bmi_age_sex_smoke.tsv")):
        r = pd.read_csv(folder / name, sep="\t").set_index("ID")
        complete = r[mine.loc[r.index, f"{key}.n"] == r["N"]]
        assert len(complete) >= 1
        found = mine.loc[complete.index]
        assert (np.abs(found[f"{key}.baseline.beta"] - complete["BETA"]) / complete["SE"]).max() < 1e-4


@pytest.mark.realdata
@pytest.mark.oracle("plink2")
def test_asthma_equals_plink(asthma, tmp_path):
    folder, cohort, table = asthma
    covariates = ["age", "sex", "smoke"]
    columns = {c: table[c] for c in covariates}
    status = table.assign(asthma=table["asthma"] + 1)
    studies = [
        cohort.study("asthma", table["asthma"], columns, trait="binary"),
        cohort.study("bmi", table["bmi"], columns),
    ]
    mine = cohort.run(studies, missing_genotypes="drop")
    plink = plink_glm(tmp_path, folder / "asthma", status, ["asthma", "bmi"], covariates, modifiers=("no-firth",))
    # plink2 stops its logistic iterations early: up to 1e-3 standard errors from the maximum
    assert assert_agrees(mine, "asthma.baseline", plink["asthma"], effect=2e-3, logp=2e-3) == 51
    assert assert_agrees(mine, "bmi.baseline", plink["bmi"]) == 51


@pytest.mark.realdata
@pytest.mark.oracle("plink2")
def test_autosomes_x_and_indels_of_kg1126_equal_plink(real_data, tmp_path):
    prefix = real_data("kg1126") / "kg1126"
    cohort = open_cohort(tmp_path, prefix)
    table = in_order(pd.read_csv(real_data("kg1126") / "kg1126.pheno.tsv", sep="\t"), cohort)
    rng = np.random.default_rng(3)
    table["age"] = rng.normal(size=len(table))
    mine = cohort.run([cohort.study("outcome", table["outcome"], {"age": table["age"]})], missing_genotypes="drop")
    plink = plink_glm(tmp_path, prefix, table, ["outcome"], ["age"])["outcome"]
    # plink2 adds sex on X by itself, as we do; in the pseudo-autosomal region it does so too, and we do not
    tested = mine[mine["chromosome"] != "XY"]
    compared = assert_agrees(tested, "outcome.baseline", plink)
    assert compared > 20_000
    x = tested[tested["chromosome"] == "X"]
    assert assert_agrees(x, "outcome.baseline", plink) > 500
    # men's one allele counted once
    study = [cohort.study("outcome", table["outcome"], {"age": table["age"]})]
    once = cohort.run(study, missing_genotypes="drop", x_male_copies=1)
    plink = plink_glm(tmp_path, prefix, table, ["outcome"], ["age"], "--chr", "X", "--xchr-model", "1")["outcome"]
    assert assert_agrees(once[once["chromosome"] == "X"], "outcome.baseline", plink) > 500
    pd.testing.assert_series_equal(once["outcome.eaf"], mine["outcome.eaf"])
    assert np.nanmax(np.abs(once["outcome.baseline.beta"] - mine["outcome.baseline.beta"])[x.index]) > 0.01


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("swap", [False, True])
def test_the_effect_belongs_to_the_allele_for_both_bim_orders(tmp_path, swap):
    rng = np.random.default_rng(8)
    g = make_genotypes(rng, 500, 4, missing=0.01)
    y = 0.8 * np.maximum(g[1], 0) + rng.normal(size=500)
    cohort = make_cohort(tmp_path / "c", g)
    if swap:  # the same bytes, the alleles' names exchanged: the effect now belongs to G
        bim = pd.read_csv(cohort.folder / "g.bim", sep="\t", header=None)
        bim[[4, 5]] = bim[[5, 4]].to_numpy()
        bim.to_csv(cohort.folder / "g.bim", sep="\t", header=False, index=False)
        cohort = Cohort(cohort.folder, cohort.prefix, cohort.sex)
    mine = cohort.run([cohort.study("y", y)], missing_genotypes="drop")
    ids = [f"p{i}" for i in range(500)]
    plink = plink_glm(tmp_path, cohort.folder / "g", pd.DataFrame({"FID": ids, "IID": ids, "y": y}), ["y"], [])["y"]
    assert assert_agrees(mine, "y.baseline", plink) == 4
    assert mine["effect_allele"][1] == ("G" if swap else "A")
    assert mine["y.baseline.beta"][1] > 0.5


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["kg1126", "sampleA"])
def test_random_variants_equal_statsmodels(real_data, tmp_path, name):
    prefix = real_data(name) / name
    cohort = open_cohort(tmp_path, prefix)
    files = BedGenotypes([str(prefix)])
    rng = np.random.default_rng(5)
    n = files.n_samples
    age, y = rng.normal(size=n), rng.normal(size=n)
    status = (rng.random(n) < 0.25).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    studies = [
        cohort.study("q", y, {"age": age}),
        cohort.study("b", np.where(np.isnan(y), np.nan, status), {"age": age}, trait="binary"),
    ]
    kept = ~np.isnan(y)
    autosomal = np.flatnonzero(cohort.variants["chromosome"].isin([str(i) for i in range(1, 23)]))
    g = decode_int8(files.calls(autosomal), n)[:, kept]
    copies = np.where(g > 0, g, 0).sum(axis=1)
    count = np.minimum(copies, 2 * (g >= 0).sum(axis=1) - copies)
    rare, common = np.flatnonzero((count >= 5) & (count <= 20)), np.flatnonzero(count > 20)
    chosen = np.r_[rng.choice(rare, min(10, len(rare)), replace=False), rng.choice(common, 25, replace=False)]
    # only the chunk's own variants are read
    cohort.variants["chunk"] = np.where(np.isin(cohort.variants["index"], autosomal[chosen]), 0, 1).astype(np.int32)
    write_parquet(cohort.variants, cohort.folder / "variants.parquet")
    mine = cohort.run(studies, exact=True).set_index("index")
    for i in chosen:
        x = np.column_stack([np.ones(kept.sum()), age[kept], impute(g[i])])
        row = mine.loc[autosomal[i]]
        ols = sm.OLS(y[kept], x).fit()
        assert abs(row["q.baseline.beta"] - ols.params[-1]) / ols.bse[-1] < 1e-6
        assert row["q.baseline.neg_log10_p"] == pytest.approx(-np.log10(ols.pvalues[-1]), rel=1e-6, abs=1e-9)
        carriers = x[:, 2] != np.median(g[i])
        if row["b.baseline.reason"] == "separation":
            assert status[kept][carriers].mean() in (0.0, 1.0)
            continue
        logit = sm.Logit(status[kept], x).fit(disp=0, method="newton", tol=1e-12)
        assert abs(row["b.baseline.beta"] - logit.params[-1]) / logit.bse[-1] < 1e-6
        p = neg_log10_p_normal(logit.params[-1] / logit.bse[-1])
        assert row["b.baseline.neg_log10_p"] == pytest.approx(p, rel=1e-5, abs=1e-7)


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("x_male_copies", [1, 2])
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_haploid_effects_on_x_y_and_mt_equal_plink(tmp_path, trait, x_male_copies):
    """Effect and standard error are per copy: genotypes 0/1 where one copy is there, men's on X as asked for; the
    checks agree.
    """
    rng = np.random.default_rng(17)
    n, per = 600, 4
    sex = rng.choice([1, 2], n)
    men = sex == 1
    chromosome = [c for c in ("X", "Y", "MT") for _ in range(per)]
    g = make_genotypes(rng, n, len(chromosome), missing=0.02, low=0.2)
    for row, name in enumerate(chromosome):
        single = np.ones(n, dtype=bool) if name == "MT" else men
        g[row, single & (g[row] == 1)] = 2
        if name == "Y":
            g[row, ~men] = -1
    cohort = make_cohort(tmp_path / "g", g, sex, chromosome)
    age = rng.normal(size=n)
    liability = 0.6 * (g[per] > 0) + 0.4 * (g[2 * per + 1] > 0) + 0.3 * g[1] + 0.3 * age + rng.normal(size=n)
    y = liability if trait == "quantitative" else (liability > 0.9).astype(float)
    settings = {"missing_genotypes": "drop", "x_male_copies": x_male_copies, "firth": "never", "exact": True}
    mine = cohort.run([cohort.study("s", y, {"age": age}, trait=trait)], **settings)
    assert (mine["s.baseline.reason"] == "").all()
    ids = [f"p{i}" for i in range(n)]
    table = pd.DataFrame({"FID": ids, "IID": ids, "y": y + (trait == "binary"), "age": age})
    options = ["--xchr-model", str(x_male_copies)]
    modifiers = ["no-firth"] if trait == "binary" else []
    plink = plink_glm(tmp_path, tmp_path / "g" / "g", table, ["y"], ["age"], *options, modifiers=modifiers)["y"]
    assert len(plink) == 3 * per
    assert assert_agrees(mine, "s.baseline", plink) == 3 * per
    se = plink["SE" if "SE" in plink else "LOG(OR)_SE"].reindex(mine["id"]).to_numpy()
    # PLINK writes six digits, and stops its logistic fit a little before the maximum
    np.testing.assert_allclose(mine["s.baseline.se"], se, rtol=2e-5 if trait == "quantitative" else 1e-3)
    study = Study("s", trait, ("baseline",), (), np.arange(n), y, age[:, None], None, tmp_path)
    for row, name in enumerate(chromosome):
        second = Second(study, sex, name, settings)
        found = second.test(read_copies((f"{cohort.prefix}.bed", row), n), "baseline", mine["s.baseline.method"][row])
        assert found.se == pytest.approx(se[row], rel=1e-3), name

"""Simulated phenotypes: the stated shares of variance, the sign and allele of the effects, tables that need a join."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import kernels
from deepnull_gwas.simulate.causal import ancestry_axis, choose_causal
from deepnull_gwas.simulate.composition import Cohort, compose
from deepnull_gwas.simulate.covariates import draw_covariates, linear_design, nonlinear_terms
from deepnull_gwas.simulate.genotypes import simulate_genotypes
from deepnull_gwas.simulate.people import draw_people
from deepnull_gwas.simulate.phenotypes import read_genotypes, simulate_phenotypes
from deepnull_gwas.simulate.seeds import generator

SEED = 5
SETTINGS = {
    "people": 300,
    "variants": 2000,
    "chromosomes": [1, 2, "X"],
    "sibling_pairs": 10,
    "parent_child_pairs": 10,
    "missing_rate": 0.01,
    "phenotypes": {
        "curved": {
            "trait": "quantitative",
            "heritability": 0.5,
            "causal_variants": 5,
            "covariate_effects": "nonlinear",
            "covariate_variance": 0.3,
        },
        "straight": {
            "trait": "quantitative",
            "heritability": 0.3,
            "causal_variants": 4,
            "covariate_effects": "linear",
            "covariate_variance": 0.2,
            "stratification": 0.1,
        },
        "free": {"trait": "quantitative", "heritability": 0, "covariate_effects": "none", "stratification": 0},
        "disease": {
            "trait": "binary",
            "heritability": 0.6,
            "causal_variants": 3,
            "covariate_effects": "nonlinear",
            "covariate_variance": 0.2,
            "prevalence": 0.3,
        },
    },
}
VARIANCE = {"curved": 0.3, "straight": 0.2, "free": 0.0, "disease": 0.2}


class Simulated:
    def __init__(self, folder):
        self.prefix = folder / "g"
        self.files = [folder / name for name in ("samples.tsv", "truth.tsv", "truth.json")]
        simulate_genotypes(SETTINGS, SEED, self.prefix)
        simulate_phenotypes(self.prefix, SETTINGS, SEED, *self.files)
        self.table = pd.read_csv(self.files[0], sep="\t", dtype={"FID": str, "IID": str})
        self.truth = pd.read_csv(self.files[1], sep="\t", dtype={"chromosome": str})
        self.summary = json.loads(self.files[2].read_text())
        self.fileset, self.variants, self.fam, self.counts = read_genotypes(str(self.prefix))
        names = ["chromosome", "id", "centimorgan", "position", "a1", "a2"]
        self.bim = pd.read_csv(f"{self.prefix}.bim", sep="\t", header=None, names=names, dtype={"chromosome": str})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return Simulated(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def composed(simulated):
    sex = np.concatenate([simulated.fam["sex"].to_numpy(), [1, 2, 1]])
    covariates = draw_covariates(sex, generator(SEED, "covariates"))
    genotypes = simulated.fileset, simulated.variants, simulated.counts
    ancestry = ancestry_axis(*genotypes)
    cohort = Cohort(*genotypes, covariates, ancestry, SEED)
    out = {name: compose(name, spec, cohort) for name, spec in SETTINGS["phenotypes"].items()}
    return covariates, ancestry, out


def test_same_settings_and_seed_give_the_same_bytes(simulated, tmp_path):
    again = [tmp_path / f.name for f in simulated.files]
    simulate_phenotypes(simulated.prefix, SETTINGS, SEED, *again)
    for old, new in zip(simulated.files, again):
        assert old.read_bytes() == new.read_bytes()
    simulate_phenotypes(simulated.prefix, SETTINGS, SEED + 1, again[0], again[1])
    assert simulated.files[0].read_bytes() != again[0].read_bytes()


def test_a_phenotype_does_not_depend_on_the_others(simulated, tmp_path):
    alone = {**SETTINGS, "phenotypes": {"straight": SETTINGS["phenotypes"]["straight"]}}
    simulate_phenotypes(simulated.prefix, alone, SEED, tmp_path / "t.tsv", tmp_path / "truth.tsv")
    table = pd.read_csv(tmp_path / "t.tsv", sep="\t", dtype={"FID": str, "IID": str})
    pd.testing.assert_frame_equal(table, simulated.table[list(table.columns)])


@pytest.mark.parametrize("name", list(SETTINGS["phenotypes"]))
def test_shares_of_variance_are_as_stated(composed, name):
    _, ancestry, phenotypes = composed
    phenotype, spec = phenotypes[name], SETTINGS["phenotypes"][name]
    n = len(ancestry)
    parts = {key: value[:n] for key, value in phenotype.parts.items()}
    exact = {"rel": 1e-9, "abs": 1e-12}  # scaled in the sample: rounding only
    assert parts["genetic"].var() == pytest.approx(spec["heritability"], **exact)
    assert parts["covariates"].var() == pytest.approx(VARIANCE[name], **exact)
    assert parts["ancestry"].var() == pytest.approx(spec.get("stratification", 0.02), **exact)
    assert phenotype.liability[:n].var() == pytest.approx(1, **exact)
    assert phenotype.liability[:n].mean() == pytest.approx(0, abs=1e-12)
    whole = sum(parts[k] for k in ("genetic", "covariates", "ancestry", "residual"))
    np.testing.assert_allclose(whole - whole.mean(), phenotype.liability[:n], atol=1e-12)
    for key in ("genetic", "covariates", "ancestry"):
        assert abs(parts["residual"] @ parts[key]) < 1e-9 * n
    if spec["trait"] == "binary":
        assert set(phenotype.values) == {0.0, 1.0}
        assert phenotype.values[:n].mean() == pytest.approx(spec["prevalence"], abs=1 / n)
        assert (
            phenotype.liability[:n][phenotype.values[:n] == 1].min()
            > phenotype.liability[:n][phenotype.values[:n] == 0].max()
        )
    else:
        np.testing.assert_array_equal(phenotype.values, phenotype.liability)


def test_the_genetic_part_is_beta_times_dosage_of_a1(simulated, composed):
    _, ancestry, phenotypes = composed
    for phenotype in phenotypes.values():
        if not len(phenotype.causal):
            continue
        dosages = kernels.decode(simulated.fileset.calls(phenotype.causal), simulated.fileset.n_samples).astype(float)
        complete = ~np.isnan(dosages).any(axis=0)
        score = phenotype.beta @ dosages[:, complete]
        genetic = phenotype.parts["genetic"][: len(ancestry)][complete]
        np.testing.assert_allclose(score - score.mean(), genetic - genetic.mean(), atol=1e-9)


def test_nonlinear_effects_are_mostly_invisible_to_a_linear_model(composed):
    covariates, ancestry, phenotypes = composed
    n = len(ancestry)
    design = linear_design(covariates)[:n]

    def r2(x, y):
        return 1 - (y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).var() / y.var()

    for name, share in (("curved", 0.3), ("disease", 0.3), ("straight", 1.0)):
        # the rest is orthogonal to the linear design in this sample
        assert r2(design, phenotypes[name].parts["covariates"][:n]) == pytest.approx(share, abs=1e-9)
    full = np.column_stack([design, nonlinear_terms(covariates)[:n]])
    assert r2(full, phenotypes["curved"].parts["covariates"][:n]) == pytest.approx(1, abs=1e-9)


def test_truth_names_the_allele_and_the_sign(simulated):
    truth, bim = simulated.truth, simulated.bim.set_index("id")
    assert truth.groupby("phenotype").size().to_dict() == {"curved": 5, "straight": 4, "disease": 3}
    rows = bim.loc[truth["id"]]
    assert (rows["a1"].to_numpy() == truth["effect_allele"]).all()
    assert (rows["a2"].to_numpy() == truth["other_allele"]).all()
    assert (rows["position"].to_numpy() == truth["position"]).all()
    table = simulated.table.set_index("IID").reindex(simulated.fam["iid"])
    where = {v: i for i, v in enumerate(simulated.bim["id"])}
    z = []
    for name, mine in truth.groupby("phenotype"):
        index = np.array([where[v] for v in mine["id"]])
        dosages = kernels.decode(simulated.fileset.calls(index), simulated.fileset.n_samples).astype(float).T
        y = table[name].to_numpy(dtype=float)
        keep = ~np.isnan(y) & ~np.isnan(dosages).any(axis=1)
        x = np.column_stack([np.ones(keep.sum()), dosages[keep]])
        solution, rss = np.linalg.lstsq(x, y[keep], rcond=None)[:2]
        se = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * rss[0] / (keep.sum() - x.shape[1]))[1:]
        assert (np.sign(solution[1:]) == np.sign(mine["beta"])).all()
        if name != "disease":  # the liability is not seen
            z.extend((solution[1:] - mine["beta"]) / se)
    assert np.abs(z).max() < 4  # nine standard normal variables
    assert mine["variance_explained"].between(0.01, 0.7).all()


def test_causal_variants_are_common_and_spaced_and_on_x(simulated):
    bim, counts = simulated.variants, simulated.counts
    chosen = choose_causal(bim, counts, 10, np.random.default_rng(0))
    assert (bim["chromosome"].to_numpy()[chosen] == "X").any()
    called = counts[chosen, :3].sum(axis=1)
    frequency = (2 * counts[chosen, 0] + counts[chosen, 1]) / (2 * called)
    assert np.minimum(frequency, 1 - frequency).min() > 0.05
    assert (called / counts[chosen].sum(axis=1)).min() >= 0.97
    for _, rows in bim.iloc[chosen].groupby("chromosome"):
        assert (np.diff(np.sort(rows["position"])) >= 500_000).all()
    many = choose_causal(bim, counts, 200, np.random.default_rng(0))
    assert len(np.unique(many)) == 200
    with pytest.raises(InputError, match="causal variants asked for, but only"):
        choose_causal(bim, counts, 2001, np.random.default_rng(0))


def test_the_table_must_be_joined_by_id(simulated):
    table, fam = simulated.table, simulated.fam
    assert list(table.columns) == ["FID", "IID", "sex", "age", "bmi", "smoking", "site", *SETTINGS["phenotypes"]]
    assert table["IID"].is_unique
    known = table[table["IID"].isin(fam["iid"])].merge(fam, left_on="IID", right_on="iid", suffixes=("", "_fam"))
    assert len(known) == simulated.summary["people"]["in_both"] == 297
    assert len(table) - len(known) == simulated.summary["people"]["only_in_table"] == 3
    assert (known["sex"] == known["sex_fam"]).all() and (known["FID"] == known["fid"]).all()
    order = fam.reset_index().set_index("iid")["index"].reindex(known["IID"]).to_numpy()
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.3
    assert table["age"].dropna().between(40, 70).all()
    assert table["bmi"].dropna().between(15, 60).all()
    assert 0.3 < (table["smoking"].dropna() == 0).mean() < 0.8 and table["smoking"].min() == 0
    assert set(table["site"].dropna()) == {"A", "B", "C"}
    missing = table.drop(columns=["FID", "IID", "sex"]).isna().mean()
    assert (missing < 0.05).all() and 0.003 < missing.mean() < 0.02
    assert table["sex"].notna().all()


def test_binary_phenotypes_are_written_as_whole_numbers(simulated):
    column = simulated.files[0].read_text().splitlines()[0].split("\t").index("disease")
    values = {line.split("\t")[column] for line in simulated.files[0].read_text().splitlines()[1:]}
    assert values == {"0", "1", "NA"}


def test_summary_says_what_was_realised(simulated):
    summary = simulated.summary["phenotypes"]
    assert list(summary) == list(SETTINGS["phenotypes"])
    assert summary["curved"]["heritability"] == pytest.approx(0.5)
    assert summary["curved"]["linear_covariate_variance"] == pytest.approx(0.09)
    assert summary["curved"]["best_covariate_r2"] > summary["curved"]["linear_covariate_r2"]
    # chance correlation with the genetic part: sd of 2 sqrt(.3 x .5 / 300) = .045
    assert summary["curved"]["best_covariate_r2"] == pytest.approx(0.3, abs=0.15)
    assert summary["straight"]["best_covariate_r2"] == summary["straight"]["linear_covariate_r2"]
    assert summary["free"]["best_covariate_r2"] == 0
    assert summary["disease"]["prevalence"] == pytest.approx(0.3, abs=0.005)
    assert 0.5 < summary["disease"]["linear_covariate_auc"] < summary["disease"]["best_covariate_auc"] < 0.9


def test_ancestry_follows_the_populations(simulated, composed):
    population = draw_people(SETTINGS, SEED).population
    _, ancestry, _ = composed
    between = sum((population == p).sum() * ancestry[population == p].mean() ** 2 for p in "ABC") / (ancestry**2).sum()
    assert between > 0.1  # 2 / 300 by chance


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"trait": "Binary"}, "did you mean 'binary'"),
        ({"covariate_effects": "non-linear"}, "did you mean 'nonlinear'"),
        ({"heritability": 0.9, "covariate_variance": 0.2}, "leave 5 % of the variance"),
        ({"prevalence": 1.0}, "prevalence is 1"),
        ({"causal_variants": 0}, "cannot give a heritability"),
        ({"causal_variants": 1900}, "only"),
    ],
)
def test_specifications_that_cannot_be_met(simulated, tmp_path, spec, words):
    settings = {**SETTINGS, "phenotypes": {"bad": {"trait": "quantitative", "heritability": 0.3, **spec}}}
    with pytest.raises(InputError, match=words):
        simulate_phenotypes(simulated.prefix, settings, SEED, tmp_path / "t.tsv", tmp_path / "truth.tsv")
    assert not list(tmp_path.iterdir())


def test_a_phenotype_must_not_take_a_covariates_name(simulated, tmp_path):
    settings = {**SETTINGS, "phenotypes": {"bmi": {"trait": "quantitative"}}}
    with pytest.raises(InputError, match="taken by a column"):
        simulate_phenotypes(simulated.prefix, settings, SEED, tmp_path / "t.tsv", tmp_path / "truth.tsv")

"""Exports for other engines: PLINK 2 and BOLT-LMM take the files and give the deepnull arm's results."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.results.sumstats import read_sumstats
from workflow_runs import Run

pytestmark = pytest.mark.workflow

CONFIG = {
    "cohorts": {
        "small": {
            "genome_build": "GRCh38",
            "simulate": {
                "people": 800,
                "variants": 2000,
                "chromosomes": [1, 2],
                "sibling_pairs": 10,
                "parent_child_pairs": 0,
                # PLINK 2 leaves people with a missing call out, this workflow puts the mean there
                "missing_rate": 0,
                "phenotypes": {
                    "bmd": {"trait": "quantitative", "covariate_effects": "nonlinear"},
                    "asthma": {"trait": "binary", "covariate_effects": "nonlinear"},
                },
            },
        }
    },
    "deepnull": {"folds": 3, "model": "splines", "compare": False},
    # maximum likelihood for every variant, as PLINK 2
    "association": {"chunks": 1, "refine_below": 1, "firth": "never"},
    "structure": {"pcs": 0},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """Export two studies of a simulated cohort."""
    run = Run(tmp_path_factory.mktemp("exports"))
    row = {"cohort": "small", "covariates": "age,sex,bmi,site", "categorical_covariates": "site"}
    sheet = [
        {"study": name, "phenotype": name, "trait": trait} | row
        for name, trait in (("bmd", "quantitative"), ("asthma", "binary"))
    ]
    run.configure(CONFIG, sheet)
    run.snakemake("--cores", "2", "exports", "associations")
    return run


def copied(run: Run, study: str, engine: str) -> str:
    """Return the block of an engine as a reader would copy it, with the lines above all blocks."""
    script = (run.results / "small" / study / "exports" / "commands.sh").read_text()
    block = script.split(f"## {engine}")[1].split("##")[0]
    return "\n".join([script.split("##")[0], *block.splitlines()[1:]])


@pytest.mark.oracle("plink2")
def test_plink2_gives_the_deepnull_arm(run):
    for study, out, tolerance in (
        # PLINK prints six significant digits
        ("bmd", "deepnull.PHENOTYPE.glm.linear", 1e-4),
        # and ends Newton's method for logistic regression earlier than this workflow does
        ("asthma", "deepnull.PHENOTYPE.glm.logistic", 2e-3),
    ):
        done = subprocess.run(
            ["sh", "-c", copied(run, study, "PLINK 2")], cwd=run.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        theirs = pd.read_csv(run.folder / out, sep="\t")
        theirs["beta"] = theirs["BETA"] if "BETA" in theirs else np.log(theirs["OR"])
        ours = read_sumstats(run.results / "small" / study / "deepnull" / "sumstats.tsv.gz").to_pandas()
        both = ours.merge(theirs, left_on="original_id", right_on="ID", suffixes=("", "_plink"), validate="1:1")
        assert len(both) == len(ours) > 1000
        assert (both["A1"] == both["effect_allele"]).all()
        assert (both["OBS_CT"] == both["n"]).all()
        difference = (both["beta"] - both["beta_plink"]).abs() / both["standard_error"]
        assert difference.max() < tolerance


@pytest.mark.oracle("bolt")
def test_bolt_lmm_gives_the_deepnull_arm(run):
    # its linear regression beside the mixed model
    command = copied(run, "bmd", "BOLT-LMM").replace("--lmm", "--lmm --verboseStats")
    done = subprocess.run(["sh", "-c", command], cwd=run.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    theirs = pd.read_csv(run.folder / "deepnull.bolt.txt", sep="\t")
    ours = read_sumstats(run.results / "small" / "bmd" / "deepnull" / "sumstats.tsv.gz").to_pandas()
    both = ours.merge(theirs, left_on="original_id", right_on="SNP", validate="1:1")
    assert len(both) == len(ours) > 1000
    assert (both["ALLELE1"] == both["effect_allele"]).all()
    np.testing.assert_allclose(both["A1FREQ"], both["effect_allele_frequency"], atol=1e-6)
    # covariates: age, sex, bmi, two of site, deepnull_covariate, and the constant
    rest = both["n"] - 7
    square = (both["beta"] / both["standard_error"]) ** 2
    explained = square / (square + rest - 1)
    # BOLT-LMM's statistic is the share explained times the degrees of freedom without the variant, in single precision
    # and six digits
    np.testing.assert_allclose(both["CHISQ_LINREG"], rest * explained, rtol=2e-5, atol=2e-5)
    strong = square > 20
    assert strong.sum() > 3
    assert (np.sign(both["BETA"]) == np.sign(both["beta"]))[strong].all()

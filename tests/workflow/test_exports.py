"""Exports for other engines: PLINK 2 takes the files and gives the deepnull arm's results."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.results.sumstats import read_sumstats

pytestmark = [pytest.mark.workflow, pytest.mark.oracle("plink2")]

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
    "deepnull": {"folds": 3, "recipe": {"max_epochs": 5}},
    # maximum likelihood for every variant, as PLINK 2
    "association": {"chunks": 1, "refine_below": 1, "firth": "never"},
    "structure": {"pcs": 0},
}


def test_plink2_gives_the_deepnull_arm(run):
    row = {"cohort": "small", "covariates": "age,sex,bmi,site", "categorical_covariates": "site"}
    sheet = [
        {"study": name, "phenotype": name, "trait": trait} | row
        for name, trait in (("bmd", "quantitative"), ("asthma", "binary"))
    ]
    run.configure(CONFIG, sheet)
    run.snakemake("--cores", "1", "exports", "associations")
    for study, out, tolerance in (
        # PLINK prints six significant digits
        ("bmd", "deepnull.PHENOTYPE.glm.linear", 1e-4),
        # and ends Newton's method for logistic regression earlier than this workflow does
        ("asthma", "deepnull.PHENOTYPE.glm.logistic", 2e-3),
    ):
        script = (run.results / "small" / study / "exports" / "commands.sh").read_text()
        # the block of PLINK 2, as a reader would copy it
        head, block = script.split("## PLINK 2")[0], script.split("## PLINK 2")[1].split("##")[0]
        command = "\n".join([head, *block.splitlines()[1:]])
        done = subprocess.run(["sh", "-c", command], cwd=run.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        theirs = pd.read_csv(run.folder / out, sep="\t")
        theirs["beta"] = theirs["BETA"] if "BETA" in theirs else np.log(theirs["OR"])
        ours = read_sumstats(run.results / "small" / study / "deepnull" / "sumstats.tsv.gz").to_pandas()
        both = ours.merge(theirs, left_on="variant_id", right_on="ID", suffixes=("", "_plink"), validate="1:1")
        assert len(both) == len(ours) > 1000
        assert (both["A1"] == both["effect_allele"]).all()
        assert (both["OBS_CT"] == both["n"]).all()
        difference = (both["beta"] - both["beta_plink"]).abs() / both["standard_error"]
        assert difference.max() < tolerance

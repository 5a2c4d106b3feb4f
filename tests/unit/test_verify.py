"""The second implementation against the scan, and the check of published files."""

from __future__ import annotations

import numpy as np
import pytest

from association_cases import make_cohort, make_genotypes
from deepnull_gwas.results.verify import (
    BETA_IN_SE,
    FREQUENCY,
    P_ABSOLUTE,
    P_RELATIVE,
    SE_RELATIVE,
    Second,
    Study,
    read_calls,
)

CHROMOSOMES = {"autosome": "1", "X": "X", "Y": "Y", "MT": "MT"}


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_second_implementation_agrees_with_the_scan(tmp_path, missing, trait):
    """On every class of chromosomes, with missing calls, unknown sex, a collinear covariate, and every method that it knows."""
    rng = np.random.default_rng(3)
    n, per = 500, 12
    sex = rng.choice([0, 1, 2], n, p=[0.05, 0.45, 0.5]).astype(np.int8)
    chromosome = [c for c in CHROMOSOMES.values() for _ in range(per)]
    g = make_genotypes(rng, n, len(chromosome), missing=0.02, low=0.15)
    # a few rare variants, for Firth's likelihood
    g[:3] = np.where(rng.random((3, n)) < 0.01, 1, 0)
    cohort = make_cohort(tmp_path, g, sex, chromosome)
    age = rng.normal(50, 8, n)
    prediction = 0.1 * np.sin(age)
    liability = 0.02 * (age - 50) + prediction * 4 + 0.2 * np.maximum(g[5], 0) + rng.normal(size=n)
    y = liability if trait == "quantitative" else (liability > 0.3).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    covariates = {"age": age, "months": 12 * age, "pc": rng.normal(size=n)}
    settings = {
        "missing_genotypes": missing, "x_male_copies": 1 if missing == "drop" else 2, "firth": "fallback", "firth_mac": 8,
        "refine_below": 0.5,
    }  # fmt: skip
    found = cohort.run([cohort.study("s", y, covariates, prediction, trait)], **settings)
    people = np.flatnonzero(~np.isnan(y))
    matrix = np.column_stack([*covariates.values()])[people]
    study = Study("s", trait, ("baseline", "deepnull"), (), people, y[people], matrix, prediction[people], tmp_path)
    methods = set()
    for kind, name in CHROMOSOMES.items():
        second = Second(study, sex, kind, settings)
        for row in found[found["chromosome"] == name].itertuples():
            values = dict(zip(found.columns, row[1:]))
            calls = read_calls(cohort.prefix, values["index"], n)
            counted = second.counts(calls)
            names = {"n": "n", "effect_allele_frequency": "eaf"}
            if trait == "binary":
                names |= {"n_cases": "n_cases"} | {
                    f"effect_allele_frequency_{w}": f"eaf_{w}" for w in ("cases", "controls")
                }
            assert set(counted) == set(names)
            for column, theirs in names.items():
                assert abs(counted[column] - values[f"s.{theirs}"]) <= (0 if "n" in column[:2] else FREQUENCY), column
            for arm in study.arms:
                if values[f"s.{arm}.reason"]:
                    continue
                method = values[f"s.{arm}.method"]
                beta, se, p = second.test(calls, arm, method)
                methods.add(method)
                assert abs(beta - values[f"s.{arm}.beta"]) < BETA_IN_SE * se, (name, arm, method)
                assert abs(se - values[f"s.{arm}.se"]) < SE_RELATIVE * se, (name, arm, method)
                assert abs(p - values[f"s.{arm}.neg_log10_p"]) < P_ABSOLUTE + P_RELATIVE * p, (name, arm, method)
    want = {"linear"} if trait == "quantitative" else {"logistic", "firth"}
    assert methods >= want

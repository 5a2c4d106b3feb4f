"""Inflation and explained variance against plain least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort_files import make_cohort
from deepnull_gwas.cohort import stratification
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import read_json


def cohort(folder, variants: int = 400, people: int = 150):
    """Two populations that differ in allele frequencies and in the phenotype."""
    rng = np.random.default_rng(12)
    group = np.arange(people) % 2
    p = np.clip(
        rng.uniform(0.2, 0.8, (variants, 1)) + np.where(group, 0.12, -0.12) * rng.choice([-1, 1], (variants, 1)),
        0.02,
        0.98,
    )
    dosages = rng.binomial(2, p).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.02] = -1
    dosages[3] = 0
    return make_cohort(folder, dosages), dosages, group, group + rng.normal(size=people)


def plain(dosages, y, design):
    p_values = []
    for row in dosages:
        g = np.where(row < 0, row[row >= 0].mean(), row).astype(float)
        if g.std() == 0:
            continue
        x = np.column_stack([design, g])
        beta, rss = np.linalg.lstsq(x, y, rcond=None)[:2]
        df = len(y) - x.shape[1]
        se = np.sqrt(rss[0] / df * np.linalg.inv(x.T @ x)[-1, -1])
        p_values.append(2 * stats.t.sf(abs(beta[-1] / se), df))
    return stats.chi2.isf(np.median(p_values), 1) / stats.chi2.median(1)


@pytest.mark.parametrize("panel", [8192, 40])
def test_lambda_is_that_of_least_squares(tmp_path, panel, monkeypatch):
    monkeypatch.setattr("deepnull_gwas.genotypes.standardised.PANEL", panel)
    folder, dosages, group, y = cohort(tmp_path)
    people = np.flatnonzero(np.arange(150) % 7 > 0)
    one = np.ones((len(people), 1))
    designs = [one, np.column_stack([one, group[people]]), np.column_stack([one, group[people], 2 * group[people]])]
    found = stratification.lambda_gc(BedGenotypes([folder / "cohort"]), np.arange(400), people, y[people], designs)
    expected = [plain(dosages[:, people], y[people], d) for d in designs[:2]]
    # float32 products
    np.testing.assert_allclose(found[:2], expected, rtol=1e-4)
    assert found[2] == pytest.approx(found[1])
    assert found[0] > 3 > 1.6 > found[1]


def test_report_of_a_study(tmp_path):
    folder, _, group, y = cohort(tmp_path)
    rng = np.random.default_rng(1)
    people = np.arange(10, 150)
    pcs = pd.DataFrame(
        {"sample_index": np.arange(150), "PC1": group - 0.5, "PC2": rng.normal(size=150), "fitted": True}
    )
    pcs.to_parquet(folder / "pcs.parquet")
    pd.DataFrame({"index": np.arange(400)}).to_parquet(folder / "pruned.parquet")
    study = pd.DataFrame(
        {
            "sample_index": people, "phenotype": y[people], "cov_age": rng.normal(50, 10, 140),
            "cov_PC1": pcs["PC1"].to_numpy()[people],
        }
    )  # fmt: skip
    study.to_parquet(folder / "study.parquet")
    names = ["genotypes.json", "pruned.parquet", "pcs.parquet", "study.parquet"]
    result = stratification.check_stratification(*(folder / n for n in names), folder / "out.json")
    assert read_json(folder / "out.json") == result
    assert (result["n"], result["pcs_used"], result["pcs_computed"], result["variants"]) == (140, 1, 2, 400)
    x = np.column_stack([np.ones(140), study["cov_age"]])
    # whatever the phenotype's unit
    for unit in (2.0**-450, 2.0**450):
        study.assign(phenotype=study["phenotype"] * unit).to_parquet(folder / "study.parquet")
        assert stratification.check_stratification(*(folder / n for n in names), None) == result
    rest = y[people] - x @ np.linalg.lstsq(x, y[people], rcond=None)[0]
    assert result["r2_covariates"] == pytest.approx(1 - rest.var() / y[people].var())
    full = np.column_stack([x, pcs.loc[people, ["PC1", "PC2"]]])
    left = y[people] - full @ np.linalg.lstsq(full, y[people], rcond=None)[0]
    assert result["r2_pcs"] == pytest.approx(1 - (left @ left) / (rest @ rest) * 138 / 136)
    assert result["r2_of_pc"][0] > 0.1 > result["r2_of_pc"][1]
    assert result["lambda_without_pcs"] > 3
    assert result["lambda_with_pcs"] < 1.6

    study.iloc[:0].to_parquet(folder / "study.parquet")
    assert stratification.check_stratification(*(folder / n for n in names), folder / "out.json")["n"] == 0

"""Covariates of simulated people, and what they do to a phenotype."""

from __future__ import annotations

import numpy as np
import pandas as pd

COVARIATES: tuple[str, ...] = ("sex", "age", "bmi", "smoking", "site")

#: Where the covariates act non-linearly, the share of their variance that a linear model can still see.
LINEAR_SHARE = 0.3


def draw_covariates(sex: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the covariates of people of these sexes.

    Parameters
    ----------
    sex
        1 male, 2 female.
    rng
        Generator.

    Returns
    -------
    DataFrame: sex, age (years, 40 to 70), bmi (kg/m2, a little higher with age and in men), smoking (pack-years,
    0 for about 55 %), site (A, B, C); rounded as they are written, so that the truth is a function of the table.
    """
    n = len(sex)
    man = np.asarray(sex) == 1
    age = np.round(rng.uniform(40, 70, size=n), 1)
    bmi = 25.0 + 0.05 * (age - 55) + 0.8 * man + rng.gamma(3.0, 2.2, size=n) - 4.0
    ever = rng.random(n) < 0.40 + 0.10 * man
    smoking = np.where(ever, np.minimum(rng.gamma(1.6, 12.0, size=n), 120.0), 0.0)
    return pd.DataFrame(
        {
            "sex": np.asarray(sex).astype(np.int64),
            "age": age,
            "bmi": np.round(np.clip(bmi, 15, 60), 1),
            "smoking": np.round(smoking, 1),
            "site": rng.choice(np.array(["A", "B", "C"], dtype=object), size=n, p=[0.5, 0.3, 0.2]),
        }
    )


def standard(x: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and standard deviation 1."""
    return (x - x.mean()) / x.std()


def linear_design(covariates: pd.DataFrame) -> np.ndarray:
    """Return the linear design of the covariates: intercept, sex, age, bmi, smoking, site B, site C (people x 7)."""
    return np.column_stack(
        [
            np.ones(len(covariates)),
            (covariates["sex"] == 1).to_numpy(dtype=float),
            *(standard(covariates[c].to_numpy(dtype=float)) for c in ("age", "bmi", "smoking")),
            *((covariates["site"] == s).to_numpy(dtype=float) for s in ("B", "C")),
        ]
    )


def nonlinear_terms(covariates: pd.DataFrame) -> np.ndarray:
    """Return the non-linear terms (people x 6, each standardised).

    Age squared and age by sex, which a second-order model also finds; waves of age (period 12 years, the phase differs
    by sex) and of BMI (period 10 kg/m2); a threshold at 15 pack-years; and BMI above 30 kg/m2 by age.
    """
    age, bmi, smoking = (covariates[c].to_numpy(dtype=float) for c in ("age", "bmi", "smoking"))
    man = (covariates["sex"] == 1).to_numpy(dtype=float)
    z = (age - 55) / 15
    terms = [
        z**2,
        z * (man - 0.5),
        np.sin(2 * np.pi * (age - 40) / 12 + man * np.pi / 2),
        np.sin(2 * np.pi * (bmi - 25) / 10),
        (smoking > 15).astype(float),
        np.maximum(bmi - 30, 0) * z,
    ]
    return np.column_stack([standard(t) for t in terms])


def covariate_parts(
    covariates: pd.DataFrame, genotyped: np.ndarray, effects: str, variance: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what the covariates do, and its linear part, scaled to ``variance`` among the genotyped people."""
    n = len(covariates)
    # drawn in any case, so that one phenotype's other draws do not hang on the kind of its covariate effects
    slopes = rng.normal(size=6) * np.array([1.0, 1.0, 0.8, 0.6, 0.5, 0.5])
    weights = rng.uniform(0.7, 1.3, size=6) * rng.choice([-1.0, 1.0], size=6) * np.array([0.8, 0.7, 1.0, 0.7, 0.7, 0.6])
    if effects == "none" or variance == 0:
        return np.zeros(n), np.zeros(n)
    design = linear_design(covariates)
    linear = design[:, 1:] @ slopes
    linear = (linear - linear[genotyped].mean()) / linear[genotyped].std() * np.sqrt(variance)
    if effects == "linear":
        return linear, linear
    rest = nonlinear_terms(covariates) @ weights
    # what a linear model cannot see: orthogonal to the linear design among the genotyped people
    rest = rest - design @ np.linalg.lstsq(design[genotyped], rest[genotyped], rcond=None)[0]
    rest = rest / rest[genotyped].std() * np.sqrt(variance)
    linear = np.sqrt(LINEAR_SHARE) * linear
    return linear + np.sqrt(1 - LINEAR_SHARE) * rest, linear

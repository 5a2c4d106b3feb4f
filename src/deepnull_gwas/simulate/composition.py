"""A simulated phenotype, put together from genetic, covariate, ancestry and residual parts of stated variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from deepnull_gwas.errors import InputError, nearest
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.simulate.causal import choose_causal, imputed_dosages
from deepnull_gwas.simulate.covariates import COVARIATES, covariate_parts, linear_design
from deepnull_gwas.simulate.seeds import generator
from deepnull_gwas.traits import trait_of

DEFAULT_STRATIFICATION = 0.02

EFFECTS: tuple[str, ...] = ("none", "linear", "nonlinear")
TRAITS: tuple[str, ...] = ("quantitative", "binary")


@dataclass(frozen=True)
class Phenotype:
    """One simulated phenotype, before values go missing.

    Attributes
    ----------
    values
        float64, one per person of the table (genotyped people first, in file order): mean 0 and standard deviation 1
        among the genotyped; binary: 1 case, 0 control.
    liability
        float64: the same before the threshold (quantitative: equal to ``values``).
    parts
        float64 arrays ``genetic``, ``covariates``, ``linear_covariates``, ``ancestry``, ``residual``.
        ``covariates`` contains ``linear_covariates``; genetic + covariates + ancestry + residual = liability.
    causal
        int64: numbers of the causal variants.
    beta
        float64: effect of one copy of A1 on the liability.
    variance_explained
        float64: ``beta^2 x`` variance of the dosage.
    """

    values: np.ndarray
    liability: np.ndarray
    parts: dict[str, np.ndarray]
    causal: np.ndarray
    beta: np.ndarray
    variance_explained: np.ndarray


@dataclass(frozen=True)
class Cohort:
    """The cohort that phenotypes are simulated for.

    Attributes
    ----------
    fileset, variants, counts
        Genotypes; their table of variants; counts of genotypes (see
        :func:`~deepnull_gwas.simulate.causal.choose_causal`).
    covariates
        Of all people of the table, genotyped ones first in file order.
    ancestry
        float64, score of the genotyped people.
    seed
        The seed of the config.
    """

    fileset: Genotypes
    variants: pd.DataFrame
    counts: np.ndarray
    covariates: pd.DataFrame
    ancestry: np.ndarray
    seed: int


@dataclass(frozen=True)
class Shares:
    """What one entry of ``phenotypes`` asks for.

    Attributes
    ----------
    trait, effects
        One of :data:`TRAITS`; one of :data:`EFFECTS`.
    heritability, covariates, stratification
        Shares of the variance.
    prevalence
        Of a binary trait.
    causal
        Number of causal variants.
    """

    trait: str
    effects: str
    heritability: float
    covariates: float
    stratification: float
    prevalence: float
    causal: int


def read_shares(name: str, spec: Mapping[str, Any]) -> Shares:
    """Read and check one entry of ``phenotypes``.

    Raises
    ------
    InputError
        Naming the phenotype, the key, what was found and what is allowed.
    """
    where = f"simulate: phenotype '{name}'"
    if name in (*COVARIATES, "FID", "IID"):
        raise InputError(f"{where}: the name is taken by a column of the sample table; choose another")
    trait = spec.get("trait", "quantitative")
    effects = spec.get("covariate_effects", "linear")
    for value, allowed, key in ((trait, TRAITS, "trait"), (effects, EFFECTS, "covariate_effects")):
        if value not in allowed:
            raise InputError(f"{where}: {key} is '{value}', expected one of {list(allowed)}{nearest(value, allowed)}")
    heritability = float(spec.get("heritability", 0.3))
    covariates = 0.0 if effects == "none" else float(spec.get("covariate_variance", 0.3))
    stratification = float(spec.get("stratification", DEFAULT_STRATIFICATION))
    prevalence = float(spec.get("prevalence", 0.3))
    causal = int(spec.get("causal_variants", 20))
    if min(heritability, covariates, stratification) < 0 or heritability + covariates + stratification > 0.95:
        raise InputError(
            f"{where}: heritability {heritability:g}, covariate_variance {covariates:g} and stratification "
            f"{stratification:g} must not be negative and must leave 5 % of the variance to chance"
        )
    if not 0 < prevalence < 1:
        raise InputError(f"{where}: prevalence is {prevalence:g}, expected a share between 0 and 1")
    if causal <= 0 < heritability:
        raise InputError(f"{where}: {causal} causal variants cannot give a heritability of {heritability:g}")
    number = causal if heritability else 0
    return Shares(trait, effects, heritability, covariates, stratification, prevalence, number)


def compose(name: str, spec: Mapping[str, Any], cohort: Cohort) -> Phenotype:
    """Put one phenotype together from its parts.

    Parameters
    ----------
    name, spec
        Its name and its entry in the settings.
    cohort
        The cohort.

    Returns
    -------
    Phenotype. Among the genotyped people, and in this very sample (variances with divisor n), the genetic part has
    the stated heritability as its variance, the covariates and the ancestry theirs, and the liability variance 1:
    the residual is made orthogonal to the other parts and fills up. People without genotypes get a genetic part by
    chance.

    Raises
    ------
    InputError
        When the settings cannot be met.
    """
    shares = read_shares(name, spec)
    n, n_all, seed = cohort.fileset.n_samples, len(cohort.covariates), cohort.seed
    genotyped = np.arange(n_all) < n
    rng = generator(seed, "phenotype", name, "genetic")
    genetic = np.zeros(n_all)
    causal, beta, variance_explained = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    if shares.causal:
        causal, beta, variance_explained, genetic[:n] = _genetic_part(name, shares, cohort, rng)
    genetic[n:] = rng.normal(size=n_all - n) * np.sqrt(shares.heritability)

    with threadpool_limits(1):
        acting, linear = covariate_parts(
            cohort.covariates, genotyped, shares.effects, shares.covariates,
            generator(seed, "phenotype", name, "covariates"),
        )  # fmt: skip
        ancestry_part = np.zeros(n_all)
        ancestry_part[:n] = cohort.ancestry * np.sqrt(shares.stratification)
        fixed = genetic + acting + ancestry_part
        left = 1 - fixed[:n].var()
        if left < 0.01:
            raise InputError(
                f"simulate: phenotype '{name}': its parts correlate by chance and leave no variance to the residual; "
                "lower heritability, covariate_variance or stratification"
            )
        noise = generator(seed, "phenotype", name, "residual").normal(size=n_all)
        basis = np.column_stack([linear_design(cohort.covariates)[:n], genetic[:n], acting[:n], ancestry_part[:n]])
        noise[:n] -= basis @ np.linalg.lstsq(basis, noise[:n], rcond=None)[0]
        residual = noise / noise[:n].std() * np.sqrt(left)
    liability = fixed + residual
    liability = liability - liability[:n].mean()
    values = liability
    if trait_of(shares.trait).has_cases:
        values = (liability > np.quantile(liability[:n], 1 - shares.prevalence)).astype(float)
    parts = {
        "genetic": genetic,
        "covariates": acting,
        "linear_covariates": linear,
        "ancestry": ancestry_part,
        "residual": residual,
    }
    return Phenotype(values, liability, parts, causal, beta, variance_explained)


def _genetic_part(
    name: str, shares: Shares, cohort: Cohort, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw causal variants: numbers, betas, variances explained; and the genetic part of the people."""
    causal = choose_causal(cohort.variants, cohort.counts, shares.causal, rng, f"simulate: phenotype '{name}'")
    dosages = imputed_dosages(cohort.fileset, causal)
    spread = dosages.std(axis=1)
    beta = rng.uniform(0.6, 1.4, size=shares.causal) * rng.choice([-1.0, 1.0], size=shares.causal) / spread
    with threadpool_limits(1):
        score = beta @ dosages
    scale = np.sqrt(shares.heritability) / score.std()
    beta = beta * scale
    return causal, beta, (beta * spread) ** 2, (score - score.mean()) * scale

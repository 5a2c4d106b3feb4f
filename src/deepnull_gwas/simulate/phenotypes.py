"""Simulated sample tables: covariates, and phenotypes with known genetic, covariate and ancestry shares."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from deepnull_gwas.errors import InputError, nearest
from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.formats import open_filesets
from deepnull_gwas.simulate.genotypes import generator
from deepnull_gwas.tables import write_json, write_tsv

logger = logging.getLogger(__name__)

COVARIATES: tuple[str, ...] = ("sex", "age", "bmi", "smoking", "site")

#: Shares of the people: in the genotypes only, in the table only; shares of the values that are missing.
ONLY_GENOTYPED = 0.01
ONLY_IN_TABLE = 0.01
MISSING_VALUES = 0.01

#: Where the covariates act non-linearly, the share of their variance that a linear model can still see.
LINEAR_SHARE = 0.3

#: Causal variants are at least this common, this far apart (bp) where there is room, and called this well.
CAUSAL_MAF = 0.05
CAUSAL_SPACING = 1_000_000
CAUSAL_CALL_RATE = 0.97

DEFAULT_STRATIFICATION = 0.02

#: Variants behind the ancestry axis of the stratification.
ANCESTRY_VARIANTS = 1_500

EFFECTS: tuple[str, ...] = ("none", "linear", "nonlinear")
TRAITS: tuple[str, ...] = ("quantitative", "binary")


@dataclass(frozen=True)
class Phenotype:
    """One simulated phenotype, before values go missing.

    Attributes
    ----------
    values
        float64, one a person of the table (genotyped people first, in .fam order): mean 0 and standard deviation 1
        among the genotyped; binary: 1 case, 0 control.
    liability
        float64: the same before the threshold (quantitative: equal to ``values``).
    parts
        float64 arrays ``genetic``, ``covariates``, ``linear_covariates``, ``ancestry``, ``residual``.
        ``covariates`` contains ``linear_covariates``; genetic + covariates + ancestry + residual = liability.
    causal
        int64: .bim rows of the causal variants.
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


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


def linear_design(covariates: pd.DataFrame) -> np.ndarray:
    """Give the linear design of the covariates: intercept, sex, age, bmi, smoking, site B, site C (people x 7)."""
    return np.column_stack(
        [
            np.ones(len(covariates)),
            (covariates["sex"] == 1).to_numpy(dtype=float),
            *(_standard(covariates[c].to_numpy(dtype=float)) for c in ("age", "bmi", "smoking")),
            *((covariates["site"] == s).to_numpy(dtype=float) for s in ("B", "C")),
        ]
    )


def nonlinear_terms(covariates: pd.DataFrame) -> np.ndarray:
    """Give the non-linear terms (people x 6, each standardised).

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
    return np.column_stack([_standard(t) for t in terms])


def _covariate_parts(
    covariates: pd.DataFrame, genotyped: np.ndarray, effects: str, variance: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give what the covariates do, and its linear part, scaled to ``variance`` among the genotyped people."""
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


def choose_causal(
    bim: pd.DataFrame, counts: np.ndarray, number: int, rng: np.random.Generator, where: str = "simulate"
) -> np.ndarray:
    """Choose causal variants: common, well called, near Hardy-Weinberg proportions, spaced apart, one on X at least.

    Parameters
    ----------
    bim
        chromosome and position of the variants.
    counts
        int64, variants x 4: homozygous A1, heterozygous, homozygous A2, missing.
    number
        How many.
    rng
        Generator.
    where
        Opens the error message.

    Returns
    -------
    int64 rows of ``bim``, ascending. They lie 1 Mb apart; where that leaves too few, the distance is halved.

    Raises
    ------
    InputError
        When fewer variants than that qualify at all.
    """
    called = np.maximum(counts[:, :3].sum(axis=1), 1)
    frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * called)
    maf = np.minimum(frequency, 1 - frequency)
    het = counts[:, 1] / called / np.maximum(2 * frequency * (1 - frequency), 1e-9)
    x = (bim["chromosome"] == "X").to_numpy()
    tolerance = np.maximum(0.15, 5 / np.sqrt(called))  # calls lost to a failed assay take 60 % of the heterozygotes
    good = (maf > CAUSAL_MAF) & (called / counts.sum(axis=1) >= CAUSAL_CALL_RATE) & (x | (np.abs(het - 1) < tolerance))
    candidates = np.flatnonzero(good)
    if len(candidates) < number:
        raise InputError(
            f"{where}: {number} causal variants asked for, but only {len(candidates)} variants are well called "
            f"and have MAF > {CAUSAL_MAF:g}; ask for fewer, or simulate more variants"
        )
    order = rng.permutation(candidates)
    if number >= 2 and x[candidates].any():
        first = order[x[order]][0]
        order = np.concatenate([[first], order[order != first]])
    chromosome, position = bim["chromosome"].to_numpy(), bim["position"].to_numpy()
    spacing = CAUSAL_SPACING
    while True:
        taken: dict[str, list[int]] = {}
        chosen: list[int] = []
        for row in order:
            if len(chosen) == number:
                break
            near = taken.setdefault(chromosome[row], [])
            if all(abs(position[row] - p) >= spacing for p in near):
                near.append(position[row])
                chosen.append(row)
        if len(chosen) == number:
            return np.sort(np.array(chosen, dtype=np.int64))
        spacing //= 2


def _dosages(fileset: Genotypes, rows: np.ndarray) -> np.ndarray:
    """Decode these variants to float64, variants x people; a missing call becomes the variant's mean."""
    dosages = kernels.decode(np.ascontiguousarray(fileset.calls(rows)), fileset.n_samples).astype(np.float64)
    mean = np.nanmean(dosages, axis=1, keepdims=True)
    return np.where(np.isnan(dosages), mean, dosages)


def ancestry_axis(fileset: Genotypes, bim: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Give one standardised ancestry score a person: first plus half the second principal component.

    Of up to 1,500 evenly spread common autosomal variants, from their variants x variants covariance, so that the
    cost does not grow with the square of the people.
    """
    called = np.maximum(counts[:, :3].sum(axis=1), 1)
    frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * called)
    usable = (np.minimum(frequency, 1 - frequency) > 0.05) & (called / counts.sum(axis=1) > 0.97)
    rows = np.flatnonzero(usable & (bim["chromosome"] != "X").to_numpy())
    if len(rows) == 0:  # a cohort of X only
        rows = np.flatnonzero(usable)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ANCESTRY_VARIANTS)).astype(int))]
    genotypes = _dosages(fileset, rows)
    genotypes -= genotypes.mean(axis=1, keepdims=True)
    genotypes /= genotypes.std(axis=1, keepdims=True)
    with threadpool_limits(1):  # the same sums in the same order on any machine
        _, vectors = np.linalg.eigh(genotypes @ genotypes.T)
        score = np.zeros(genotypes.shape[1])
        for k, weight in ((-1, 1.0), (-2, 0.5)):
            if -k > vectors.shape[1]:
                break
            loading = vectors[:, k]
            loading = loading * np.sign(loading[np.argmax(np.abs(loading))])
            score += weight * _standard(loading @ genotypes)
    return _standard(score)


def _check(name: str, spec: Mapping[str, Any]) -> tuple[str, str, float, float, float, float, int]:
    """Read one entry of ``phenotypes``."""
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
    return trait, effects, heritability, covariates, stratification, prevalence, causal if heritability else 0


def compose(
    name: str,
    spec: Mapping[str, Any],
    fileset: Genotypes,
    bim: pd.DataFrame,
    counts: np.ndarray,
    covariates: pd.DataFrame,
    ancestry: np.ndarray,
    seed: int,
) -> Phenotype:
    """Put one phenotype together from its parts.

    Parameters
    ----------
    name, spec
        Its name and its entry in the settings.
    fileset, bim, counts
        Genotypes, chromosome and position, genotype counts (see :func:`choose_causal`).
    covariates
        Of all people of the table, genotyped ones first in .fam order.
    ancestry
        Score of the genotyped people.
    seed
        The seed of the config.

    Returns
    -------
    Phenotype. Among the genotyped people, and in this very sample (variances with divisor n), the genetic part has
    the stated heritability as its variance, the covariates and the ancestry theirs, and the liability variance 1:
    the residual is made orthogonal to the other parts and fills up. People without genotypes get a genetic part by
    chance.
    """
    trait, effects, heritability, share, stratification, prevalence, number = _check(name, spec)
    n, n_all = fileset.n_samples, len(covariates)
    genotyped = np.arange(n_all) < n
    rng = generator(seed, "phenotype", name, "genetic")
    genetic = np.zeros(n_all)
    causal, beta = np.zeros(0, dtype=np.int64), np.zeros(0)
    variance_explained = np.zeros(0)
    if number:
        causal = choose_causal(bim, counts, number, rng, f"simulate: phenotype '{name}'")
        dosages = _dosages(fileset, causal)
        spread = dosages.std(axis=1)
        beta = rng.uniform(0.6, 1.4, size=number) * rng.choice([-1.0, 1.0], size=number) / spread
        with threadpool_limits(1):
            score = beta @ dosages
        scale = np.sqrt(heritability) / score.std()
        beta = beta * scale
        genetic[:n] = (score - score.mean()) * scale
        variance_explained = (beta * spread) ** 2
    genetic[n:] = rng.normal(size=n_all - n) * np.sqrt(heritability)

    with threadpool_limits(1):
        acting, linear = _covariate_parts(
            covariates, genotyped, effects, share, generator(seed, "phenotype", name, "covariates")
        )
        ancestry_part = np.zeros(n_all)
        ancestry_part[:n] = ancestry * np.sqrt(stratification)
        fixed = genetic + acting + ancestry_part
        left = 1 - fixed[:n].var()
        if left < 0.01:
            raise InputError(
                f"simulate: phenotype '{name}': its parts correlate by chance and leave no variance to the residual; "
                "lower heritability, covariate_variance or stratification"
            )
        noise = generator(seed, "phenotype", name, "residual").normal(size=n_all)
        basis = np.column_stack([linear_design(covariates)[:n], genetic[:n], acting[:n], ancestry_part[:n]])
        noise[:n] -= basis @ np.linalg.lstsq(basis, noise[:n], rcond=None)[0]
        residual = noise / noise[:n].std() * np.sqrt(left)
    liability = fixed + residual
    liability = liability - liability[:n].mean()
    values = liability
    if trait == "binary":
        values = (liability > np.quantile(liability[:n], 1 - prevalence)).astype(float)
    parts = {
        "genetic": genetic,
        "covariates": acting,
        "linear_covariates": linear,
        "ancestry": ancestry_part,
        "residual": residual,
    }
    return Phenotype(values, liability, parts, causal, beta, variance_explained)


def _auc(score: np.ndarray, case: np.ndarray) -> float:
    """Area under the ROC curve by ranks; .5 for a constant score."""
    cases = int(case.sum())
    ranks = rankdata(score)
    return float((ranks[case == 1].sum() - cases * (cases + 1) / 2) / (cases * (len(case) - cases)))


def _r2(prediction: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(prediction, y)[0, 1] ** 2) if prediction.std() > 0 else 0.0


def _summary(spec: Mapping[str, Any], phenotype: Phenotype, n: int) -> dict[str, Any]:
    """Say what was realised among the genotyped people."""
    parts = {key: value[:n] for key, value in phenotype.parts.items()}
    y = phenotype.values[:n]
    binary = spec.get("trait", "quantitative") == "binary"
    out: dict[str, Any] = {
        "trait": "binary" if binary else "quantitative",
        "scale": "liability" if binary else "phenotype",
        "heritability": parts["genetic"].var(),
        "covariate_variance": parts["covariates"].var(),
        "linear_covariate_variance": parts["linear_covariates"].var(),
        "stratification": parts["ancestry"].var(),
        "residual_variance": parts["residual"].var(),
        "variance": phenotype.liability[:n].var(),
        "causal_variants": len(phenotype.causal),
        "best_covariate_r2": _r2(parts["covariates"], y),
        "linear_covariate_r2": _r2(parts["linear_covariates"], y),
    }
    if binary:
        out["prevalence"] = y.mean()
        out["best_covariate_auc"] = _auc(parts["covariates"], y)
        out["linear_covariate_auc"] = _auc(parts["linear_covariates"], y)
    return out


def _read(prefix: Path) -> tuple[Genotypes, pd.DataFrame, pd.DataFrame, np.ndarray]:
    fileset = open_filesets([prefix])
    bim = pd.read_csv(
        f"{prefix}.bim",
        sep="\t",
        header=None,
        names=["chromosome", "id", "centimorgan", "position", "a1", "a2"],
        dtype={"chromosome": str, "id": str, "a1": str, "a2": str},
        na_filter=False,
    )
    fam = pd.read_csv(
        f"{prefix}.fam",
        sep="\t",
        header=None,
        names=["fid", "iid", "father", "mother", "sex", "phenotype"],
        dtype={"fid": str, "iid": str},
        na_filter=False,
    )
    counts = np.concatenate(
        [
            kernels.count_genotypes(np.ascontiguousarray(block), kernels.pack_mask(np.ones(fileset.n_samples, bool)))
            for _, _, block in fileset.blocks(0, fileset.n_variants, 8192)
        ]
    )
    return fileset, bim, fam, counts


def simulate_phenotypes(
    prefix: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out_table: str | Path,
    out_truth: str | Path,
    out_json: str | Path | None = None,
) -> None:
    """Simulate covariates and phenotypes on genotypes that :func:`simulate_genotypes` wrote.

    Parameters
    ----------
    prefix
        The PLINK fileset; it is read back, so the truth refers to what is in the file.
    settings
        ``phenotypes``: name -> ``trait`` (quantitative, binary), ``heritability``, ``causal_variants``,
        ``covariate_effects`` (none, linear, nonlinear), ``covariate_variance``, ``stratification`` (share of
        variance that follows ancestry), ``prevalence`` (binary). ``truth_columns``: whether the table also gets what the covariates do to each
        phenotype, as ``<phenotype>_covariates``.
    seed
        The seed of the config.
    out_table
        Sample table (TSV): FID, IID, sex, age, bmi, smoking, site and the phenotypes (binary: 1 case, 0 control),
        ``NA`` where missing. Its rows are shuffled; about 1 % of the genotyped people are not in it, and it holds
        about 1 % of people who were not genotyped.
    out_truth
        TSV, one row a phenotype and causal variant: phenotype, id, chromosome, position, effect_allele (A1),
        other_allele, beta (one copy of A1, in standard deviations of the phenotype or of the liability),
        variance_explained.
    out_json
        Realised shares of variance and the best R2 (AUC) that any model of the covariates can have, by phenotype;
        over all genotyped people.

    Raises
    ------
    InputError
        When the settings cannot be met.
    """
    fileset, bim, fam, counts = _read(Path(prefix))
    n = fileset.n_samples
    rng = generator(seed, "table")
    extra = max(1, round(ONLY_IN_TABLE * n))
    sex = np.concatenate([fam["sex"].to_numpy(), rng.integers(1, 3, size=extra)])
    covariates = draw_covariates(sex, generator(seed, "covariates"))
    width = max(5, len(str(n)))
    table = pd.DataFrame(
        {
            "FID": [*fam["fid"], *(f"N{i + 1:0{width}d}" for i in range(extra))],
            "IID": [*fam["iid"], *(f"N{i + 1:0{width}d}" for i in range(extra))],
        }
    )
    table = pd.concat([table, covariates], axis=1)
    specs: Mapping[str, Mapping[str, Any]] = settings["phenotypes"]
    for name, spec in specs.items():
        _check(name, spec)
    ancestry = ancestry_axis(fileset, bim, counts) if specs else np.zeros(n)
    truth, summary = [], {}
    for name, spec in specs.items():
        phenotype = compose(name, spec, fileset, bim, counts, covariates, ancestry, seed)
        values = phenotype.values.copy()
        values[generator(seed, "missing", name).random(len(values)) < MISSING_VALUES] = np.nan
        # whole numbers for a binary trait: its case value is "1", not "1.0"
        binary = spec.get("trait", "quantitative") == "binary"
        table[name] = pd.array(values, dtype="Float64").astype("Int64") if binary else values
        if settings.get("truth_columns"):
            table[f"{name}_covariates"] = phenotype.parts["covariates"]
        rows = bim.iloc[phenotype.causal]
        truth.append(
            pd.DataFrame(
                {
                    "phenotype": name,
                    "id": rows["id"].to_numpy(),
                    "chromosome": rows["chromosome"].to_numpy(),
                    "position": rows["position"].to_numpy(),
                    "effect_allele": rows["a1"].to_numpy(),
                    "other_allele": rows["a2"].to_numpy(),
                    "beta": phenotype.beta,
                    "variance_explained": phenotype.variance_explained,
                }
            )
        )
        summary[name] = _summary(spec, phenotype, n)
        logger.info(
            "phenotype %s: %s",
            name,
            {k: v if isinstance(v, str) else round(float(v), 4) for k, v in summary[name].items()},
        )
    for column in ("age", "bmi", "smoking", "site"):
        lost = generator(seed, "missing", column).random(len(table)) < MISSING_VALUES
        table[column] = table[column].mask(lost)
    left_out = rng.choice(n, size=max(1, round(ONLY_GENOTYPED * n)), replace=False)
    order = rng.permutation(np.setdiff1d(np.arange(len(table)), left_out))
    write_tsv(table.iloc[order], out_table)
    columns = ["phenotype", "id", "chromosome", "position", "effect_allele", "other_allele", "beta"]
    write_tsv(pd.concat(truth) if truth else pd.DataFrame(columns=[*columns, "variance_explained"]), out_truth)
    if out_json is not None:
        people = {
            "genotyped": n,
            "only_genotyped": len(left_out),
            "only_in_table": extra,
            "in_both": n - len(left_out),
        }
        write_json({"seed": int(seed), "people": people, "phenotypes": summary}, out_json)

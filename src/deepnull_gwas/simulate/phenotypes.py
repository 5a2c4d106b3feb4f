"""Simulated sample tables: covariates, and phenotypes with known genetic, covariate and ancestry shares."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.formats import open_filesets
from deepnull_gwas.simulate.causal import ancestry_axis
from deepnull_gwas.simulate.composition import Cohort, Phenotype, compose, read_shares
from deepnull_gwas.simulate.covariates import draw_covariates
from deepnull_gwas.simulate.seeds import generator
from deepnull_gwas.tables import write_json, write_tsv
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

#: Shares of the people: in the genotypes only, in the table only; shares of the values that are missing.
ONLY_GENOTYPED = 0.01
ONLY_IN_TABLE = 0.01
MISSING_VALUES = 0.01

#: Columns of the truth.
TRUTH = [
    *("phenotype", "id", "chromosome", "position", "effect_allele", "other_allele"),
    *("beta", "variance_explained"),
]


def _auc(score: np.ndarray, case: np.ndarray) -> float:
    """Compute the area under the ROC curve by ranks; .5 for a constant score."""
    cases = int(case.sum())
    ranks = rankdata(score)
    return float((ranks[case == 1].sum() - cases * (cases + 1) / 2) / (cases * (len(case) - cases)))


def _r2(prediction: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(prediction, y)[0, 1] ** 2) if prediction.std() > 0 else 0.0


def _summary(spec: Mapping[str, Any], phenotype: Phenotype, n: int) -> dict[str, Any]:
    """Summarise what was realised among the genotyped people."""
    parts = {key: value[:n] for key, value in phenotype.parts.items()}
    y = phenotype.values[:n]
    binary = trait_of(spec.get("trait", "quantitative")).has_cases
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


def read_genotypes(name: str) -> tuple[Genotypes, pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Read back a simulated fileset: genotypes, variants, people, and counts of genotypes of each variant."""
    fileset = open_filesets([name])
    everybody = kernels.pack_mask(np.ones(fileset.n_samples, bool))
    blocks = (block for _, _, block in fileset.blocks(0, fileset.n_variants, 8192))
    counts = np.concatenate([kernels.count_genotypes(np.ascontiguousarray(block), everybody) for block in blocks])
    return fileset, fileset.read_variants(name), fileset.read_people(name), counts


def simulate_phenotypes(
    prefix: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out_table: str | Path,
    out_truth: str | Path,
    out_json: str | Path | None = None,
) -> None:
    """Simulate covariates and phenotypes on simulated genotypes (rule ``simulate_phenotypes``).

    Parameters
    ----------
    prefix
        Name of the fileset; it is read back, so the truth refers to what is in the file.
    settings
        ``phenotypes``: name -> ``trait`` (quantitative, binary), ``heritability``, ``causal_variants``,
        ``covariate_effects`` (none, linear, nonlinear), ``covariate_variance``, ``stratification`` (share of
        variance that follows ancestry), ``prevalence`` (binary). ``truth_columns``: whether the table also gets what
        the covariates do to each phenotype, as ``<phenotype>_covariates``.
    seed
        The seed of the config.
    out_table
        Sample table (TSV): FID, IID, sex, age, bmi, smoking, site and the phenotypes (binary: 1 case, 0 control),
        ``NA`` where missing. Its rows are shuffled; about 1 % of the genotyped people are not in it, and it holds
        about 1 % of people who were not genotyped.
    out_truth
        TSV, one row per phenotype and causal variant: phenotype, id, chromosome, position, effect_allele (A1),
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
    fileset, variants, people, counts = read_genotypes(str(prefix))
    n = fileset.n_samples
    rng = generator(seed, "table")
    extra = max(1, round(ONLY_IN_TABLE * n))
    sex = np.concatenate([people["sex"].to_numpy(), rng.integers(1, 3, size=extra)])
    covariates = draw_covariates(sex, generator(seed, "covariates"))
    specs: Mapping[str, Mapping[str, Any]] = settings["phenotypes"]
    for name, spec in specs.items():
        read_shares(name, spec)
    ancestry = ancestry_axis(fileset, variants, counts) if specs else np.zeros(n)
    cohort = Cohort(fileset, variants, counts, covariates, ancestry, seed)
    table = _people_table(people, covariates)
    truth, summary = [], {}
    for name, spec in specs.items():
        phenotype = compose(name, spec, cohort)
        _add_phenotype(table, name, spec, phenotype, seed)
        if settings.get("truth_columns"):
            table[f"{name}_covariates"] = phenotype.parts["covariates"]
        truth.append(_truth(name, variants, phenotype))
        summary[name] = _summary(spec, phenotype, n)
        rounded = {k: v if isinstance(v, str) else round(float(v), 4) for k, v in summary[name].items()}
        logger.info("phenotype %s: %s", name, rounded)
    for column in ("age", "bmi", "smoking", "site"):
        lost = generator(seed, "missing", column).random(len(table)) < MISSING_VALUES
        table[column] = table[column].mask(lost)
    left_out = rng.choice(n, size=max(1, round(ONLY_GENOTYPED * n)), replace=False)
    order = rng.permutation(np.setdiff1d(np.arange(len(table)), left_out))
    write_tsv(table.iloc[order], out_table)
    write_tsv(pd.concat(truth) if truth else pd.DataFrame(columns=TRUTH), out_truth)
    if out_json is not None:
        sizes = {
            "genotyped": n,
            "only_genotyped": len(left_out),
            "only_in_table": extra,
            "in_both": n - len(left_out),
        }
        write_json({"seed": int(seed), "people": sizes, "phenotypes": summary}, out_json)


def _people_table(people: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    """Return IDs and covariates of everybody; those without genotypes come last and have IDs of their own."""
    extra, width = len(covariates) - len(people), max(5, len(str(len(people))))
    others = [f"N{i + 1:0{width}d}" for i in range(extra)]
    ids = pd.DataFrame({"FID": [*people["fid"], *others], "IID": [*people["iid"], *others]})
    return pd.concat([ids, covariates], axis=1)


def _add_phenotype(table: pd.DataFrame, name: str, spec: Mapping[str, Any], phenotype: Phenotype, seed: int) -> None:
    """Add a phenotype to the sample table, some of its values missing."""
    values = phenotype.values.copy()
    values[generator(seed, "missing", name).random(len(values)) < MISSING_VALUES] = np.nan
    # whole numbers for a binary trait: its case value is "1", not "1.0"
    binary = trait_of(spec.get("trait", "quantitative")).has_cases
    table[name] = pd.array(values, dtype="Float64").astype("Int64") if binary else values


def _truth(name: str, variants: pd.DataFrame, phenotype: Phenotype) -> pd.DataFrame:
    """Return the causal variants of a phenotype and their effects: columns :data:`TRUTH`."""
    rows = variants.iloc[phenotype.causal].assign(
        phenotype=name, beta=phenotype.beta, variance_explained=phenotype.variance_explained
    )
    return rows[TRUTH]

"""How much of a study's phenotype is population structure, by components and by test statistics."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special
from threadpoolctl import threadpool_limits

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.standardised import StandardisedGenotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import read_parquet, write_json, write_tsv

logger = logging.getLogger(__name__)

#: Median of chi-square with one degree of freedom.
_MEDIAN_CHI2 = 0.45493642311957174


def _basis(columns: np.ndarray) -> np.ndarray:
    """Compute an orthonormal basis of some columns; what is collinear is left out."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-9 * max(sizes.max(initial=0), 1e-300)]


def lambda_gc(
    fileset: Genotypes, index: np.ndarray, people: np.ndarray, phenotype: np.ndarray, designs: Sequence[np.ndarray]
) -> list[float]:
    """Compute the genomic inflation of a linear test with several sets of covariates, in one pass over the variants.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of autosomal variants.
    people
        Ascending sample indices.
    phenotype
        One per person.
    designs
        Covariates, people x c each, with the constant.

    Returns
    -------
    Chi-square at the median p-value / .4549, one per design; NaN without variants or degrees of freedom.
    """
    n = len(people)
    bases = [_basis(d) for d in designs]
    residuals = [phenotype - q @ (q.T @ phenotype) for q in bases]
    selected = np.zeros(fileset.n_samples, dtype=bool)
    selected[people] = True
    counts = count_variants(fileset, index, [selected])[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * counts[:, :3].sum(axis=1))
    index = index[(frequency > 0) & (frequency < 1)]
    genotypes = StandardisedGenotypes(fileset, index, frequency[(frequency > 0) & (frequency < 1)])
    right = np.hstack([*bases, *(r[:, None] for r in residuals)])
    wide = np.zeros((genotypes.width, right.shape[1]), dtype=np.float32)
    wide[genotypes.order[people]] = right
    chosen = np.zeros(genotypes.width, dtype=np.float32)
    chosen[genotypes.order[people]] = 1
    statistics: list[list[np.ndarray]] = [[] for _ in designs]
    edges = np.cumsum([0, *(q.shape[1] for q in bases)])
    with threadpool_limits(1, user_api="blas"):
        for start in genotypes.starts():
            block = genotypes.block(start)
            product = np.zeros((len(block[0]), right.shape[1]))
            squares = np.zeros(len(block[0]))
            for panel in genotypes.panels:
                z = genotypes.decode(block, panel)
                product += z @ wide[genotypes.columns(panel)]
                squares += (z * z) @ chosen[genotypes.columns(panel)]
            for k, (q, residual) in enumerate(zip(bases, residuals)):
                df = n - q.shape[1] - 1
                left = squares - (product[:, edges[k] : edges[k + 1]] ** 2).sum(axis=1)
                total = float(residual @ residual)
                usable = left > 1e-6 * squares
                explained = product[usable, edges[-1] + k] ** 2 / left[usable]
                if df > 0 and total > 0:
                    statistics[k].append(explained / np.maximum(total - explained, 1e-300) * df)
    out = []
    for q, parts in zip(bases, statistics):
        values = np.concatenate(parts) if parts else np.empty(0)
        # by way of the p-value: the square of t is larger than chi-square where people are few
        p = special.fdtrc(1, n - q.shape[1] - 1, np.median(values)) if len(values) else np.nan
        out.append(float(special.chdtri(1, p) / _MEDIAN_CHI2))
    return out


def check_stratification(
    genotypes: str | Path, pruned: str | Path, pcs: str | Path, study_samples: str | Path, out: str | Path | None = None
) -> dict[str, Any]:
    """Measure how much of a study's phenotype is population structure (see :func:`check_studies`).

    Parameters
    ----------
    genotypes, pruned, pcs
        The cohort, its pruned variants and components.
    study_samples
        The study's ``samples.parquet``.
    out
        JSON (None: not written): ``n``; ``pcs_used`` (components among the covariates) and ``pcs_computed``;
        ``r2_covariates`` (share of the phenotype's variance that the other covariates explain); ``r2_pcs`` (adjusted
        share of the rest that all computed components explain), ``r2_of_pc`` (each alone); ``lambda_without_pcs``,
        ``lambda_with_pcs`` (with those used), ``lambda_with_all`` (with all computed), over ``variants`` pruned
        variants.

    Returns
    -------
    What was written.

    Notes
    -----
    Linear tests, for a binary phenotype as well: the inflation is of the same size and costs one pass. Over some
    thousand pruned variants lambda has a standard error of about 1.5 / sqrt(variants).
    """
    study = read_parquet(study_samples)
    table = read_parquet(pcs).set_index("sample_index")
    names = [c for c in table.columns if re.fullmatch(r"PC\d+", c)]
    index = read_parquet(pruned, columns=["index"])["index"].to_numpy()
    if len(study) == 0:
        result: dict[str, Any] = {"n": 0, "pcs_used": 0, "pcs_computed": len(names), "variants": len(index)}
        if out is not None:
            write_json(result, out)
        return result
    people = study["sample_index"].to_numpy()
    y = study["phenotype"].to_numpy(dtype=np.float64)
    # by a power of two, which changes no digit of what comes out: products are in single precision
    y = np.ldexp(y, -int(np.frexp(np.abs(y).max(initial=0.0))[1]))
    covariates = [c for c in study.columns if c.startswith("cov_")]
    used = [c for c in covariates if re.fullmatch(r"cov_PC\d+", c)]
    others = study[[c for c in covariates if c not in used]].to_numpy(dtype=np.float64)
    one = np.ones((len(y), 1))
    components = table.loc[people, names].to_numpy(dtype=np.float64)

    def scaled(columns: np.ndarray) -> np.ndarray:
        """Centre and scale, so that what is collinear does not depend on units."""
        spread = columns.std(axis=0)
        return (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)

    base = np.hstack([one, scaled(others)])
    with_used = np.hstack([base, scaled(study[used].to_numpy(dtype=np.float64))])
    with_all = np.hstack([base, scaled(components)])
    q = _basis(base)
    centred = y - y.mean()
    rest = y - q @ (q.T @ y)
    total, remaining = float(centred @ centred), float(rest @ rest)
    inner = components - q @ (q.T @ components)
    space = _basis(inner) if inner.shape[1] else inner
    explained = float(((space.T @ rest) ** 2).sum()) / max(remaining, 1e-300)
    df = len(y) - q.shape[1]
    adjusted = 1 - (1 - explained) * df / max(df - space.shape[1], 1)
    norms = np.maximum((inner**2).sum(axis=0), 1e-300)
    fileset = open_genotypes(genotypes)
    inflation = lambda_gc(fileset, index, people, y, [base, with_used, with_all])
    result = {
        "n": len(y),
        "pcs_used": len(used),
        "pcs_computed": len(names),
        "variants": len(index),
        "r2_covariates": 1 - remaining / total if total > 0 else np.nan,
        "r2_pcs": max(adjusted, 0.0),
        "r2_of_pc": ((inner.T @ rest) ** 2 / norms / max(remaining, 1e-300)).tolist(),
        "lambda_without_pcs": inflation[0],
        "lambda_with_pcs": inflation[1],
        "lambda_with_all": inflation[2],
    }
    logger.info(
        "components explain %.2g %% of the phenotype beyond the covariates; lambda %.3f without, %.3f with %d, %.3f "
        "with %d of them",
        100 * result["r2_pcs"], *inflation[:2], len(used), inflation[2], len(names),
    )  # fmt: skip
    if out is not None:
        write_json(result, out)
    return result


def check_studies(
    genotypes: str | Path, pruned: str | Path, pcs: str | Path, studies: Sequence[str | Path], out: str | Path
) -> None:
    """Measure the stratification of all studies of a cohort (rule ``check_stratification``).

    Parameters
    ----------
    genotypes, pruned, pcs
        The cohort, its pruned variants and components.
    studies
        The studies' ``samples.parquet``; the folder is the study's name.
    out
        TSV, one row per study: what :func:`check_stratification` measures.
    """
    rows = []
    progress = Progress(len(studies), "studies")
    for path in studies:
        result = check_stratification(genotypes, pruned, pcs, path)
        # the study's own table shows the shares of single components: here only the strongest
        shares = result.pop("r2_of_pc", None)
        if shares:
            result["strongest_pc"] = f"PC{int(np.argmax(shares)) + 1}"
            result["r2_strongest_pc"] = float(np.max(shares))
        rows.append({"study": Path(path).parent.name} | result)
        progress.add(1)
    write_tsv(pd.DataFrame(rows), out)

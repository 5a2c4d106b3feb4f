"""Principal components of genotypes: exact for small cohorts, block Krylov for large ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from deepnull_gwas.cohort.krylov import block_krylov
from deepnull_gwas.cohort.losses import losses
from deepnull_gwas.cohort.projection import PEOPLE, pass_loadings_on, project_pcs
from deepnull_gwas.cohort.relationship import apply, apply_transposed, multiply, relationship_matrix
from deepnull_gwas.cohort.shrinkage import noise_of, shrinkage, sum_of_squares, unshrink
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.standardised import BLOCK, PANEL, StandardisedGenotypes
from deepnull_gwas.tables import Column, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Up to this many people the relationship matrix is decomposed exactly.
EXACT_PEOPLE = 5000

FLAGS = [
    Column(
        "fitted",
        "bool",
        "took part in defining the components (else: what they would have in the place of their relatives who did)",
    ),
    Column("outlier", "int32", "first component on which the person lies far from the mean; 0 if none"),
]
LOADINGS = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    Column(
        "effect_allele_frequency",
        "float64",
        "frequency of the effect allele among the people who define the components",
        nullable=True,
    ),
]


@dataclass(frozen=True)
class Effort:
    """How components are computed; with the exception of the seed and the tolerance no result depends on it.

    Attributes
    ----------
    seed
        Of the random start (large cohorts only).
    threads
        Blocks or tiles at a time.
    exact_people
        Up to this many people the relationship matrix is decomposed exactly.
    tolerance, memory_mb
        See :func:`~deepnull_gwas.cohort.krylov.block_krylov`.
    """

    seed: int = 0
    threads: int = 1
    exact_people: int = EXACT_PEOPLE
    tolerance: float = 0.01
    memory_mb: float = 2000.0


@dataclass(frozen=True)
class PcaInputs:
    """What components are computed from, by path.

    Attributes
    ----------
    genotypes, pruned, qc_samples
        The cohort, its pruned variants, its people's verdicts.
    families, relatives
        Output of ``estimate_kinship``: the unrelated people, and the related pairs; None where nobody is related.
    variants, loadings
        Of a projection: the cohort's variants, and the loadings of others
        (:func:`~deepnull_gwas.cohort.projection.read_loadings`).
    """

    genotypes: str | Path
    pruned: str | Path
    qc_samples: str | Path
    families: str | Path | None = None
    relatives: str | Path | None = None
    variants: str | Path | None = None
    loadings: str | Path | None = None


@dataclass(frozen=True)
class PcaOutputs:
    """Where components go.

    Attributes
    ----------
    pcs
        Parquet: sample_index, fid, iid, PC1 .., fitted (whether the person took part in defining them), outlier (the
        first component on which the person is one; 0 if none); the people who passed.
    eigenvalues
        TSV: component, eigenvalue, variance_explained.
    loadings
        Parquet: the pruned variants with their frequency and loadings.
    """

    pcs: str | Path
    eigenvalues: str | Path
    loadings: str | Path


def principal_components(
    fileset: Genotypes,
    index: np.ndarray,
    fit: np.ndarray,
    k: int,
    effort: Effort | None = None,
    related: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> dict[str, np.ndarray | float]:
    """Compute the leading principal components of the people of a mask, and those that the others would have in it.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants (autosomal, pruned).
    fit
        bool, one per person: who defines the components.
    k
        How many components.
    effort
        How they are computed.
    related
        Related pairs: numbers of the people, and by how much (twice the kinship coefficient); see
        :func:`~deepnull_gwas.cohort.shrinkage.unshrink`.

    Returns
    -------
    dict with ``pcs`` (people x k: unit-length eigenvectors over ``fit``; for the others projections without their
    shrinkage), ``eigenvalues`` (k, of Z'Z/m), ``variance_explained`` (k, share of the trace), ``loadings`` (variants x
    k, unit length), ``frequency`` (variants), ``residuals`` (k, relative), ``shrinkage`` (k, of an unrelated person's
    projection; 1 where nobody is projected).

    Raises
    ------
    InputError
        When there are fewer variants or people than components.

    Notes
    -----
    Dosages are standardised by the binomial standard deviation at the frequency in ``fit``, missing calls set to the
    mean (Patterson, Price & Reich 2006, PLoS Genetics 2:e190, as PLINK 2). The sign is such that the loading of largest
    absolute value is positive.
    """
    effort = effort or Effort()
    fit = np.asarray(fit, dtype=bool)
    counts = count_variants(fileset, index, [fit])[0]
    called = counts[:, :3].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = (2 * counts[:, 0] + counts[:, 1]) / (2 * called)
    genotypes = StandardisedGenotypes(fileset, index, frequency)
    used = int(((frequency > 0) & (frequency < 1)).sum())
    people = int(fit.sum())
    if k > min(used, people - 1):
        raise InputError(
            f"{k} principal components need more than {k} people and at least {k} variants, but {people:,} people and "
            f"{used:,} polymorphic pruned variants are there: lower structure.pcs, or relax structure.maf or "
            "structure.r2"
        )
    mask = np.zeros(genotypes.width)
    mask[genotypes.order[fit]] = 1.0
    # the sum of squares of a standardised variant follows from its counts
    squares = genotypes.values.astype(np.float64) ** 2
    trace = float((counts[:, [0, 3, 1, 2]] * squares).sum()) / used
    with threadpool_limits(1, user_api="blas"):
        values, vectors, residuals, squared = _decompose(genotypes, mask, k, used, effort)
        singular = np.sqrt(np.maximum(values, 1e-30) * used)
        loadings = apply(genotypes, vectors, effort.threads) / singular
        largest = np.abs(loadings).argmax(axis=0)
        sign = np.where(loadings[largest, np.arange(k)] < 0, -1.0, 1.0)
        loadings, vectors = loadings * sign, vectors * sign
        pcs, shrunk = vectors[genotypes.order], np.ones(k)
        if not fit.all():
            projected = apply_transposed(genotypes, loadings, effort.threads)[genotypes.order] / singular
            shrunk = shrinkage(values, *noise_of(values, people, trace, squared(vectors, values, trace)))
            pcs[~fit] = unshrink(projected, pcs, fit, shrunk, related)[~fit]
    return {
        "pcs": pcs, "eigenvalues": values, "variance_explained": values / trace, "loadings": loadings,
        "frequency": frequency, "residuals": residuals, "shrinkage": shrunk,
    }  # fmt: skip


def _decompose(
    genotypes: StandardisedGenotypes, mask: np.ndarray, k: int, used: int, effort: Effort
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray, float], float]]:
    """Compute the leading eigenvectors of Z'Z / used over the people of a mask.

    Returns
    -------
    eigenvalues (k, descending), eigenvectors (columns x k), relative residuals (k), and what gives the sum of the
    squares of all eigenvalues from eigenvectors, eigenvalues and trace.
    """
    people = int(mask.sum())
    if people <= effort.exact_people:
        # imported here: scipy.linalg costs every other step of the workflow half a second
        from scipy.linalg import eigh

        columns = np.flatnonzero(mask)
        total = relationship_matrix(genotypes, columns, effort.threads) / used
        squared = float(np.einsum("ij,ij->", total, total))
        values, small = eigh(total, subset_by_index=[people - k, people - 1], driver="evr", overwrite_a=True)
        vectors = np.zeros((genotypes.width, k))
        vectors[columns] = small[:, ::-1]
        return values[::-1], vectors, np.zeros(k), lambda *_: squared

    def operator(v: np.ndarray) -> np.ndarray:
        return multiply(genotypes, mask, v, effort.threads) / used

    def estimate(vectors: np.ndarray, values: np.ndarray, trace: float) -> float:
        return sum_of_squares(operator, mask, vectors, values, trace, effort.seed)

    found = block_krylov(operator, mask, k, effort.seed, effort.tolerance, memory_mb=effort.memory_mb)
    return *found, estimate


def outliers(pcs: np.ndarray, fit: np.ndarray, sd: float) -> np.ndarray:
    """Return the first component on which each person is an outlier, 0 if none.

    An outlier lies more than ``sd`` standard deviations from the mean of ``fit``.
    """
    if pcs.shape[1] == 0:
        return np.zeros(len(pcs), dtype=np.int32)
    far = np.abs(pcs - pcs[fit].mean(axis=0)) > sd * pcs[fit].std(axis=0)
    return np.where(far.any(axis=1), far.argmax(axis=1) + 1, 0).astype(np.int32)


def compute_pcs(inputs: PcaInputs, settings: Mapping[str, Any], seed: int, out: PcaOutputs, threads: int = 1) -> None:
    """Compute the principal components of the people who passed quality control.

    With ``families``, the unrelated people define the components: otherwise large families make components of their
    own. Their relatives get the components that they would have in their place
    (:func:`~deepnull_gwas.cohort.shrinkage.unshrink`), so that who of a family is analysed in a study, cases perhaps,
    does not show in the components.

    Parameters
    ----------
    inputs, out
        See :class:`PcaInputs`, :class:`PcaOutputs`.
    settings
        ``pcs``: how many; 0 gives tables without components. Optional: ``outlier_sd``, from which distance people are
        flagged; ``memory_mb`` for the work space of large cohorts.
    seed
        Of the random start (large cohorts only).
    threads
        Blocks at a time; the result does not depend on it.

    Raises
    ------
    InputError
        When there are fewer variants or people than components.
    """
    k = int(settings["pcs"])
    people = read_parquet(inputs.qc_samples, columns=["sample_index", "fid", "iid", "passed", "filter"])
    passed = people["passed"].to_numpy(dtype=bool)
    table = read_parquet(inputs.pruned)
    index = table["index"].to_numpy()
    fit = _defining(people, passed, inputs.families)
    related = None if inputs.relatives is None else read_related(inputs.relatives)
    effort = Effort(seed, threads, memory_mb=float(settings.get("memory_mb") or 2000.0))
    _log_needs(int(fit.sum()), len(index), k, effort)
    names = [f"PC{i}" for i in range(1, k + 1)]
    if k == 0:
        result = {
            "pcs": np.empty((len(people), 0)), "eigenvalues": np.empty(0), "variance_explained": np.empty(0),
            "loadings": np.empty((len(index), 0)), "frequency": np.full(len(index), np.nan),
        }  # fmt: skip
    else:
        try:
            result = principal_components(open_genotypes(inputs.genotypes), index, fit, k, effort, related)
        except InputError as error:
            gone = losses(people["filter"])
            went = f". Of {len(people):,} people, these filters removed: {gone}" if gone else ""
            raise InputError(f"{inputs.genotypes}: {error}{went}") from None
        logger.info("eigenvalues %s", " ".join(f"{v:.4g}" for v in result["eigenvalues"]))
        if not fit[passed].all():
            logger.info("shrinkage of projections, taken out: %s", " ".join(f"{v:.3g}" for v in result["shrinkage"]))
    pcs = pd.concat([people[["sample_index", "fid", "iid"]], pd.DataFrame(result["pcs"], columns=names)], axis=1)
    sd = float(settings.get("outlier_sd") or np.inf)
    pcs["fitted"], pcs["outlier"] = fit, outliers(result["pcs"], fit, sd)
    pcs = pcs[passed]
    if (pcs["outlier"] > 0).any():
        far = pcs.loc[pcs["outlier"] > 0, "iid"]
        logger.warning("%s people lie more than %g SD from the mean: %s", f"{len(far):,}", sd, some(far))
    write_parquet(pcs, out.pcs, [*PEOPLE, *(Column(n, "float64", "principal component") for n in names), *FLAGS])
    values = {"eigenvalue": result["eigenvalues"], "variance_explained": result["variance_explained"]}
    write_tsv(pd.DataFrame({"component": range(1, k + 1), **values}), out.eigenvalues)
    loadings = table.assign(effect_allele_frequency=result["frequency"], **dict(zip(names, result["loadings"].T)))
    metadata = {"eigenvalues": list(map(float, result["eigenvalues"])), "variants": len(index)}
    write_parquet(loadings, out.loadings, LOADINGS, metadata=metadata)


def _defining(people: pd.DataFrame, passed: np.ndarray, families: str | Path | None) -> np.ndarray:
    """Return who defines the components (bool): who passed and, with ``families``, is unrelated."""
    if families is None:
        return passed.copy()
    kin = read_parquet(families, columns=["sample_index", "unrelated"])
    unrelated = people["sample_index"].isin(kin.loc[kin["unrelated"], "sample_index"]).to_numpy()
    fit = passed & unrelated
    logger.info("%s relatives are projected", f"{int((passed & ~fit).sum()):,}")
    return fit


def _log_needs(n: int, variants: int, k: int, effort: Effort) -> None:
    """Log the memory and the time that components of this many people and variants need."""
    exact, threads = n <= effort.exact_people, max(effort.threads, 1)
    work = n * n * 20 if exact else min(effort.memory_mb * 1e6, 40 * n * (k + 12) * 16)
    seconds = (n * n * variants / 8e10 + 1.2e-10 * n**3 if exact else 12 * n * variants * 2e-9) / threads + 3
    logger.info(
        "%d components of %s people from %s variants (%s); needs about %.0f MB and %.0f s",
        k, f"{n:,}", f"{variants:,}", "exact" if exact else "block Krylov",
        300 + (work + 2 * effort.threads * (n * (k + 12) * 4 + 4 * BLOCK * PANEL)) / 1e6, seconds,
    )  # fmt: skip


def read_related(relatives: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read numbers of the people of related pairs, and by how much they are related: twice the kinship, at most 1."""
    pairs = pd.read_csv(relatives, sep="\t", usecols=["sample_index_1", "sample_index_2", "kinship"])
    share = np.clip(2 * pairs["kinship"].to_numpy(dtype=np.float64), 0, 1)
    return pairs["sample_index_1"].to_numpy(np.int64), pairs["sample_index_2"].to_numpy(np.int64), share


def compute_or_project_pcs(
    inputs: PcaInputs, settings: Mapping[str, Any], seed: int, out: PcaOutputs, threads: int = 1
) -> None:
    """Compute the cohort's own components, or project its people on given ``loadings`` (rule ``compute_pcs``).

    See :func:`compute_pcs` and :func:`~deepnull_gwas.cohort.projection.project_pcs`; of a projection, the tables of
    eigenvalues and loadings are those of the loadings given.
    """
    if inputs.loadings is None:
        compute_pcs(inputs, settings, seed, out, threads)
        return
    if inputs.variants is None:
        raise ValueError("a projection needs the cohort's variants")
    project_pcs(inputs.genotypes, inputs.variants, inputs.qc_samples, inputs.loadings, out.pcs, threads)
    pass_loadings_on(inputs.loadings, out.eigenvalues, out.loadings)

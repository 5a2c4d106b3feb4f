"""Principal components of genotypes: exact for small cohorts, block Krylov for large ones, streaming from the packed file."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.losses import losses
from deepnull_gwas.cohort.text_table import MISSING, column_of_numbers, line_of, read_text_table
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.standardised import BLOCK, PANEL, StandardisedGenotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import Column, read_metadata, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Up to so many people the relationship matrix is decomposed exactly.
EXACT_PEOPLE = 5000
#: Columns of one tile of the relationship matrix.
_TILE = 512

PEOPLE = [
    Column("sample_index", "int64", "position of the person in the .fam"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
]
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


def _in_order(function: Callable[[int], Any], starts: range, threads: int) -> Iterator[Any]:
    """Map over the blocks with a few threads; results come in order, and few of them wait, so that memory stays bounded."""
    if threads <= 1:
        yield from map(function, starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for start in starts:
            waiting.append(pool.submit(function, start))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def relationship_matrix(genotypes: StandardisedGenotypes, columns: np.ndarray, threads: int = 1) -> np.ndarray:
    """Sum Z'Z over all variants, for the people in some columns.

    Parameters
    ----------
    genotypes
        Z.
    columns
        Ascending numbers of columns.
    threads
        Tiles at a time.

    Returns
    -------
    float64, people x people: products in float32, sums over blocks in float64, tiles and blocks the same for any number of threads.
    """
    n = len(columns)
    total = np.zeros((n, n))
    tiles = range(0, n, _TILE)
    chosen = []  # of each panel: its columns that are wanted, and where they go
    for panel in genotypes.panels:
        low, high = np.searchsorted(columns, [4 * panel.start, 4 * panel.stop])
        chosen.append((panel, columns[low:high] - 4 * panel.start, slice(int(low), int(high))))
    progress = Progress(len(genotypes), "variants")
    wide = range(0, len(genotypes), 4 * BLOCK)  # a longer inner dimension suits a square product
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for start in wide:
            parts = [genotypes.block(s) for s in range(start, min(start + 4 * BLOCK, len(genotypes)), BLOCK)]
            block = (np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts]))
            z = np.empty((len(block[0]), n), dtype=np.float32)
            for panel, wanted, place in chosen:
                if len(wanted):
                    z[:, place] = genotypes.decode(block, panel)[:, wanted]

            def add_tile(low: int, z: np.ndarray = z) -> None:
                high = min(low + _TILE, n)
                total[low:high, :high] += z[:, low:high].T @ z[:, :high]

            list(pool.map(add_tile, tiles))
            progress.add(len(z))
    upper = np.triu_indices(n, 1)
    total[upper] = total.T[upper]
    return total


def multiply(genotypes: StandardisedGenotypes, mask: np.ndarray, vectors: np.ndarray, threads: int = 1) -> np.ndarray:
    """Give Z'Z V, restricted to the people of a mask, in one pass over the genotypes.

    Parameters
    ----------
    genotypes
        Z.
    mask
        float64, one a column: 1 for who counts, 0 for others and padding.
    vectors
        float64, columns x l, zero outside the mask.
    threads
        Blocks at a time.

    Returns
    -------
    float64, columns x l.
    """
    v = np.ascontiguousarray(vectors, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        part = np.empty((v.shape[1], genotypes.width), dtype=np.float32)
        # decoding twice costs less than a block of all people that leaves the cache
        tiles = [genotypes.decode(block, p) for p in genotypes.panels] if len(genotypes.panels) == 1 else None
        h = np.zeros((len(block[0]), v.shape[1]), dtype=np.float32)
        for k, panel in enumerate(genotypes.panels):
            h += (tiles[k] if tiles else genotypes.decode(block, panel)) @ v[genotypes.columns(panel)]
        for k, panel in enumerate(genotypes.panels):
            part[:, genotypes.columns(panel)] = h.T @ (tiles[k] if tiles else genotypes.decode(block, panel))
        return part

    total = np.zeros(vectors.shape[::-1])
    for part in _in_order(one, genotypes.starts(), threads):
        total += part
    return total.T * mask[:, None]


def apply_transposed(genotypes: StandardisedGenotypes, weights: np.ndarray, threads: int = 1) -> np.ndarray:
    """Give Z'W for all columns (people), in one pass: float64, columns x k."""
    w = np.ascontiguousarray(weights, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        part = np.empty((w.shape[1], genotypes.width), dtype=np.float32)
        for panel in genotypes.panels:
            part[:, genotypes.columns(panel)] = w[start : start + BLOCK].T @ genotypes.decode(block, panel)
        return part

    total = np.zeros((weights.shape[1], genotypes.width))
    for part in _in_order(one, genotypes.starts(), threads):
        total += part
    return total.T


def apply(genotypes: StandardisedGenotypes, vectors: np.ndarray, threads: int = 1) -> np.ndarray:
    """Give ZV, in one pass: float64, variants x k."""
    v = np.ascontiguousarray(vectors, dtype=np.float32)

    def one(start: int) -> np.ndarray:
        block = genotypes.block(start)
        return sum((genotypes.decode(block, p) @ v[genotypes.columns(p)]).astype(np.float64) for p in genotypes.panels)

    parts = list(_in_order(one, genotypes.starts(), threads))
    return np.concatenate(parts) if parts else np.zeros((0, vectors.shape[1]))


def _fresh_block(image: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Give an orthonormal basis of what an image holds beyond the basis."""
    block = image
    for _ in range(2):  # twice is enough (Kahan)
        block = block - basis @ (basis.T @ block)
    left, sizes, _ = np.linalg.svd(block, full_matrices=False)
    return left[:, sizes > 1e-10 * np.linalg.norm(image, axis=0).max()]


def block_krylov(
    operator: Callable[[np.ndarray], np.ndarray],
    mask: np.ndarray,
    k: int,
    seed: int,
    tolerance: float = 0.01,
    max_passes: int = 60,
    memory_mb: float = 2000.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the leading eigenvectors of a symmetric operator: block Lanczos from a random start, fully re-orthogonalised.

    Parameters
    ----------
    operator
        V -> KV, float64, n x l.
    mask
        float64, n: 0 where the operator gives 0.
    k
        How many eigenvectors.
    seed
        Of the random start.
    tolerance
        Stop when the largest residual ``|Kx - ex|`` is below so much of the gap between the k-th eigenvalue and the next: that bounds
        the sine of the angle between what is found and the true subspace (0.01: canonical correlations above 0.9999). Also
        stop when all residuals are below 1e-6 of their eigenvalues.
    max_passes
        Applications of the operator at most; not to have converged by then is logged as a warning.
    memory_mb
        The basis and its images may take so much; then the basis is compressed to its leading part (thick restart) and goes on.

    Returns
    -------
    eigenvalues (k, descending), eigenvectors (n x k), relative residuals (k).

    Notes
    -----
    Musco & Musco (2015, arXiv:1504.05477); restart after Wu & Simon (2000, SIAM J. Matrix Anal. Appl. 22:602). The projected matrix
    comes from products that are there anyway, so no last pass is needed.
    """
    n, people = len(mask), int(mask.sum())
    # multiples of 8 fill the vector registers of the matrix product
    width = min(-(-(k + 4) // 8) * 8, people)
    keep = min(k + width, people)
    capacity = int(np.clip(memory_mb * 1e6 / (16 * n), keep + 2 * width, max(max_passes * width, keep + 2 * width)))
    basis, images = np.zeros((n, capacity)), np.zeros((n, capacity))
    projected = np.zeros((capacity, capacity))
    block, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, width)) * mask[:, None])
    filled = 0
    for number in range(1, max_passes + 1):
        image = operator(block)
        stop = filled + block.shape[1]
        basis[:, filled:stop], images[:, filled:stop] = block, image
        cross = basis[:, :stop].T @ image
        projected[:stop, filled:stop], projected[filled:stop, :stop] = cross, cross.T
        filled = stop
        values, small = np.linalg.eigh(projected[:filled, :filled])
        values, small = values[::-1], small[:, ::-1]
        vectors = basis[:, :filled] @ small[:, :k]
        residual = np.linalg.norm(images[:, :filled] @ small[:, :k] - vectors * values[:k], axis=0)
        # vectors may mix among themselves: only the gap to what is left out matters for the subspace
        gap = values[k - 1] - values[k] if filled > k else 0.0
        angle = float(residual.max() / max(gap, 1e-30))
        relative = residual / np.maximum(values[:k], 1e-30)
        logger.info(
            "pass %d: basis of %d, residual / gap %.2g, residual / eigenvalue %.2g",
            number,
            filled,
            angle,
            relative.max(),
        )
        if number > 1 and (angle <= tolerance or relative.max() <= 1e-6):
            break
        block = _fresh_block(image, basis[:, :filled])
        if block.shape[1] == 0 or filled + block.shape[1] > people:
            break
        if filled + width > capacity:
            basis[:, :keep], images[:, :keep] = (
                basis[:, :filled] @ small[:, :keep],
                images[:, :filled] @ small[:, :keep],
            )
            projected[:keep, :keep] = np.diag(values[:keep])
            filled = keep
    else:
        logger.warning(
            "not converged after %d passes: residual / gap %.2g; the last components are approximate", max_passes, angle
        )
    return values[:k], vectors, relative


def shrinkage(eigenvalues: np.ndarray, mean: float, spread: float) -> np.ndarray:
    """Compute by how much the projection of somebody who is unrelated to those who define a component lies nearer to the centre than they do.

    Those who define a component pull it towards themselves; whoever is projected does not.

    Parameters
    ----------
    eigenvalues
        Of the components, descending.
    mean, spread
        Mean and variance of all other eigenvalues.

    Returns
    -------
    float64, one a component, above 0 and at most 1: what a projection has to be divided by.

    Notes
    -----
    With people x independent variants of variance ``mean`` the other eigenvalues follow the law of Marchenko and Pastur, whose ratio of people
    to variants is spread / mean² (with dependent variants: to their effective number, as in Patterson et al. 2006, PLoS Genetics 2:e190). The ratio
    of variances is that of Lee, Zou & Wright (2010, Annals of Statistics 38:3605), in their words (d - 1) / (d + p/n - 1); a component that does not
    stand out from the others has that of the largest eigenvalue that noise has.
    """
    ratio = max(spread, 1e-12 * mean**2) / mean**2
    noise = mean * (1 + np.sqrt(ratio)) ** 2
    values = np.maximum(np.asarray(eigenvalues, dtype=np.float64), noise)
    half = (values + (ratio - 1) * mean) / 2
    return np.minimum((half + np.sqrt(np.maximum(half**2 - values * ratio * mean, 0))) / values, 1.0)


def unshrink(
    projected: np.ndarray,
    pcs: np.ndarray,
    fit: np.ndarray,
    shrunk: np.ndarray,
    related: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Turn projections into the components that people would have if they took the place of their relatives among those who define them.

    Parameters
    ----------
    projected
        float64, people x k: projections, in the scale of ``pcs``.
    pcs
        float64, people x k: components of the people in ``fit``.
    fit
        bool, one a person: who defines the components.
    shrunk
        From :func:`shrinkage`.
    related
        Related pairs (rows of first and second person) and by how much (0 to 1: twice the kinship); None: nobody is related to anybody in ``fit``.

    Returns
    -------
    float64, people x k; of the people in ``fit`` not to be used.

    Notes
    -----
    A person's projection p is r v + (1 - r) sum(relatedness v_i), with v what they would have, r the shrinkage and v_i their relatives' in ``fit``: the
    relatives have pulled the component towards what they share with the person, just as they do towards themselves (relatedness 1: p = v).
    """
    pulled = np.zeros_like(projected)
    if related is not None:
        first, second, share = related
        for a, b in ((first, second), (second, first)):
            here = fit[b] & ~fit[a]
            np.add.at(pulled, a[here], share[here, None] * pcs[b[here]])
    return (projected - (1 - shrunk) * pulled) / shrunk


def _noise(eigenvalues: np.ndarray, people: int, trace: float, squared: float) -> tuple[float, float]:
    """Compute mean and variance of the eigenvalues that are noise: of all but those of the components that stand out.

    Parameters
    ----------
    eigenvalues
        Of the components, descending.
    people
        Number of all eigenvalues.
    trace, squared
        Sum of all eigenvalues, and of their squares.
    """
    out = len(eigenvalues)
    while True:
        mean = (trace - eigenvalues[:out].sum()) / (people - out)
        spread = max((squared - np.square(eigenvalues[:out]).sum()) / (people - out) - mean**2, 0.0)
        above = int((eigenvalues > (np.sqrt(mean) + np.sqrt(spread / mean)) ** 2).sum())
        # what is counted as noise raises its edge, so that this ends
        if above >= out:
            return mean, spread
        out = above


def _sum_of_squares(
    operator: Callable[[np.ndarray], np.ndarray],
    mask: np.ndarray,
    vectors: np.ndarray,
    values: np.ndarray,
    trace: float,
    seed: int,
) -> float:
    """Estimate the sum of the squares of all eigenvalues from the leading ones and one application to random vectors (Hutchinson).

    The random vectors see the others less their mean: most of them lie near it, so little is left to chance.
    """
    others = int(mask.sum()) - len(values)
    mean = (trace - values.sum()) / others
    x = np.random.default_rng([seed, 1]).standard_normal((len(mask), 8)) * mask[:, None]
    x -= vectors @ (vectors.T @ x)
    image = operator(x) - mean * x
    image -= vectors @ (vectors.T @ image)
    return float(np.square(values).sum() + others * (mean**2 + (image**2).sum() / (x**2).sum()))


def principal_components(
    fileset: Genotypes,
    index: np.ndarray,
    fit: np.ndarray,
    k: int,
    seed: int = 0,
    threads: int = 1,
    exact_people: int = EXACT_PEOPLE,
    tolerance: float = 0.01,
    memory_mb: float = 2000.0,
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
        bool, one a person: who defines the components.
    k
        How many components.
    seed
        Of the random start (large cohorts only).
    threads
        Blocks or tiles at a time; the result does not depend on it.
    exact_people
        Up to so many people in ``fit`` the relationship matrix is decomposed exactly.
    tolerance, memory_mb
        See :func:`block_krylov`.
    related
        Related pairs: rows of the .fam, and by how much (twice the kinship coefficient); see :func:`unshrink`.

    Returns
    -------
    dict with ``pcs`` (people x k: unit-length eigenvectors over ``fit``; for the others projections without their shrinkage), ``eigenvalues``
    (k, of Z'Z/m), ``variance_explained`` (k, share of the trace), ``loadings`` (variants x k, unit length), ``frequency`` (variants), ``residuals``
    (k, relative), ``shrinkage`` (k, of an unrelated person's projection; 1 where nobody is projected).

    Notes
    -----
    Dosages are standardised by the binomial standard deviation at the frequency in ``fit``, missing calls set to the mean (Patterson,
    Price & Reich 2006, PLoS Genetics 2:e190, as PLINK 2). The sign is such that the loading of largest absolute value is positive.
    """
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
            f"{k} principal components need more than {k} people and at least {k} variants, but {people:,} people and {used:,} polymorphic "
            "pruned variants are there: lower structure.pcs, or relax structure.maf or structure.r2"
        )
    mask = np.zeros(genotypes.width)
    mask[genotypes.order[fit]] = 1.0
    # the sum of squares of a standardised variant follows from its counts
    squares = genotypes.values.astype(np.float64) ** 2
    trace = float((counts[:, [0, 3, 1, 2]] * squares).sum()) / used
    with threadpool_limits(1, user_api="blas"):
        if people <= exact_people:
            # imported here: scipy.linalg costs every other step of the workflow half a second
            from scipy.linalg import eigh

            columns = np.flatnonzero(mask)
            total = relationship_matrix(genotypes, columns, threads) / used
            squared = float(np.einsum("ij,ij->", total, total))
            values, small = eigh(total, subset_by_index=[people - k, people - 1], driver="evr", overwrite_a=True)
            values, small = values[::-1], small[:, ::-1]
            vectors = np.zeros((genotypes.width, k))
            vectors[columns] = small
            residuals = np.zeros(k)
        else:

            def operator(v: np.ndarray) -> np.ndarray:
                return multiply(genotypes, mask, v, threads) / used

            values, vectors, residuals = block_krylov(operator, mask, k, seed, tolerance, memory_mb=memory_mb)
        singular = np.sqrt(np.maximum(values, 1e-30) * used)
        loadings = apply(genotypes, vectors, threads) / singular
        largest = np.abs(loadings).argmax(axis=0)
        sign = np.where(loadings[largest, np.arange(k)] < 0, -1.0, 1.0)
        loadings, vectors = loadings * sign, vectors * sign
        pcs, shrunk = vectors[genotypes.order], np.ones(k)
        if not fit.all():
            projected = apply_transposed(genotypes, loadings, threads)[genotypes.order] / singular
            if people > exact_people:
                squared = _sum_of_squares(operator, mask, vectors, values, trace, seed)
            shrunk = shrinkage(values, *_noise(values, people, trace, squared))
            pcs[~fit] = unshrink(projected, pcs, fit, shrunk, related)[~fit]
    return {
        "pcs": pcs, "eigenvalues": values, "variance_explained": values / trace, "loadings": loadings,
        "frequency": frequency, "residuals": residuals, "shrinkage": shrunk,
    }  # fmt: skip


def outliers(pcs: np.ndarray, fit: np.ndarray, sd: float) -> np.ndarray:
    """Give for each person the first component on which they lie more than ``sd`` standard deviations from the mean of ``fit``; 0 if none."""
    if pcs.shape[1] == 0:
        return np.zeros(len(pcs), dtype=np.int32)
    far = np.abs(pcs - pcs[fit].mean(axis=0)) > sd * pcs[fit].std(axis=0)
    return np.where(far.any(axis=1), far.argmax(axis=1) + 1, 0).astype(np.int32)


def compute_pcs(
    genotypes: str | Path,
    pruned: str | Path,
    qc_samples: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out_pcs: str | Path,
    out_eigenvalues: str | Path,
    out_loadings: str | Path,
    threads: int = 1,
    families: str | Path | None = None,
    relatives: str | Path | None = None,
) -> None:
    """Compute the principal components of the people who passed quality control (rule ``compute_pcs``).

    With ``families``, the unrelated people define the components: otherwise large families make components of their own. Their relatives get the
    components that they would have in their place (:func:`unshrink`), so that who of a family is analysed in a study, cases perhaps, does not
    show in the components.

    Parameters
    ----------
    genotypes, pruned, qc_samples
        The cohort, its pruned variants, its people's verdicts.
    settings
        ``pcs``: how many; 0 gives tables without components. Optional: ``outlier_sd``, from which distance people are flagged; ``memory_mb``
        for the work space of large cohorts.
    seed
        Of the random start (large cohorts only).
    out_pcs
        Parquet: sample_index, fid, iid, PC1 .., fitted (whether the person took part in defining them), outlier (the first component on
        which the person is one; 0 if none); the people who passed.
    out_eigenvalues
        TSV: component, eigenvalue, variance_explained.
    out_loadings
        Parquet: the pruned variants with their frequency and loadings.
    threads
        Blocks at a time; the result does not depend on it.
    families, relatives
        Output of ``estimate_kinship``: the unrelated people, and the related pairs.

    Raises
    ------
    InputError
        When there are fewer variants or people than components.
    """
    k = int(settings["pcs"])
    people = read_parquet(qc_samples, columns=["sample_index", "fid", "iid", "passed", "filter"])
    passed = people["passed"].to_numpy(dtype=bool)
    table = read_parquet(pruned)
    index = table["index"].to_numpy()
    fileset = open_genotypes(genotypes)
    fit = passed.copy()
    if families is not None:
        kin = read_parquet(families, columns=["sample_index", "unrelated"])
        unrelated = np.zeros(len(people), dtype=bool)
        unrelated[people["sample_index"].isin(kin.loc[kin["unrelated"], "sample_index"]).to_numpy()] = True
        fit &= unrelated
        logger.info("%s relatives are projected", f"{int((passed & ~fit).sum()):,}")
    related = None if relatives is None else _related(relatives)
    n, exact = int(fit.sum()), fit.sum() <= EXACT_PEOPLE
    memory_mb = float(settings.get("memory_mb") or 2000.0)
    work = n * n * 20 if exact else min(memory_mb * 1e6, 40 * n * (k + 12) * 16)
    seconds = (n * n * len(index) / 8e10 + 1.2e-10 * n**3 if exact else 12 * n * len(index) * 2e-9) / max(
        threads, 1
    ) + 3
    logger.info(
        "%d components of %s people from %s variants (%s); needs about %.0f MB and %.0f s",
        k, f"{n:,}", f"{len(index):,}", "exact" if exact else "block Krylov",
        300 + (work + 2 * threads * (n * (k + 12) * 4 + 4 * BLOCK * PANEL)) / 1e6, seconds,
    )  # fmt: skip
    names = [f"PC{i}" for i in range(1, k + 1)]
    if k == 0:
        result = {
            "pcs": np.empty((len(people), 0)), "eigenvalues": np.empty(0), "variance_explained": np.empty(0),
            "loadings": np.empty((len(index), 0)), "frequency": np.full(len(index), np.nan),
        }  # fmt: skip
    else:
        try:
            result = principal_components(fileset, index, fit, k, seed, threads, memory_mb=memory_mb, related=related)
        except InputError as error:
            gone = losses(people["filter"])
            went = f". Of {len(people):,} people, these filters removed: {gone}" if gone else ""
            raise InputError(f"{genotypes}: {error}{went}") from None
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
    write_parquet(pcs, out_pcs, [*PEOPLE, *(Column(n, "float64", "principal component") for n in names), *FLAGS])
    write_tsv(
        pd.DataFrame(
            {
                "component": range(1, k + 1),
                "eigenvalue": result["eigenvalues"],
                "variance_explained": result["variance_explained"],
            }
        ),
        out_eigenvalues,
    )
    loadings = table.assign(effect_allele_frequency=result["frequency"], **dict(zip(names, result["loadings"].T)))
    write_parquet(
        loadings,
        out_loadings,
        LOADINGS,
        metadata={"eigenvalues": list(map(float, result["eigenvalues"])), "variants": len(index)},
    )


def _related(relatives: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read rows of the .fam of related pairs, and by how much they are related: twice the kinship, at most 1."""
    pairs = pd.read_csv(relatives, sep="\t", usecols=["sample_index_1", "sample_index_2", "kinship"])
    share = np.clip(2 * pairs["kinship"].to_numpy(dtype=np.float64), 0, 1)
    return pairs["sample_index_1"].to_numpy(np.int64), pairs["sample_index_2"].to_numpy(np.int64), share


def read_loadings(path: str | Path) -> tuple[pd.DataFrame, list[str], np.ndarray | None]:
    """Read loadings: our own Parquet, or a table (TSV, white space) of another cohort.

    Returns
    -------
    table (chromosome, position, effect_allele, other_allele, effect_allele_frequency, PC1 ..), names of the components, and the
    singular value of each (None where the file does not say: the projections are then in units of their own).

    Raises
    ------
    InputError
        When it cannot be read as a table, a column is absent or there twice, a number is none, a position no whole number, or a frequency
        not within 0 and 1.
    """
    path = Path(path)
    singular, texts = None, None
    if path.suffix == ".parquet":
        table, metadata = read_parquet(path, own=False), read_metadata(path, own=False) or {}
        if "eigenvalues" in metadata:
            singular = np.sqrt(np.array(metadata["eigenvalues"]) * metadata["variants"])
        found = list(table.columns)
    else:
        texts = read_text_table(path, "one row a variant")
        found = texts.column_names
        table = None
    needed = ["chromosome", "position", "effect_allele", "other_allele", "effect_allele_frequency"]
    names = [c for c in found if re.fullmatch(r"PC[0-9]+", c)]
    absent = [c for c in needed if c not in found] or ([] if names else ["PC1"])
    if absent:
        raise InputError(
            f"{path}: no column {some(absent)}; found {some(found, 20)}. Loadings need {', '.join(needed)} and PC1, PC2, .."
        )
    refuse_doubled(found, path)
    if table is None:
        table = pd.DataFrame({c: [v.strip() for v in texts.column(c).to_pylist()] for c in found if c not in names})
        for name in ("position", "effect_allele_frequency", *names):
            missing = MISSING if name == "effect_allele_frequency" else None
            table[name] = column_of_numbers(texts, name, path, missing)
    if wrong := [c for c in ("position", "effect_allele_frequency", *names) if table[c].dtype.kind not in "iuf"]:
        raise InputError(f"{path}: columns {some(wrong)} hold no numbers")
    place, frequency = table["position"].to_numpy(), table["effect_allele_frequency"].to_numpy()
    for name, bad, meant in (
        ("position", ~((place == np.floor(place)) & (place >= 0) & (place < 2**31)), "a whole number below 2^31"),
        ("effect_allele_frequency", (frequency < 0) | (frequency > 1), "a share between 0 and 1"),
        *((c, ~np.isfinite(table[c].to_numpy()), "a finite number") for c in names),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{path}: row {row + 2 if texts is None else line_of(texts, row)}, column {name}: {table[name].iloc[row]:g}, expected {meant}"
            )
    table["position"] = place.astype(np.int64)
    table["chromosome"] = [normalise(c) for c in table["chromosome"].astype(str)]
    return table[found], names, singular


def project_pcs(
    genotypes: str | Path,
    variants: str | Path,
    qc_samples: str | Path,
    loadings: str | Path,
    out_pcs: str | Path,
    threads: int = 1,
) -> None:
    """Project the people who passed on components of another cohort or reference panel (rule ``project_pcs``).

    Parameters
    ----------
    genotypes, variants, qc_samples
        The cohort.
    loadings
        See :func:`read_loadings`. Variants are matched by chromosome, position and alleles; with the alleles the other way round the
        loading changes its sign.
    out_pcs
        Parquet: sample_index, fid, iid, PC1 ..

    Raises
    ------
    InputError
        When fewer than half of the loadings' variants are in this cohort.

    Notes
    -----
    Each component by least squares over the variants that are there: z'u / (s u'u). Standardised with the loadings' own frequencies.
    Projections shrink towards the centre (Patterson et al. 2006), the more so the fewer people and variants defined the components.
    """
    table, names, singular = read_loadings(loadings)
    table = table[np.isfinite(table["effect_allele_frequency"])]
    ours = read_parquet(variants, columns=["index", "chromosome", "position", "effect_allele", "other_allele"])
    place = ["chromosome", "position"]
    merged = ours.merge(
        table[[*place, "effect_allele", "other_allele", "effect_allele_frequency", *names]],
        on=place,
        suffixes=("", "_of"),
    )
    effect, other, effect_of, other_of = (
        in_capitals(merged[f"{name}{of}"].to_numpy(dtype=object))
        for of in ("", "_of")
        for name in ("effect_allele", "other_allele")
    )
    same = pd.Series((effect == effect_of) & (other == other_of))
    turned = pd.Series((effect == other_of) & (other == effect_of))
    merged, turned = merged[same | turned], turned[same | turned].to_numpy()
    first = ~merged["index"].duplicated().to_numpy()
    merged, turned = merged[first], turned[first]
    share = len(merged) / max(len(table), 1)
    logger.info(
        "%s of %s variants of %s are in this cohort (%.1f %%)",
        f"{len(merged):,}",
        f"{len(table):,}",
        loadings,
        100 * share,
    )
    if share < 0.5:
        raise InputError(
            f"{loadings}: only {len(merged):,} of its {len(table):,} variants are in {genotypes} with these positions and alleles; at "
            "least half are needed. Is it of the same genome build?"
        )
    if share < 0.9:
        logger.warning(
            "%.0f %% of the loadings' variants are not in this cohort: projections are less exact", 100 * (1 - share)
        )
    frequency = merged["effect_allele_frequency"].to_numpy()
    weights = merged[names].to_numpy() * np.where(turned, -1.0, 1.0)[:, None]
    fileset = open_genotypes(genotypes)
    standardised = StandardisedGenotypes(
        fileset, merged["index"].to_numpy(), np.where(turned, 1 - frequency, frequency)
    )
    scale = (weights**2).sum(axis=0) * (1.0 if singular is None else singular)
    with threadpool_limits(1, user_api="blas"):
        pcs = apply_transposed(standardised, weights, threads)[standardised.order] / scale
    people = read_parquet(qc_samples, columns=["sample_index", "fid", "iid", "passed"])
    out = pd.concat([people[["sample_index", "fid", "iid"]], pd.DataFrame(pcs, columns=names)], axis=1)
    out = out[people["passed"].to_numpy(dtype=bool)]
    write_parquet(out, out_pcs, [*PEOPLE, *(Column(n, "float64", "projection on this component") for n in names)])


def compute_or_project_pcs(
    genotypes: str | Path,
    pruned: str | Path,
    qc_samples: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out_pcs: str | Path,
    out_eigenvalues: str | Path,
    out_loadings: str | Path,
    threads: int = 1,
    families: str | Path | None = None,
    relatives: str | Path | None = None,
    variants: str | Path | None = None,
    loadings: str | Path | None = None,
) -> None:
    """Compute the cohort's own components, or project its people on given ``loadings`` (rule ``compute_pcs``).

    See :func:`compute_pcs` and :func:`project_pcs`; of a projection, the tables of eigenvalues and loadings are those of the loadings given.
    """
    if loadings is None:
        compute_pcs(
            genotypes, pruned, qc_samples, settings, seed, out_pcs, out_eigenvalues, out_loadings, threads, families,
            relatives,
        )  # fmt: skip
        return
    if variants is None:
        raise ValueError("a projection needs the cohort's variants")
    project_pcs(genotypes, variants, qc_samples, loadings, out_pcs, threads)
    table, names, singular = read_loadings(loadings)
    eigenvalues = np.full(len(names), np.nan) if singular is None else singular**2 / max(len(table), 1)
    write_tsv(
        pd.DataFrame({"component": range(1, len(names) + 1), "eigenvalue": eigenvalues, "variance_explained": np.nan}),
        out_eigenvalues,
    )
    write_parquet(table, out_loadings)

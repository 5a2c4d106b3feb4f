"""Genes near variants and inside loci."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

#: Columns that a table of loci gains.
GENE_COLUMNS = {"nearest_gene": pl.String, "gene_distance": pl.Int64, "genes": pl.String}
#: Biotypes of genes that make a protein: of the parts of antibodies and T-cell receptors, too.
CODING = r"^(protein_coding|(IG|TR)_[A-Z]_gene)$"
#: Variants that are compared with all genes of a chromosome at a time.
AT_A_TIME = 1024


def coding_genes(genes: pl.DataFrame) -> pl.DataFrame:
    """Return the protein-coding genes of a table; all of its genes where it does not know which are."""
    coding = genes.filter(pl.col("biotype").str.contains(CODING))
    return coding if len(coding) else genes


def nearest_genes(
    genes: pl.DataFrame, chromosome: Sequence[int] | np.ndarray, position: Sequence[int] | np.ndarray
) -> tuple[list[str | None], list[int | None]]:
    """Return the nearest protein-coding gene of each variant.

    Parameters
    ----------
    genes
        Table of :func:`~deepnull_gwas.genes.table.read_genes`.
    chromosome
        Codes of the summary statistics.
    position
        Base pairs, from 1.

    Returns
    -------
    Symbols, and distances in base pairs from the variant to the nearer end of the gene: 0 inside. Of genes at the same
    distance the shortest counts, which says more than one that it lies in. None on a chromosome without genes.

    Examples
    --------
    >>> table = {"chromosome": [1, 1, 1], "start": [100, 150, 500], "end": [400, 200, 600], "symbol": ["A", "B", "C"]}
    >>> genes = pl.DataFrame(table).with_columns(biotype=pl.lit("protein_coding"))
    >>> nearest_genes(genes, [1, 1, 1, 2], [160, 300, 460, 5])
    (['B', 'A', 'C', None], [0, 0, 40, None])
    """
    chromosome, position = np.asarray(chromosome, dtype=np.int64), np.asarray(position, dtype=np.int64)
    symbols: list[str | None] = [None] * len(position)
    distances: list[int | None] = [None] * len(position)
    candidates = coding_genes(genes).with_columns((pl.col("end") - pl.col("start")).alias("length"))
    for code in np.unique(chromosome):
        own = candidates.filter(pl.col("chromosome") == int(code)).sort("length", "start", "symbol")
        if not len(own):
            continue
        start, end = own["start"].to_numpy(), own["end"].to_numpy()
        rows = np.flatnonzero(chromosome == code)
        for part in np.array_split(rows, -(-len(rows) // AT_A_TIME)):
            at = position[part][:, None]
            away = np.maximum(np.maximum(start - at, at - end), 0)
            for row, best in zip(part, away.argmin(axis=1), strict=True):
                symbols[row] = own["symbol"][int(best)]
                distances[row] = int(max(start[best] - position[row], position[row] - end[best], 0))
    return symbols, distances


def genes_of_interval(genes: pl.DataFrame, chromosome: int, start: int, end: int) -> pl.DataFrame:
    """Return the genes, of all biotypes, that share a base pair with an interval whose ends are inside."""
    inside = (pl.col("chromosome") == chromosome) & (pl.col("start") <= end) & (pl.col("end") >= start)
    return genes.filter(inside)


def with_genes(loci: pl.DataFrame, genes: pl.DataFrame | None) -> pl.DataFrame:
    """Return a table of loci with :data:`GENE_COLUMNS`.

    Parameters
    ----------
    loci
        ``chromosome`` and ``base_pair_location`` of the lead variant, ``locus_start`` and ``locus_end``.
    genes
        Table of genes; None leaves the columns null.

    Returns
    -------
    The table with the nearest protein-coding gene, its distance, and all genes that the locus from its first to its
    last hit overlaps, separated by commas; null where there are none.
    """
    if genes is None:
        return loci.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in GENE_COLUMNS.items())
    symbols, distances = nearest_genes(genes, loci["chromosome"].to_numpy(), loci["base_pair_location"].to_numpy())
    names = []
    for row in loci.select("chromosome", "locus_start", "locus_end").iter_rows():
        # a symbol may be there twice: copies of a gene
        found = genes_of_interval(genes, *row)["symbol"].unique(maintain_order=True)
        names.append(",".join(found) or None)
    values = {"nearest_gene": symbols, "gene_distance": distances, "genes": names}
    return loci.with_columns(pl.Series(name, values[name], dtype=kind) for name, kind in GENE_COLUMNS.items())

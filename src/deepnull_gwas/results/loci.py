"""Loci: the lead variant of each region past a threshold."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepnull_gwas.genes.nearest import GENE_COLUMNS, with_genes
from deepnull_gwas.genes.table import read_genes
from deepnull_gwas.results.calibration import lambda_gc
from deepnull_gwas.results.ssf import INFORMATION
from deepnull_gwas.results.sumstats import columns_of, tested_blocks
from deepnull_gwas.tables import atomic_path

logger = logging.getLogger(__name__)

LEADS = (
    "chromosome",
    "base_pair_location",
    "variant_id",
    "original_id",
    "effect_allele",
    "other_allele",
    "effect_allele_frequency",
    "beta",
    "standard_error",
    "neg_log_10_p_value",
    "n",
    "locus_start",
    "locus_end",
    "hits",
)


def lead_variants(hits: pl.DataFrame, window: int) -> pl.DataFrame:
    """Take the strongest hit, set aside all hits within ``window`` base pairs of it, and so on.

    Parameters
    ----------
    hits
        Rows past the threshold, with the columns of the summary statistics (``info`` where they have it).
    window
        Half width in base pairs.

    Returns
    -------
    One row per locus, in the order of the genome: the lead variant, and start, end and number of the hits that it
    stands for.

    Examples
    --------
    >>> hits = pl.DataFrame({"chromosome": 1, "base_pair_location": [100, 180, 900], "original_id": ["a", "b", "c"],
    ...                      "neg_log_10_p_value": [8.0, 9.5, 7.5]})
    >>> hits = hits.with_columns(pl.lit(None).alias(c) for c in LEADS[:-3] if c not in hits.columns)
    >>> found = lead_variants(hits, window=100)
    >>> found.select("original_id", "locus_start", "locus_end", "hits").rows()
    [('b', 100, 180, 2), ('c', 900, 900, 1)]
    """
    columns = [*LEADS, *(c for c in hits.columns if c == INFORMATION)]
    rows = []
    for (_,), part in hits.sort(["chromosome", "base_pair_location", "original_id"]).group_by(
        ["chromosome"], maintain_order=True
    ):
        position, strength = part["base_pair_location"].to_numpy(), part["neg_log_10_p_value"].to_numpy()
        left = np.ones(len(part), dtype=bool)
        # ties go to the variant that comes first
        for i in np.argsort(-strength, kind="stable"):
            if not left[i]:
                continue
            near = left & (np.abs(position - position[i]) <= window)
            left[near] = False
            rows.append(
                {
                    **part.row(int(i), named=True),
                    "locus_start": int(position[near].min()),
                    "locus_end": int(position[near].max()),
                    "hits": int(near.sum()),
                }
            )
    if not rows:
        types = dict.fromkeys(("chromosome", "base_pair_location", "n", "locus_start", "locus_end", "hits"), pl.Int64)
        types |= dict.fromkeys(("variant_id", "original_id", "effect_allele", "other_allele"), pl.String)
        return pl.DataFrame(schema={n: types.get(n, pl.Float64) for n in columns})
    return pl.DataFrame(rows).select(columns).sort(["chromosome", "base_pair_location"])


def find_leads(
    sumstats: str | Path, threshold: float, window_kb: float, out: str | Path, genes: str | Path | None = None
) -> dict[str, Any]:
    """Write the lead variants of a study and arm, and summarise its tests, in one read of what was published.

    Parameters
    ----------
    sumstats
        sumstats.tsv.gz; tested variants with other alleles, in the file next to it, count like all others.
    threshold
        Largest p.
    window_kb
        Half width of a locus in kb.
    out
        leads.tsv.
    genes
        Table of genes (:func:`~deepnull_gwas.genes.table.read_genes`); None, none is named.

    Returns
    -------
    ``tested`` (number of variants), ``lambda_gc``, ``loci``.
    """
    columns = [c for c in LEADS if c not in ("locus_start", "locus_end", "hits")]
    columns += [c for c in columns_of(sumstats) if c == INFORMATION]
    hits, p = [], []
    for block in tested_blocks(sumstats, columns):
        hits.append(block.filter(pl.col("neg_log_10_p_value") >= -np.log10(threshold)))
        p.append(block["neg_log_10_p_value"].to_numpy())
    leads, tested = lead_variants(pl.concat(hits), int(window_kb * 1000)), np.concatenate(p)
    logger.info("%d loci at p <= %g among %d variants", len(leads), threshold, len(tested))
    leads = with_genes(leads, read_genes(genes) if genes else None)
    with atomic_path(out) as temporary:
        leads.write_csv(temporary, separator="\t", null_value="NA", quote_style="never")
    return {"tested": len(tested), "lambda_gc": lambda_gc(tested), "loci": len(leads)}


def read_leads(path: str | Path) -> pl.DataFrame:
    """Read lead variants back."""
    types = dict.fromkeys(("chromosome", "base_pair_location", "n", "locus_start", "locus_end", "hits"), pl.Int64)
    types |= dict.fromkeys(
        ("effect_allele_frequency", "beta", "standard_error", "neg_log_10_p_value", INFORMATION), pl.Float64
    )
    types |= dict.fromkeys(("variant_id", "original_id", "effect_allele", "other_allele"), pl.String)
    types |= GENE_COLUMNS
    return pl.read_csv(path, separator="\t", schema_overrides=types, null_values="NA", quote_char=None)

"""Positions that tell the build, against those of the genes around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepnull_gwas.genes.table import read_genes
from deepnull_gwas.propose.builds import KNOWN

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
#: No end of a gene near these moved with them: transcripts differ, or there is no gene.
WITHOUT_A_GENE = {"rs1229984", "rs1333049", "rs4149056", "rs1421085", "rs9939609", "rs17782313"}


@pytest.fixture(scope="module")
def genes():
    """Per build: (symbol, chromosome) -> start and end of genes."""
    tables = [read_genes(RESOURCES / f"genes.{build}.tsv").to_dicts() for build in ("GRCh37", "GRCh38")]
    return [{(g["symbol"], str(g["chromosome"])): (g["start"], g["end"]) for g in table} for table in tables]


@pytest.mark.parametrize("variant", sorted(KNOWN.keys() - WITHOUT_A_GENE))
def test_a_variant_moves_with_a_gene_from_build_to_build(variant, genes):
    chromosome, old, new = KNOWN[variant]
    moves = set()
    for (symbol, where), (start, end) in genes[0].items():
        other = genes[1].get((symbol, where))
        if where == chromosome and start - 60_000 <= old <= end + 60_000 and other:
            moves |= {other[0] - start, other[1] - end}
    assert new - old in moves

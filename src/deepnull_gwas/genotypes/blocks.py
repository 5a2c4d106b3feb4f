"""Blocks of a cohort's genotypes: dosages where the format has them, hard calls elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.block import Block, Mask, PackedBlock
from deepnull_gwas.genotypes.dosage_block import DosageBlock
from deepnull_gwas.genotypes.files import dosages_at_once
from deepnull_gwas.genotypes.kernels import unpack_mask


def variants_at_once(genotypes: Genotypes, most: int) -> int:
    """Return of how many variants a block is to be: ``most``, or fewer of dosages of many people."""
    return dosages_at_once(genotypes.n_samples, most) if genotypes.has_dosages else most


def read_block(genotypes: Genotypes, index: np.ndarray, masks: Sequence[Mask] = ()) -> Block:
    """Read variants of a cohort as a block.

    Parameters
    ----------
    genotypes
        The cohort's.
    index
        int64, indices of the variants.
    masks
        People whose sums are wanted: of probabilities they are computed while these are read, and the information of
        imputation is IMPUTE's for these masks alone.
    """
    if not genotypes.has_dosages:
        return PackedBlock(genotypes.calls(index), genotypes.n_samples)
    chosen = np.array([unpack_mask(mask.packed, genotypes.n_samples) for mask in masks], dtype=bool)
    chosen = chosen.reshape(len(masks), genotypes.n_samples)
    dosages = genotypes.dosages(index, chosen if len(masks) else None)
    return DosageBlock(dosages, masks, genotypes.hard_call_threshold)

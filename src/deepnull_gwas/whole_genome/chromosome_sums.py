"""Predictors of the blocks of a part, summed by chromosome: what level 1 is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from deepnull_gwas.whole_genome.array_file import ArrayWriter
from deepnull_gwas.whole_genome.blocks import BlockFit, predict
from deepnull_gwas.whole_genome.targets import Group
from deepnull_gwas.whole_genome.variants import BlockRange


class ChromosomeSums:
    """Sums over the blocks of each chromosome of a part, written when the last block of the chromosome is there.

    Parameters
    ----------
    groups
        The groups of studies.
    blocks
        The blocks of the part.
    kinds
        Number of kinds of predictors.
    """

    def __init__(self, groups: Sequence[Group], blocks: Sequence[BlockRange], kinds: int):
        self._groups, self._kinds, self._lock = groups, kinds, Lock()
        self._place = {name: i for i, name in enumerate(dict.fromkeys(block.chromosome for block in blocks))}
        self._left = Counter((block.chromosome, g) for block in blocks for g in range(len(groups)))
        self._predicted: dict[tuple[str, int], np.ndarray] = {}
        self._on_covariates: dict[tuple[str, int], np.ndarray] = {}
        self._skipped = np.zeros(len(groups), dtype=np.int64)

    @property
    def shapes(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Dtypes and shapes of the arrays of the file."""
        out: dict[str, tuple[Any, tuple[int, ...]]] = {}
        parts, kinds = len(self._place), self._kinds
        for g, group in enumerate(self._groups):
            n, c, t, folds = len(group.people), group.covariates.shape[1], len(group.targets), group.people.folds
            out[f"{g}.sample_index"] = (np.int64, (n,))
            out[f"{g}.fold"] = (np.int32, (n,))
            out[f"{g}.skipped"] = (np.int64, (1,))
            out[f"{g}.sd"] = (np.float64, (t, folds))
            for k in range(t):
                out[f"{g}.{k}.predicted"] = (np.int64, (parts, n, kinds))
                out[f"{g}.{k}.on_covariates"] = (np.int64, (parts, kinds, folds, c))
        return out

    def add(self, file: ArrayWriter, block: BlockRange, g: int, copies: np.ndarray, fit: BlockFit) -> None:
        """Add what a block predicts of the people of a group."""
        group, key = self._groups[g], (block.chromosome, g)
        with self._lock:
            if key not in self._predicted:
                shape = len(group.people), len(group.targets), self._kinds
                self._predicted[key] = np.zeros(shape, dtype=np.int64)
                self._on_covariates[key] = np.zeros_like(fit.on_covariates)
        for rows, values in predict(copies, group, fit):
            with self._lock:
                self._predicted[key][rows] += values
        with self._lock:
            self._on_covariates[key] += fit.on_covariates
            self._skipped[g] += fit.skipped
            self._left[key] -= 1
            if not self._left[key]:
                predicted, on_covariates = self._predicted.pop(key), self._on_covariates.pop(key)
                for k in range(len(group.targets)):
                    at = self._place[block.chromosome]
                    file.write(f"{g}.{k}.predicted", at, predicted[None, :, k])
                    file.write(f"{g}.{k}.on_covariates", at, on_covariates[k][None])

    def finish(self, file: ArrayWriter) -> None:
        """Write what is not of a chromosome: people, their folds, how many variants were skipped."""
        for g, group in enumerate(self._groups):
            file.write(f"{g}.sample_index", 0, group.people.sample_index)
            file.write(f"{g}.fold", 0, group.people.fold)
            file.write(f"{g}.skipped", 0, self._skipped[g : g + 1])
            file.write(f"{g}.sd", 0, np.array([target.sd for target in group.targets]))

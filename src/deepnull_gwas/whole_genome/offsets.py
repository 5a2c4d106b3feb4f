"""LOCO offsets of a study as a file: what the genome without one chromosome predicts of each person, arm by arm.

Columns: ``sample_index``, and one per arm and chromosome, ``{arm}.{chromosome}``: the prediction from all autosomes but
that one, beyond the covariates, out of fold. ``{arm}.all`` leaves nothing out: it is the offset on X, XY, Y, MT and on
autosomes of which no variant took part. In the unit of the analysed phenotype; on the logit scale of a binary trait.
``{arm}.spread``, where it is there: each person's standard deviation beyond the null model, as a multiple of the
study's (:mod:`deepnull_gwas.whole_genome.spread`). ``fold``, where relatives are in different ones: each person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.tables import (
    Column,
    column_names,
    read_metadata,
    read_table,
    to_arrow,
    to_numpy,
    write_table,
)

#: Name of the offset that leaves no chromosome out.
WHOLE = "all"
#: Name of the column of standard deviations.
SPREAD = "spread"
#: Name of the column of folds.
FOLD = "fold"
OFFSETS = [Column("sample_index", "int64", "number of the person in the genotype files, from 0; ascending")]
#: Where genotypes are not of an autosome, or only in part: class of chromosomes, chromosome.
_OTHERS = (*(("autosome", c) for c in ("X", "XY", "Y")), *((c, c) for c in ("X", "Y", "MT")))


class Offsets(Mapping[tuple[str, str, str], np.ndarray]):
    """Offsets of a study by arm, class of chromosomes and chromosome; each is read when it is asked for.

    Parameters
    ----------
    path
        From :func:`write_offsets`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        names = [name.rpartition(".") for name in column_names(path) if name not in ("sample_index", FOLD)]
        self._stored = {(arm, chromosome) for arm, _, chromosome in names}
        self._arms = list(dict.fromkeys(arm for arm, _, _ in names))
        self._covered = frozenset(read_metadata(path)["chromosomes"])

    def _column(self, arm: str, name: str, chromosome: str) -> str | None:
        """Return the column of a key; None where there is none."""
        leaves_out = name == "autosome" and chromosome in self._covered
        which = chromosome if leaves_out else WHOLE
        return f"{arm}.{which}" if (arm, which) in self._stored else None

    def __getitem__(self, key: tuple[str, str, str]) -> np.ndarray:
        column = self._column(*key)
        if column is None:
            raise KeyError(key)
        return to_numpy(read_table(self.path, columns=[column])[column])

    def spread(self, arm: str) -> np.ndarray | None:
        """Return each person's standard deviation as a multiple of the study's; None where all are the same."""
        if (arm, SPREAD) not in self._stored:
            return None
        return to_numpy(read_table(self.path, columns=[f"{arm}.{SPREAD}"])[f"{arm}.{SPREAD}"])

    @property
    def fold(self) -> np.ndarray:
        """The fold of each person: int32[n]; only where relatives are in different ones."""
        return to_numpy(read_table(self.path, columns=[FOLD])[FOLD])

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 3 and self._column(*key) is not None

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        for arm in self._arms:
            for name, chromosome in (*(("autosome", c) for c in AUTOSOMES), *_OTHERS):
                if self._column(arm, name, chromosome) is not None:
                    yield arm, name, chromosome

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read_offsets(path: str | Path) -> Offsets:
    """Open the offsets of a study: (arm, class of chromosomes, chromosome) -> float64, one per analysed person.

    A key that is absent stands for no offset: the genome of that arm predicts too little, could not be regressed, or
    has no other chromosome.
    """
    return Offsets(path)


def write_offsets(
    path: str | Path,
    sample_index: np.ndarray,
    offsets: Mapping[str, Mapping[str, np.ndarray]],
    chromosomes: tuple[str, ...],
    fold: np.ndarray | None = None,
) -> None:
    """Write the offsets of a study.

    Parameters
    ----------
    path
        Where to.
    sample_index
        int64[n], the analysed people, ascending.
    offsets
        arm -> chromosome that is left out (or :data:`WHOLE`) -> float64[n]; :data:`SPREAD` -> standard deviations.
    chromosomes
        Those of which variants took part: without an offset of its own, such a chromosome has none.
    fold
        int32[n], folds of the people, where relatives are in different ones.
    """
    columns = {"sample_index": to_arrow(sample_index.astype(np.int64))}
    if fold is not None:
        columns[FOLD] = to_arrow(fold.astype(np.int32))
    for arm, of_arm in offsets.items():
        for chromosome, values in of_arm.items():
            columns[f"{arm}.{chromosome}"] = to_arrow(np.asarray(values, dtype=np.float64))
    write_table(pa.table(columns), path, OFFSETS, {"chromosomes": list(chromosomes)}, dictionaries=False)

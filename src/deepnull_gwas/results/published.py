"""What was published for a study and arm, read as a user would: through its index, by its checksum, row by row."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import polars as pl
import pysam
import yaml

from deepnull_gwas.errors import InputError
from deepnull_gwas.results.sumstats import DAMAGE, OTHER_ALLELES, text_blocks

#: Columns that tell one variant from another.
VARIANT_KEY = ("chromosome", "base_pair_location", "original_id", "effect_allele", "other_allele")
UNTESTED = "untested.tsv.gz"


class Published:
    """The summary statistics of a study and arm, read variant by variant through their index.

    Parameters
    ----------
    path
        ``sumstats.tsv.gz``, its index and :data:`OTHER_ALLELES` next to it.

    Raises
    ------
    InputError
        When it cannot be read through its index.
    """

    def __init__(self, path: Path):
        self.path = path
        with gzip.open(path, "rt", encoding="utf-8") as file:
            self.columns = file.readline().rstrip("\n").split("\t")
        try:
            # an index older than its file is no error here: the library below only writes a warning
            self._file = pysam.TabixFile(str(path))
        except (OSError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"{path}: cannot be read through its index {path.name}.tbi ({error}); delete both and run again"
            ) from None
        self._other = _other_alleles(path.with_name(OTHER_ALLELES))

    def row(self, code: int, position: int, name: str, effect: str, other: str) -> dict[str, str] | None:
        """Return the row of a variant, or None where there is none (it was not tested).

        Parameters
        ----------
        code
            Chromosome as the standard numbers it (X 23, Y 24, MT 25).
        position
            Base pair, from 1.
        name, effect, other
            The variant's name and alleles.

        Raises
        ------
        InputError
            When a row has not as many fields as the header.
        """
        if (apart := self._other.get((str(code), str(position), name, effect, other))) is not None:
            return apart
        if str(code) not in self._file.contigs:
            return None
        for line in self._file.fetch(str(code), position - 1, position):
            fields = line.split("\t")
            if len(fields) != len(self.columns):
                raise InputError(
                    f"{self.path}: a row at {code}:{position} has {len(fields)} fields, expected {len(self.columns)}; "
                    "delete it and run again"
                )
            row = dict(zip(self.columns, fields, strict=True))
            if (row["original_id"], row["effect_allele"], row["other_allele"]) == (name, effect, other):
                return row
        return None


def _other_alleles(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the rows of the variants whose alleles the standard does not know, by :data:`VARIANT_KEY`."""
    frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
    return {tuple(row[c] for c in VARIANT_KEY): row for row in frame.iter_rows(named=True)}


def untested_variants(path: Path) -> set[tuple[str, ...]]:
    """Return the variants that were not tested, as :data:`VARIANT_KEY`."""
    frame = pl.read_csv(path, separator="\t", columns=list(VARIANT_KEY), infer_schema=False, quote_char=None)
    return set(frame.select(VARIANT_KEY).iter_rows())


def number_in(text: str) -> float:
    """Return a published number; NaN, which differs from every number, where it is none.

    Examples
    --------
    >>> number_in("0.25"), number_in("#NA")
    (0.25, nan)
    """
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _recorded_md5(path: Path) -> str:
    meta = Path(f"{path}-meta.yaml")
    try:
        return yaml.safe_load(meta.read_text(encoding="utf-8"))["data_file_md5sum"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        what = str(error).splitlines()[0]
        raise InputError(f"{meta}: no data_file_md5sum can be read from it ({what}); delete it and run again") from None


def _rows(path: Path) -> int:
    """Count the rows of a compressed table, and so read it to its end."""
    try:
        return sum(block.count(b"\n") for block in text_blocks(path)) - 1
    except (OSError, *DAMAGE) as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run again") from None


def file_problems(path: Path, variants: int) -> list[str]:
    """Return what is wrong with the published files of a study and arm as files: checksum, and number of rows.

    Parameters
    ----------
    path
        ``sumstats.tsv.gz``.
    variants
        How many passed quality control: each must be in one of the three tables.

    Raises
    ------
    InputError
        When a file is damaged.
    """
    found = []
    if (md5 := _md5(path)) != (recorded := _recorded_md5(path)):
        found.append(
            f"{path}: its MD5 checksum is {md5}, expected {recorded} (sumstats.tsv.gz-meta.yaml): "
            "changed after it was made; delete it and run again"
        )
    tested, untested = _rows(path), _rows(path.with_name(UNTESTED))
    other = _rows(path.with_name(OTHER_ALLELES))
    if tested + untested + other != variants:
        found.append(
            f"{path}: {tested:,} variants, {other:,} in {OTHER_ALLELES} and {untested:,} in {UNTESTED}; "
            f"expected {variants:,} in all (those that passed quality control)"
        )
    return found

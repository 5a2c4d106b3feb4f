"""How large a cohort is, from the headers of its genotype files."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path

from deepnull_gwas.config import Cohort
from deepnull_gwas.genotypes.formats import extent, format_of
from deepnull_gwas.simulate.lengths import LENGTH_MB

#: Share of variants that are rare where there are no genotypes yet.
RARE_GUESS = 0.5


@dataclass(frozen=True)
class Size:
    """How large a cohort is.

    Attributes
    ----------
    people, variants
        Numbers in the genotype files.
    table_bytes
        Size of the sample table on disk.
    largest_chromosome
        Most variants on one chromosome (simulated cohorts), or in one fileset.
    text_bytes
        Bytes of long alleles and IDs (:class:`~deepnull_gwas.genotypes.files.Extent`).
    decoding_rate, calls_rate
        Genotypes that a core decodes in a second, of those that are tested and of those that stand for relatives and
        components; infinite where they are hard calls, used as they are stored.
    """

    people: int
    variants: int
    table_bytes: int = 0
    largest_chromosome: int = 0
    text_bytes: int = 0
    decoding_rate: float = math.inf
    calls_rate: float = math.inf

    @property
    def is_decoded(self) -> bool:
        """Whether genotypes are decoded to dosages before they are used."""
        return self.decoding_rate < math.inf


@functools.cache
def _of_files(filesets: tuple[str, ...], structure: tuple[str, ...], samples: str | None, base: str) -> Size:
    found = extent(filesets, base)
    rate = format_of(filesets[0]).decoding_rate(filesets, base)
    calls_rate = format_of(structure[0]).decoding_rate(structure, base) if structure else rate
    table = Path(base, samples).stat().st_size if samples and Path(base, samples).is_file() else 0
    return Size(found.people, sum(found.variants), table, max(found.variants), found.text_bytes, rate, calls_rate)


def cohort_size(cohort: Cohort, base: str | Path = ".", on_calls: bool = False) -> Size:
    """Read from the headers how large a cohort is; takes seconds at most.

    Parameters
    ----------
    cohort
        The cohort; for a simulated one its settings tell.
    base
        Folder to which its paths refer.
    on_calls
        Whether the variants are those of the hard calls beside its genotypes, where there are any.

    Raises
    ------
    InputError
        When a file of its genotypes is not there.
    """
    if cohort.simulate is None:
        size = _of_files(cohort.filesets, cohort.structure_filesets, cohort.samples, str(base))
        if on_calls and cohort.structure_filesets:
            calls = _of_files(cohort.structure_filesets, (), cohort.samples, str(base))
            return replace(calls, people=max(size.people, calls.people))
        return size
    settings = cohort.simulate
    lengths = [LENGTH_MB[str(name)] for name in settings["chromosomes"]]
    largest = math.ceil(settings["variants"] * max(lengths) / sum(lengths))
    width = 60 + 20 * len(settings["phenotypes"])
    return Size(settings["people"], settings["variants"], width * settings["people"], largest)


@functools.cache
def _rare_of_files(filesets: tuple[str, ...], people: int, base: str) -> float:
    share = format_of(filesets[0]).rare_share(filesets, people, base)
    return RARE_GUESS if share is None else share


def rare_share(cohort: Cohort, base: str | Path = ".") -> float:
    """Estimate the share of variants that fewer than one in sixteen people carry, from a few rows; takes milliseconds.

    Parameters
    ----------
    cohort
        The cohort; for a simulated one, or where there are no genotypes yet, a guess is returned.
    base
        Folder to which its paths refer.
    """
    if cohort.simulate is not None:
        return RARE_GUESS
    return _rare_of_files(cohort.filesets, cohort_size(cohort, base).people, str(base))

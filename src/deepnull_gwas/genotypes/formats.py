"""The registry of genotype formats: which format a path is, which files belong to it, and how it is opened.

Adding a format: a module with its :class:`~deepnull_gwas.genotypes.files.Format`, one with its
:class:`~deepnull_gwas.genotypes.base.Genotypes`, and a line in :data:`FORMATS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepnull_gwas.genotypes.bed_files import Bed
from deepnull_gwas.genotypes.bgen_files import Bgen
from deepnull_gwas.genotypes.files import Extent, Format
from deepnull_gwas.genotypes.pgen_files import Pgen
from deepnull_gwas.genotypes.vcf_files import Vcf

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.base import Genotypes

#: All formats; the last one takes every path that no other recognises by its extension.
FORMATS: tuple[Format, ...] = (Pgen(), Bgen(), Vcf(), Bed())


def format_of(path: str | Path) -> Format:
    """Return the format of a path of the configuration or of the name of a fileset, by its extension.

    Examples
    --------
    >>> format_of("data/cohort.bed").title
    'PLINK fileset'
    >>> format_of("data/cohort").fileset("data/cohort")
    'data/cohort'
    """
    text = str(path)
    return next((f for f in FORMATS if f.recognises(text)), FORMATS[-1])


def files_of(names: Iterable[str], base: str | Path = ".") -> list[str]:
    """Return all files of some filesets."""
    return [file for name in names for file in format_of(name).files(name, str(base))]


def filesets_among(files: Iterable[str | Path]) -> list[str]:
    """Return the names of the filesets whose genotypes are among some files (inverse of :func:`files_of`).

    Examples
    --------
    >>> filesets_among(files_of(["a", "b.pgen"]))
    ['a', 'b.pgen']
    """
    kinds = {form.extensions[0]: form for form in FORMATS}
    return [
        form.fileset(str(file)) for file in files for extension, form in kinds.items() if str(file).endswith(extension)
    ]


def extent(names: Sequence[str], base: str | Path = ".") -> Extent:
    """Read from headers how much the filesets of a cohort hold (see :meth:`Format.extent`)."""
    return format_of(names[0]).extent(tuple(names), str(base))


def open_filesets(names: Sequence[str | Path]) -> Genotypes:
    """Open the filesets of a cohort, all of one format, as one matrix of variants x people.

    Raises
    ------
    InputError
        When a file is missing, damaged, or does not fit the others.
    """
    return format_of(names[0]).reader()([str(name) for name in names])


def open_genotypes(path: str | Path) -> Genotypes:
    """Open the genotypes that ``index_cohort`` (or ``index_array``) wrote down in ``genotypes.json``.

    Raises
    ------
    InputError
        As :func:`open_filesets`.
    """
    index = json.loads(Path(path).read_text(encoding="utf-8"))
    return open_index(index)


def open_index(index: Mapping[str, Any]) -> Genotypes:
    """Open what ``genotypes.json`` holds."""
    genotypes = format_of(index["filesets"][0]).reader().from_index(index)
    genotypes.hard_call_threshold = index.get("hard_call_threshold", genotypes.hard_call_threshold)
    if "single_copies" in index:
        from deepnull_gwas.genotypes.single_copies import SingleCopies

        genotypes.single_copies = SingleCopies.from_json(index["single_copies"], genotypes.n_samples)
    if "people" not in index:
        return genotypes
    from deepnull_gwas.genotypes.matched import MatchedGenotypes

    return MatchedGenotypes(genotypes, index["people"])

"""What a file format of genotypes is to the rest of the workflow before any genotype is read.

Without numpy: the workflow reads this each time that it is parsed.
"""

from __future__ import annotations

import glob
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.base import Genotypes


@dataclass(frozen=True)
class Extent:
    """How much genotype files hold, as far as their headers and sizes tell.

    Attributes
    ----------
    people
        Number of people.
    variants
        Number of variants of each fileset.
    text_bytes
        Bytes of the table of variants beyond :data:`USUAL_LINE` for each variant: long alleles and IDs.
    """

    people: int
    variants: tuple[int, ...]
    text_bytes: int = 0


#: How far a dosage may be from a whole number to be a hard call, where nobody says (as in PLINK 2).
HARD_CALL_THRESHOLD = 0.1
#: Bytes of a line of a table of variants with short alleles; what is beyond counts for itself.
USUAL_LINE = 32


#: Extensions of what tells the alleles of the reference genome: sequences, and tables of variants whose REF is one.
SEQUENCES = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".fa.bgz", ".fasta.bgz", ".fna.bgz")
SITES = (".pvar", ".pvar.zst", ".vcf", ".vcf.gz", ".vcf.bgz")
#: Bytes of the dosages of a block: more is slower, as it neither stays in the cache nor is its memory used again
#: (glibc returns what is longer than 32 MiB to the system each time)
DOSAGE_BYTES = 24 << 20


def dosages_at_once(people: int, most: int) -> int:
    """Return how many variants, at most ``most``, are in a block of dosages.

    Examples
    --------
    >>> dosages_at_once(10_000, 1024), dosages_at_once(50_000, 1024), dosages_at_once(2_000_000, 1024)
    (1024, 251, 16)
    """
    return min(most, max(DOSAGE_BYTES // (2 * max(people, 1)), 16))


class Format(ABC):
    """A file format of genotypes: which files make up a fileset, and what their headers tell.

    A *fileset* is what one path of the configuration (or one chromosome of a pattern) stands for; its *name* is the
    path by which the configuration, ``genotypes.json`` and messages call it.

    Attributes
    ----------
    name
        Short name, as in the registry.
    title
        Name in messages.
    extensions
        Extensions of the files of a fileset; the first is that of the genotypes themselves.
    effect_allele
        Which allele dosages count, in the words of the format.
    recognised
        Extensions by which a path is known to be of the format; if empty, that of the genotypes.
    is_imported
        Whether files are first imported to PLINK 2 filesets, which stand for them then.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    effect_allele: ClassVar[str]
    recognised: ClassVar[tuple[str, ...]] = ()
    is_imported: ClassVar[bool] = False

    @abstractmethod
    def fileset(self, path: str) -> str:
        """Return the name of the fileset that a path of the configuration means."""

    @abstractmethod
    def files(self, name: str, base: str = ".") -> tuple[str, ...]:
        """Return the files of a fileset, named as the fileset is, whether they are there or not; the genotypes first.

        Parameters
        ----------
        name
            Name of the fileset.
        base
            Folder to which names refer, for formats with a choice of files.
        """

    @abstractmethod
    def people_file(self, name: str, base: str = ".", settings: Mapping[str, Any] | None = None) -> str:
        """Return the file of a fileset that lists the people; settings as in :meth:`engine_options`."""

    def recognises(self, path: str) -> bool:
        """Return whether the extension of a path is one of the format's genotypes."""
        return path.endswith(self.recognised or self.extensions[:1])

    def of_file(self, path: str) -> str | None:
        """Return the name of the fileset that a file belongs to by its extension, None where it belongs to none."""
        for extension in self.extensions:
            if path.endswith(extension):
                return self.fileset(path.removesuffix(extension) + self.extensions[0])
        return None

    def find(self, pattern: str, base: str | None = None) -> set[str]:
        """Return the names of the filesets of which any file matches a pattern.

        Parameters
        ----------
        pattern
            Name of a fileset with wildcards, as for :func:`glob.glob`.
        base
            Folder to which it refers.
        """
        files = self.files(pattern, base or ".")
        found = {self.of_file(file) for pattern in files for file in glob.glob(pattern, root_dir=base)}
        return {name for name in found if name is not None}

    def prefix(self, name: str) -> str:
        """Return the path of a fileset without extension, as other engines call it."""
        return name.removesuffix(self.extensions[0])

    @abstractmethod
    def engine_options(self, prefix: str, settings: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the options by which other engines take a fileset.

        Parameters
        ----------
        prefix
            Its :meth:`prefix`, quoted for a shell.
        settings
            genotypes.json, for formats that have to be told what files mean (``bgen_reference``).

        Returns
        -------
        Options of those of ``plink2``, ``regenie``, ``bolt``, ``saige_null`` and ``saige`` (its two steps) and ``gcta``
        that read the format as it is, with the effect allele of this workflow.
        """

    @abstractmethod
    def extent(self, names: tuple[str, ...], base: str = ".") -> Extent:
        """Read from headers and sizes how much some filesets hold, in seconds at most.

        Raises
        ------
        InputError
            When a file that tells it is not there.
        """

    def decoding_rate(self, names: tuple[str, ...], base: str = ".") -> float:
        """Return how many dosages one core decodes in a second; infinite where genotypes are hard calls, used as they
        are stored.

        Measured on a core of 2023 (`benchmarks/dosages.py`). Files that cannot be read count as hard calls: what is
        wrong with them is said elsewhere.
        """
        return math.inf

    @abstractmethod
    def rare_share(self, names: tuple[str, ...], people: int, base: str = ".") -> float | None:
        """Estimate the share of variants that fewer than one in sixteen people carries; None where nothing tells."""

    @abstractmethod
    def reader(self) -> type[Genotypes]:
        """Return the class that reads the format; imported only here."""

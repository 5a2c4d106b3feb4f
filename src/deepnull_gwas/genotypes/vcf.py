"""Import of VCF and BCF to a PLINK 2 fileset, whose dosages are those of one field of FORMAT.

The file is gone through twice: what stands before the people is checked, and counted, before anything is written. The
text of a row is parsed by a kernel; BCF is turned to text by htslib on the way.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.genotypes import vcf_kernels as kernels
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.genotypes.people_tables import people_table
from deepnull_gwas.genotypes.vcf_rows import Row, open_rows
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import atomic_path
from deepnull_gwas.text import plain

logger = logging.getLogger(__name__)

#: Different texts of FORMAT that are remembered.
_FORMATS = 1000
#: Rows between two looks at the clock, and seconds between two words on how far the check of all rows is.
_LOOKED, SECONDS = 4096, 10.0
_FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]


@dataclass
class Imported:
    """What an import has read and left out.

    Attributes
    ----------
    people, variants
        Numbers of people and of variants written.
    split, added
        Rows with several alternative alleles, each a variant of its own now; variants that there are more than rows.
    without_field
        Rows without the field, of which the hard calls were taken.
    unknown
        Rows left out on chromosomes that are not known, by name.
    """

    people: int = 0
    variants: int = 0
    split: int = 0
    added: int = 0
    without_field: int = 0
    unknown: Counter = field(default_factory=Counter)


def import_vcf(path: str | Path, prefix: str | Path, genotypes: str, multiallelic: str = "refuse") -> Imported:
    """Import a VCF or BCF to a PLINK 2 fileset.

    Dosages count the alternative allele, 0 to 2, those of haploid people too, and are rounded to 1/16,384; hard calls
    are the whole numbers within 0.1 of them. Where the field is missing for a person or in a row, GT stands in for it.

    Parameters
    ----------
    path
        The .vcf, .vcf.gz (bgzip or gzip) or .bcf.
    prefix
        Of the .pgen, .pvar and .psam, which appear when all is well.
    genotypes
        The field of FORMAT: ``GT``, ``DS`` (dosages), ``HDS`` (of each haplotype) or ``GP`` (probabilities).
    multiallelic
        What becomes of rows with several alternative alleles: ``refuse`` them, or ``split`` them into a variant for
        each (GT, DS and GP; HDS is defined for one alternative allele only). The other allele is REF in each: a person
        with two different alternative alleles has one copy of either.

    Raises
    ------
    InputError
        When the file is no VCF, is truncated, lacks the field, mixes names of chromosomes, or has a genotype that
        cannot be, naming the row and the person.
    """
    path, prefix = str(path), str(prefix)
    if genotypes not in kernels.FIELDS:
        raise InputError(
            f"{path}: genotypes are to come from {plain(genotypes)!r}; expected one of "
            f"{', '.join(kernels.FIELDS)}{nearest(genotypes, kernels.FIELDS)}"
        )
    if multiallelic not in ("refuse", "split"):
        raise InputError(f"{path}: multiallelic is {plain(multiallelic)!r}; expected 'refuse' or 'split'")
    kind, split = kernels.FIELDS.index(genotypes), multiallelic == "split"
    start = last = time.monotonic()
    with contextlib.ExitStack() as stack:
        fronts = None
        logger.info("%s: %.0f MB; checking all rows, then importing %s", path, _megabytes(path), genotypes)
        for row in (rows := open_rows(path, stack)):
            if fronts is None:
                people = _read_head(path, row, rows, genotypes)
                fronts = _Fronts(path, people, kind, split)
            else:
                fronts.check(row)
            if row.number % _LOOKED == 0 and time.monotonic() - last > SECONDS:
                last = time.monotonic()
                logger.info("%s rows checked (%.0f s)", f"{row.number:,}", last - start)
        if fronts is None:
            raise InputError(f"{path}: empty")
        done = fronts.finish()
    table = people_table(path, None, people, None)
    with contextlib.ExitStack() as stack:
        names = (f"{prefix}{extension}" for extension in (".pgen", ".pvar", ".psam"))
        pgen, pvar, psam = (stack.enter_context(atomic_path(name)) for name in names)
        psam.write_text("#IID\tSEX\n" + "".join(f"{name}\tNA\n" for name in table["iid"]), encoding="utf-8")
        _write(path, _Fronts(path, people, kind, split), pgen, pvar, done.variants)
    logger.info(
        "%s: %s variants of %s people (%.0f s)",
        path, f"{done.variants:,}", f"{done.people:,}", time.monotonic() - start,
    )  # fmt: skip
    return done


def _megabytes(path: str) -> float:
    return Path(path).stat().st_size / 1e6 if Path(path).is_file() else 0.0


def _write(path: str, fronts: _Fronts, pgen: Path, pvar: Path, n_variants: int) -> None:
    """Go through a file, whose rows have been looked at, a second time, and write dosages and variants."""
    import pgenlib

    dosages, found = np.empty(len(fronts.people), dtype=np.float32), np.zeros(3, dtype=np.int64)
    # no context manager: it would complain of variants that lack, in place of what went wrong
    writer = pgenlib.PgenWriter(str(pgen).encode(), len(dosages), n_variants, nonref_flags=False, dosage_present=True)
    with contextlib.ExitStack() as stack:
        text = stack.enter_context(open(pvar, "w", encoding="utf-8", newline="\n"))
        text.write("#CHROM\tPOS\tID\tREF\tALT\n")
        rows = open_rows(path, stack)
        progress = Progress(n_variants, "variants")
        next(row for row in rows if row.data.startswith(b"#CHROM", row.start))
        for row in rows:
            front = fronts.check(row)
            if front is None:
                continue
            cells = np.frombuffer(row.data, np.uint8, row.stop - front.start, front.start)
            for allele, name in enumerate(front.alleles, 1):
                kernels.parse_people(
                    cells,
                    fronts.kind,
                    front.place,
                    front.has_calls,
                    np.array([allele, len(front.alleles)]),
                    dosages,
                    found,
                )
                if found[0] != kernels.SOUND:
                    raise fronts.fault(row.number, cells, front, found)
                writer.append_dosages(dosages)
                progress.add(1)
                text.write(f"{front.code}\t{front.position}\t{front.identifier}\t{front.reference}\t{name}\n")
    writer.close()


@dataclass(frozen=True)
class _Front:
    """What stands before the people of a row, and where they begin; see :func:`kernels.parse_people` for the rest."""

    code: str
    position: str
    identifier: str
    reference: str
    alleles: list[str]
    start: int
    place: int
    has_calls: bool

    def __str__(self) -> str:
        cells = (self.code, self.position, self.identifier, self.reference, ",".join(self.alleles))
        return f"({' '.join(plain(cell, 20) for cell in cells)})"


@dataclass
class _Fronts:
    """Checks of the rows of a file, one after the other, but for the genotypes.

    Attributes
    ----------
    path, people
        The file, and its people.
    kind
        Number of the field of FORMAT.
    split
        Whether rows with several alternative alleles are split.
    done
        What was read and left out so far.
    """

    path: str
    people: Sequence[str]
    kind: int
    split: bool
    done: Imported = field(default_factory=Imported)
    styles: dict[bool, tuple[str, int]] = field(default_factory=dict)
    places: dict[bytes, tuple[int, bool]] = field(default_factory=dict)

    def check(self, row: Row) -> _Front | None:
        """Return what stands before the people of a row; None where it is left out."""
        number, (front, start) = row.number, row.front()
        if start == row.stop:
            raise self._error(number, f"has {len(front)} columns, expected 9 and those of {len(self.people):,} people")
        code, position, identifier, reference, alternative = (self._decode(number, f) for f in front[:5])
        if not (position.isascii() and position.isdigit() and len(position) <= 10):
            raise self._error(number, f"has the position '{plain(position)}'; expected a whole number")
        if normalise(code) is None:
            self.done.unknown[plain(code)] += 1
            return None
        self._check_style(number, code)
        place, has_calls = self._place(number, front[8])
        found = _Front(code, position, identifier, reference, alternative.split(","), start, place, has_calls)
        if len(found.alleles) > 1 and (not self.split or self.kind == kernels.HDS):
            remedy = (
                "set vcf_multiallelic: split, by which each becomes a variant of its own, or split such rows before: "
                "bcftools norm -m -any"
                if not self.split
                else "HDS is defined for one only: name another field as vcf_field (DS, GP, GT)"
            )
            raise self._error(number, f"{found} has {len(found.alleles)} alternative alleles; {remedy}")
        self.done.without_field += place < 0
        self.done.split += len(found.alleles) > 1
        self.done.added += len(found.alleles) - 1
        self.done.variants += len(found.alleles)
        return found

    def finish(self) -> Imported:
        """Return what was read, after a check that it is something, and a word on what is left out."""
        done = self.done
        done.people = len(self.people)
        if done.unknown:
            shown = some([f"{name} ({count:,})" for name, count in done.unknown.most_common()])
            logger.warning(
                "%s: %s rows on unknown chromosomes are left out: %s", self.path, f"{done.unknown.total():,}", shown
            )
        if not done.variants:
            raise InputError(
                f"{self.path}: has no variants on known chromosomes (1-22, X, Y, MT, with or without 'chr')"
            )
        if done.split:
            logger.info(
                "%s: %s rows with several alternative alleles became %s variants more",
                self.path, f"{done.split:,}", f"{done.added:,}",
            )  # fmt: skip
        if done.without_field:
            wanted = kernels.FIELDS[self.kind]
            logger.warning("%s: %s rows have no %s; their GT is taken", self.path, f"{done.without_field:,}", wanted)
        return done

    def _decode(self, number: int, cell: bytes) -> str:
        try:
            return cell.decode()
        except UnicodeDecodeError:
            raise self._error(number, "is not UTF-8 text") from None

    def _check_style(self, number: int, code: str) -> None:
        """Check that names of chromosomes are all with ``chr``, or all without."""
        self.styles.setdefault(code[:3].lower() == "chr", (code, number))
        if len(self.styles) > 1:
            (a, first), (b, second) = self.styles.values()
            raise InputError(
                f"{self.path}: chromosomes are named in two ways, '{plain(a)}' (line {first:,}) and '{plain(b)}' "
                f"(line {second:,}): files of two sources were joined; check their genome builds, then rename: "
                "bcftools annotate --rename-chrs"
            )

    def _place(self, number: int, form: bytes) -> tuple[int, bool]:
        """Return where the field is in FORMAT (-1 where only GT is there), and whether GT is."""
        if form not in self.places:
            fields = form.decode("utf-8", "replace").split(":")
            has_calls = fields[0] == "GT"
            wanted = kernels.FIELDS[self.kind]
            if len(self.places) > _FORMATS:
                self.places.clear()
            if not has_calls and (wanted not in fields or wanted == "GT"):
                raise self._error(
                    number, f"has neither {wanted} nor, in the first place, GT; its FORMAT is {plain(':'.join(fields))}"
                )
            if not self.places and wanted not in fields:
                raise self._error(
                    number,
                    f"(the first) has no {wanted}; its FORMAT is {plain(':'.join(fields))}: name one of those as "
                    "`vcf_field`",
                )
            self.places[form] = (fields.index(wanted) if wanted in fields else -1, has_calls)
        return self.places[form]

    def _error(self, number: int, what: str) -> InputError:
        return InputError(f"{self.path}: line {number:,} {what}")

    def fault(self, number: int, cells: np.ndarray, what: _Front, found: np.ndarray) -> InputError:
        """Put what is wrong with a person's column into words."""
        kind, person, at = (int(x) for x in found)
        if kind == kernels.COLUMNS:
            more = "more columns" if person == len(self.people) else f"{person + 1:,} columns"
            return self._error(
                number, f"{what} has {more} of people, expected {len(self.people):,}; the file is damaged"
            )
        cell = plain(cells[at : at + 200].tobytes().split(b"\t")[0].decode("utf-8", "replace"))
        words = {
            kernels.NUMBER: "is no number",
            kernels.RANGE: "is not between 0 and what it can be (GP: probabilities that sum up to 1, not Phred-scaled)",
            kernels.VALUES: "has another number of values than its alleles need",
            kernels.PLOIDY: "is no genotype of a haploid or diploid person",
        }
        return self._error(
            number,
            f"{what}: {kernels.FIELDS[self.kind]} of person '{plain(self.people[person])}' {words[kind]}: '{cell}'",
        )


def _read_head(path: str, first: Row, rows: Iterator[Row], genotypes: str) -> list[str]:
    """Read up to the names of the columns; return the people, after a check that the field is declared."""
    number, row = first.number, first.text
    if not row.removeprefix(b"\xef\xbb\xbf").startswith(b"##fileformat=VCF"):
        shown = plain(row[:200].decode("utf-8", "replace"))
        raise InputError(f"{path}: not a VCF (its first line is '{shown}', expected ##fileformat=VCF…)")
    fields = []
    while row.startswith(b"##"):
        if row.startswith(b"##FORMAT=<ID="):
            fields.append(row[13:].split(b",")[0].decode("utf-8", "replace"))
        following = next(rows, Row(0, b"", 0, 0))
        number, row = following.number, following.text
    names = row.decode("utf-8", "replace").split("\t")
    if names[:9] != _FIXED or len(names) < 10:
        where = f"line {number:,} names the columns {plain(' '.join(names))}" if number else "has no names of columns"
        raise InputError(f"{path}: {where}; expected {' '.join(_FIXED)} and the people, split by tabs")
    if genotypes not in fields:
        raise InputError(
            f"{path}: genotypes are to come from {genotypes}, which the file does not declare; it has "
            f"{some(map(plain, fields), 12) or 'none'}: name one of GT, DS, HDS, GP that it has as `vcf_field`"
        )
    return names[9:]

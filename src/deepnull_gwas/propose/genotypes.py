"""What genotype files are, as far as a configuration has to know: found, and described with what was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deepnull_gwas.config.filesets import find_filesets
from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.genotypes.formats import FORMATS, format_of
from deepnull_gwas.propose.builds import Evidence

if TYPE_CHECKING:
    import pandas as pd

#: Variants that are read to tell the build, over all filesets; one fileset is read whole in any case.
LOOKED_AT = 5_000_000
#: Variants of a .bgen that are read to tell which allele is the reference.
SAMPLED = 400
#: Variants of which the dosages of everybody are in memory at a time.
AT_ONCE = 20
#: More variants than any array has: such hard calls were imputed or sequenced.
MOST_OF_ARRAYS = 3_000_000
_CHROMOSOME = re.compile(r"(?<![A-Za-z0-9])(chr|chrom|c|)(\d{1,2}|X)(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass
class Found:
    """Genotypes that were looked at.

    Attributes
    ----------
    path
        For the configuration: of a fileset, or a pattern with ``{chromosome}``.
    filesets
        Their names.
    form
        Short name of the format: ``bed``, ``pgen``, ``bgen``, ``vcf``.
    title
        The format in words.
    people
        fid, iid (text) and sex (1, 2, 0), in their order.
    variants
        How many there are, an estimate for a VCF.
    chromosomes
        Those seen.
    has_dosages
        Whether there is more than hard calls.
    evidence
        What tells the build.
    fields
        Of a VCF the fields of genotypes that its head declares.
    second_rarer
        Of a .bgen at how many of how many variants the second allele is the rarer one.
    notes
        What was decided on the way, and why.
    """

    path: str
    filesets: list[str]
    form: str
    title: str
    people: pd.DataFrame
    variants: int
    chromosomes: list[str] = field(default_factory=list)
    has_dosages: bool = False
    evidence: Evidence = field(default_factory=Evidence)
    fields: list[str] = field(default_factory=list)
    second_rarer: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    @property
    def is_imputed(self) -> bool:
        """Whether the presets for imputed genotypes fit."""
        return self.has_dosages or self.variants > MOST_OF_ARRAYS


def filesets_in(folder: Path) -> list[str]:
    """Return the filesets of a folder, each named by a path or by a pattern with ``{chromosome}``."""
    names: set[str] = set()
    for form in FORMATS:
        for file in sorted(folder.iterdir()):
            # the genotypes themselves: a .sample or .fam may be of something else
            if file.is_file() and str(file).endswith(form.recognised or form.extensions[:1]):
                names.add(with_siblings(str(form.of_file(str(file))))[0])
    return sorted(names)


def resolve(path: str) -> tuple[str, list[str], list[str]]:
    """Return what the path of some genotypes means.

    Parameters
    ----------
    path
        A fileset by its name or by any of its files, a pattern with ``{chromosome}``, or a folder that holds one of
        them.

    Returns
    -------
    The path for the configuration, the names of its filesets, and what was decided, in words.

    Raises
    ------
    InputError
        When nothing is there, or several things are.
    """
    notes = []
    if Path(path).is_dir():
        there = filesets_in(Path(path))
        if len(there) != 1:
            what = (
                f"{len(there)} sets of genotypes: {some(map(_last, there), 10)}; name one" if there else "no genotypes"
            )
            raise InputError(f"--genotypes: the folder {path} holds {what}")
        path = there[0]
    elif "{chromosome}" not in path:
        path = _named(path)
        path, siblings = with_siblings(path)
        if siblings:
            notes.append(
                f"the file is one of {siblings} whose names differ in the chromosome: all of them are taken "
                f"({path}); write the name of the one file instead to have it alone"
            )
    filesets, problems = find_filesets(path, Path("."), "--genotypes")
    if problems:
        raise InputErrors(problems)
    return path, filesets, notes


def _named(path: str) -> str:
    """Return the name of the fileset that a path, or the path of one of its files, means.

    Raises
    ------
    InputError
        When there is none, saying which there are beside it.
    """
    if Path(path).is_file():
        for form in FORMATS:
            if path.endswith(form.recognised or form.extensions) and (name := form.of_file(path)) is not None:
                return name
    for form in reversed(FORMATS):
        name = path if form.recognises(path) else f"{path}{form.extensions[0]}"
        if Path(form.files(form.fileset(name))[0]).is_file():
            return form.fileset(name)
    folder = Path(path).parent
    there = filesets_in(folder) if folder.is_dir() else []
    seen = f"; there are {some(map(_last, there), 10)}" if there else "; there are no genotypes in that folder"
    kinds = ", ".join(form.extensions[0] for form in FORMATS)
    raise InputError(f"--genotypes: no such file: {path} (alone, or with one of {kinds}){seen}")


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def with_siblings(name: str) -> tuple[str, int]:
    """Return the pattern that a fileset belongs to with others of its folder, and how many there are; itself and 0
    where it stands alone."""
    folder, _, last = name.rpartition("/")
    best, most = name, 0
    for match in _CHROMOSOME.finditer(last):
        if normalise(match[2]) is None:
            continue
        pattern = f"{last[: match.start(2)]}{{chromosome}}{last[match.end(2) :]}"
        pattern = f"{folder}/{pattern}" if folder else pattern
        filesets, problems = find_filesets(pattern, Path("."), "")
        if not problems and len(filesets) > max(most, 1):
            best, most = pattern, len(filesets)
    return best, most


def look_at(path: str) -> Found:
    """Look at genotypes: people, variants, and what tells the build and the reference allele.

    Parameters
    ----------
    path
        As for :func:`resolve`.

    Raises
    ------
    InputError
        When files are missing or damaged.
    """
    path, filesets, notes = resolve(path)
    form = format_of(filesets[0])
    extent = form.extent(tuple(filesets))
    found = Found(path, filesets, form.name, form.title, _people(form.name, filesets[0]), sum(extent.variants))
    found.notes += notes
    if form.name == "vcf":
        _look_at_head(found)
        return found
    if form.name == "bgen":
        found.has_dosages = True
        _look_at_bgen(found)
        return found
    reader = form.reader()
    left = LOOKED_AT
    for number in sorted(range(len(filesets)), key=lambda i: extent.variants[i]):
        if left < LOOKED_AT and extent.variants[number] > left:
            break
        left -= extent.variants[number]
        table = reader.read_variants(filesets[number])
        _take_in(found, zip(table["chromosome"], table["position"], table["id"]))
    if form.name == "pgen":
        from deepnull_gwas.genotypes.pgen_header import read_pgen_header

        found.has_dosages = any(read_pgen_header(name).has_dosages for name in filesets)
    return found


def _people(form: str, name: str) -> pd.DataFrame:
    """Return the people of a fileset."""
    if form == "vcf":
        import pandas as pd

        from deepnull_gwas.genotypes.vcf_files import read_head

        head = read_head(name)
        names = head[-1].split("\t")[9:] if head else []
        return pd.DataFrame({"fid": "0", "iid": names, "sex": 0})
    return format_of(name).reader().read_people(name)


def _take_in(found: Found, variants: Iterator[tuple[str, int, str]]) -> None:
    """Add variants (chromosome, position, ID) to what was seen."""
    last: dict[str, int] = {}

    def passing() -> Iterator[tuple[str, int, str]]:
        for chromosome, position, name in variants:
            if position > last.get(chromosome, 0):
                last[chromosome] = position
            yield chromosome, position, name

    found.evidence.add_known(passing())
    for chromosome, position in last.items():
        found.evidence.add_end(chromosome, position)
    found.chromosomes += [c for c in last if c not in found.chromosomes]


def _look_at_head(found: Found) -> None:
    """Take in what the heads of VCF files declare."""
    from deepnull_gwas.genotypes.vcf_files import read_head

    head = read_head(found.filesets[0])
    declared = [m[1] for line in head if (m := re.match(r"##FORMAT=<ID=(\w+)", line))]
    found.fields = [f for f in ("DS", "HDS", "GP", "GT") if f in declared]
    found.has_dosages = any(f != "GT" for f in found.fields)
    for line in head:
        if line.startswith("##contig=<"):
            contig, length = re.search(r"[<,]ID=([^,>]+)", line), re.search(r"[<,]length=(\d+)", line)
            if contig and length:
                found.evidence.add_length(contig[1], int(length[1]))


def _look_at_bgen(found: Found) -> None:
    """Take in the first variants of .bgen files, and how frequent their second alleles are."""
    import numpy as np

    from deepnull_gwas.genotypes.bgen import BgenReader
    from deepnull_gwas.genotypes.bgen_header import read_bgen_header
    from deepnull_gwas.genotypes.bgen_index import read_bgi, scan_variants

    rarer = looked = 0
    for name in found.filesets:
        header = read_bgen_header(name)
        if Path(f"{name}.bgi").is_file():
            index = read_bgi(f"{name}.bgi", header)
            sampled = np.unique(np.linspace(0, header.n_variants - 1, SAMPLED).astype(int))
        else:
            index = scan_variants(header, most=SAMPLED)
            header = replace(header, n_variants=len(index.position))
            sampled = np.arange(header.n_variants)
        names = [normalise(c) or "" for c in index.chromosome]
        _take_in(found, zip(names, index.position.tolist(), index.id))
        if looked < SAMPLED:
            # the effect allele is the one that is not the reference: the second
            reader = BgenReader(header, index, "first")
            for some_of_them in np.array_split(sampled, -(-len(sampled) // AT_ONCE)):
                frequency = np.nanmean(reader.dosages(some_of_them).to_float(np.float32), axis=1) / 2
                rarer, looked = rarer + int((frequency < 0.5).sum()), looked + len(some_of_them)
    found.second_rarer = rarer, looked

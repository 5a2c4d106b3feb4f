"""Tables of genes: the shipped ones, and a user's own as TSV, BED or GTF."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import SSF_CODE, normalise
from deepnull_gwas.text import shorten

#: Columns of a table of genes once it is read. Chromosomes have the codes of the summary statistics (X 23, Y 24, MT
#: 25), positions start at 1 and both ends are inside; strand and biotype are null where the file does not know them.
GENES = {
    "chromosome": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
    "symbol": pl.String,
    "strand": pl.String,
    "biotype": pl.String,
}
#: Columns that a TSV needs, and other names that they may have.
NEEDED = {
    "symbol": ("symbol", "gene", "gene_name", "name"),
    "chromosome": ("chromosome", "chrom", "chr", "#chrom", "#chr"),
    "start": ("start", "gene_start"),
    "end": ("end", "gene_end"),
}
OPTIONAL = {"strand": ("strand",), "biotype": ("biotype", "gene_biotype", "gene_type")}
#: Forms that the ending of a table's name tells, without .gz; any other is a TSV.
BY_ENDING = ("BED", "GTF")
_ATTRIBUTE = re.compile(r'(\w+)\s+"?([^";]*)"?\s*(?:;|$)')


def read_genes(path: str | Path) -> pl.DataFrame:
    """Read a table of genes.

    Parameters
    ----------
    path
        By its name, gzipped or not: a ``.bed`` (chromosome, start from 0, end, symbol and, if there are six
        columns, score and strand), a ``.gtf`` (features ``gene``; where there are none, the span of the transcripts of
        each gene), or a tab-separated table with a header that names the columns symbol, chromosome, start and end and
        may name strand and biotype.

    Returns
    -------
    :data:`GENES`, by chromosome and start; genes elsewhere than on 1-22, X, Y and MT are left out.

    Raises
    ------
    InputError
        Naming the file, the row and what was expected.
    """
    path = Path(path)
    ending = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".").upper()
    lines = _lines(path)
    kind = ending if ending in BY_ENDING else "TSV"
    rows = {"BED": _bed, "GTF": _gtf, "TSV": _tsv}[kind](path, lines)
    genes = pl.DataFrame(rows, schema=GENES, orient="row")
    if not len(genes):
        raise InputError(
            f"{path}: holds no gene on the chromosomes 1-22, X, Y or MT; read as {kind}, by the ending of its name "
            "(.bed, .gtf, or any other for a tab-separated table with the columns symbol, chromosome, start, end)"
        )
    return genes.sort("chromosome", "start", "end", "symbol")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a table that are neither empty nor comments; a GTF is too long to be held."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8-sig") if packed else open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                # a header may start with # too
                if line.strip() and (number == 1 or not line.startswith("#")):
                    yield number, line.rstrip("\r\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; report.genes is auto, none or the path of a table of genes") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as a table of genes ({error})") from None


def _gene(
    path: Path, number: int, place: tuple[str, str, str], symbol: str, strand: str | None, biotype: str | None,
    from_zero: bool = False,
) -> tuple[int, int, int, str, str | None, str | None] | None:  # fmt: skip
    """Return one row of :data:`GENES`, or None for a chromosome that is not known."""
    name = normalise(place[0])
    if name is None:
        return None
    try:
        start, end = int(place[1]) + from_zero, int(place[2])
    except ValueError:
        found = shorten(" ".join(place[1:]))
        raise InputError(f"{path}, row {number}: start and end are '{found}', expected two whole numbers") from None
    if not 1 <= start <= end:
        raise InputError(
            f"{path}, row {number}: the gene lies from {start:,} to {end:,}, expected positions from 1 on with the "
            "start before the end"
        )
    if not symbol.strip() or "," in symbol:
        found = shorten(symbol) or "nothing"
        raise InputError(f"{path}, row {number}: the symbol is '{found}', expected a name without a comma")
    known = strand if strand in ("+", "-") else None
    return SSF_CODE[name], start, end, symbol.strip(), known, biotype if biotype not in ("", "NA", ".") else None


def _tsv(path: Path, lines: Iterator[tuple[int, str]]) -> list[tuple]:
    header = [name.strip().lower() for name in next(lines, (0, ""))[1].split("\t")]
    at = {key: next((header.index(n) for n in names if n in header), None) for key, names in NEEDED.items()}
    at |= {key: next((header.index(n) for n in names if n in header), None) for key, names in OPTIONAL.items()}
    missing = [key for key in NEEDED if at[key] is None]
    if missing:
        raise InputError(
            f"{path}: the first row names no column {', '.join(missing)} (found: {shorten(', '.join(header))}); "
            "expected a tab-separated table with the columns symbol, chromosome, start, end (positions from 1, both "
            "ends inside), strand and biotype if known; a .bed or .gtf needs that ending"
        )
    rows = []
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(header):
            raise InputError(f"{path}, row {number}: has {len(fields)} columns, the first row has {len(header)}")
        one = {key: fields[i].strip() if i is not None else None for key, i in at.items()}
        place = str(one["chromosome"]), str(one["start"]), str(one["end"])
        rows.append(_gene(path, number, place, str(one["symbol"]), one["strand"], one["biotype"]))
    return [row for row in rows if row is not None]


def _bed(path: Path, lines: Iterator[tuple[int, str]]) -> list[tuple]:
    rows = []
    for number, line in lines:
        if line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) < 4:
            raise InputError(
                f"{path}, row {number}: has {len(fields)} columns, expected at least chromosome, start, end and symbol"
            )
        strand = fields[5] if len(fields) > 5 else None
        rows.append(_gene(path, number, (fields[0], fields[1], fields[2]), fields[3], strand, None, from_zero=True))
    return [row for row in rows if row is not None]


def _gtf(path: Path, lines: Iterator[tuple[int, str]]) -> list[tuple]:
    found: dict[str, list[tuple]] = {"gene": [], "transcript": []}
    for number, line in lines:
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 9:
            raise InputError(f"{path}, row {number}: has {len(fields)} columns, a GTF has 9")
        if fields[2] not in found:
            continue
        about = dict(_ATTRIBUTE.findall(fields[8]))
        symbol = about.get("gene_name") or about.get("gene") or about.get("gene_id") or ""
        biotype = about.get("gene_biotype") or about.get("gene_type")
        row = _gene(path, number, (fields[0], fields[3], fields[4]), symbol, fields[6], biotype)
        if row is not None:
            found[fields[2]].append(row)
    if found["gene"]:
        return found["gene"]
    spans: dict[tuple[int, str], tuple] = {}
    for code, start, end, symbol, *others in found["transcript"]:
        _, first, last, *_ = spans.get((code, symbol), (code, start, end))
        spans[code, symbol] = (code, min(first, start), max(last, end), symbol, *others)
    return list(spans.values())

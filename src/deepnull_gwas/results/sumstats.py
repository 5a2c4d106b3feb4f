"""Published summary statistics read back, block by block, so that memory does not grow with the variants.

They are written by :mod:`deepnull_gwas.results.publish`. The effect allele is A1, the allele that genotypes count; for
binary traits beta is the log odds ratio per copy.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import own_file

#: Next to sumstats.tsv.gz: the same columns for tested variants whose alleles the standard does not know.
OTHER_ALLELES = "other_alleles.tsv.gz"
#: Bytes of text that are read at a time.
BYTES_AT_A_TIME = 1 << 22
#: The empty block that ends a file compressed by blocks (SAM/BAM specification, 4.1.2), and how such a file starts.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BGZF_START = BGZF_END[:4]
#: What a reader raises on compressed text that is not whole.
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)

_TYPES: dict[str, Any] = {
    **dict.fromkeys(
        (
            "beta",
            "standard_error",
            "effect_allele_frequency",
            "neg_log_10_p_value",
            "effect_allele_frequency_cases",
            "effect_allele_frequency_controls",
            "info",
        ),
        pl.Float64,
    ),
    **dict.fromkeys(("chromosome", "base_pair_location", "n", "n_cases"), pl.Int64),
    **dict.fromkeys(
        ("effect_allele", "other_allele", "variant_id", "rsid", "original_id", "ref_allele", "method"), pl.String
    ),
}


def text_blocks(path: str | Path) -> Iterator[bytes]:
    """Go through a compressed table, block by block of whole lines; the file is read once, and never held as a whole.

    Parameters
    ----------
    path
        Gzipped text, by blocks (BGZF) or not.

    Yields
    ------
    About :data:`BYTES_AT_A_TIME` of text.

    Raises
    ------
    EOFError, gzip.BadGzipFile, zlib.error
        When the file is not whole (:data:`DAMAGE`).
    """
    with open(path, "rb") as raw:
        if raw.read(len(BGZF_START)) == BGZF_START:
            # cut between two blocks, the rest would read well
            raw.seek(max(raw.seek(0, os.SEEK_END) - len(BGZF_END), 0))
            if raw.read() != BGZF_END:
                raise EOFError("its end is missing")
        raw.seek(0)
        rest = b""
        with gzip.GzipFile(fileobj=raw) as file:
            while block := file.read(BYTES_AT_A_TIME):
                cut = block.rfind(b"\n") + 1
                if cut:
                    yield rest + block[:cut]
                    rest = block[cut:]
                else:
                    rest += block
        if rest:
            yield rest


def columns_of(path: str | Path) -> list[str]:
    """Return the names of the columns of summary statistics, or of a file next to it."""
    with own_file(path, *DAMAGE), gzip.open(path, "rt", encoding="utf-8") as file:
        return file.readline().rstrip("\n").split("\t")


def read_blocks(path: str | Path, columns: Sequence[str] | None = None, own: bool = True) -> Iterator[pl.DataFrame]:
    """Go through summary statistics, some ten thousand rows at a time; one part comes even where there are no rows.

    Parameters
    ----------
    path
        sumstats.tsv.gz, or one of the files next to it with the same columns.
    columns
        Which; None, all.
    own
        Whether the workflow will make the file again: a damaged one is then set aside, see
        :func:`deepnull_gwas.tables.own_file`.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    with own_file(path, *DAMAGE) if own else _readable(path):
        schema: dict[str, Any] = {}
        for block in text_blocks(path):
            if not schema:
                end = block.index(b"\n") + 1
                names = block[: end - 1].decode().split("\t")
                schema = {n: _TYPES.get(n, pl.String) for n in names}
                block = block[end:]
                wanted = list(columns) if columns else names
                if not block:
                    yield pl.DataFrame(schema=schema).select(wanted)
                    continue
            part = pl.read_csv(
                block,
                separator="\t",
                has_header=False,
                schema=schema,
                columns=[names.index(c) for c in wanted],
                null_values="#NA",
                quote_char=None,
            )
            yield part.select(wanted)


def rows_of_text(names: Sequence[str], rows: Sequence[str], path: str | Path) -> pl.DataFrame:
    """Return rows of summary statistics that were read as text, through their index.

    Parameters
    ----------
    names
        Columns of the file.
    rows
        Lines of it.
    path
        The file, for the message.

    Raises
    ------
    InputError
        When they do not fit the columns.
    """
    schema: dict[str, Any] = {name: _TYPES.get(name, pl.String) for name in names}
    if not rows:
        return pl.DataFrame(schema=schema)
    text = "\n".join(rows).encode()
    with _readable(path):
        return pl.read_csv(text, separator="\t", has_header=False, schema=schema, null_values="#NA", quote_char=None)


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, pl.exceptions.PolarsError, *DAMAGE) as error:
        raise InputError(
            f"{path}: not readable as gzipped summary statistics ({str(error).splitlines()[0]})"
        ) from error


def read_sumstats(path: str | Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read summary statistics back; parameters and errors as :func:`read_blocks`."""
    return pl.concat(list(read_blocks(path, columns)))


def tested_blocks(path: str | Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Go through all tested variants: those of sumstats.tsv.gz, then those of :data:`OTHER_ALLELES` next to it.

    Parameters and errors as :func:`read_blocks`.
    """
    yield from read_blocks(path, columns)
    other = Path(path).with_name(OTHER_ALLELES)
    if other.exists():
        yield from read_blocks(other, columns)


#: What a figure of the genome needs, in types that take little room.
POINTS: dict[str, Any] = {"chromosome": pl.Int8, "base_pair_location": pl.Int32, "neg_log_10_p_value": pl.Float64}


def points_of(source: str | Path | pl.DataFrame) -> pl.DataFrame:
    """Return chromosome, position and -log10 p of all tested variants (13 bytes each), in the order of the genome.

    Parameters
    ----------
    source
        sumstats.tsv.gz; or what was returned of it before, which is returned as it is: several figures share one read.
    """
    if isinstance(source, pl.DataFrame):
        return source
    return in_order_of_genome(part.cast(POINTS) for part in tested_blocks(source, list(POINTS)))


def in_order_of_genome(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """Put parts of tables together; sorted only where they are not in order, since each of two files may be."""
    table = pl.concat(list(parts))
    key = table["chromosome"].cast(pl.Int64) * (1 << 33) + table["base_pair_location"]
    return table if key.is_sorted() else table.sort(["chromosome", "base_pair_location"], maintain_order=True)

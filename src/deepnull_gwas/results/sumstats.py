"""Summary statistics in the GWAS Catalog's standard, GWAS-SSF (https://github.com/EBISPOT/gwas-summary-statistics-standard): written and read.

The effect allele is A1 of the .bim, the allele that dosages count. Binary traits: beta is the log odds ratio a copy.
Both directions go block by block, so that memory does not grow with the variants.
"""

from __future__ import annotations

import contextlib
import datetime
import gzip
import hashlib
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pysam
import yaml

from deepnull_gwas import RELEASED, __version__
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.ssf import (
    FORMAT,
    TABLES_VERSION,
    as_text,
    has_known_alleles,
    significant,
    tested_rows,
    untested_rows,
)
from deepnull_gwas.tables import atomic_path, own_file, read_json, read_metadata, read_table, rows_of

logger = logging.getLogger(__name__)

#: Beside sumstats.tsv.gz: the same columns for tested variants whose alleles the standard does not know.
OTHER_ALLELES = "other_alleles.tsv.gz"
#: Alleles named in the metadata, the log and the summary.
ALLELES_NAMED = 8
#: Rows that are turned into text at a time.
ROWS_AT_A_TIME = 1 << 17
#: Bytes of text that are read at a time.
BYTES_AT_A_TIME = 1 << 22
#: The empty block that ends a file compressed by blocks (SAM/BAM specification, 4.1.2), and how such a file starts.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BGZF_START = BGZF_END[:4]
#: What a reader says of compressed text that is not whole.
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
        ),
        pl.Float64,
    ),
    **dict.fromkeys(("chromosome", "base_pair_location", "n", "n_cases"), pl.Int64),
    **dict.fromkeys(
        ("effect_allele", "other_allele", "variant_id", "rsid", "original_id", "ref_allele", "method"), pl.String
    ),
}


# --- writing -----------------------------------------------------------------


def _read(chunk: Path, study: str, arm: str, binary: bool) -> pa.Table:
    wanted = ["chromosome", "position", "id", "effect_allele", "other_allele"]
    own = [f"{study}.n", f"{study}.eaf"] + (
        [f"{study}.n_cases", f"{study}.eaf_cases", f"{study}.eaf_controls"] if binary else []
    )
    own += [f"{study}.{arm}.{c}" for c in ("beta", "se", "neg_log10_p", "method", "reason")]
    table = read_table(chunk, columns=wanted + own)
    return table.rename_columns(
        [n.removeprefix(f"{study}.{arm}.").removeprefix(f"{study}.") for n in table.column_names]
    )


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    codes = pl.col("chromosome").replace_strict(SSF_CODE, return_dtype=pl.Int64)
    return frame.with_columns(codes.alias("code"), pl.col("method").cast(pl.String), pl.col("reason").cast(pl.String))


def _in_order(chunks: Sequence[Path]) -> bool:
    """Say whether the rows of all chunks, as they stand, are sorted by the standard's chromosome code and position."""
    last = -1
    for chunk in chunks:
        frame = pl.from_arrow(read_table(chunk, columns=["chromosome", "position"]))
        assert isinstance(frame, pl.DataFrame)
        if not len(frame):
            continue
        code = pl.col("chromosome").replace_strict(SSF_CODE, return_dtype=pl.Int64)
        key = frame.select(code * (1 << 33) + pl.col("position"))["chromosome"]
        if key[0] < last or not key.is_sorted():
            return False
        last = key[-1]
    return True


class _Counts:
    """What was written: variants by file and by reason, the rarest allele, examples of alleles that the standard does not know."""

    def __init__(self) -> None:
        self.known = self.other = 0
        self.reasons: dict[str, int] = {}
        self.lowest = np.inf
        self.examples: dict[str, None] = {}

    def add(self, known: pl.DataFrame, other: pl.DataFrame, untested: pl.DataFrame) -> None:
        """Count the rows of one part."""
        self.known += len(known)
        self.other += len(other)
        if len(known):
            eaf = known["effect_allele_frequency"]
            self.lowest = min(self.lowest, float(min(eaf.min(), 1 - eaf.max())))
        if len(self.examples) < ALLELES_NAMED:
            pairs = other.select(pl.concat_str(["effect_allele", "other_allele"], separator="/")).to_series()
            for pair in pairs.unique(maintain_order=True)[: ALLELES_NAMED - len(self.examples)]:
                self.examples[pair if len(pair) <= 40 else f"{pair[:37]}..."] = None
        for reason, count in untested["reason"].value_counts().iter_rows():
            self.reasons[reason] = self.reasons.get(reason, 0) + count

    def summary(self) -> dict[str, Any]:
        """Return the counts as JSON can hold them."""
        return {
            "tested": self.known + self.other,
            "other_alleles": self.other,
            "examples_of_other_alleles": list(self.examples),
            "untested": dict(sorted(self.reasons.items())),
        }


def merge_sumstats(
    chunks: Sequence[str | Path],
    study: str,
    arm: str,
    study_json: str | Path,
    out: str | Path,
    out_metadata: str | Path,
    out_untested: str | Path,
    info: Mapping[str, Any],
) -> dict[str, Any]:
    """Publish one study and arm: GWAS-SSF, block-gzipped and indexed (``.tbi`` beside it), with its metadata.

    Tested variants with an allele that the standard does not know (``I``, ``<DEL>``, ``*``, ``0``, ...) make a file invalid: they are in a file of
    their own beside it, :data:`OTHER_ALLELES`, with the same columns.

    Parameters
    ----------
    chunks
        Association tables of the batch, in the order of chunks.
    study, arm
        Whose columns.
    study_json
        study.json.
    out, out_metadata, out_untested
        Tested variants; what the standard wants to know of them; the other variants with their reason.
    info
        ``cohort``, ``genome_build``, and ``date`` (ISO; None, that of the workflow's release) for the metadata.

    Returns
    -------
    ``tested`` (number of variants, those with other alleles among them), ``other_alleles`` (number), ``examples_of_other_alleles``, ``untested``
    (reason -> number).
    """
    paths = [Path(c) for c in chunks]
    about = read_json(study_json)
    binary = about["trait"] == "binary"
    head = read_metadata(paths[0])
    if head is None or study not in head["studies"]:
        raise InputError(f"{paths[0]}: holds no study '{study}'; delete it and run again")

    def parts() -> Iterator[pl.DataFrame]:
        tables = (_read(path, study, arm, binary) for path in paths)
        if _in_order(paths):
            for table in tables:
                # a chunk without rows still gives the header
                for start in range(0, max(len(table), 1), ROWS_AT_A_TIME):
                    yield _frame(table.slice(start, ROWS_AT_A_TIME))
        else:
            whole = pl.concat([_frame(table) for table in tables]).sort(["code", "position"], maintain_order=True)
            yield from whole.iter_slices(ROWS_AT_A_TIME)

    counts, out = _Counts(), Path(out)
    progress = Progress(sum(rows_of(path) for path in paths), "variants")
    with atomic_path(out) as temporary:
        with (
            pysam.BGZFile(str(temporary), "wb") as file,
            gzipped(out_untested) as left,
            gzipped(out.with_name(OTHER_ALLELES)) as strange,
        ):
            for number, frame in enumerate(parts()):
                tested, untested = tested_rows(frame, binary), untested_rows(frame)
                known, other = tested.filter(has_known_alleles()), tested.filter(~has_known_alleles())
                for target, rows in ((file, known), (strange, other), (left, untested)):
                    target.write(as_text(rows, header=number == 0))
                counts.add(known, other, untested)
                progress.add(len(frame))
        # the name of the index is that of the file, so both are made under the temporary name and moved together
        pysam.tabix_index(
            str(temporary), seq_col=0, start_col=1, end_col=1, line_skip=1, force=True, keep_original=True
        )
        os.replace(f"{temporary}.tbi", f"{out}.tbi")
    # the index may not be older than the file that it is of
    os.utime(f"{out}.tbi")
    state = head["studies"][study]["arms"][arm]
    logger.info("%s, %s: %d variants tested, not tested: %s", study, arm, counts.known + counts.other, counts.reasons)
    if counts.other:
        logger.warning(
            "%s, %s: %d of them have alleles that GWAS-SSF does not know (%s): they are in %s, not in %s",
            study, arm, counts.other, ", ".join(counts.examples), OTHER_ALLELES, out.name,
        )  # fmt: skip
    _write_metadata(out, Path(out_metadata), about, arm, state, info, counts)
    return counts.summary()


@contextlib.contextmanager
def gzipped(path: str | Path) -> Iterator[gzip.GzipFile]:
    """Open a file to be written gzipped, atomically, the same bytes for the same content."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        yield file


def _write_metadata(
    out: Path,
    path: Path,
    about: Mapping[str, Any],
    arm: str,
    state: Mapping[str, Any],
    info: Mapping[str, Any],
    counts: _Counts,
) -> None:
    covariates = [c["name"] for c in about.get("covariates", [])]
    covariates = [c for c in covariates if c not in state["dropped_covariates"]]
    if arm == "deepnull":
        covariates.append("DeepNull prediction (out of fold)")
    digest = hashlib.md5(usedforsecurity=False)
    with open(out, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    binary = about["trait"] == "binary"
    sample: dict[str, Any] = {"sample_size": about["n"], "case_control_study": binary}
    if binary:
        sample |= {"case_count": about["cases"], "control_count": about["controls"]}
    lowest = float(significant(np.array([counts.lowest]))[0]) if np.isfinite(counts.lowest) else None
    metadata = {
        "date_metadata_last_modified": datetime.date.fromisoformat(info.get("date") or RELEASED),
        "trait_description": [about["phenotype"]],
        "genome_assembly": info["genome_build"],
        "coordinate_system": "1-based",
        "samples": [sample],
        "data_file_name": out.name,
        "file_type": FORMAT,
        "data_file_md5sum": digest.hexdigest(),
        "analysis_software": f"deepnull-gwas {__version__}",
        "adjusted_covariates": covariates,
        "minor_allele_freq_lower_limit": lowest,
        "is_harmonised": False,
        "is_sorted": True,
        # beyond the standard's fields
        "deepnull_gwas": {
            "tables_version": TABLES_VERSION,
            "cohort": info["cohort"],
            "study": about["study"],
            "arm": arm,
            "trait": about["trait"],
            "transform": about["transform"],
            "effect": "log odds ratio per copy of the effect allele" if binary else "per copy of the effect allele",
            "status": state["status"],
            "reason": state["reason"],
            "notes": list(state.get("notes", [])),
        },
    }
    if counts.other:
        metadata["deepnull_gwas"]["other_alleles"] = {
            "why": "tested variants with alleles that GWAS-SSF does not know",
            "variants": counts.other,
            "data_file_name": OTHER_ALLELES,
            "examples": list(counts.examples),
        }
    metadata = {key: value for key, value in metadata.items() if value is not None}
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True), encoding="utf-8")


# --- reading -----------------------------------------------------------------


def text_blocks(path: str | Path) -> Iterator[bytes]:
    """Go through a compressed table, block by block of whole lines; the file is read once and never lies in memory as a whole.

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


def read_blocks(path: str | Path, columns: Sequence[str] | None = None, own: bool = True) -> Iterator[pl.DataFrame]:
    """Go through summary statistics, some ten thousand rows at a time; the first part is there also where there are no rows.

    Parameters
    ----------
    path
        sumstats.tsv.gz, or what lies beside it with the same columns.
    columns
        Which; None, all.
    own
        Whether the workflow will make the file again: a damaged one is then set aside, see :func:`deepnull_gwas.tables.own_file`.

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
    """Go through all tested variants: those of sumstats.tsv.gz, then those of :data:`OTHER_ALLELES` beside it; as :func:`read_blocks`."""
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
        sumstats.tsv.gz; or what was returned of it before, which is given back: several figures share one read.
    """
    if isinstance(source, pl.DataFrame):
        return source
    return in_order_of_genome(part.cast(POINTS) for part in tested_blocks(source, list(POINTS)))


def in_order_of_genome(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """Put parts of tables together; sorted only where they are not in order, since each of two files may be."""
    table = pl.concat(list(parts))
    key = table["chromosome"].cast(pl.Int64) * (1 << 33) + table["base_pair_location"]
    return table if key.is_sorted() else table.sort(["chromosome", "base_pair_location"], maintain_order=True)

"""Summary statistics published in the GWAS Catalog's standard, GWAS-SSF.

The standard: https://github.com/EBISPOT/gwas-summary-statistics-standard. The effect allele is A1, the allele that
genotypes count; for binary traits beta is the log odds ratio per copy. The chunks' tables go through block by block, so
that memory does not grow with the variants.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pysam

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.metadata import metadata_of, write_metadata
from deepnull_gwas.results.ssf import (
    INFORMATION,
    as_text,
    has_known_alleles,
    tested_rows,
    untested_rows,
)
from deepnull_gwas.results.sumstats import OTHER_ALLELES
from deepnull_gwas.tables import atomic_path, read_json, read_metadata, read_table, rows_of
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

#: Alleles named in the metadata, the log and the summary.
ALLELES_NAMED = 8
#: Rows that are turned into text at a time.
ROWS_AT_A_TIME = 1 << 17


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
    """Publish one study and arm: GWAS-SSF, block-gzipped and indexed (``.tbi`` next to it), with its metadata.

    Tested variants with an allele that the standard does not know (``I``, ``<DEL>``, ``*``, ``0``, ...) make a file
    invalid: they are in a file of their own next to it, :data:`~deepnull_gwas.results.sumstats.OTHER_ALLELES`, with the
    same columns.

    Parameters
    ----------
    chunks
        Association tables of the batch, in the order of chunks.
    study, arm
        Whose columns.
    study_json
        study.json.
    out, out_metadata, out_untested
        Tested variants; what the standard wants to know about them; the other variants with their reason.
    info
        For the metadata: ``cohort``, ``genome_build``, ``date`` (ISO; None, that of the workflow's release), and
        ``imputation_panel`` and ``imputation_software`` (None where they are not known); ``genome``, the content of
        genome.json where the model is the whole-genome regression.

    Returns
    -------
    ``tested`` (number of variants, those with other alleles among them), ``other_alleles`` (number),
    ``examples_of_other_alleles``, ``untested`` (reason -> number).
    """
    paths, out = [Path(c) for c in chunks], Path(out)
    about = read_json(study_json)
    head = read_metadata(paths[0])
    if head is None or study not in head["studies"]:
        raise InputError(f"{paths[0]}: holds no study '{study}'; delete it and run again")
    genotypes = {"information": None, "other_is_reference": False} | head.get("genotypes", {})
    source = _Source(paths, study, arm, trait_of(about["trait"]).has_cases, genotypes)
    counts = _write_tables(source, out, Path(out_untested))
    state = head["studies"][study]["arms"][arm]
    logger.info("%s, %s: %d variants tested, not tested: %s", study, arm, counts.known + counts.other, counts.reasons)
    if counts.other:
        logger.warning(
            "%s, %s: %d of them have alleles that GWAS-SSF does not know (%s): they are in %s, not in %s",
            study, arm, counts.other, ", ".join(counts.examples), OTHER_ALLELES, out.name,
        )  # fmt: skip
    written = counts.summary() | {"lowest": counts.lowest}
    write_metadata(out, out_metadata, metadata_of(about, arm, state, info | {"genotypes": genotypes}, written))
    return counts.summary()


@dataclass(frozen=True)
class _Source:
    """The association tables of a batch, and whose columns of them are published."""

    chunks: Sequence[Path]
    study: str
    arm: str
    has_cases: bool
    #: ``information`` and ``other_is_reference``, see :func:`deepnull_gwas.association.chunk.origin_of`
    genotypes: Mapping[str, Any]

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in the standard's order, some at a time; at least one part, for the header."""
        tables = (self._read(path) for path in self.chunks)
        if _in_order(self.chunks):
            for table in tables:
                for start in range(0, max(len(table), 1), ROWS_AT_A_TIME):
                    yield _frame(table.slice(start, ROWS_AT_A_TIME))
        else:
            whole = pl.concat([_frame(table) for table in tables]).sort(["code", "position"], maintain_order=True)
            yield from whole.iter_slices(ROWS_AT_A_TIME)

    def _read(self, chunk: Path) -> pa.Table:
        """Read the columns of the study and arm, without their names in front."""
        wanted = ["chromosome", "position", "id", "effect_allele", "other_allele"]
        own = ["n", "eaf", *([INFORMATION] if self.genotypes["information"] else [])]
        own += ["n_cases", "eaf_cases", "eaf_controls"] if self.has_cases else []
        wanted += [f"{self.study}.{c}" for c in own]
        wanted += [f"{self.study}.{self.arm}.{c}" for c in ("beta", "se", "neg_log10_p", "method", "reason")]
        table = read_table(chunk, columns=wanted)
        return table.rename_columns(
            [n.removeprefix(f"{self.study}.{self.arm}.").removeprefix(f"{self.study}.") for n in table.column_names]
        )


def _write_tables(source: _Source, out: Path, out_untested: Path) -> _Counts:
    """Write tested variants with their index, those with other alleles, and untested ones; return the counts."""
    counts = _Counts()
    progress = Progress(sum(rows_of(path) for path in source.chunks), "variants")
    with atomic_path(out) as temporary:
        with (
            pysam.BGZFile(str(temporary), "wb") as file,
            gzipped(out_untested) as left,
            gzipped(out.with_name(OTHER_ALLELES)) as strange,
        ):
            for number, frame in enumerate(source.parts()):
                reference = source.genotypes["other_is_reference"]
                tested, untested = tested_rows(frame, source.has_cases, reference), untested_rows(frame)
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
    return counts


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    codes = pl.col("chromosome").replace_strict(SSF_CODE, return_dtype=pl.Int64)
    return frame.with_columns(codes.alias("code"), pl.col("method").cast(pl.String), pl.col("reason").cast(pl.String))


def _in_order(chunks: Sequence[Path]) -> bool:
    """Return whether the rows of all chunks, as they are, are sorted by the standard's code and position."""
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
    """What was written: variants by file and by reason, the rarest allele, examples of unknown alleles."""

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


@contextlib.contextmanager
def gzipped(path: str | Path) -> Iterator[gzip.GzipFile]:
    """Open a file to be written gzipped, atomically, the same bytes for the same content."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        yield file

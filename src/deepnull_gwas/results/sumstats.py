"""Summary statistics in the GWAS Catalog's standard, GWAS-SSF (https://github.com/EBISPOT/gwas-summary-statistics-standard).

The effect allele is A1 of the .bim, the allele that dosages count. Binary traits: beta is the log odds ratio a copy.
"""

from __future__ import annotations

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
import pyarrow.csv
import pysam
import yaml

from deepnull_gwas import __version__
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import atomic_path, own_file, read_json, read_metadata, read_table, rows_of

logger = logging.getLogger(__name__)

#: Version of the columns below; a change of them is a new number and a line in the changelog.
FORMAT = "GWAS-SSF v1.0"
COLUMNS = (
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "neg_log_10_p_value",
    "variant_id",
    "ref_allele",
    "n",
)
BINARY_COLUMNS = ("n_cases", "effect_allele_frequency_cases", "effect_allele_frequency_controls")
UNTESTED = (
    "chromosome",
    "base_pair_location",
    "variant_id",
    "effect_allele",
    "other_allele",
    "n",
    "effect_allele_frequency",
    "reason",
)
SIGNIFICANT_DIGITS = 7
#: The empty block that ends a file compressed by blocks (SAM/BAM specification, 4.1.2).
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def significant(values: np.ndarray, digits: int = SIGNIFICANT_DIGITS) -> np.ndarray:
    """Round to so many significant digits, so that the shortest text of a number is short."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
    exponent = np.where(np.isfinite(exponent), exponent, 0.0)
    places = np.clip(digits - 1 - exponent, -300, 300)
    # powers of ten up to 22 are exact in float64, so that the quotient is the float nearest to the decimal number
    scale = 10.0 ** np.minimum(np.abs(places), 300)
    return np.where(places >= 0, np.rint(values * scale) / scale, np.rint(values / scale) * scale)


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


def _tested(frame: pl.DataFrame, binary: bool) -> pl.DataFrame:
    frame = frame.filter(pl.col("reason") == "")
    columns = {
        "chromosome": frame["code"],
        "base_pair_location": frame["position"],
        "effect_allele": frame["effect_allele"],
        "other_allele": frame["other_allele"],
        "beta": significant(frame["beta"].to_numpy()),
        "standard_error": significant(frame["se"].to_numpy()),
        "effect_allele_frequency": significant(frame["eaf"].to_numpy()),
        "neg_log_10_p_value": significant(frame["neg_log10_p"].to_numpy()),
        "variant_id": frame["id"],
        # a .bed does not know which allele is the reference's
        "ref_allele": pl.Series(["#NA"]).new_from_index(0, len(frame))
        if len(frame)
        else pl.Series([], dtype=pl.String),
        "n": frame["n"],
    }
    if binary:
        columns["n_cases"] = frame["n_cases"]
        columns["effect_allele_frequency_cases"] = significant(frame["eaf_cases"].to_numpy())
        columns["effect_allele_frequency_controls"] = significant(frame["eaf_controls"].to_numpy())
    columns["method"] = frame["method"]
    return pl.DataFrame(columns)


def _untested(frame: pl.DataFrame) -> pl.DataFrame:
    frame = frame.filter(pl.col("reason") != "")
    return pl.DataFrame(
        {
            "chromosome": frame["chromosome"],
            "base_pair_location": frame["position"],
            "variant_id": frame["id"],
            "effect_allele": frame["effect_allele"],
            "other_allele": frame["other_allele"],
            "n": frame["n"],
            "effect_allele_frequency": significant(frame["eaf"].to_numpy()),
            "reason": frame["reason"],
        }
    )


#: Stands for a quote while a table is written; Unicode says that no text has it.
_QUOTE = "\ufdd0"


def _text(frame: pl.DataFrame, header: bool) -> bytes:
    """Write rows as tab-separated text, missing values as the standard's ``#NA``."""
    head = "\t".join(frame.columns) + "\n" if header else ""
    texts = [c for c, kind in frame.schema.items() if kind == pl.String]
    quotes = any(frame[c].str.contains('"', literal=True).any() for c in texts)
    if quotes:
        # PLINK takes a quote in an ID for a letter; pyarrow would refuse to write it
        frame = frame.with_columns(pl.col(texts).str.replace_all('"', _QUOTE, literal=True))
    sink = pa.BufferOutputStream()
    # pyarrow would put the header in quotes
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pyarrow.csv.write_csv(frame.fill_nan(None).to_arrow(), sink, options)
    text = sink.getvalue().to_pybytes()
    if quotes:
        text = text.replace(_QUOTE.encode(), b'"')
    while b"\t\t" in text:
        text = text.replace(b"\t\t", b"\t#NA\t")
    return head.encode() + text.replace(b"\t\n", b"\t#NA\n")


def _in_order(chunks: Sequence[Path]) -> bool:
    """Say whether the rows of all chunks, as they stand, are sorted by the standard's chromosome code and position."""
    last = (-1, -1)
    for chunk in chunks:
        table = read_table(chunk, columns=["chromosome", "position"])
        if not len(table):
            continue
        code = np.array([SSF_CODE[c] for c in table["chromosome"].to_pylist()], dtype=np.int64)
        position = table["position"].to_numpy()
        key = code * (1 << 33) + position
        if (code[0], position[0]) < last or np.any(np.diff(key) < 0):
            return False
        last = (int(code[-1]), int(position[-1]))
    return True


def merge_sumstats(
    chunks: Sequence[str | Path],
    study: str,
    arm: str,
    study_json: str | Path,
    out: str | Path,
    out_metadata: str | Path,
    out_untested: str | Path,
    info: Mapping[str, Any],
) -> None:
    """Publish one study and arm: GWAS-SSF, block-gzipped and indexed (``.tbi`` beside it), with its metadata.

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
        ``cohort``, ``genome_build``.
    """
    paths = [Path(c) for c in chunks]
    about = read_json(study_json)
    binary = about["trait"] == "binary"
    head = read_metadata(paths[0])
    if head is None or study not in head["studies"]:
        raise InputError(f"{paths[0]}: holds no study '{study}'; delete it and run again")

    def parts() -> Iterator[pl.DataFrame]:
        frames = (_frame(_read(path, study, arm, binary)) for path in paths)
        if _in_order(paths):
            yield from frames
        else:
            yield pl.concat(list(frames)).sort(["code", "position"], maintain_order=True)

    tested, out = 0, Path(out)
    reasons: dict[str, int] = {}
    lowest = np.inf
    progress = Progress(sum(rows_of(path) for path in paths), "variants")
    with atomic_path(out) as temporary:
        with (
            pysam.BGZFile(str(temporary), "wb") as file,
            atomic_path(out_untested) as rest,
            open(rest, "wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as left,
        ):
            for number, frame in enumerate(parts()):
                good, other = _tested(frame, binary), _untested(frame)
                file.write(_text(good, header=number == 0))
                left.write(_text(other, header=number == 0))
                tested += len(good)
                progress.add(len(frame))
                if len(good):
                    eaf = good["effect_allele_frequency"]
                    lowest = min(lowest, float(min(eaf.min(), 1 - eaf.max())))
                for reason, count in other["reason"].value_counts().iter_rows():
                    reasons[reason] = reasons.get(reason, 0) + count
        # the name of the index is that of the file, so both are made under the temporary name and moved together
        pysam.tabix_index(
            str(temporary), seq_col=0, start_col=1, end_col=1, line_skip=1, force=True, keep_original=True
        )
        os.replace(f"{temporary}.tbi", f"{out}.tbi")
    # the index may not be older than the file that it is of
    os.utime(f"{out}.tbi")
    state = head["studies"][study]["arms"][arm]
    logger.info("%s, %s: %d variants tested, not tested: %s", study, arm, tested, reasons or "none")
    _write_metadata(out, Path(out_metadata), about, arm, state, info, None if not np.isfinite(lowest) else lowest)


def _write_metadata(
    out: Path,
    path: Path,
    about: Mapping[str, Any],
    arm: str,
    state: Mapping[str, Any],
    info: Mapping[str, Any],
    lowest: float | None,
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
    metadata = {
        "genome_assembly": info["genome_build"],
        "coordinate_system": "1-based",
        "trait_description": [about["phenotype"]],
        "samples": [sample],
        "data_file_name": out.name,
        "file_type": FORMAT,
        "data_file_md5sum": digest.hexdigest(),
        "analysis_software": f"deepnull-gwas {__version__}",
        "adjusted_covariates": covariates,
        "is_harmonised": False,
        "is_sorted": True,
        "minor_allele_freq_lower_limit": None if lowest is None else float(significant(np.array([lowest]))[0]),
        # beyond the standard's fields
        "deepnull_gwas": {
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
    metadata = {key: value for key, value in metadata.items() if value is not None}
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_sumstats(path: str | Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read summary statistics back; a damaged file is set aside, see :func:`deepnull_gwas.tables.own_file`.

    Parameters
    ----------
    path
        sumstats.tsv.gz.
    columns
        Which; None, all.
    """
    types = dict.fromkeys(
        (
            "beta",
            "standard_error",
            "effect_allele_frequency",
            "neg_log_10_p_value",
            "effect_allele_frequency_cases",
            "effect_allele_frequency_controls",
        ),
        pl.Float64,
    )
    types |= dict.fromkeys(("chromosome", "base_pair_location", "n", "n_cases"), pl.Int64) | dict.fromkeys(
        ("effect_allele", "other_allele", "variant_id", "ref_allele", "method"), pl.String
    )
    with own_file(path, EOFError, gzip.BadGzipFile, zlib.error):
        with open(path, "rb") as file:
            compressed = file.read()
        # cut between two blocks, the rest would read well
        if not compressed.endswith(BGZF_END):
            raise EOFError("its end is missing")
        data = gzip.decompress(compressed)
        del compressed
    names = data[: data.index(b"\n")].decode().split("\t")
    return pl.read_csv(
        data,
        separator="\t",
        columns=list(columns) if columns else None,
        schema_overrides={n: types[n] for n in names if n in types},
        null_values="#NA",
        quote_char=None,
    )

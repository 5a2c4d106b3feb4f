"""Rows of summary statistics as the GWAS Catalog's standard GWAS-SSF wants them, and those that it does not know.

The standard: https://github.com/EBISPOT/gwas-summary-statistics-standard; its validator:
https://github.com/EBISPOT/gwas-sumstats-tools.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

#: What the standard calls a file that keeps to it.
FORMAT = "GWAS-SSF v1.0"
#: Version of the columns of all published tables; a change of them is a new number and a line in the changelog.
TABLES_VERSION = 3
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
    "rsid",
    "ref_allele",
    "n",
)
#: Of imputed genotypes only, between ``ref_allele`` and ``n``.
INFORMATION = "info"
#: What ``ref_allele`` is where the other allele is the reference.
OTHER = "OA"
BINARY_COLUMNS = ("n_cases", "effect_allele_frequency_cases", "effect_allele_frequency_controls")
UNTESTED = (
    "chromosome",
    "base_pair_location",
    "variant_id",
    "original_id",
    "effect_allele",
    "other_allele",
    "n",
    "effect_allele_frequency",
    "reason",
)
#: Alleles of the standard: nucleotides, or what stands for too many of them.
ALLELE = r"^(?:[ACGTacgt]+|LONG_STRING)$"
#: What stands for no ID in a table of variants.
NAMELESS = (".", "0", "", "NA", "#NA")
SIGNIFICANT_DIGITS = 7
#: Published for -log10 p = 0 (p = 1, an estimate of exactly 0): the standard's validator takes a 0 for a p-value that
#: underflowed. 10 to the power of its negative is 1 in double precision.
LEAST_NEG_LOG10_P = 1e-17


def significant(values: np.ndarray, digits: int = SIGNIFICANT_DIGITS) -> np.ndarray:
    """Round to a number of significant digits, so that the shortest text of a number is short.

    Examples
    --------
    >>> significant(np.array([123456.789, 1 / 3, 2e-40])).tolist()
    [123456.8, 0.3333333, 2e-40]
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
    exponent = np.where(np.isfinite(exponent), exponent, 0.0)
    places = np.clip(digits - 1 - exponent, -300, 300)
    # powers of ten up to 22 are exact in float64, so that the quotient is the float nearest to the decimal number
    scale = 10.0 ** np.minimum(np.abs(places), 300)
    return np.where(places >= 0, np.rint(values * scale) / scale, np.rint(values / scale) * scale)


def published_ids(code: str = "code", position: str = "position", name: str = "id") -> list[pl.Expr]:
    """Return expressions for ``variant_id`` and ``rsid`` as the standard allows them.

    ``variant_id`` is the variant's ID, with ``_`` for every character other than letters, digits and ``_``
    (``1:123:A:G`` becomes ``1_123_A_G``); a variant without an ID is named by its chromosome, position, other and
    effect allele. ``rsid`` is the ID where it is one of dbSNP.

    Parameters
    ----------
    code, position, name
        Columns with the standard's chromosome code, the position and the ID; ``effect_allele`` and ``other_allele`` are
        there, too.

    Examples
    --------
    >>> frame = pl.DataFrame({"code": 1, "position": 123, "id": ["rs7", "1:123:A:G", "."],
    ...                       "effect_allele": "G", "other_allele": "A"})
    >>> frame.select(published_ids()).rows()
    [('rs7', 'rs7'), ('1_123_A_G', None), ('1_123_A_G', None)]
    """
    place = pl.concat_str([code, position, "other_allele", "effect_allele"], separator="_")
    nameless = pl.col(name).is_in(NAMELESS) | ~pl.col(name).str.contains("[A-Za-z0-9]")
    given = pl.when(nameless).then(place).otherwise(pl.col(name))
    rsid = pl.when(pl.col(name).str.contains("^rs[0-9]+$")).then(pl.col(name))
    return [given.str.replace_all("[^A-Za-z0-9_]", "_").alias("variant_id"), rsid.alias("rsid")]


def has_known_alleles() -> pl.Expr:
    """Return the expression for whether the standard knows both alleles of a row (nucleotides in either case).

    Examples
    --------
    >>> frame = pl.DataFrame({"effect_allele": ["A", "ttg", "<DEL>"], "other_allele": ["G", "T", "A"]})
    >>> frame.select(has_known_alleles()).to_series().to_list()
    [True, True, False]
    """
    return pl.col("effect_allele").str.contains(ALLELE) & pl.col("other_allele").str.contains(ALLELE)


def _information(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return the column ``info`` of rows of imputed genotypes, within 0 and 1 as the standard wants it; else none."""
    if INFORMATION not in frame.columns:
        return {}
    return {INFORMATION: significant(np.clip(frame[INFORMATION].to_numpy(), 0.0, 1.0))}


def tested_rows(frame: pl.DataFrame, has_cases: bool, other_is_reference: bool = False) -> pl.DataFrame:
    """Return the published rows of the variants that were tested, whatever their alleles.

    Parameters
    ----------
    frame
        Rows of an association table, columns without the names of study and arm, with the standard's chromosome
        ``code``.
    has_cases
        Whether the trait is binary: then numbers and frequencies of cases and controls are published, too.
    other_is_reference
        Whether the other allele is known to be that of the reference genome.
    """
    frame = frame.filter(pl.col("reason") == "").with_columns(published_ids())
    columns = {
        "chromosome": frame["code"],
        "base_pair_location": frame["position"],
        "effect_allele": frame["effect_allele"],
        "other_allele": frame["other_allele"],
        "beta": significant(frame["beta"].to_numpy()),
        "standard_error": significant(frame["se"].to_numpy()),
        "effect_allele_frequency": significant(frame["eaf"].to_numpy()),
        "neg_log_10_p_value": np.maximum(significant(frame["neg_log10_p"].to_numpy()), LEAST_NEG_LOG10_P),
        "variant_id": frame["variant_id"],
        "rsid": frame["rsid"],
        # a PLINK 1 file does not know which allele is the reference's
        "ref_allele": pl.Series([OTHER if other_is_reference else None], dtype=pl.String).new_from_index(0, len(frame)),
        **_information(frame),
        "n": frame["n"],
    }
    if has_cases:
        columns["n_cases"] = frame["n_cases"]
        columns["effect_allele_frequency_cases"] = significant(frame["eaf_cases"].to_numpy())
        columns["effect_allele_frequency_controls"] = significant(frame["eaf_controls"].to_numpy())
    columns["method"] = frame["method"]
    columns["original_id"] = frame["id"]
    return pl.DataFrame(columns)


def untested_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the published rows of the variants that were not tested, each with its reason.

    ``frame`` as in :func:`tested_rows`.
    """
    frame = frame.filter(pl.col("reason") != "").with_columns(published_ids())
    return pl.DataFrame(
        {
            "chromosome": frame["chromosome"],
            "base_pair_location": frame["position"],
            "variant_id": frame["variant_id"],
            "original_id": frame["id"],
            "effect_allele": frame["effect_allele"],
            "other_allele": frame["other_allele"],
            "n": frame["n"],
            "effect_allele_frequency": significant(frame["eaf"].to_numpy()),
            **_information(frame),
            "reason": frame["reason"],
        }
    )


#: Stands for a quote while a table is written; by Unicode's rules no text has it.
_QUOTE = "\ufdd0"


def as_text(frame: pl.DataFrame, header: bool, missing: str = "#NA") -> bytes:
    r"""Return rows as tab-separated text, missing values as the standard's ``#NA`` unless told otherwise.

    Examples
    --------
    >>> as_text(pl.DataFrame({"n": [1, 2], "id": ["a", None]}), header=True)
    b'n\tid\n1\ta\n2\t#NA\n'
    """
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
    gap = missing.encode()
    while b"\t\t" in text:
        text = text.replace(b"\t\t", b"\t%b\t" % gap)
    return head.encode() + text.replace(b"\t\n", b"\t%b\n" % gap)

"""Published summary statistics in the forms that other programs read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.results.publish import gzipped
from deepnull_gwas.results.ssf import COLUMNS, INFORMATION, as_text, significant
from deepnull_gwas.results.sumstats import read_blocks
from deepnull_gwas.tables import atomic_path

logger = logging.getLogger(__name__)

#: Smallest p that is written where a program reads p and not its logarithm: below, readers find 0, which LDSC leaves
#: out.
SMALLEST_P = 1e-300
_LETTERS = {23: "X", 24: "Y", 25: "MT"}


@dataclass(frozen=True)
class Form:
    """What a program reads.

    Attributes
    ----------
    columns
        Column of the program -> expression over the published columns, and ``p`` and ``letter`` (chromosome, X for 23)
        in addition.
    binary
        The same, for what only binary traits have.
    imputed
        The same, for what only imputed genotypes have.
    missing
        What stands for a missing value.
    about
        One line for people: the program, what it does with the alleles.
    """

    columns: Mapping[str, pl.Expr]
    about: str
    binary: Mapping[str, pl.Expr]
    missing: str = "NA"
    imputed: Mapping[str, pl.Expr] = field(default_factory=dict)


_RSID_OR_NAME = pl.coalesce("rsid", "variant_id")
_CONTROLS = pl.col("n") - pl.col("n_cases")
_INFO = {"INFO": pl.col(INFORMATION)}

FORMS: dict[str, Form] = {
    "ldsc": Form(
        {
            "SNP": _RSID_OR_NAME,
            "A1": pl.col("effect_allele"),
            "A2": pl.col("other_allele"),
            "N": pl.col("n"),
            "BETA": pl.col("beta"),
            "P": pl.col("p"),
            "FRQ": pl.col("effect_allele_frequency"),
        },
        "LDSC's munge_sumstats: A1 is the effect allele; it leaves out what has an INFO below 0.9",
        {},
        imputed=_INFO,
    ),
    "pheweb": Form(
        {
            "chrom": pl.col("letter"),
            "pos": pl.col("base_pair_location"),
            "ref": pl.col("other_allele"),
            "alt": pl.col("effect_allele"),
            "pval": pl.col("p"),
            "beta": pl.col("beta"),
            "sebeta": pl.col("standard_error"),
            "af": pl.col("effect_allele_frequency"),
        },
        "PheWeb: alt is the effect allele; numbers of people belong into its list of phenotypes, not into the file",
        {
            "case_af": pl.col("effect_allele_frequency_cases"),
            "control_af": pl.col("effect_allele_frequency_controls"),
        },
    ),
    "mungesumstats": Form(
        {
            "SNP": _RSID_OR_NAME,
            "CHR": pl.col("letter"),
            "BP": pl.col("base_pair_location"),
            "EFFECT_ALLELE": pl.col("effect_allele"),
            "NON_EFFECT_ALLELE": pl.col("other_allele"),
            "FRQ": pl.col("effect_allele_frequency"),
            "BETA": pl.col("beta"),
            "SE": pl.col("standard_error"),
            "P": pl.col("p"),
            "N": pl.col("n"),
        },
        "MungeSumstats: the alleles by names that cannot be mistaken "
        "(its A2 is the effect allele, LDSC's is the other one)",
        {"N_CAS": pl.col("n_cases"), "N_CON": _CONTROLS},
        imputed=_INFO,
    ),
    "gwaslab": Form(
        {
            "SNPID": pl.col("variant_id"),
            "rsID": pl.col("rsid"),
            "CHR": pl.col("chromosome"),
            "POS": pl.col("base_pair_location"),
            "EA": pl.col("effect_allele"),
            "NEA": pl.col("other_allele"),
            "EAF": pl.col("effect_allele_frequency"),
            "BETA": pl.col("beta"),
            "SE": pl.col("standard_error"),
            "MLOG10P": pl.col("neg_log_10_p_value"),
            "N": pl.col("n"),
        },
        'GWASLab: fmt="gwaslab" (fmt="ssf" reads the published file as it is)',
        {"N_CASE": pl.col("n_cases"), "N_CONTROL": _CONTROLS},
        imputed=_INFO,
    ),
}


def convert_sumstats(source: str | Path, form: str, out: str | Path) -> int:
    """Write published summary statistics in the form that another program reads, block by block.

    Variants with alleles that GWAS-SSF does not know are not in ``source``, and so not in what is written: none of the
    programs takes them.

    Parameters
    ----------
    source
        sumstats.tsv.gz of a study and arm; it is read only, also where it is damaged.
    form
        One of :data:`FORMS`.
    out
        Tab-separated text; gzipped where its name ends in ``.gz``. Alleles in capitals.

    Returns
    -------
    The number of variants.

    Raises
    ------
    InputError
        When there is no such form, or the file is not what the workflow publishes.

    Examples
    --------
    >>> import tempfile
    >>> row = dict(zip(COLUMNS, (23, 123, "g", "A", 0.5, 0.1, 0.25, 6.2, "v1", "rs7", None, 400), strict=True))
    >>> folder = Path(tempfile.mkdtemp())
    >>> with gzipped(folder / "sumstats.tsv.gz") as file:
    ...     _ = file.write(as_text(pl.DataFrame([row]), header=True))
    >>> convert_sumstats(folder / "sumstats.tsv.gz", "pheweb", folder / "phenotype.tsv")
    1
    >>> for line in (folder / "phenotype.tsv").read_text().splitlines():
    ...     print(line.replace("\\t", " "))
    chrom pos ref alt pval beta sebeta af
    X 123 A G 6.309573e-7 0.5 0.1 0.25
    """
    if form not in FORMS:
        raise InputError(f"form: found '{form}', allowed: {', '.join(FORMS)}{nearest(form, FORMS)}")
    if not Path(source).is_file():
        raise InputError(f"{source}: no such file; give sumstats.tsv.gz of a study and arm")
    if Path(out).resolve() == Path(source).resolve():
        raise InputError(f"{out}: is the file that is to be read; give another name for what is written")
    rows = small = 0
    shape = FORMS[form]
    with gzipped(out) if str(out).endswith(".gz") else _plain(out) as file:
        for number, block in enumerate(read_blocks(source, own=False)):
            if lacking := [c for c in COLUMNS if c not in block.columns]:
                raise InputError(
                    f"{source}: no column {some(lacking, 5)}; "
                    "expected sumstats.tsv.gz as this version of the workflow publishes it"
                )
            columns = {**shape.columns, **(shape.binary if "n_cases" in block.columns else {})}
            columns |= shape.imputed if INFORMATION in block.columns else {}
            p = np.maximum(10.0 ** -block["neg_log_10_p_value"].to_numpy(), SMALLEST_P)
            block = block.with_columns(
                pl.Series("p", significant(p)),
                pl.col("chromosome")
                .replace_strict(_LETTERS, default=pl.col("chromosome").cast(pl.String))
                .alias("letter"),
                pl.col("effect_allele", "other_allele").str.to_uppercase(),
            )
            rows += len(block)
            small += int((p <= SMALLEST_P).sum())
            table = block.select(**columns)
            file.write(as_text(table, header=number == 0, missing=shape.missing))
    if small and any(name.lower() in ("p", "pval") for name in shape.columns):
        logger.warning("%s: %d p-values below %g are written as %g", out, small, SMALLEST_P, SMALLEST_P)
    return rows


@contextlib.contextmanager
def _plain(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to be written, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file

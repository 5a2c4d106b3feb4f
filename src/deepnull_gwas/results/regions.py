"""The regions around the strongest loci of a study: results of both arms, linkage disequilibrium, genes."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pysam

from deepnull_gwas.errors import InputError
from deepnull_gwas.genes.nearest import GENE_COLUMNS, genes_of_interval
from deepnull_gwas.genes.table import read_genes
from deepnull_gwas.genotypes.chromosomes import SSF_CODE, class_codes
from deepnull_gwas.genotypes.correlations import squared_correlations
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.results.publish import gzipped
from deepnull_gwas.results.sumstats import OTHER_ALLELES, columns_of, read_blocks, rows_of_text
from deepnull_gwas.tables import read_table, to_numpy
from deepnull_gwas.tables.parquet import parts_of_table

logger = logging.getLogger(__name__)

FORMAT = 1
#: Variants whose correlations with all others of their region are kept: the lead and the next strongest.
REFERENCES = 60
KEY = ["chromosome", "base_pair_location", "original_id", "effect_allele", "other_allele"]
VALUES = ["neg_log_10_p_value", "beta", "standard_error"]
SHARED = ["effect_allele_frequency", "n"]
#: Of chromosomes in names, by the code of the summary statistics.
NAMES = {code: name for name, code in reversed(SSF_CODE.items()) if name != "XY"}


@dataclass(frozen=True)
class StudyResults:
    """Files of a study.

    Attributes
    ----------
    people
        samples.parquet: who is analysed.
    sumstats
        Arm -> sumstats.tsv.gz, with its index and the other alleles next to it.
    loci
        comparison.tsv of a study with both arms, leads.tsv of one with one.
    """

    people: str | Path
    sumstats: Mapping[str, str | Path]
    loci: str | Path


@dataclass(frozen=True)
class CohortTables:
    """Files of the cohort: genotypes.json, variants.parquet, and of quality control samples.parquet and
    variants.parquet."""

    genotypes: str | Path
    variants: str | Path
    samples: str | Path
    qc_variants: str | Path


def strongest_loci(path: str | Path, arms: list[str], most: int) -> pl.DataFrame:
    """Return the loci with the smallest p of either arm, the smallest first.

    Parameters
    ----------
    path
        comparison.tsv, or leads.tsv of the only arm.
    arms
        Of the study.
    most
        How many at most.

    Returns
    -------
    ``chromosome``, ``base_pair_location``, ``original_id``, ``effect_allele``, ``other_allele`` of the lead variant,
    ``verdict`` (``single`` of a study with one arm), and the gene columns.
    """
    texts = dict.fromkeys(("variant_id", "original_id", "effect_allele", "other_allele", "verdict"), pl.String)
    loci = pl.read_csv(path, separator="\t", null_values="NA", quote_char=None, schema_overrides=texts | GENE_COLUMNS)
    if len(arms) == 1:
        loci = loci.with_columns(verdict=pl.lit("single"))
    columns = [f"neg_log_10_p_value_{arm}" for arm in arms] if len(arms) > 1 else ["neg_log_10_p_value"]
    strength = pl.max_horizontal(pl.col(c).cast(pl.Float64) for c in columns).fill_null(0).alias("strength")
    loci = loci.with_columns(strength).sort("strength", descending=True, maintain_order=True).head(most)
    types = {"chromosome": pl.Int64, "base_pair_location": pl.Int64} | texts | GENE_COLUMNS
    return loci.select(pl.col(c).cast(types[c]) for c in (*KEY, "verdict", *GENE_COLUMNS))


def read_windows(path: str | Path, windows: list[tuple[int, int, int]]) -> list[pl.DataFrame]:
    """Read the published rows inside some windows, through the index.

    Parameters
    ----------
    path
        sumstats.tsv.gz; of variants with other alleles, in the file next to it, all rows are gone through.
    windows
        Chromosome (code), first and last base pair.

    Returns
    -------
    Key columns, :data:`SHARED` and :data:`VALUES` of each window, in the order of positions.
    """
    columns = [*KEY, *SHARED, *VALUES]
    other, beside = None, Path(path).with_name(OTHER_ALLELES)
    if windows and beside.exists():
        inside = pl.any_horizontal(_inside(*window) for window in windows)
        other = pl.concat([part.filter(inside) for part in read_blocks(beside, columns)])
    parts = []
    for window in windows:
        part = _indexed(Path(path), *window).select(columns)
        if other is not None:
            part = pl.concat([part, other.filter(_inside(*window))])
        parts.append(part.sort("base_pair_location", maintain_order=True))
    return parts


def _inside(code: int, start: int, stop: int) -> pl.Expr:
    return (pl.col("chromosome") == code) & pl.col("base_pair_location").is_between(start, stop)


def _indexed(path: Path, code: int, start: int, stop: int) -> pl.DataFrame:
    """Read rows of block-gzipped summary statistics through their index."""
    try:
        with pysam.TabixFile(str(path)) as file:
            # a chromosome that the file does not have is an error to the library
            rows = list(file.fetch(str(code), start - 1, stop)) if str(code) in file.contigs else []
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read through its index ({error}); delete both and run again") from None
    return rows_of_text(columns_of(path), rows, path)


def side_by_side(arms: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join the rows of a study's arms, variant by variant.

    Returns
    -------
    Key columns, ``copy`` (which of several variants with the same key), :data:`SHARED`, and :data:`VALUES` with
    ``_<arm>`` appended, null where the arm did not test the variant; by position.
    """
    joined: pl.DataFrame | None = None
    for arm, part in arms.items():
        own = part.with_columns(pl.int_range(pl.len()).over(KEY).alias("copy"))
        own = own.rename({c: f"{c}_{arm}" for c in (*SHARED, *VALUES)})
        if joined is None:
            joined = own
        else:
            joined = joined.join(own, on=[*KEY, "copy"], how="full", coalesce=True, nulls_equal=True)
    assert joined is not None
    shared = [pl.coalesce(f"{c}_{arm}" for arm in arms).alias(c) for c in SHARED]
    columns = [*KEY, "copy", *shared, *(f"{c}_{arm}" for arm in arms for c in VALUES)]
    return joined.select(columns).sort("base_pair_location", "original_id", "effect_allele", "other_allele", "copy")


def read_variants(cohort: CohortTables, windows: list[tuple[int, int, int]]) -> pl.DataFrame:
    """Read the variants inside some windows that passed quality control: ``index``, name of the chromosome, key, copy.

    The table is gone through part by part, and only these rows are held.
    """
    passed = to_numpy(read_table(cohort.qc_variants, columns=["passed"])["passed"])
    columns = ["index", "chromosome", "position", "id", "effect_allele", "other_allele"]
    inside = pl.any_horizontal(_inside(*window) for window in windows)
    parts, first = [], 0
    for part in parts_of_table(cohort.variants, columns):
        frame = pl.DataFrame(pl.from_arrow(part)).filter(pl.Series(passed[first : first + part.num_rows]))
        first += part.num_rows
        name = pl.col("chromosome").cast(pl.String)
        frame = frame.with_columns(name.alias("name"), name.replace_strict(SSF_CODE, return_dtype=pl.Int64))
        frame = frame.rename({"position": "base_pair_location", "id": "original_id"})
        parts.append(frame.filter(inside).with_columns(pl.col("original_id", *KEY[3:]).cast(pl.String)))
    return pl.concat(parts).with_columns(pl.int_range(pl.len()).over(KEY).alias("copy"))


def _region(
    locus: Mapping[str, Any], window: tuple[int, int, int], rows: pl.DataFrame, arms: list[str],
    genes: pl.DataFrame | None,
) -> tuple[dict[str, Any], np.ndarray]:  # fmt: skip
    """Return what is known of a region but its correlations, and the rows that are references."""
    at_lead = pl.all_horizontal(pl.col(c).eq_missing(pl.lit(locus[c], dtype=rows.schema[c])) for c in KEY)
    (lead, *_) = rows.select(at_lead.arg_true()).to_series().to_list()
    strength = rows.select(pl.max_horizontal(f"neg_log_10_p_value_{arm}" for arm in arms)).to_series().to_numpy()
    order = np.argsort(-strength, kind="stable")
    references = np.concatenate([[lead], order[order != lead]])[:REFERENCES]
    code, start, stop = window
    track = [] if genes is None else genes_of_interval(genes, *window).rows(named=True)
    region = {
        "name": f"chr{NAMES[code]}_{locus['base_pair_location']}",
        "chromosome": code,
        "lead": lead,
        "start": start,
        "stop": stop,
        "verdict": locus["verdict"],
        "nearest_gene": locus["nearest_gene"],
        "gene_distance": locus["gene_distance"],
        "position": rows["base_pair_location"].to_list(),
        "id": rows["original_id"].to_list(),
        "effect_allele": rows["effect_allele"].to_list(),
        "other_allele": rows["other_allele"].to_list(),
        "frequency": rows["effect_allele_frequency"].to_list(),
        "n": rows["n"].to_list(),
        "arms": {
            arm: {
                "neg_log_10_p": rows[f"neg_log_10_p_value_{arm}"].to_list(),
                "beta": rows[f"beta_{arm}"].to_list(),
                "se": rows[f"standard_error_{arm}"].to_list(),
            }
            for arm in arms
        },
        "references": references.tolist(),
        "genes": [{k: g[k] for k in ("symbol", "start", "end", "strand", "biotype")} for g in track],
    }
    return region, references


def measure_regions(
    cohort: CohortTables, study: StudyResults, settings: Mapping[str, Any], genes: str | Path | None, out: str | Path
) -> None:
    """Write the regions of a study's strongest loci: results, alleles, genes, and correlations with lead variants.

    Parameters
    ----------
    cohort, study
        Files.
    settings
        ``regions`` (how many loci at most), ``region_kb`` (half width of a region) and ``genome_build``.
    genes
        Table of genes; None, no genes.
    out
        Gzipped JSON, the same bytes for the same results: ``format``, ``window_kb`` and ``loci``, the strongest first;
        of each the lists ``position``, ``id``, ..., ``arms`` with one entry per tested variant, and ``r2``, in
        thousandths, one row for each of the ``references`` (rows of these lists, the lead first). Correlations are
        those of hard calls among the study's own people
        (:func:`~deepnull_gwas.genotypes.correlations.squared_correlations`); null where one does not vary.
    """
    arms = [arm for arm in ("deepnull", "baseline") if arm in study.sumstats]
    loci = strongest_loci(study.loci, arms, settings["regions"]).rows(named=True)
    half = int(settings["region_kb"] * 1000)
    places = [(row["chromosome"], row["base_pair_location"]) for row in loci]
    windows = [(code, max(at - half, 1), at + half) for code, at in places]
    regions = []
    if loci:
        table = read_genes(genes) if genes else None
        results = {arm: read_windows(study.sumstats[arm], windows) for arm in arms}
        variants = read_variants(cohort, windows)
        files = open_genotypes(cohort.genotypes)
        people = to_numpy(read_table(study.people, columns=["sample_index"])["sample_index"]).astype(np.int64)
        sex = to_numpy(read_table(cohort.samples, columns=["sex"])["sex"])
        for number, (locus, window) in enumerate(zip(loci, windows, strict=True)):
            rows = side_by_side({arm: results[arm][number] for arm in arms})
            own = rows.join(variants, on=[*KEY, "copy"], how="left", nulls_equal=True, maintain_order="left")
            if own["index"].null_count():
                raise InputError(
                    f"{study.sumstats[arms[0]]}: holds variants that {cohort.variants} does not; delete both and run "
                    "again"
                )
            region, references = _region(locus, window, rows, arms, table)
            classes = class_codes(own["name"].to_list(), own["base_pair_location"].to_numpy(), settings["genome_build"])
            r2 = squared_correlations(files, own["index"].to_numpy(), references, people, classes, sex)
            region["r2"] = [[None if np.isnan(v) else int(v) for v in row] for row in np.rint(1000 * r2)]
            regions.append(region)
            logger.info("%s: %d variants, %d genes", region["name"], len(own), len(region["genes"]))
    content = {"format": FORMAT, "window_kb": settings["region_kb"], "loci": regions}
    with gzipped(out) as file:
        file.write(json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode())


def read_regions(path: str | Path) -> dict[str, Any]:
    """Read what :func:`measure_regions` wrote."""
    with gzip.open(path, "rb") as file:
        content: dict[str, Any] = json.loads(file.read())
    return content

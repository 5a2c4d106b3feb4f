"""Projection of a cohort's people on principal components of others, and the loadings that it needs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.relationship import apply_transposed
from deepnull_gwas.cohort.text_table import MISSING, column_of_numbers, line_of, read_text_table
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.standardised import StandardisedGenotypes
from deepnull_gwas.tables import Column, read_metadata, read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Share of the loadings' variants that a cohort must have, and below which a projection is said to be less exact.
LEAST_SHARE, GOOD_SHARE = 0.5, 0.9

PEOPLE = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
]


def read_loadings(path: str | Path) -> tuple[pd.DataFrame, list[str], np.ndarray | None]:
    """Read loadings: our own Parquet, or a table (TSV, white space) of another cohort.

    Returns
    -------
    table (chromosome, position, effect_allele, other_allele, effect_allele_frequency, PC1 ..), names of the components,
    and the singular value of each (None where the file does not say: the projections are then in units of their own).

    Raises
    ------
    InputError
        When it cannot be read as a table, a column is absent or repeated, a number is none, a position no whole
        number, or a frequency not within 0 and 1.
    """
    path = Path(path)
    singular, texts = None, None
    if path.suffix == ".parquet":
        table, metadata = read_parquet(path, own=False), read_metadata(path, own=False) or {}
        if "eigenvalues" in metadata:
            singular = np.sqrt(np.array(metadata["eigenvalues"]) * metadata["variants"])
        found = list(table.columns)
    else:
        texts = read_text_table(path, "one row per variant")
        found = texts.column_names
        table = None
    needed = ["chromosome", "position", "effect_allele", "other_allele", "effect_allele_frequency"]
    names = [c for c in found if re.fullmatch(r"PC[0-9]+", c)]
    absent = [c for c in needed if c not in found] or ([] if names else ["PC1"])
    if absent:
        raise InputError(
            f"{path}: no column {some(absent)}; found {some(found, 20)}. Loadings need {', '.join(needed)} and PC1, "
            "PC2, .."
        )
    refuse_doubled(found, path)
    if table is None:
        table = pd.DataFrame({c: [v.strip() for v in texts.column(c).to_pylist()] for c in found if c not in names})
        for name in ("position", "effect_allele_frequency", *names):
            missing = MISSING if name == "effect_allele_frequency" else None
            table[name] = column_of_numbers(texts, name, path, missing)
    if wrong := [c for c in ("position", "effect_allele_frequency", *names) if table[c].dtype.kind not in "iuf"]:
        raise InputError(f"{path}: columns {some(wrong)} hold no numbers")
    _check_values(path, table, names, texts)
    table["position"] = table["position"].to_numpy().astype(np.int64)
    table["chromosome"] = [normalise(c) for c in table["chromosome"].astype(str)]
    return table[found], names, singular


def _check_values(path: Path, table: pd.DataFrame, names: list[str], texts: pa.Table | None) -> None:
    """Refuse positions, frequencies and loadings that are none, naming the row (``texts``: of a text file)."""
    place, frequency = table["position"].to_numpy(), table["effect_allele_frequency"].to_numpy()
    for name, bad, meant in (
        ("position", ~((place == np.floor(place)) & (place >= 0) & (place < 2**31)), "a whole number below 2^31"),
        ("effect_allele_frequency", (frequency < 0) | (frequency > 1), "a share between 0 and 1"),
        *((c, ~np.isfinite(table[c].to_numpy()), "a finite number") for c in names),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{path}: row {row + 2 if texts is None else line_of(texts, row)}, column {name}: "
                f"{table[name].iloc[row]:g}, expected {meant}"
            )


_MATCHED = ["index", "chromosome", "position", "effect_allele", "other_allele"]


def _match_variants(ours: pd.DataFrame, table: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Match variants by chromosome, position and alleles.

    Returns
    -------
    Our variants with the loadings' frequency and components; and whether the alleles are the other way round in them.
    """
    place = ["chromosome", "position"]
    merged = ours.merge(
        table[[*place, "effect_allele", "other_allele", "effect_allele_frequency", *names]],
        on=place,
        suffixes=("", "_of"),
    )
    effect, other, effect_of, other_of = (
        in_capitals(merged[f"{name}{of}"].to_numpy(dtype=object))
        for of in ("", "_of")
        for name in ("effect_allele", "other_allele")
    )
    same = pd.Series((effect == effect_of) & (other == other_of))
    turned = pd.Series((effect == other_of) & (other == effect_of))
    merged, turned = merged[same | turned], turned[same | turned].to_numpy()
    first = ~merged["index"].duplicated().to_numpy()
    merged, turned = merged[first], turned[first]
    return merged, turned


def project_pcs(
    genotypes: str | Path,
    variants: str | Path,
    qc_samples: str | Path,
    loadings: str | Path,
    out_pcs: str | Path,
    threads: int = 1,
) -> None:
    """Project the people who passed on components of another cohort or reference panel.

    Parameters
    ----------
    genotypes, variants, qc_samples
        The cohort.
    loadings
        See :func:`read_loadings`. Variants are matched by chromosome, position and alleles; with the alleles the other
        way round the loading changes its sign.
    out_pcs
        Parquet: sample_index, fid, iid, PC1 ..

    Raises
    ------
    InputError
        When fewer than half of the loadings' variants are in this cohort.

    Notes
    -----
    Each component by least squares over the variants that are there: z'u / (s u'u). Standardised with the loadings' own
    frequencies. Projections shrink towards the centre (Patterson et al. 2006), the more so the fewer people and
    variants defined the components.
    """
    table, names, singular = read_loadings(loadings)
    table = table[np.isfinite(table["effect_allele_frequency"])]
    merged, turned = _match_variants(read_parquet(variants, columns=_MATCHED), table, names)
    share = len(merged) / max(len(table), 1)
    logger.info(
        "%s of %s variants of %s are in this cohort (%.1f %%)",
        f"{len(merged):,}", f"{len(table):,}", loadings, 100 * share,
    )  # fmt: skip
    if share < LEAST_SHARE:
        raise InputError(
            f"{loadings}: only {len(merged):,} of its {len(table):,} variants are in {genotypes} with these positions "
            "and alleles; at "
            "least half are needed. Is it of the same genome build?"
        )
    if share < GOOD_SHARE:
        logger.warning(
            "%.0f %% of the loadings' variants are not in this cohort: projections are less exact", 100 * (1 - share)
        )
    frequency = merged["effect_allele_frequency"].to_numpy()
    weights = merged[names].to_numpy() * np.where(turned, -1.0, 1.0)[:, None]
    fileset = open_genotypes(genotypes)
    standardised = StandardisedGenotypes(
        fileset, merged["index"].to_numpy(), np.where(turned, 1 - frequency, frequency)
    )
    scale = (weights**2).sum(axis=0) * (1.0 if singular is None else singular)
    with threadpool_limits(1, user_api="blas"):
        pcs = apply_transposed(standardised, weights, threads)[standardised.order] / scale
    people = read_parquet(qc_samples, columns=["sample_index", "fid", "iid", "passed"])
    out = pd.concat([people[["sample_index", "fid", "iid"]], pd.DataFrame(pcs, columns=names)], axis=1)
    out = out[people["passed"].to_numpy(dtype=bool)]
    write_parquet(out, out_pcs, [*PEOPLE, *(Column(n, "float64", "projection on this component") for n in names)])


def pass_loadings_on(loadings: str | Path, out_eigenvalues: str | Path, out_loadings: str | Path) -> None:
    """Write the tables of eigenvalues and loadings of a projection: those of the loadings given."""
    table, names, singular = read_loadings(loadings)
    eigenvalues = np.full(len(names), np.nan) if singular is None else singular**2 / max(len(table), 1)
    write_tsv(
        pd.DataFrame({"component": range(1, len(names) + 1), "eigenvalue": eigenvalues, "variance_explained": np.nan}),
        out_eigenvalues,
    )
    write_parquet(table, out_loadings)

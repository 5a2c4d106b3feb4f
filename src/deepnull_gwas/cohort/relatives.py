"""Relatives of a cohort (rule ``estimate_kinship``): pairs, families, and unrelated people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from deepnull_gwas.cohort.families import ADJUSTED, FAMILIES, RELATIVES, family_clusters, unrelated_set
from deepnull_gwas.cohort.kinship import classify, kinship_pairs, look_at_strangers
from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.text_table import MISSING, column_of_numbers, read_text_table, refuse_rounded
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.tables import read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)


def read_pairs(path: str | Path, people: pd.DataFrame) -> pd.DataFrame:
    """Read related pairs that another tool found.

    Parameters
    ----------
    path
        Table with a header (any white space): ``IID1``, ``IID2`` (``ID1``, ``ID2``) and ``KINSHIP``, or ``PI_HAT``
        (halved); ``FID1``, ``FID2``, ``NSNP``, ``HETHET``, ``IBS0`` where there are any. PLINK 2's .kin0, KING's .kin0,
        PLINK 1.9's .genome and our own relatives.tsv are such tables.
    people
        sample_index, fid, iid of the cohort.

    Returns
    -------
    As :func:`kinship_pairs`, with missing values for what the table does not hold. Pairs with somebody outside
    ``people`` are left out.

    Raises
    ------
    InputError
        When it cannot be read as a table, columns are absent or repeated, a number is none, or not one pair is of
        this cohort.
    """
    texts = read_text_table(path, "one row per pair")
    # PLINK's and KING's names, and those of our own relatives.tsv
    other_names = {"ID1": "IID1", "ID2": "IID2", "VARIANTS": "NSNP", "HET_HET": "HETHET"}
    other_names |= {f"{c}_{side}": f"{c}{side}" for c in ("FID", "IID") for side in (1, 2)}
    names = [other_names.get(c.upper(), c.upper()) for c in texts.column_names]
    refuse_doubled(names, path)
    texts = texts.rename_columns(names)
    table = {
        n: [v.strip() for v in texts.column(n).to_pylist()] for n in names if n in {"FID1", "IID1", "FID2", "IID2"}
    }
    rows = texts.num_rows
    if not {"IID1", "IID2"} <= set(names) or not {"KINSHIP", "PI_HAT"} & set(names):
        raise InputError(f"{path}: columns {some(names, 20)}; expected IID1, IID2 and KINSHIP (or PI_HAT)")
    for side in ("IID1", "IID2"):
        refuse_rounded(table[side], texts, side, path)
    with_family = {"FID1", "FID2"} <= set(table) and not people["iid"].is_unique
    if with_family:
        place = dict(zip(zip(people["fid"], people["iid"]), people["sample_index"]))
        sides = [[place.get(key, -1) for key in zip(table[f"FID{s}"], table[f"IID{s}"])] for s in (1, 2)]
    else:
        place = dict(zip(people["iid"], people["sample_index"]))
        sides = [[place.get(key, -1) for key in table[f"IID{s}"]] for s in (1, 2)]
    first, second = np.array(sides, dtype=np.int64).reshape(2, -1)
    known = (first >= 0) & (second >= 0) & (first != second)
    if rows and not known.any():
        raise InputError(
            f"{path}: none of its {rows:,} pairs is of this cohort; it names {some(dict.fromkeys(table['IID1']))}, "
            f"the cohort's people are {some(people['iid'])}"
        )
    logger.info("%s: %s of %s pairs are of this cohort", path, f"{int(known.sum()):,}", f"{rows:,}")

    def number(name: str, scale: float = 1.0) -> np.ndarray:
        if name not in names:
            return np.full(rows, np.nan)
        return column_of_numbers(texts, name, path, MISSING) * scale

    pairs = pd.DataFrame(
        {
            "sample_index_1": np.minimum(first, second), "sample_index_2": np.maximum(first, second),
            "variants": np.nan_to_num(number("NSNP")).astype(np.int64), "het_het": number("HETHET"),
            "ibs0": number("IBS0"),
            "kinship": number(name) if (name := _kinship_given(names)) != "PI_HAT" else number(name, 0.5),
        }
    )[known]  # fmt: skip
    return pairs.sort_values(["sample_index_1", "sample_index_2"], ignore_index=True)


def _kinship_given(names: list[str]) -> str:
    """Return the column of kinship among those of a table of pairs: of our own, that beyond ancestry if it is there."""
    return next(name for name in (ADJUSTED.name.upper(), "KINSHIP", "PI_HAT") if name in names)


def estimate_kinship(
    genotypes: str | Path,
    variants: str | Path,
    qc_samples: str | Path,
    settings: Mapping[str, Any],
    out_relatives: str | Path,
    out_families: str | Path,
    threads: int = 1,
    pairs: str | Path | None = None,
) -> None:
    """Find relatives, cluster them into families, and choose unrelated people (rule ``estimate_kinship``).

    Parameters
    ----------
    genotypes
        ``genotypes.json``.
    variants
        Parquet with the ``index`` of the variants to use (the pruned ones).
    qc_samples
        People's verdicts; only who passed counts.
    settings
        ``kinship``: threshold of a related pair; raised where the variants are too few for it. Optional: ``memory_mb``.
    out_relatives
        TSV of :data:`~deepnull_gwas.cohort.families.RELATIVES`.
    out_families
        Parquet of :data:`~deepnull_gwas.cohort.families.FAMILIES`, the people who passed.
    threads
        Strips of pairs at a time.
    pairs
        Pairs found elsewhere (:func:`read_pairs`) instead of the genotypes.
    """
    people = read_people(qc_samples)
    threshold, lowered = float(settings["kinship"]), 0.0
    if pairs is not None:
        found = read_pairs(pairs, people)
        found = found[found["kinship"] > threshold].reset_index(drop=True)
        expected = np.nan
    else:
        index = read_parquet(variants, columns=["index"])["index"].to_numpy()
        members = people["sample_index"].to_numpy()
        memory_mb = float(settings.get("memory_mb") or 2000.0)
        found, threshold, expected, lowered = _pairs_of_genotypes(
            open_genotypes(genotypes), index, members, threshold, threads, memory_mb
        )
    found["relation"] = classify(found["kinship"], np.nan_to_num(found["ibs0"]), expected if expected > 0 else np.inf)
    if np.isnan(expected):  # pairs from a file: its ibs0 cannot be judged
        found.loc[found["relation"].isin(["parent_child", "sibling"]), "relation"] = "first_degree"
    about = {"kinship": threshold} | ({} if pairs is not None else {"lowered_by_ancestry": lowered})
    write_relatives(people, found, about, out_relatives, out_families)


def read_people(qc_samples: str | Path) -> pd.DataFrame:
    """Read the people who passed: sample_index, fid, iid, call_rate."""
    people = read_parquet(qc_samples, columns=["sample_index", "fid", "iid", "call_rate", "passed"])
    return people[people["passed"].to_numpy(dtype=bool)].reset_index(drop=True)


def write_relatives(
    people: pd.DataFrame,
    found: pd.DataFrame,
    about: Mapping[str, float],
    out_relatives: str | Path,
    out_families: str | Path,
) -> None:
    """Write pairs of relatives and the families that they make.

    Parameters
    ----------
    people
        From :func:`read_people`.
    found
        Pairs, with their ``relation``; ``kinship_adjusted`` where kinship is beyond ancestry.
    about
        Metadata of the families: ``kinship``, the threshold, and whatever a later step has to know.
    out_relatives, out_families
        See :func:`estimate_kinship`.
    """
    place = pd.Series(np.arange(len(people)), index=people["sample_index"])
    first, second = place.loc[found["sample_index_1"]].to_numpy(), place.loc[found["sample_index_2"]].to_numpy()
    found = found.copy()
    for side, rows in ((1, first), (2, second)):
        found[f"fid_{side}"], found[f"iid_{side}"] = people["fid"].to_numpy()[rows], people["iid"].to_numpy()[rows]
    more = [ADJUSTED.name] if ADJUSTED.name in found else []
    write_tsv(found[[c.name for c in RELATIVES] + more], out_relatives)
    families = _families(people, first, second, (found["relation"] == "duplicate").to_numpy())
    write_parquet(families, out_families, FAMILIES, metadata=dict(about))
    _report(found, families, about["kinship"])


def _pairs_of_genotypes(
    fileset: Genotypes, index: np.ndarray, members: np.ndarray, threshold: float, threads: int, memory_mb: float
) -> tuple[pd.DataFrame, float, float, float]:
    """Find related pairs of some people in the genotypes.

    Returns
    -------
    Pairs (see :func:`~deepnull_gwas.cohort.kinship.kinship_pairs`), the threshold that was used, the share of opposite
    homozygotes expected of two unrelated people (NaN without variants), and by how much differences of ancestry lower
    kinship (:class:`~deepnull_gwas.cohort.kinship.Strangers`).
    """
    n = len(members)
    logger.info(
        "%s people x %s variants, %s pairs; needs about %.0f MB and %.0f s",
        f"{n:,}", f"{len(index):,}", f"{n * (n - 1) // 2:,}",
        300 + min(memory_mb, n * len(index) / 4e6), 2 + n * n / 2 * len(index) / 4e10 / max(threads, 1),
    )  # fmt: skip
    strangers = look_at_strangers(fileset, index, members)
    threshold = raised_threshold(threshold, strangers.spread, n, len(index))
    if not len(index):
        logger.warning("no common autosomal variants: neither relatives nor copies of a person can be found")
    # without variants every pair would be looked at, and none would have a kinship
    compared = members if len(index) else members[:0]
    found = kinship_pairs(fileset, index, compared, threshold, threads, memory_mb)
    selected = np.zeros(fileset.n_samples, dtype=bool)
    selected[members] = True
    counts = count_variants(fileset, index, [selected])[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        p = (2 * counts[:, 0] + counts[:, 1]) / (2 * counts[:, :3].sum(axis=1))
    expected = float(np.nanmean(2 * p**2 * (1 - p) ** 2)) if len(index) else np.nan
    return found, threshold, expected, strangers.lowered


def raised_threshold(threshold: float, spread: float, people: int, variants: int) -> float:
    """Return the kinship above which less than one pair of strangers is expected, if that is more than a threshold.

    Parameters
    ----------
    threshold
        As configured.
    spread
        Standard deviation of the kinship of strangers.
    people, variants
        Their numbers.
    """
    # where less than one pair of strangers is expected to lie above
    pairs = people * (people - 1) / 2
    noise = spread * float(special.ndtri(1 - 0.5 / max(pairs, 1.0))) if people > 1 else 0.0
    logger.info("kinship of random pairs: standard deviation %.4f", spread)
    if noise <= threshold:
        return threshold
    logger.warning(
        "%s variants are too few for a threshold of %.4f: kinship of strangers varies by %.4f, so that some of %s "
        "pairs would pass it; the threshold is raised to %.4f",
        f"{variants:,}", threshold, spread, f"{people * (people - 1) // 2:,}", noise,
    )  # fmt: skip
    return noise


def _families(people: pd.DataFrame, first: np.ndarray, second: np.ndarray, same: np.ndarray) -> pd.DataFrame:
    """Cluster people into families and choose unrelated ones.

    Parameters
    ----------
    people
        sample_index, fid, iid, call_rate.
    first, second
        Rows of the related pairs.
    same
        bool, one per pair: duplicates. Of a duplicated person the sample with more calls stays.

    Returns
    -------
    :data:`~deepnull_gwas.cohort.families.FAMILIES`.
    """
    rate = people["call_rate"].fillna(0).to_numpy()
    duplicate_of = np.full(len(people), "", dtype=object)
    copies = family_clusters(len(people), first[same], second[same])
    for copy in np.unique(copies[np.concatenate([first[same], second[same]])]) if same.any() else []:
        members = np.flatnonzero(copies == copy)
        best = members[np.lexsort((members, -rate[members]))[0]]
        duplicate_of[members[members != best]] = people["iid"].iloc[best]
    priority = np.where(duplicate_of != "", -1.0, 0.0)
    family = family_clusters(len(people), first, second)
    return people[["sample_index", "fid", "iid"]].assign(
        family=family,
        family_size=np.bincount(family)[family],
        relatives=np.bincount(np.concatenate([first, second]), minlength=len(people)),
        unrelated=unrelated_set(len(people), first, second, priority),
        duplicate_of=duplicate_of,
    )


def _report(found: pd.DataFrame, families: pd.DataFrame, threshold: float) -> None:
    """Log how many pairs, families and unrelated people there are; warn of a family that holds too many."""
    of_relation, sizes = found["relation"].value_counts(), np.bincount(families["family"])
    logger.info(
        "%s related pairs (%s); %s families of two or more, the largest %d; %s unrelated people of %s",
        f"{len(found):,}", ", ".join(f"{v:,} {k}" for k, v in of_relation.items()) or "none",
        f"{int((sizes > 1).sum()):,}", int(sizes.max(initial=0)),
        f"{int(families['unrelated'].sum()):,}", f"{len(families):,}",
    )  # fmt: skip
    if len(families) and sizes.max() > max(50, len(families) // 20):
        logger.warning(
            "one family holds %d of %d people: the threshold %.4f may be too low for this cohort (few variants, or an "
            "isolated population)", sizes.max(), len(families), threshold,
        )  # fmt: skip

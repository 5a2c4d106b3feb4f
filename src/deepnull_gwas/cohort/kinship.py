"""Relatedness: KING-robust kinship from packed genotypes, and classes of pairs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from deepnull_gwas.cohort.families import FAMILIES, RELATIVES, family_clusters, unrelated_set
from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.text_table import MISSING, column_of_numbers, read_text_table, refuse_rounded
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.people_planes import (
    TILE,
    count_het,
    count_pairs,
    people_planes,
    planes_of_people,
    screen_pairs,
)
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import read_parquet, write_parquet, write_tsv

logger = logging.getLogger(__name__)

#: Lower bounds of kinship for the degrees: halfway, on a log2 scale, between their expectations (Manichaikul et al. 2010).
DUPLICATE, FIRST, SECOND, THIRD = 2**-1.5, 2**-2.5, 2**-3.5, 2**-4.5
#: First-degree pairs: siblings share no allele by descent at a quarter of the genome, parent and child nowhere.
_PARENT_CHILD_NONE_SHARED = 0.1
#: Words of 64 variants that a tile of pairs looks at before the next.
_WORDS = 256


def _kinship(counts: np.ndarray) -> np.ndarray:
    """Give the KING-robust coefficient (Manichaikul et al. 2010, eq. 11) from the counts of pairs."""
    both, opposite, left, right = counts[:, 1:].T.astype(np.float64)
    smaller = both + np.minimum(left, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 0.5 - (4 * opposite + left + right) / (4 * smaller)


def kinship_pairs(
    fileset: Genotypes,
    index: np.ndarray,
    people: np.ndarray,
    threshold: float = THIRD,
    threads: int = 1,
    memory_mb: float = 2000.0,
) -> pd.DataFrame:
    """Find all pairs of people with a KING-robust kinship above a threshold.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants: autosomal; they need not be pruned.
    people
        Ascending sample indices.
    threshold
        Lowest kinship of a pair that is reported (it must lie above it).
    threads
        Strips of pairs at a time; the result does not depend on it.
    memory_mb
        What the bit rows of two groups of people may take; more people than fit are taken in several groups.

    Returns
    -------
    sample_index_1, sample_index_2, variants, het_het, ibs0 (shares), kinship; ordered by the two indices.

    Notes
    -----
    KING-robust, between families (Manichaikul et al. 2010, Bioinformatics 26:2867), as PLINK 2 ``--make-king-table``. Exact: a pair
    is rejected early only when no outcome at the remaining variants could lift it to the threshold. Two popcounts a word of
    64 variants decide; the few pairs left are then counted in full.
    """
    people = np.asarray(people, dtype=np.int64)
    bytes_of_person = 16 * -(-len(index) // 64)
    per_group = int(max(TILE, memory_mb * 1e6 / 2 / max(bytes_of_person, 1)) // 64 * 64) or 64
    edges = np.arange(0, fileset.n_samples + per_group, per_group).clip(max=fileset.n_samples)
    ranges = [(int(a), int(b)) for a, b in pairwise(edges) if b > a]
    room = 4 * (0.5 - threshold)
    # a pair within rounding of the threshold is decided on its exact kinship
    room += 1e-9
    found = []
    progress = Progress(len(people) * (len(people) - 1) // 2, "pairs")

    def group(bounds: tuple[int, int]) -> tuple[np.ndarray, ...]:
        members = people[(people >= bounds[0]) & (people < bounds[1])]
        planes = people_planes(fileset, index, *bounds)
        if len(members) < bounds[1] - bounds[0]:
            planes = tuple(np.ascontiguousarray(p[members - bounds[0]]) for p in planes)
        het = np.zeros(len(members), dtype=np.int64)
        count_het(*planes, het)
        return (members, *planes, het)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for a, bounds in enumerate(ranges):
            one = group(bounds)
            for other_bounds in ranges[a:]:
                other = one if other_bounds == bounds else group(other_bounds)
                if len(one[0]) == 0 or len(other[0]) == 0:
                    continue

                def strip(
                    low: int, one: tuple[np.ndarray, ...] = one, other: tuple[np.ndarray, ...] = other
                ) -> tuple[np.ndarray, ...]:
                    high = min(low + TILE, len(one[0]))
                    maybe = np.zeros((high - low, len(other[0])), dtype=bool)
                    screen_pairs(*one[1:], *other[1:], low, high, low if one is other else 0, room, _WORDS, maybe)
                    first, second = np.nonzero(maybe)
                    first += low
                    if one is other:
                        first, second = first[second > first], second[second > first]
                    counts = np.zeros((len(first), 5), dtype=np.int64)
                    count_pairs(*one[1:3], *other[1:3], first, second, counts)
                    progress.add((high - low) * (len(other[0]) - (low + (high - low + 1) // 2 if one is other else 0)))
                    return one[0][first], other[0][second], counts

                found += list(pool.map(strip, range(0, len(one[0]), TILE)))
    first = np.concatenate([f for f, _, _ in found]) if found else np.empty(0, dtype=np.int64)
    second = np.concatenate([s for _, s, _ in found]) if found else np.empty(0, dtype=np.int64)
    counts = np.concatenate([c for _, _, c in found]) if found else np.empty((0, 5), dtype=np.int64)
    kinship = _kinship(counts)
    keep = np.flatnonzero(kinship > threshold)
    keep = keep[np.lexsort((second[keep], first[keep]))]
    called = counts[keep, 0]
    return pd.DataFrame(
        {
            "sample_index_1": first[keep], "sample_index_2": second[keep], "variants": called,
            "het_het": counts[keep, 1] / called, "ibs0": counts[keep, 2] / called, "kinship": kinship[keep],
        }
    )  # fmt: skip


def classify(kinship: np.ndarray, ibs0: np.ndarray, ibs0_unrelated: float) -> np.ndarray:
    """Name the relation of each pair.

    Parameters
    ----------
    kinship, ibs0
        Of each pair.
    ibs0_unrelated
        Share of opposite homozygotes expected of two unrelated people, the sum of 2 p^2 q^2 over variants.

    Returns
    -------
    object array: ``duplicate`` (or monozygotic twin), ``parent_child``, ``sibling``, ``second_degree``, ``third_degree``, ``distant``.

    Notes
    -----
    Degrees by kinship (Manichaikul et al. 2010, table 1). ``ibs0 / ibs0_unrelated`` estimates the share of the genome without an allele
    shared by descent: 0 for parent and child, 1/4 for siblings.
    """
    kinship = np.asarray(kinship, dtype=np.float64)
    relation = np.full(len(kinship), "distant", dtype=object)
    relation[kinship > THIRD] = "third_degree"
    relation[kinship > SECOND] = "second_degree"
    first = kinship > FIRST
    none_shared = np.asarray(ibs0) / max(ibs0_unrelated, 1e-30)
    relation[first] = np.where(none_shared[first] < _PARENT_CHILD_NONE_SHARED, "parent_child", "sibling")
    relation[kinship > DUPLICATE] = "duplicate"
    return relation


def read_pairs(path: str | Path, people: pd.DataFrame) -> pd.DataFrame:
    """Read related pairs that another tool found.

    Parameters
    ----------
    path
        Table with a header (any white space): ``IID1``, ``IID2`` (``ID1``, ``ID2``) and ``KINSHIP``, or ``PI_HAT`` (halved); ``FID1``, ``FID2``,
        ``NSNP``, ``HETHET``, ``IBS0`` where there are any. PLINK 2's .kin0, KING's .kin0, PLINK 1.9's .genome and our own relatives.tsv
        are such tables.
    people
        sample_index, fid, iid of the cohort.

    Returns
    -------
    As :func:`kinship_pairs`, with missing values for what the table does not hold. Pairs with somebody outside ``people`` are left out.

    Raises
    ------
    InputError
        When it cannot be read as a table, columns are absent or there twice, a number is none, or not one pair is of this cohort.
    """
    texts = read_text_table(path, "one row a pair")
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
            "variants": np.nan_to_num(number("NSNP")).astype(np.int64), "het_het": number("HETHET"), "ibs0": number("IBS0"),
            "kinship": number("KINSHIP") if "KINSHIP" in names else number("PI_HAT", 0.5),
        }
    )[known]  # fmt: skip
    return pairs.sort_values(["sample_index_1", "sample_index_2"], ignore_index=True)


def estimate_kinship(
    genotypes: str | Path,
    variants: str | Path,
    qc_samples: str | Path,
    settings: Mapping[str, Any],
    out_relatives: str | Path,
    out_families: str | Path,
    threads: int = 1,
    pairs: str | Path | None = None,
    samples: str | Path | None = None,
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
        ``kinship``: threshold of a related pair; raised where the variants are too few for it. Optional: ``memory_mb``; ``keep_first``: a column of ``samples`` and ``keep_value``: of
        relatives, people with that value are kept before the others (cases, say).
    out_relatives
        TSV of :data:`RELATIVES`.
    out_families
        Parquet of :data:`FAMILIES`, the people who passed.
    threads
        Strips of pairs at a time.
    pairs
        Pairs found elsewhere (:func:`read_pairs`) instead of the genotypes.
    samples
        ``samples.parquet``, for ``keep_first``.
    """
    people = read_parquet(qc_samples, columns=["sample_index", "fid", "iid", "call_rate", "passed"])
    people = people[people["passed"].to_numpy(dtype=bool)].reset_index(drop=True)
    threshold = float(settings["kinship"])
    fileset = open_genotypes(genotypes)
    index = read_parquet(variants, columns=["index"])["index"].to_numpy()
    expected = np.nan
    if pairs is not None:
        found = read_pairs(pairs, people)
        found = found[found["kinship"] > threshold].reset_index(drop=True)
    else:
        n = len(people)
        logger.info(
            "%s people x %s variants, %s pairs; needs about %.0f MB and %.0f s",
            f"{n:,}", f"{len(index):,}", f"{n * (n - 1) // 2:,}",
            300 + min(settings.get("memory_mb") or 2000.0, n * len(index) / 4e6), 2 + n * n / 2 * len(index) / 4e10 / max(threads, 1),
        )  # fmt: skip
        members = people["sample_index"].to_numpy()
        spread = _spread(fileset, index, members)
        # where less than one pair of strangers is expected to lie above
        noise = spread * float(special.ndtri(1 - 0.5 / max(n * (n - 1) / 2, 1.0))) if n > 1 else 0.0
        logger.info("kinship of random pairs: standard deviation %.4f", spread)
        if noise > threshold:
            logger.warning(
                "%s variants are too few for a threshold of %.4f: kinship of strangers varies by %.4f, so that some of %s pairs would "
                "pass it; the threshold is raised to %.4f", f"{len(index):,}", threshold, spread, f"{n * (n - 1) // 2:,}", noise,
            )  # fmt: skip
            threshold = noise
        if not len(index):
            logger.warning("no common autosomal variants: neither relatives nor copies of a person can be found")
        # without variants every pair would be looked at, and none would have a kinship
        compared = members if len(index) else members[:0]
        found = kinship_pairs(fileset, index, compared, threshold, threads, settings.get("memory_mb") or 2000.0)
        selected = np.zeros(fileset.n_samples, dtype=bool)
        selected[members] = True
        counts = count_variants(fileset, index, [selected])[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            p = (2 * counts[:, 0] + counts[:, 1]) / (2 * counts[:, :3].sum(axis=1))
        expected = float(np.nanmean(2 * p**2 * (1 - p) ** 2)) if len(index) else np.nan
    found["relation"] = classify(found["kinship"], np.nan_to_num(found["ibs0"]), expected if expected > 0 else np.inf)
    if np.isnan(expected):  # pairs from a file: its ibs0 cannot be judged
        found.loc[found["relation"].isin(["parent_child", "sibling"]), "relation"] = "first_degree"

    place = pd.Series(np.arange(len(people)), index=people["sample_index"])
    first, second = place.loc[found["sample_index_1"]].to_numpy(), place.loc[found["sample_index_2"]].to_numpy()
    for side, rows in ((1, first), (2, second)):
        found[f"fid_{side}"], found[f"iid_{side}"] = people["fid"].to_numpy()[rows], people["iid"].to_numpy()[rows]
    write_tsv(found[[c.name for c in RELATIVES]], out_relatives)

    priority = np.zeros(len(people))
    if settings.get("keep_first"):
        if samples is None:
            raise ValueError("keep_first needs the samples")
        column = read_parquet(samples, columns=["sample_index", settings["keep_first"]]).set_index("sample_index")
        values = column.loc[people["sample_index"], settings["keep_first"]]
        priority = (values.astype(str) == str(settings.get("keep_value"))).to_numpy(dtype=np.float64)
    # of a duplicated person the sample with more calls stays
    rate = people["call_rate"].fillna(0).to_numpy()
    duplicate_of = np.full(len(people), "", dtype=object)
    same = (found["relation"] == "duplicate").to_numpy()
    copies = family_clusters(len(people), first[same], second[same])
    for copy in np.unique(copies[np.concatenate([first[same], second[same]])]) if same.any() else []:
        members = np.flatnonzero(copies == copy)
        best = members[np.lexsort((members, -rate[members], -priority[members]))[0]]
        duplicate_of[members[members != best]] = people["iid"].iloc[best]
    priority[duplicate_of != ""] = -1
    family = family_clusters(len(people), first, second)
    degree = np.bincount(np.concatenate([first, second]), minlength=len(people))
    unrelated = unrelated_set(len(people), first, second, priority)
    families = people[["sample_index", "fid", "iid"]].assign(
        family=family,
        family_size=np.bincount(family)[family],
        relatives=degree,
        unrelated=unrelated,
        duplicate_of=duplicate_of,
    )
    write_parquet(families, out_families, FAMILIES, metadata={"kinship": threshold})
    of_relation = found["relation"].value_counts()
    logger.info(
        "%s related pairs (%s); %s families of two or more, the largest %d; %s unrelated people of %s",
        f"{len(found):,}", ", ".join(f"{v:,} {k}" for k, v in of_relation.items()) or "none",
        f"{int((np.bincount(family) > 1).sum()):,}", int(np.bincount(family).max(initial=0)),
        f"{int(unrelated.sum()):,}", f"{len(people):,}",
    )  # fmt: skip
    if len(people) and np.bincount(family).max() > max(50, len(people) // 20):
        logger.warning(
            "one family holds %d of %d people: the threshold %.4f may be too low for this cohort (few variants, or an isolated population)",
            np.bincount(family).max(), len(people), threshold,
        )  # fmt: skip


def _spread(fileset: Genotypes, index: np.ndarray, people: np.ndarray, number: int = 256) -> float:
    """Estimate by how much kinship of strangers varies by chance, from a sample of pairs.

    Kinship from one half of the genome less kinship from the other: ancestry is the same in both and cancels, whereas what varies by
    chance (few variants, their linkage disequilibrium, what strangers share by descent here and there) does not.
    """
    chosen = people[np.linspace(0, len(people) - 1, min(number, len(people))).astype(np.int64)]
    if len(chosen) < 8 or len(index) == 0:
        return 0.0
    hom, plus = planes_of_people(fileset, index, chosen)
    first, second = np.triu_indices(len(chosen), 1)
    few = np.linspace(0, len(first) - 1, min(len(first), 4000)).astype(np.int64)
    # stretches of the genome in turn: ten to a half, or as many as there are words of 64 variants
    words = np.arange(hom.shape[1])
    half = words * 20 // max(len(words), 20) % 2
    if len(words) < 2:
        return _binomial_spread(len(index))
    both = []
    for side in (0, 1):
        counts = np.zeros((len(few), 5), dtype=np.int64)
        part = [np.ascontiguousarray(plane[:, half == side]) for plane in (hom, plus)]
        count_pairs(*part, *part, first[few], second[few], counts)
        both.append(_kinship(counts))
    difference = (both[0] - both[1]) / 2
    low, high = np.quantile(difference[np.isfinite(difference)], [0.1587, 0.8413])
    return float(high - low) / 2


def _binomial_spread(variants: int) -> float:
    """Give the spread of kinship for so few variants that the genome has no two halves: of independent ones with a frequency of a third."""
    return 1.0 / np.sqrt(max(variants, 1))

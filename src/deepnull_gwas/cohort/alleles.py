"""The check that dosages count the allele that they are said to count, by a few variants, before any long job."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.array import match_people
from deepnull_gwas.cohort.index import read_filesets
from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.genotypes.formats import format_of, open_filesets, open_genotypes
from deepnull_gwas.genotypes.matched import MatchedGenotypes
from deepnull_gwas.tables import read_json, read_parquet, rows_of_table, write_tsv

logger = logging.getLogger(__name__)

#: Variants that are looked at, people of each at most in all, and those that are shown.
LOOKED_AT, GENOTYPES_READ, SHOWN = 400, 50_000_000, 12
#: Genotypes that are held at a time.
_HELD = 4_000_000
#: Frequency from which a variant is common.
COMMON = 0.05
#: Neighbouring variants that are compared with the hard calls, at this many places.
_NEIGHBOURS, _PLACES = 20_000, 25
#: Fewest variants by which anything is judged.
_ENOUGH = 20
#: Share of variants whose effect allele is the more frequent one above which the reference is doubted: of variants
#: found by sequencing or imputation it is a tenth to a third.
_MOST_MAJOR = 0.5
_COLUMNS = ["index", "chromosome", "position", "id", "effect_allele", "other_allele"]
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def check_alleles(
    genotypes: str | Path,
    variants: str | Path,
    samples: str | Path,
    out: str | Path,
    structure_filesets: Sequence[str | Path] = (),
) -> pd.DataFrame:
    """Show the effect alleles of some common variants, and check them against hard calls of the same people.

    Parameters
    ----------
    genotypes, variants, samples
        The indexed cohort.
    out
        preflight_alleles.tsv: chromosome, position, id, alleles and the frequency of the effect allele of some common
        variants; with hard calls also the frequency of the same allele there, and the correlation with them.
    structure_filesets
        Names of the filesets with hard calls.

    Returns
    -------
    The table written.

    Raises
    ------
    InputError
        Where dosages go down as hard calls of the same allele go up, or do not go with them at all.
    """
    index, fileset = read_json(genotypes), open_genotypes(genotypes)
    count = max(min(LOOKED_AT, GENOTYPES_READ // max(fileset.n_samples, 1)), 2 * SHOWN)
    if structure_filesets:
        table = _compare(fileset, index, variants, samples, [str(n) for n in structure_filesets], count)
    else:
        rows = np.unique(np.linspace(0, index["variants"] - 1, min(count, index["variants"])).astype(np.int64))
        table = rows_of_table(variants, _COLUMNS, rows)
        table = table[table["chromosome"].isin(AUTOSOMES)].reset_index(drop=True)
        table["effect_allele_frequency"] = frequencies(fileset, table["index"].to_numpy())
    frequency = table["effect_allele_frequency"]
    common = table[np.minimum(frequency, 1 - frequency) >= COMMON]
    shown = common.iloc[np.unique(np.linspace(0, len(common) - 1, min(SHOWN, len(common))).astype(int))]
    shown = shown.drop(columns="index").reset_index(drop=True)
    write_tsv(shown, out)
    _log(shown, index)
    if all(index.get("other_is_reference", [False])):
        _judge_by_frequency(frequency.to_numpy(), index)
    return shown


def copies_of(fileset: Genotypes, index: np.ndarray) -> np.ndarray:
    """Read copies of the effect allele: float64, variants x people, NaN missing; dosages where there are any."""
    index = np.asarray(index, dtype=np.int64)
    if not len(index):
        return np.empty((0, fileset.n_samples))
    if not fileset.has_dosages:
        return kernels.decode(np.ascontiguousarray(fileset.calls(index)), fileset.n_samples).astype(np.float64)
    read = fileset.dosages(index)
    copies = read.values / read.denominator[:, None].astype(np.float64)
    copies[read.values == MISSING] = np.nan
    return copies


def frequencies(fileset: Genotypes, index: np.ndarray) -> np.ndarray:
    """Compute frequencies of effect alleles over everybody: float64, NaN where nobody has a genotype."""
    means = []
    for part in _pieces(fileset, len(index)):
        copies = copies_of(fileset, index[part])
        there = np.isfinite(copies)
        means.append(np.where(there, copies, 0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan))
    return np.concatenate([*means, np.empty(0)]) / 2


def _pieces(fileset: Genotypes, n: int) -> Iterator[slice]:
    """Split n variants into pieces that are held at a time."""
    size = max(1, _HELD // max(fileset.n_samples, 1))
    return (slice(first, first + size) for first in range(0, n, size))


def _log(shown: pd.DataFrame, index: dict[str, Any]) -> None:
    """Log the table, and what a person is to do with it."""
    form = format_of(index["filesets"][0])
    said = f" (bgen_reference: {index['bgen_reference']})" if index.get("bgen_reference") else ""
    logger.info("the effect allele is %s%s; some common variants, to be compared with dbSNP:", form.effect_allele, said)
    for row in shown.itertuples():
        logger.info(
            "  %s:%s %s: effect allele %s (frequency %.3f), other allele %s%s", row.chromosome, f"{row.position:,}",
            row.id, row.effect_allele, row.effect_allele_frequency, row.other_allele,
            f"; correlation with hard calls {row.correlation:.3f}" if "correlation" in shown else "",
        )  # fmt: skip


def _judge_by_frequency(frequency: np.ndarray, index: dict[str, Any]) -> None:
    """Warn where effect alleles are mostly the more frequent ones, as reference alleles are."""
    known = frequency[np.isfinite(frequency) & (frequency > 0) & (frequency < 1)]
    share = float((known > 0.5).mean()) if len(known) else 0.0
    if len(known) < _ENOUGH:
        return
    logger.info("the effect allele is the more frequent one at %.0f %% of %d variants", 100 * share, len(known))
    if share > _MOST_MAJOR:
        other = {"first": "last", "last": "first"}.get(index.get("bgen_reference") or "")
        what = f"is bgen_reference: {other} meant" if other else "is the REF of the .pvar the reference allele"
        logger.warning(
            "the effect allele is the more frequent one at %.0f %% of %d variants looked at; where the other allele is "
            "that of the reference genome it is so at a tenth to a third: %s? Compare the variants above with dbSNP",
            100 * share, len(known), what,
        )  # fmt: skip


def _compare(
    fileset: Genotypes, index: dict[str, Any], variants: str | Path, samples: str | Path, names: list[str], count: int
) -> pd.DataFrame:
    """Compare dosages with hard calls of the same people at common variants that both have; return a row of each."""
    problems: list[str] = []
    tables, people = read_filesets(names, {}, problems)
    if problems:
        raise InputErrors(problems)
    theirs = pd.concat(tables, ignore_index=True)
    theirs["array"] = np.arange(len(theirs))
    ours = _neighbours(variants, index["variants"])
    shared = _shared(ours, theirs)
    form = format_of(names[0])
    main = index["filesets"][0]
    files = form.people_file(names[0]), format_of(main).people_file(main, settings=index)
    rows = match_people(read_parquet(samples, columns=["fid", "iid"]), people[0], files, 0)
    array = MatchedGenotypes(open_filesets(names), rows)
    shared = _common(array, shared, count)
    table = shared[_COLUMNS].reset_index(drop=True)
    measured = [
        _correlate(copies_of(fileset, part["index"].to_numpy()), copies_of(array, part["array"].to_numpy()), part)
        for part in (shared.iloc[piece] for piece in _pieces(fileset, len(shared)))
    ]
    columns = ["effect_allele_frequency", "frequency_in_hard_calls", "correlation"]
    table[columns] = np.concatenate([*measured, np.empty((0, 3))])
    table = table[np.isfinite(table["correlation"])].reset_index(drop=True)
    _judge_by_calls(table, index, names[0])
    if all(form.reader().other_is_reference(name) for name in names):
        _judge_reference(shared, index, names[0])
    return table


def _correlate(copies: np.ndarray, hard: np.ndarray, shared: pd.DataFrame) -> np.ndarray:
    """Return the frequencies of the effect allele in dosages and hard calls, and their correlation: variants x 3."""
    out = np.full((len(copies), 3), np.nan)
    for row, one, other, swapped in zip(out, copies, hard, shared["swapped"]):
        both = np.isfinite(one) & np.isfinite(other)
        one, other = one[both], (2 - other if swapped else other)[both]
        if one.size and one.std() and other.std():
            row[:] = one.mean() / 2, other.mean() / 2, np.corrcoef(one, other)[0, 1]
    return out


def _neighbours(variants: str | Path, n: int) -> pd.DataFrame:
    """Return variants in runs of neighbours that are spread over all."""
    starts = np.linspace(0, max(n - _NEIGHBOURS, 0), _PLACES).astype(np.int64)
    rows = np.unique(np.concatenate([np.arange(s, min(s + _NEIGHBOURS, n)) for s in starts]))
    return rows_of_table(variants, _COLUMNS, rows)


def _shared(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return our autosomal variants that others have at the same position with the same alleles, on either strand only
    where that is plain; ``array`` is their number there, ``swapped`` whether their effect allele is our other one."""
    both = ours[ours["chromosome"].isin(AUTOSOMES)].merge(
        theirs[["chromosome", "position", "effect_allele", "other_allele", "array"]],
        on=["chromosome", "position"], suffixes=("", "_array"),
    )  # fmt: skip
    effect, other = both["effect_allele"].str.upper(), both["other_allele"].str.upper()
    first, second = both["effect_allele_array"].str.upper(), both["other_allele_array"].str.upper()
    same, swapped = (effect == first) & (other == second), (effect == second) & (other == first)
    # alleles that are each other's complement say nothing of the strand
    plain = effect != other.str.translate(_COMPLEMENT)
    both["swapped"] = swapped
    both = both[(same | swapped) & plain]
    return both.drop_duplicates("index").drop_duplicates("array").sort_values("index").reset_index(drop=True)


def _common(array: Genotypes, shared: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose at most ``count`` of the shared variants, evenly, that are common in the hard calls."""
    picked = np.unique(np.linspace(0, len(shared) - 1, min(3 * count, len(shared))).astype(int))
    shared = shared.iloc[picked].reset_index(drop=True)
    frequency = frequencies(array, shared["array"].to_numpy())
    keep = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= COMMON)
    keep = keep[np.unique(np.linspace(0, len(keep) - 1, min(count, len(keep))).astype(int))]
    return shared.iloc[keep].reset_index(drop=True)


def _judge_reference(shared: pd.DataFrame, index: dict[str, Any], name: str) -> None:
    """Compare our reference alleles with those of hard calls, which are known there.

    Raises
    ------
    InputError
        Where those of a .bgen are mostly the effect alleles here: ``bgen_reference`` has to be the other word.
    """
    swapped, main = shared["swapped"].to_numpy(dtype=bool), index["filesets"][0]
    if len(shared) < _ENOUGH or not swapped.any():
        return
    at = [f"{v.chromosome}:{v.position:,} {v.id}" for v in shared[swapped].itertuples()]
    found = (
        f"at {len(at):,} of {len(shared):,} common variants the reference allele of {name} is the effect allele here"
    )
    other = {"first": "last", "last": "first"}.get(index.get("bgen_reference") or "")
    if other and swapped.mean() > 0.5:
        raise InputError(
            f"{main}: {found} (for instance {some(at, 3)}), by bgen_reference: {index['bgen_reference']}; set "
            f"bgen_reference: {other}"
        )
    logger.warning("%s: %s: %s", main, found, some(at, 3))


def _judge_by_calls(table: pd.DataFrame, index: dict[str, Any], name: str) -> None:
    """Stop where dosages go against hard calls of the same allele, or have nothing to do with them."""
    r, main = table["correlation"].to_numpy(), index["filesets"][0]
    if len(r) < _ENOUGH:
        logger.warning(
            "%d common variants with the same position and alleles in %s and %s: too few to check that dosages count "
            "the effect allele; do both have the same genome build?", len(r), main, name,
        )  # fmt: skip
        return
    against = r < 0
    logger.info(
        "%d common variants in both %s and %s: median correlation of dosages with hard calls %.3f, %d below 0",
        len(r), main, name, np.median(r), int(against.sum()),
    )  # fmt: skip
    at = [f"{row.chromosome}:{row.position:,} {row.id} ({row.correlation:.2f})" for row in table[against].itertuples()]
    if np.median(r) < -0.3:
        raise InputError(
            f"{main}: at {int(against.sum()):,} of {len(r):,} common variants the dosages of the effect allele go down "
            f"where the hard calls of the same allele in {name} go up (for instance {some(at, 3)}): every effect would "
            f"belong to the other allele. The alleles of {main} or of {name} are the other way round: take the table "
            "of variants that was made with it"
        )
    if np.median(r) < 0.3:
        raise InputError(
            f"{main}: dosages have nothing to do with the hard calls of the same people and variants in {name} (median "
            f"correlation {np.median(r):.2f} at {len(r):,} common variants, expected near 1): IDs of one of them "
            "belong to other people, or the tables of people are in another order than the genotypes"
        )
    if against.any():
        logger.warning("dosages go against hard calls at %d of %d variants: %s", len(at), len(r), some(at, 5))
    apart = np.abs(table["effect_allele_frequency"] - table["frequency_in_hard_calls"]) > 0.1
    if apart.mean() > 0.02:
        logger.warning(
            "frequencies in %s and %s differ by more than 0.1 at %d of %d common variants", main, name,
            int(apart.sum()), len(r),
        )  # fmt: skip

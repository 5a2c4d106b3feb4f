"""The check of a cohort's alleles against its `reference`: which of them is that of the reference genome."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.genotypes.reference import BOTH, EFFECT, NONE, OTHER, find_references

logger = logging.getLogger(__name__)

#: Fewest variants by which anything is judged, unless a cohort has fewer.
ENOUGH = 20
#: Share of variants with neither allele in the reference from which it is another genome's.
_ANOTHER_GENOME = 0.1
#: Share of the variants of each chromosome that have to tell, where they are to stand for the others.
_LEAST_SHARE = 0.5


def check_references(
    files: Sequence[str | Path], variants: pd.DataFrame, index: Mapping[str, Any]
) -> tuple[bool, dict[str, Any]]:
    """Check all variants of a cohort against the reference genome.

    Parameters
    ----------
    files
        Of the cohort's key ``reference``: FASTA files, or tables of variants.
    variants
        chromosome, position, id, effect_allele, other_allele.
    index
        ``filesets``, ``genome_build``, ``bgen_reference`` of a .bgen, and ``other_is_reference``, whether the filesets
        themselves say that it is.

    Returns
    -------
    Whether the other allele of all variants is that of the reference genome: it is wherever exactly one of the two
    fits, and nowhere is it neither; where the filesets do not say so themselves, enough variants tell, and half of
    those of each chromosome. And the counts, for genotypes.json: ``files``, ``other``, ``effect``, ``either`` (an indel
    that fits either way), ``neither``, ``not_compared``.

    Raises
    ------
    InputError
        When no variant can be compared; when the reference is another genome's; when ``bgen_reference`` has to be the
        other word.
    """
    start = time.monotonic()
    found, seen = find_references(files, variants)
    count = {
        "other": int((found == OTHER).sum()),
        "effect": int((found == EFFECT).sum()),
        "either": int((found == BOTH).sum()),
        "neither": int((seen & (found == NONE)).sum()),
        "not_compared": int((~seen).sum()),
    }
    # paths are not shortened
    name = ", ".join(map(str, files[:2])) + (f" and {len(files) - 2} more" if len(files) > 2 else "")
    logger.info(
        "%s: of %s variants the other allele is the reference's at %s, the effect allele at %s, either fits at %s, "
        "neither at %s; %s could not be compared (%.0f s)",
        name, *(f"{n:,}" for n in (len(found), *count.values())), time.monotonic() - start,
    )  # fmt: skip
    decided = count["other"] + count["effect"]
    if not decided + count["neither"]:
        raise InputError(
            f"{name} (reference): none of the {len(found):,} variants of {index['filesets'][0]} can be compared with "
            f"it; give the sequences, or known variants, of the same genome ({index['genome_build']}), or leave "
            "`reference` out"
        )
    _check_genome(name, variants, seen & (found == NONE), decided, index)
    _check_word(name, variants, found == EFFECT, decided, index)
    said = all(index["other_is_reference"])
    known = not count["effect"] and not count["neither"]
    if known and not said:
        known = _is_proved(name, variants["chromosome"].to_numpy(dtype=object), found == OTHER)
    if known and not said:
        logger.info("the other allele is taken for the reference's throughout: ref_allele is filled in the results")
    return known, {"files": [str(f) for f in files], **count}


def _is_proved(name: str, chromosome: np.ndarray, told: np.ndarray) -> bool:
    """Return whether variants that tell stand for all others: enough of them, and half of those of each chromosome."""
    if told.sum() < min(ENOUGH, len(told)):
        logger.warning("%s: %d variants are too few to tell which allele is the reference", name, int(told.sum()))
        return False
    share = pd.Series(told).groupby(chromosome, sort=False).mean()
    if (few := share[share < _LEAST_SHARE]).empty:
        return True
    logger.warning(
        "%s: less than half of the variants on %s could be compared with it: ref_allele stays empty in the results",
        name, some([f"chromosome {c}" for c in few.index], 6),
    )  # fmt: skip
    return False


def _shown(variants: pd.DataFrame, rows: np.ndarray) -> str:
    """Name some variants."""
    some_rows = variants.iloc[np.flatnonzero(rows)[:3]]
    return some(
        [
            f"{v.chromosome}:{v.position:,} {v.id}, effect allele {v.effect_allele}, other allele {v.other_allele}"
            for v in some_rows.itertuples()
        ],
        3,
    )


def _check_genome(
    name: str, variants: pd.DataFrame, neither: np.ndarray, decided: int, index: Mapping[str, Any]
) -> None:
    """Stop where many variants have neither allele in the reference; warn where some have."""
    count, total = int(neither.sum()), decided + int(neither.sum())
    if not count:
        return
    what = (
        f"{name} (reference): at {count:,} of {total:,} variants of {index['filesets'][0]} neither allele is that of "
        f"the reference (for instance {_shown(variants, neither)})"
    )
    if count > _ANOTHER_GENOME * total:
        raise InputError(
            f"{what}: it is of another genome build than the genotypes ({index['genome_build']} by genome_build), or "
            "their alleles are those of the other strand; give the reference of the same build, or leave `reference` "
            "out"
        )
    logger.warning("%s; ref_allele stays empty in the results", what)


def _check_word(name: str, variants: pd.DataFrame, swapped: np.ndarray, decided: int, index: Mapping[str, Any]) -> None:
    """Stop where ``bgen_reference`` is wrong; warn where the reference is the effect allele though files deny it."""
    count, main = int(swapped.sum()), index["filesets"][0]
    if not count or not all(index["other_is_reference"]):
        return
    said = index.get("bgen_reference")
    what = f"{main}: at {count:,} of {decided:,} variants the effect allele is the reference's, by {name} (reference)"
    if said and 2 * count > decided:
        other = {"first": "last", "last": "first"}[said]
        raise InputError(
            f"{what}; for instance {_shown(variants, swapped)}. bgen_reference: {said} is the wrong word: set "
            f"bgen_reference: {other}. (Where both are wrong for many variants, the .bgen was made of genotypes whose "
            "reference alleles were not known, as of a .bed: see plink2's --ref-from-fa.)"
        )
    form = format_of(main)
    logger.warning(
        "%s (for instance %s): the file's reference alleles are not all those of the genome. Effects are those of the "
        "alleles that they are given with, so they hold; ref_allele stays empty in the results%s",
        what, _shown(variants, swapped),
        "; `plink2 --ref-from-fa force` puts a .pgen right" if form.name == "pgen" else "",
    )  # fmt: skip

"""Simulated genotypes: a coalescent of three populations, families by Mendelian transmission, calls that fail.

Ancestry is simulated with msprime (Baumdicker et al. 2022, doi:10.1093/genetics/iyab229), one chromosome at a time,
so that memory holds one chromosome: about ``3 x people x variants of the chromosome`` bytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedWriter
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.simulate.ancestry import (
    DEFAULT_FIRST_POSITION,
    FIRST_POSITION,
    RECOMBINATION_RATE,
    draw_sites,
    haplotypes_of,
    transmit,
)
from deepnull_gwas.simulate.lengths import LENGTH_MB
from deepnull_gwas.simulate.people import People, draw_people
from deepnull_gwas.simulate.seeds import generator

logger = logging.getLogger(__name__)

#: Share of the variants of which A1, the allele that is counted, is not the minor one.
SHARE_A1_NOT_MINOR = 0.10


def share_out(total: int, chromosomes: list[str]) -> dict[str, int]:
    """Share ``total`` variants out to chromosomes by their real lengths (largest remainders); the sum is exact."""
    lengths = np.array([LENGTH_MB[c] for c in chromosomes])
    exact = total * lengths / lengths.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return dict(zip(chromosomes, counts.tolist()))


def _chromosomes(settings: Mapping[str, Any]) -> list[str]:
    names = []
    for code in settings["chromosomes"]:
        name = normalise(str(code))
        if name not in LENGTH_MB:
            raise InputError(f"simulate: chromosome '{code}' cannot be simulated; expected 1 to 22 or X")
        if name in names:
            raise InputError(f"simulate: chromosome '{code}' is listed twice")
        names.append(name)
    if not names:
        raise InputError("simulate: chromosomes is empty; expected at least one of 1 to 22 or X")
    return sorted(names, key=ORDER.__getitem__)


def _spoil(dosages: np.ndarray, missing_rate: float, seed: int, chromosome: str) -> None:
    """Lose calls in place (-1), and call some heterozygotes homozygous, so that quality control has work to do.

    About 1 % of the variants miss 6 to 20 % of their calls, .5 % of the people 6 to 15 % of theirs; the other
    variants have rates from an exponential distribution, so that all together come to ``missing_rate``.
    .2 % of the autosomal variants lose 60 % of their heterozygotes to one homozygote (Hardy-Weinberg fails).
    ``missing_rate`` 0 leaves everything as it was born.
    """
    if missing_rate <= 0:
        return
    n_variants, n_people = dosages.shape
    people_rng = generator(seed, "bad people")
    share_variants, share_people = min(0.01, missing_rate), min(0.005, missing_rate / 2)
    n_bad = max(round(share_people * n_people), 1 if n_people >= 100 else 0)
    bad_people = people_rng.choice(n_people, size=n_bad, replace=False)
    bad_people_rate = people_rng.uniform(0.06, 0.15, size=n_bad)
    rng = generator(seed, "calls", chromosome)
    base = max(missing_rate - 0.13 * share_variants - 0.105 * n_bad / n_people, missing_rate / 10)
    rate = np.minimum(rng.exponential(base, size=n_variants), 0.05)
    bad = rng.random(n_variants) < share_variants
    rate[bad] = rng.uniform(0.06, 0.20, size=bad.sum())
    if chromosome != "X":
        for v in np.flatnonzero(rng.random(n_variants) < 0.002):
            het = np.flatnonzero(dosages[v] == 1)
            dosages[v, het[rng.random(len(het)) < 0.6]] = rng.choice([0, 2])
    for first in range(0, n_variants, 1024):
        block = dosages[first : first + 1024]
        lost = rng.random(block.shape, dtype=np.float32) < rate[first : first + 1024, None].astype(np.float32)
        lost[:, bad_people] |= rng.random((len(block), n_bad)) < bad_people_rate
        block[lost] = -1


def simulate_genotypes(settings: Mapping[str, Any], seed: int, prefix: str | Path) -> None:
    """Simulate the genotypes of a cohort and write them as a PLINK fileset.

    Parameters
    ----------
    settings
        ``people``, ``variants`` (exact total), ``chromosomes`` (1 .. 22, X), ``sibling_pairs``,
        ``parent_child_pairs``, ``missing_rate`` (share of calls; 0 also switches genotyping errors off).
    seed
        The seed of the config; the same settings and seed give the same bytes.
    prefix
        Name of the fileset to write.

    Raises
    ------
    InputError
        When the settings cannot be met.

    Notes
    -----
    Each chromosome is a stretch of 5 Mb or more (1,000 variants per megabase) at true scale, so linkage disequilibrium
    falls off with physical distance as in people, beginning at 1 Mb (X: 2.8 Mb, behind the pseudo-autosomal region).
    Identifiers are ``chromosome:position:ancestral:derived``. A1, the allele that is counted, is the minor allele
    of about 90 % of the variants and the major allele of the others. On X men are coded 0 or 2.
    """
    chromosomes = _chromosomes(settings)
    people = draw_people(settings, seed)
    missing_rate = float(settings["missing_rate"])
    counts = share_out(int(settings["variants"]), chromosomes)
    if not 0 <= missing_rate <= 0.5:
        raise InputError(f"simulate: missing_rate is {missing_rate}, expected a share from 0 to .5")
    if min(counts.values()) < 1:
        raise InputError(f"simulate: {settings['variants']} variants are too few for {len(chromosomes)} chromosomes")
    with BedWriter(prefix, people.fam) as out:
        for chromosome in chromosomes:
            started = time.perf_counter()
            n_variants = counts[chromosome]
            out.add(*_simulate_chromosome(chromosome, n_variants, people, missing_rate, seed))
            logger.info(
                "chromosome %s: %s variants in %.1f s", chromosome, f"{n_variants:,}", time.perf_counter() - started
            )


def _simulate_chromosome(
    chromosome: str, n_variants: int, people: People, missing_rate: float, seed: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Simulate one chromosome: int8 dosages of A1, variants x people (-1 missing), and the table of variants."""
    x = chromosome == "X"
    used = np.ones(2 * len(people.founder_sex), dtype=bool)
    if x:
        used[1::2] = people.founder_sex == 2  # a man has one X: his second haplotype is never read
    sites = draw_sites(chromosome, n_variants, np.flatnonzero(used), people, seed)
    offset = FIRST_POSITION.get(chromosome, DEFAULT_FIRST_POSITION)
    relative = sites.sites_position
    haplotypes = haplotypes_of(sites)
    dosages = transmit(
        haplotypes, people, relative, sites.sequence_length, x, generator(seed, "transmission", chromosome)
    )
    del haplotypes
    dosages = np.ascontiguousarray(dosages.T)

    ancestral = np.array([site.ancestral_state for site in sites.sites()], dtype=object)
    derived = np.array([mutation.derived_state for mutation in sites.mutations()], dtype=object)
    minor_is_derived = dosages.mean(axis=1) <= 1
    other_way = generator(seed, "alleles", chromosome).random(n_variants) < SHARE_A1_NOT_MINOR
    a1_is_derived = minor_is_derived ^ other_way
    dosages[~a1_is_derived] = 2 - dosages[~a1_is_derived]
    _spoil(dosages, missing_rate, seed, chromosome)

    position = relative.astype(np.int64) + 1 + offset
    bim = pd.DataFrame(
        {
            "chromosome": chromosome,
            "id": [f"{chromosome}:{p}:{a}:{d}" for p, a, d in zip(position, ancestral, derived)],
            "centimorgan": np.round(relative * RECOMBINATION_RATE * 100, 6),
            "position": position,
            "a1": np.where(a1_is_derived, derived, ancestral),
            "a2": np.where(a1_is_derived, ancestral, derived),
        }
    )
    return dosages, bim

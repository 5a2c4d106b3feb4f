"""Ancestry of a simulated chromosome and its transmission to the people, by msprime."""

from __future__ import annotations

import logging

import msprime
import numpy as np
import tskit

from deepnull_gwas.errors import InputError
from deepnull_gwas.simulate.lengths import LENGTH_MB
from deepnull_gwas.simulate.people import POPULATIONS, People
from deepnull_gwas.simulate.seeds import derive_seed, generator

logging.getLogger("msprime").setLevel(logging.WARNING)  # it reports every replicate

#: Crossovers and mutations per base and generation.
RECOMBINATION_RATE = 1e-8
MUTATION_RATE = 1.25e-8

#: Where the simulated stretch begins. On X it lies behind the first pseudo-autosomal region of GRCh37 and GRCh38.
FIRST_POSITION = {"X": 2_800_000}
DEFAULT_FIRST_POSITION = 1_000_000

#: Variants kept for each megabase; a coalescent of this size offers about 3,000 (X: 2,300) with MAF >= .5 %.
VARIANTS_PER_MB = 1_000
MIN_LENGTH_MB = 5.0

#: Frequency classes (lower bound of the MAF, weight in the draw): an array favours common variants.
MIN_MAF = 0.005
MAF_WEIGHTS: tuple[tuple[float, float], ...] = ((0.005, 0.15), (0.01, 0.6), (0.05, 1.0))
#: Copies of the minor allele that a variant has at least among the founders, also in a small cohort.
MIN_COPIES = 5


def demography(scale: float = 1.0) -> msprime.Demography:
    """Return the history of the populations: A and B split 150 generations ago, C 250, with a little migration since.

    Parameters
    ----------
    scale
        Factor on all sizes: 3/4 for X, of which a population carries three copies for four of an autosome.
    """
    history = msprime.Demography()
    for name, size in POPULATIONS.items():
        history.add_population(name=name, initial_size=size * scale)
    history.add_population(name="AB", initial_size=10_000 * scale)
    history.add_population(name="ABC", initial_size=12_000 * scale)
    for pair in (["A", "B"], ["A", "C"], ["B", "C"]):
        history.set_symmetric_migration_rate(pair, 2e-4)
    history.add_population_split(time=150, derived=["A", "B"], ancestral="AB")
    history.add_population_split(time=250, derived=["AB", "C"], ancestral="ABC")
    return history


def draw_sites(chromosome: str, n_variants: int, nodes: np.ndarray, people: People, seed: int) -> tskit.TreeSequence:
    """Simulate one chromosome and keep ``n_variants`` sites: one mutation each, the frequency classes weighted."""
    length_mb = max(MIN_LENGTH_MB, n_variants / VARIANTS_PER_MB)
    first = FIRST_POSITION.get(chromosome, DEFAULT_FIRST_POSITION)
    room_mb = LENGTH_MB[chromosome] - first / 1e6 - 1  # the last megabase also keeps clear of the second PAR of X
    counts = {name: int((people.founder_population == name).sum()) for name in POPULATIONS}
    history = demography(0.75 if chromosome == "X" else 1.0)
    for attempt in range(6):
        length = int(min(length_mb * 1.5**attempt, room_mb) * 1e6)
        ancestry = msprime.sim_ancestry(
            {name: count for name, count in counts.items() if count},
            demography=history,
            sequence_length=length,
            recombination_rate=RECOMBINATION_RATE,
            random_seed=derive_seed(seed, "ancestry", chromosome, attempt),
            ploidy=2,
        )
        mutated = msprime.sim_mutations(
            ancestry, rate=MUTATION_RATE, random_seed=derive_seed(seed, "mutations", chromosome, attempt)
        )
        # per-site heterozygosity of the haplotypes that are used gives the minor allele frequency without decoding
        n = len(nodes)
        pi = mutated.diversity(sample_sets=nodes, windows="sites", mode="site", span_normalise=False) * (n - 1) / n
        maf = (1 - np.sqrt(np.clip(1 - 2 * pi, 0, 1))) / 2
        mutations = np.bincount(mutated.mutations_site, minlength=mutated.num_sites)
        lowest = max(MIN_MAF, MIN_COPIES / n)
        candidates = np.flatnonzero((mutations == 1) & (maf >= lowest - 1e-9))
        if len(candidates) >= n_variants:
            break
        if length >= room_mb * 1e6 - 1:
            break
    if len(candidates) < n_variants:
        raise InputError(
            f"simulate: {n_variants:,} variants on chromosome {chromosome} are more than the simulation gives "
            f"({len(candidates):,} with MAF >= {lowest:.3g}); ask for fewer variants or list more chromosomes"
        )
    weight = np.zeros(len(candidates))
    for bound, value in MAF_WEIGHTS:
        weight[maf[candidates] >= bound - 1e-9] = value
    # weighted sampling without replacement (Efraimidis and Spirakis 2006)
    keys = np.log(generator(seed, "sites", chromosome).random(len(candidates))) / weight
    kept = np.sort(candidates[np.argsort(-keys, kind="stable")[:n_variants]])
    drop = np.ones(mutated.num_sites, dtype=bool)
    drop[kept] = False
    return mutated.delete_sites(np.flatnonzero(drop), record_provenance=False)


def haplotypes_of(sites: tskit.TreeSequence) -> np.ndarray:
    """Decode to int8, haplotypes x variants (1 = derived): rows are what transmission copies from."""
    out = np.empty((sites.num_samples, sites.num_sites), dtype=np.int8)
    block = np.empty((256, sites.num_samples), dtype=np.int8)
    filled = 0
    for variant in sites.variants(copy=False):
        row = variant.site.id % 256
        block[row] = variant.genotypes
        filled = row + 1
        if filled == 256 or variant.site.id == sites.num_sites - 1:
            end = variant.site.id + 1
            out[:, end - filled : end] = block[:filled].T
    return out


def _gamete(two: np.ndarray, position: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Make a gamete from two haplotypes (2 x variants): crossovers are Poisson along the chromosome."""
    strand = int(rng.integers(2))
    breaks = np.sort(rng.random(rng.poisson(length * RECOMBINATION_RATE)) * length)
    phase = (np.searchsorted(breaks, position) + strand) % 2
    return np.where(phase == 0, two[0], two[1])


def transmit(
    haplotypes: np.ndarray, people: People, position: np.ndarray, length: float, x: bool, rng: np.random.Generator
) -> np.ndarray:
    """Make int8 dosages of the derived allele, people x variants; men on X carry one haplotype, counted twice."""
    founder_haplotypes = haplotypes.reshape(-1, 2, haplotypes.shape[1])
    sex = people.fam["sex"].to_numpy()
    out = np.empty((len(sex), haplotypes.shape[1]), dtype=np.int8)
    for i in range(len(sex)):
        man = x and sex[i] == 1
        if people.founder[i] >= 0:
            a, b = founder_haplotypes[people.founder[i]]
            out[i] = 2 * a if man else a + b
            continue
        maternal = _gamete(founder_haplotypes[people.mother[i]], position, length, rng)
        if man:
            out[i] = 2 * maternal
        elif x:
            out[i] = maternal + founder_haplotypes[people.father[i], 0]
        else:
            out[i] = maternal + _gamete(founder_haplotypes[people.father[i]], position, length, rng)
    return out

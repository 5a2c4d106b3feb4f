"""Simulated genotypes: a coalescent of three populations, families by Mendelian transmission, calls that fail.

Ancestry is simulated with msprime (Baumdicker et al. 2022, doi:10.1093/genetics/iyab229), one chromosome at a time,
so that memory holds one chromosome: about ``3 x people x variants of the chromosome`` bytes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msprime
import numpy as np
import pandas as pd
import tskit

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.bed_files import HEADER_BYTES, MAGIC
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.simulate.lengths import LENGTH_MB

logger = logging.getLogger(__name__)
logging.getLogger("msprime").setLevel(logging.WARNING)  # it reports every replicate

#: Crossovers and mutations per base and generation.
RECOMBINATION_RATE = 1e-8
MUTATION_RATE = 1.25e-8

#: Diploid sizes of the populations, and their shares of the cohort. Together with the splits and the migration
#: below they give pairwise FST of about .009 to .02, as between populations of one continent.
POPULATIONS: dict[str, int] = {"A": 10_000, "B": 6_000, "C": 4_000}
POPULATION_SHARES: dict[str, float] = {"A": 0.55, "B": 0.30, "C": 0.15}

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

SHARE_A1_NOT_MINOR = 0.10


def derive_seed(seed: int, *names: object) -> int:
    """Derive the seed of one part from the seed of the run, so that it depends on nothing else.

    Parameters
    ----------
    seed
        The seed of the config.
    names
        What the stream is for, for example ``"ancestry", "X"``.

    Returns
    -------
    int in 1 .. 2^32 - 1 (the range that msprime takes).
    """
    text = "\x1f".join([str(int(seed)), *(str(n) for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % (2**32 - 1) + 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """Give the random generator of one part; see :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))


@dataclass(frozen=True)
class People:
    """The people of a simulated cohort, in .fam order, and the founders they descend from.

    Attributes
    ----------
    fam
        fid, iid, father, mother ("0" where not in the cohort), sex (1 male, 2 female), phenotype (-9).
    population
        str, one a person.
    founder
        int64: the founder that this person is; -1 for a child.
    father, mother
        int64: founders that are the parents of a child; -1 for a founder.
    siblings, parent_child
        int64, pairs x 2: .fam indices of full siblings, and of parents with their children.
    founder_sex
        int8, one a founder (1 male, 2 female).
    founder_population
        str, one a founder, in blocks: all of A, then B, then C.
    """

    fam: pd.DataFrame
    population: np.ndarray
    founder: np.ndarray
    father: np.ndarray
    mother: np.ndarray
    siblings: np.ndarray
    parent_child: np.ndarray
    founder_sex: np.ndarray
    founder_population: np.ndarray


def draw_people(settings: Mapping[str, Any], seed: int) -> People:
    """Draw who is in the cohort: populations, sexes, families and the order in the .fam.

    Parameters
    ----------
    settings
        ``people``, ``sibling_pairs``, ``parent_child_pairs``.
    seed
        The seed of the config.

    Returns
    -------
    People; the parents of siblings are not in the cohort, of a parent-child pair one parent is.
    Each family lies within one population. There are as many founders as people in the cohort.

    Raises
    ------
    InputError
        When the pairs need more people than there are.
    """
    n = int(settings["people"])
    n_siblings = int(settings["sibling_pairs"])
    n_parents = int(settings["parent_child_pairs"])
    if min(n_siblings, n_parents) < 0 or 2 * (n_siblings + n_parents) > n or n < 4:
        raise InputError(
            f"simulate: {n} people cannot hold {n_siblings} sibling pairs and {n_parents} parent-child pairs; "
            f"people must be at least 4 and at least twice the number of pairs ({2 * (n_siblings + n_parents)})"
        )
    rng = generator(seed, "people")
    names = list(POPULATIONS)
    n_families = n - n_siblings - n_parents
    # families in the order: sibling pairs, parent-child pairs, single people
    family_population = rng.choice(len(names), size=n_families, p=[POPULATION_SHARES[k] for k in names])
    is_pair = np.arange(n_families) < n_siblings + n_parents

    # two founders for each pair (father, mother), one for each single person; sorted by population for msprime
    owner = np.repeat(np.arange(n_families), np.where(is_pair, 2, 1))
    first = np.concatenate([[True], owner[1:] != owner[:-1]])
    sex = np.where(is_pair[owner], np.where(first, 1, 2), rng.integers(1, 3, size=len(owner)))
    order = np.argsort(family_population[owner], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    founder_sex = sex[order].astype(np.int8)
    founder_population = np.array(names, dtype=object)[family_population[owner[order]]]
    start = np.flatnonzero(first)  # the first founder of each family, before sorting

    rows: list[tuple[int, int, int, int, int]] = []  # family, founder, father, mother, sex
    siblings, parent_child = [], []
    for family in range(n_families):
        a = place[start[family]]
        if not is_pair[family]:
            rows.append((family, a, -1, -1, int(founder_sex[a])))
            continue
        b = place[start[family] + 1]
        if family < n_siblings:
            siblings.append((len(rows), len(rows) + 1))
            rows.extend((family, -1, a, b, int(rng.integers(1, 3))) for _ in range(2))
        else:
            parent_child.append((len(rows), len(rows) + 1))
            parent = (a, b)[int(rng.integers(2))]
            rows.append((family, parent, -1, -1, int(founder_sex[parent])))
            rows.append((family, -1, a, b, int(rng.integers(1, 3))))
    # relatives must not be neighbours in the file: order there carries no information
    shuffle = rng.permutation(n)
    rank = np.empty(n, dtype=np.int64)
    rank[shuffle] = np.arange(n)
    table = np.array(rows, dtype=np.int64)[shuffle]
    sibling_pairs = rank[np.array(siblings, dtype=np.int64).reshape(-1, 2)]
    parent_pairs = rank[np.array(parent_child, dtype=np.int64).reshape(-1, 2)]

    width = max(5, len(str(n)))
    family_label = rng.permutation(n_families) + 1
    fam = pd.DataFrame(
        {
            "fid": [f"F{family_label[f]:0{width}d}" for f in table[:, 0]],
            "iid": [f"S{i + 1:0{width}d}" for i in range(n)],
            "father": "0",
            "mother": "0",
            "sex": table[:, 4],
            "phenotype": -9,
        }
    )
    for parent, child in parent_pairs:
        column = "father" if fam["sex"].iat[parent] == 1 else "mother"
        fam.loc[child, column] = fam["iid"].iat[parent]
    return People(
        fam=fam,
        population=np.array(names, dtype=object)[family_population[table[:, 0]]],
        founder=table[:, 1],
        father=table[:, 2],
        mother=table[:, 3],
        siblings=sibling_pairs,
        parent_child=parent_pairs,
        founder_sex=founder_sex,
        founder_population=founder_population,
    )


def demography(scale: float = 1.0) -> msprime.Demography:
    """Give the history of the populations: A and B part 150 generations ago, C 250, with a little migration since.

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


def _sites(chromosome: str, n_variants: int, nodes: np.ndarray, people: People, seed: int) -> tskit.TreeSequence:
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


def _haplotypes(sites: tskit.TreeSequence) -> np.ndarray:
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


def _dosages(
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
        Where to write ``.bed``, ``.bim`` and ``.fam``.

    Raises
    ------
    InputError
        When the settings cannot be met.

    Notes
    -----
    Each chromosome is a stretch of 5 Mb or more (1,000 variants a megabase) at true scale, so linkage disequilibrium
    falls off with physical distance as in people, beginning at 1 Mb (X: 2.8 Mb, behind the pseudo-autosomal region).
    Identifiers are ``chromosome:position:ancestral:derived``. A1, the allele that is counted, is the minor allele
    of about 90 % of the variants and the major allele of the others. On X men are coded 0 or 2.
    """
    prefix = Path(prefix)
    chromosomes = _chromosomes(settings)
    people = draw_people(settings, seed)
    missing_rate = float(settings["missing_rate"])
    counts = share_out(int(settings["variants"]), chromosomes)
    if not 0 <= missing_rate <= 0.5:
        raise InputError(f"simulate: missing_rate is {missing_rate}, expected a share from 0 to .5")
    if min(counts.values()) < 1:
        raise InputError(f"simulate: {settings['variants']} variants are too few for {len(chromosomes)} chromosomes")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    temporary = prefix.with_name(f".{prefix.name}.{os.getpid()}.tmp")
    part = prefix.with_name(f".{prefix.name}.{os.getpid()}.part")
    bims = []
    try:
        with open(f"{temporary}.bed", "wb") as bed:
            bed.write(MAGIC + b"\x01")
            for chromosome in chromosomes:
                started = time.perf_counter()
                bim = _write_chromosome(chromosome, counts[chromosome], people, missing_rate, seed, part)
                bed.write(Path(f"{part}.bed").read_bytes()[HEADER_BYTES:])
                bims.append(bim)
                logger.info(
                    "chromosome %s: %s variants in %.1f s", chromosome, f"{len(bim):,}", time.perf_counter() - started
                )
        pd.concat(bims).to_csv(f"{temporary}.bim", sep="\t", header=False, index=False, lineterminator="\n")
        people.fam.to_csv(f"{temporary}.fam", sep="\t", header=False, index=False, lineterminator="\n")
        for extension in ("bed", "bim", "fam"):
            os.replace(f"{temporary}.{extension}", f"{prefix}.{extension}")
    finally:
        for path in (temporary, part):
            for extension in ("bed", "bim", "fam"):
                Path(f"{path}.{extension}").unlink(missing_ok=True)


def _write_chromosome(
    chromosome: str, n_variants: int, people: People, missing_rate: float, seed: int, part: Path
) -> pd.DataFrame:
    """Simulate one chromosome, write it as the fileset ``part`` and give its .bim."""
    x = chromosome == "X"
    used = np.ones(2 * len(people.founder_sex), dtype=bool)
    if x:
        used[1::2] = people.founder_sex == 2  # a man has one X: his second haplotype is never read
    sites = _sites(chromosome, n_variants, np.flatnonzero(used), people, seed)
    offset = FIRST_POSITION.get(chromosome, DEFAULT_FIRST_POSITION)
    relative = sites.sites_position
    haplotypes = _haplotypes(sites)
    dosages = _dosages(
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
    write_bed(part, dosages, bim, people.fam)
    return bim

"""Simulated people with known truth, and other engines, for benchmarks/whole_genome.py.

Genotypes are int8, variants x people, copies of the effect allele; chromosomes are numbered from 1.
"""

from __future__ import annotations

import csv
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class People:
    """Genotypes and who is related.

    Attributes
    ----------
    genotypes
        int8[variants, people].
    chromosome
        int[variants].
    family
        int[people], number of the family; people without relatives have one of their own.
    pairs
        int[pairs, 2], relatives.
    relation
        str[pairs]: ``sibling``, ``parent_child``, ...
    kinship
        float64[pairs].
    """

    genotypes: np.ndarray
    chromosome: np.ndarray
    family: np.ndarray
    pairs: np.ndarray
    relation: np.ndarray
    kinship: np.ndarray

    @property
    def n(self) -> int:
        """Number of people."""
        return self.genotypes.shape[1]

    def shuffled(self, rng: np.random.Generator) -> People:
        """Return the same people in another order."""
        order = rng.permutation(self.n)
        place = np.argsort(order)
        pairs = np.sort(place[self.pairs], axis=1) if len(self.pairs) else self.pairs
        by = np.lexsort((pairs[:, 1], pairs[:, 0]))
        genotypes = np.ascontiguousarray(self.genotypes[:, order])
        return People(genotypes, self.chromosome, self.family[order], pairs[by], self.relation[by], self.kinship[by])


def _chromosomes(variants: int, chromosomes: int) -> np.ndarray:
    return 1 + np.arange(variants) * chromosomes // variants


def without_relatives(genotypes: np.ndarray, chromosome: np.ndarray) -> People:
    """Return people of whom no two are related."""
    none = np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=object), np.empty(0)
    return People(genotypes, chromosome, np.arange(genotypes.shape[1]), *none)


def unrelated(n: int, variants: int, seed: int, ld: float | np.ndarray = 0.0, chromosomes: int = 10) -> People:
    """Simulate unrelated people.

    Parameters
    ----------
    n, variants, seed, chromosomes
        Sizes.
    ld
        Correlation of a variant's liability with that of the one before it along each haplotype (a first-order
        autoregression), one for all or one per variant; 0: none.
    """
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.5, variants)
    chromosome = _chromosomes(variants, chromosomes)
    if not np.any(ld):
        return without_relatives(_haplotypes(p, n, rng) + _haplotypes(p, n, rng), chromosome)
    from scipy.stats import norm

    threshold = norm.ppf(p).astype(np.float32)
    genotypes = np.zeros((variants, n), dtype=np.int8)
    along = np.broadcast_to(np.asarray(ld, dtype=np.float32), variants)
    fresh = np.sqrt(1 - along**2)
    for _ in range(2):
        z = np.zeros(n, dtype=np.float32)
        for j in range(variants):
            new = rng.standard_normal(n, dtype=np.float32)
            z = new if not j or chromosome[j] != chromosome[j - 1] else along[j] * z + fresh[j] * new
            genotypes[j] += z < threshold[j]
    return without_relatives(genotypes, chromosome)


def _haplotypes(p: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random((len(p), n), dtype=np.float32) < p[:, None].astype(np.float32)).astype(np.int8)


def relatives(n: int, variants: int, seed: int, kind: str = "sibling", share: float = 1.0) -> People:
    """Simulate pairs of relatives, adjacent in the file, and unrelated people after them.

    Parameters
    ----------
    n, variants, seed
        Sizes.
    kind
        ``sibling`` or ``parent_child``.
    share
        Of the people who are in pairs.
    """
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.5, variants)
    k = int(n * share) // 2
    one, two, three, four = (_haplotypes(p, k, rng) for _ in range(4))

    def inherit(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(rng.random(a.shape, dtype=np.float32) < 0.5, a, b)

    if kind == "sibling":
        first, second = inherit(one, two) + inherit(three, four), inherit(one, two) + inherit(three, four)
    else:
        first, second = one + two, inherit(one, two) + three
    genotypes = np.empty((variants, n), dtype=np.int8)
    genotypes[:, 0 : 2 * k : 2], genotypes[:, 1 : 2 * k : 2] = first, second
    genotypes[:, 2 * k :] = _haplotypes(p, n - 2 * k, rng) + _haplotypes(p, n - 2 * k, rng)
    family = np.concatenate([np.repeat(np.arange(k), 2), k + np.arange(n - 2 * k)])
    pairs = np.arange(2 * k).reshape(k, 2)
    return People(
        genotypes, _chromosomes(variants, 10), family, pairs, np.full(k, kind, dtype=object), np.full(k, 0.25)
    )


def mosaic(
    genotypes: np.ndarray, chromosome: np.ndarray, position: np.ndarray, n: int, seed: int, piece: int = 25_000_000
) -> np.ndarray:
    """Return people each of whom is made of pieces of two real ones: int8[variants, n].

    Parameters
    ----------
    genotypes, chromosome, position
        Of the real people.
    n, seed
        How many to make.
    piece
        Length of a piece, base pairs.
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(np.column_stack([chromosome, position // piece]), axis=0, return_inverse=True)
    place = place.ravel()
    pieces = int(place.max()) + 1
    parents = np.array([rng.choice(genotypes.shape[1], 2, replace=False) for _ in range(n)])
    which = rng.integers(0, 2, (n, pieces))
    out = np.empty((len(place), n), dtype=np.int8)
    for i in range(n):
        out[:, i] = genotypes[np.arange(len(place)), parents[i, which[i, place]]]
    return out


@dataclass(frozen=True)
class Trait:
    """A phenotype with known causal variants.

    Attributes
    ----------
    y
        float64[n], mean 0 and variance 1.
    causal
        int, numbers of the causal variants.
    genetic
        float64[n], what they make of the phenotype.
    """

    y: np.ndarray
    causal: np.ndarray
    genetic: np.ndarray

    def true_r2(self, prediction: np.ndarray) -> float:
        """Return the R2 that a prediction would have for other phenotypes of these people, of the same genetic values
        and the same variance of the rest.
        """
        rest = np.var(self.y - self.genetic)
        return float(1 - np.var(self.genetic - prediction) - rest)


def polygenic(
    people: People, h2: float, share: float, seed: int, c2: float = 0.0, within: np.ndarray | None = None
) -> Trait:
    """Simulate a phenotype of many causal variants, whose standardised effects are normal.

    Parameters
    ----------
    people
        Genotypes and families.
    h2, c2
        Shares of the variance that variants and the families' shared environment explain.
    share
        Of the variants that are causal.
    seed
        Seed.
    within
        bool[variants], where causal variants may be; None, everywhere.
    """
    rng = np.random.default_rng(10_000 + seed)
    allowed = np.arange(len(people.genotypes)) if within is None else np.flatnonzero(within)
    causal = np.sort(rng.choice(allowed, max(1, int(share * len(people.genotypes))), replace=False))
    effects = rng.normal(size=len(causal))
    x = people.genotypes[causal].astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.maximum(x.std(axis=1, keepdims=True), 1e-6)
    g = x.T.astype(np.float64) @ effects
    g = (g - g.mean()) * np.sqrt(h2) / g.std()
    shared = rng.normal(size=people.family.max() + 1)[people.family] * np.sqrt(c2)
    y = g + shared + rng.normal(size=people.n) * np.sqrt(1 - h2 - c2)
    return Trait((y - y.mean()) / y.std(), causal, g / y.std())


@dataclass(frozen=True)
class Bed:
    """A PLINK 1 fileset on disk, and who is related in it.

    Attributes
    ----------
    prefix
        Path without extension.
    n
        Number of people.
    chromosome, position
        int[variants].
    counts
        int64[variants, 3], people with 2, 1 and 0 copies of A1.
    family, pairs, relation, kinship
        As of :class:`People`.
    """

    prefix: Path
    n: int
    chromosome: np.ndarray
    position: np.ndarray
    counts: np.ndarray
    family: np.ndarray
    pairs: np.ndarray
    relation: np.ndarray
    kinship: np.ndarray


def _pack(genotypes: np.ndarray) -> np.ndarray:
    code = np.array([3, 2, 0], dtype=np.uint8)
    part = np.pad(code[genotypes], ((0, 0), (0, (-genotypes.shape[1]) % 4)))
    return part[:, 0::4] | part[:, 1::4] << 2 | part[:, 2::4] << 4 | part[:, 3::4] << 6


def _count(genotypes: np.ndarray) -> np.ndarray:
    return np.stack([(genotypes == copies).sum(axis=1) for copies in (2, 1, 0)], axis=1)


def _write_tables(prefix: Path, chromosome: np.ndarray, position: np.ndarray, n: int) -> None:
    rows = enumerate(zip(chromosome, position, strict=True))
    with open(f"{prefix}.bim", "w") as file:
        file.writelines(f"{c}\trs{j}\t{p * 1e-6:.6f}\t{p}\tA\tC\n" for j, (c, p) in rows)
    with open(f"{prefix}.fam", "w") as file:
        file.writelines(f"f{i} f{i} 0 0 1 -9\n" for i in range(n))


def write_bed(prefix: Path, people: People) -> Bed:
    """Write a PLINK 1 fileset; A1 is what genotypes count."""
    # by chromosome from its start, and far apart: BOLT-LMM calibrates on what is more than 1 Mb from the associations
    _, first, own = np.unique(people.chromosome, return_index=True, return_inverse=True)
    position = 1000 + 150_000 * (np.arange(len(people.chromosome)) - first[own])
    with open(f"{prefix}.bed", "wb") as file:
        file.write(b"\x6c\x1b\x01")
        for first in range(0, len(people.genotypes), 1000):
            file.write(_pack(people.genotypes[first : first + 1000]).tobytes())
    _write_tables(prefix, people.chromosome, position, people.n)
    relatives = people.family, people.pairs, people.relation, people.kinship
    return Bed(Path(prefix), people.n, people.chromosome, position, _count(people.genotypes), *relatives)


def simulate_bed(prefix: Path, n: int, variants: int, seed: int, h2: float = 0.5, share: float = 0.01):
    """Write a fileset of unrelated people and independent variants on 22 chromosomes, too large for memory.

    Returns
    -------
    The fileset, and a phenotype: float64[n].
    """
    rng = np.random.default_rng(seed)
    chromosome = _chromosomes(variants, 22)
    position = 1000 + 500 * np.arange(variants)
    g, counts = np.zeros(n), np.empty((variants, 3), dtype=np.int64)
    with open(f"{prefix}.bed", "wb") as file:
        file.write(b"\x6c\x1b\x01")
        for first in range(0, variants, 500):
            p = rng.uniform(0.05, 0.5, min(500, variants - first)).astype(np.float32)
            some = rng.random((len(p), n), dtype=np.float32)
            # two copies with p^2, one with 2 p (1 - p)
            genotypes = (some < p[:, None] ** 2).astype(np.int8) + (some < (2 * p - p**2)[:, None])
            counts[first : first + len(p)] = _count(genotypes)
            causal = np.flatnonzero(rng.random(len(p)) < share)
            g += rng.normal(size=len(causal)) @ (
                (genotypes[causal] - 2 * p[causal, None]) / np.sqrt(2 * p * (1 - p))[causal, None]
            )
            file.write(_pack(genotypes).tobytes())
    _write_tables(prefix, chromosome, position, n)
    y = g * np.sqrt(h2) / g.std() + rng.normal(size=n) * np.sqrt(1 - h2)
    none = np.arange(n), np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=object), np.empty(0)
    return Bed(Path(prefix), n, chromosome, position, counts, *none), (y - y.mean()) / y.std()


def write_phenotype(prefix: Path, y: np.ndarray) -> None:
    """Write the phenotype of a fileset's people, for BOLT-LMM."""
    with open(f"{prefix}.phe", "w") as file:
        file.write("FID IID y\n")
        file.writelines(f"f{i} f{i} {v:.8g}\n" for i, v in enumerate(y))


@dataclass(frozen=True)
class Bolt:
    """What BOLT-LMM found.

    Attributes
    ----------
    r2
        The best of its cross-validated R2 (PVE).
    chi2_inf
        float64[variants], of the infinitesimal model.
    cpu_s, wall_s
        Its time.
    """

    r2: float
    chi2_inf: np.ndarray
    cpu_s: float
    wall_s: float


def run_bolt(prefix: Path, variants: int, threads: int = 1) -> Bolt:
    """Run BOLT-LMM on a fileset with its phenotype (:func:`write_phenotype`)."""
    from scipy.stats import chi2

    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with open(f"{prefix}.boltlog", "w") as log:
        subprocess.run(
            [
                "bolt", f"--bfile={prefix}", f"--phenoFile={prefix}.phe", "--phenoCol=y", "--LDscoresUseChip",
                "--lmmForceNonInf", f"--numThreads={threads}", f"--statsFile={prefix}.bolt",
            ], stdout=log, stderr=log, check=True,
        )  # fmt: skip
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
    text = Path(f"{prefix}.boltlog").read_text()
    # the last list is that of all folds; its first line is the best
    r2 = float(re.findall(r"Average PVEs obtained by param pairs tested.*?\n.*?: (\S+)", text)[-1])
    with open(f"{prefix}.bolt", newline="") as file:
        rows = {row["SNP"]: float(row["P_BOLT_LMM_INF"]) for row in csv.DictReader(file, delimiter="\t")}
    p = np.array([max(rows[f"rs{j}"], 1e-300) for j in range(variants)])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Bolt(r2, chi2.isf(p, 1), cpu, wall)


def run_gemma(folder: Path, people: People, y: np.ndarray, chromosome: int) -> np.ndarray:
    """Return GEMMA's Wald chi2 of a chromosome, with a relationship matrix of the others: float64[variants]."""
    from scipy.stats import chi2

    inside = people.chromosome == chromosome
    x = people.genotypes[~inside].astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.maximum(x.std(axis=1, keepdims=True), 1e-6)
    np.savetxt(folder / "grm.txt", (x.T @ x) / len(x), fmt="%.8g")
    write_bed(folder / "gemma", without_relatives(people.genotypes[inside], people.chromosome[inside]))
    fam = [f"f{i} f{i} 0 0 1 {v:.8g}\n" for i, v in enumerate(y)]
    (folder / "gemma.fam").write_text("".join(fam))
    subprocess.run(
        ["gemma", "-bfile", "gemma", "-k", "grm.txt", "-lmm", "1", "-maf", "0", "-r2", "1", "-outdir", ".", "-o", "g"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    with open(folder / "g.assoc.txt", newline="") as file:
        rows = {row["rs"]: float(row["p_wald"]) for row in csv.DictReader(file, delimiter="\t")}
    return chi2.isf(np.array([rows[f"rs{j}"] for j in range(int(inside.sum()))]), 1)

"""Correlated relatives, for the second implementation: whole matrices of small clusters, factorised and solved."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepnull_gwas.tables import read_json, read_table, to_numpy
from deepnull_gwas.verify.compare import Estimate
from deepnull_gwas.verify.tails import deviate, normal_tail, student_tail

#: People of a cluster at most, and the least eigenvalue of its matrix, as in the definition (docs/method.md).
LARGEST, LEAST_EIGENVALUE = 128, 0.05


#: Two people by their rows, the correlation of their phenotypes, and their kinship.
Edge = tuple[int, int, float, float]


@dataclass(frozen=True)
class Relatives:
    """Pairs of relatives of a study, and their correlations.

    Attributes
    ----------
    pairs
        (row of the one, row of the other, relation, kinship, whether in different folds) among the study's people.
    rho
        (arm, relation) -> chromosome, or ``all`` -> correlation.
    """

    pairs: tuple[tuple[int, int, str, float, bool], ...]
    rho: Mapping[tuple[str, str], Mapping[str, float]]

    def edges(self, arm: str, chromosome: str, inside: np.ndarray) -> list[Edge]:
        """Return the correlations of an arm on a chromosome, of some people (bool[n])."""
        row = {int(person): k for k, person in enumerate(np.flatnonzero(inside))}
        edges = []
        for i, j, relation, kinship, other in self.pairs:
            known = self.rho.get((arm, relation), {})
            if other:
                known = self.rho.get((arm, f"{relation}, other fold"), known)
            value = known.get(chromosome, known.get("all", 0.0))
            if value and i in row and j in row:
                edges.append((row[i], row[j], value, kinship))
        return edges


def read_relatives(relatives: str | Path, genome: str | Path, people: np.ndarray) -> Relatives | None:
    """Read relatives.tsv of the cohort and genome.json of a study; None where nobody is correlated with anybody."""
    rho = {
        (arm, relation): {"all": found["rho"]} | found["rho_by_chromosome"]
        for arm, about in read_json(genome)["arms"].items()
        for relation, found in (about.get("relatives") or {}).items()
    }
    if not rho:
        return None
    row = {str(person): k for k, person in enumerate(people)}
    fold, offsets = np.zeros(len(people)), Path(genome).with_name("offsets.parquet")
    if any(relation.endswith(", other fold") for _, relation in rho):
        fold = to_numpy(read_table(offsets, columns=["fold"])["fold"])
    with open(relatives, encoding="utf-8", newline="") as file:
        pairs = tuple(
            (i, j, line["relation"], _kinship(line), bool(fold[i] != fold[j]))
            for line in csv.DictReader(file, delimiter="\t")
            if (i := row.get(line["sample_index_1"])) is not None and (j := row.get(line["sample_index_2"])) is not None
        )
    return Relatives(pairs, rho) if pairs else None


def _kinship(line: Mapping[str, str]) -> float:
    """Return the kinship of a row of relatives.tsv: beyond ancestry where that is there."""
    text = line.get("kinship_adjusted") or line["kinship"]
    return float(text) if text not in ("", "NA") else 0.0


def _clusters(edges: list[Edge]) -> Iterable[list[int]]:
    """Return connected people, the most correlated first, as long as a cluster is not too large."""
    of: dict[int, list[int]] = {}
    for i, j, *_ in sorted(edges, key=lambda e: (-abs(e[2]), min(e[:2]), max(e[:2]))):
        a, b = of.setdefault(i, [i]), of.setdefault(j, [j])
        if a is not b and len(a) + len(b) <= LARGEST:
            a.extend(b)
            of.update(dict.fromkeys(b, a))
    return {id(members): sorted(members) for members in of.values() if len(members) > 1}.values()


class Kin:
    """Correlation matrix R of people: 1 on the diagonal, and blocks of relatives.

    Parameters
    ----------
    edges
        Of pairs.
    n
        Number of people.
    spread
        float64[n], standard deviations of people, whose covariances are those times R; None, 1.
    """

    def __init__(self, edges: list[Edge], n: int, spread: np.ndarray | None = None):
        clusters = sorted(_clusters(edges), key=lambda members: (len(members), members))
        place = {person: (k, at) for k, members in enumerate(clusters) for at, person in enumerate(members)}
        matrices = [np.eye(len(members)) for members in clusters]
        self.apart: list[tuple[int, int, float]] = []
        for i, j, value, kinship in edges:
            (k, a), (other, b) = place.get(i, (-1, 0)), place.get(j, (-2, 0))
            if k == other:
                matrices[k][a, b] = matrices[k][b, a] = value
            else:
                self.apart.append((i, j, 2 * value * min(max(2 * kinship, 0.0), 1.0)))
        self.n, self.spread = n, np.ones(n) if spread is None else spread
        self.blocks: list[tuple[np.ndarray, np.ndarray]] = []
        for size in sorted({len(members) for members in clusters}):
            chosen = [k for k, members in enumerate(clusters) if len(members) == size]
            r = np.array([matrices[k] for k in chosen])
            smallest = np.linalg.eigvalsh(r).min(axis=1)
            short = smallest < LEAST_EIGENVALUE
            share = np.ones(len(r))
            share[short] = (1 - LEAST_EIGENVALUE) / (1 - smallest[short])
            r = np.eye(size) + share[:, None, None] * (r - np.eye(size))
            self.blocks.append((np.array([clusters[k] for k in chosen]), r))
        self.factors = [np.linalg.cholesky(r) for _, r in self.blocks]

    def beyond_clusters(self, sd: np.ndarray) -> float:
        """Return the share that pairs in different clusters add to the variance of a score, on average; at least -.5.

        The covariance of their phenotypes times that of their genotypes, twice for each pair, over the variances'.
        """
        return max(sum(w * sd[i] * sd[j] for i, j, w in self.apart) / float((sd * sd).sum()), -0.5)

    def whiten(self, x: np.ndarray) -> np.ndarray:
        """Solve S L z = x, with L L' = R and S the standard deviations."""
        z = (np.array(x, dtype=float).T / self.spread).T
        for (members, _), lower in zip(self.blocks, self.factors, strict=True):
            right = z[members] if z.ndim > 1 else z[members][..., None]
            z[members] = np.linalg.solve(lower, right).reshape(z[members].shape)
        return z

    def square(self, x: np.ndarray) -> float:
        """Return x' R x."""
        total = float(x @ x)
        for members, r in self.blocks:
            some = x[members]
            total += float(np.einsum("ci,cij,cj->", some, r - np.eye(r.shape[1]), some))
        return total


def generalised_least_squares(basis: np.ndarray, y: np.ndarray, g: np.ndarray, kin: Kin) -> Estimate:
    """Regress whitened y on the whitened basis, which spans the constant, and genotype; p from Student's t."""
    x = kin.whiten(np.column_stack([basis, g - g.mean()]))
    y = kin.whiten(y)
    q, r = np.linalg.qr(x)
    length, on = abs(float(r[-1, -1])), q.T @ y
    beta = float(on[-1] / r[-1, -1])
    rest = y - q @ on
    df = len(y) - x.shape[1]
    se = math.sqrt(float(rest @ rest) / df * (1 + kin.beyond_clusters(np.ones(len(y))))) / length
    t = beta / se if se > 0 else math.inf
    tail = student_tail(t, df) if math.isfinite(t) else math.inf
    return Estimate(beta, se, tail, float(x[:, -1] @ x[:, -1]) / length**2 + 1 + t * t / df)


def widened(found: Estimate, basis: np.ndarray, g: np.ndarray, mu: np.ndarray, kin: Kin) -> Estimate:
    """Return a logistic estimate whose score has the variance of relatives, not of independent people.

    Parameters
    ----------
    found
        As of independent people.
    basis, g
        Covariates and genotype.
    mu
        Probabilities of the null model.
    kin
        Correlations of the standardised residuals.
    """
    w = mu * (1 - mu)
    left = g - basis @ np.linalg.solve((basis.T * w) @ basis, (basis.T * w) @ g)
    scaled = np.sqrt(w) * left
    root = math.sqrt(kin.square(scaled) / float(scaled @ scaled) + kin.beyond_clusters(np.sqrt(w)))
    return found._replace(se=found.se * root, neg_log10_p=normal_tail(deviate(found.neg_log10_p) / root))

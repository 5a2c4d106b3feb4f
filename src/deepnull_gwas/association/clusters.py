"""The correlation matrix of relatives: clusters of a few people, each with a matrix of its own.

R is 1 on the diagonal and the correlation of a class of relation (:mod:`deepnull_gwas.whole_genome.relatives`) between
relatives, so that it falls into blocks, one per connected cluster of people. People without relatives are their own.
With L L' = R, least squares of L^-1 y on L^-1 X is generalised least squares of y on X; for genotypes, which are never
whitened themselves, L^-T takes the columns that they are multiplied with back, and R^-1 - 1 over the relatives alone
completes the length of their vectors.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.genotypes.quadratic import QuadraticForm
from deepnull_gwas.jit import numba

logger = logging.getLogger(__name__)

#: People in a cluster at most: a larger one is cut where relatives are the least correlated.
LARGEST = 128
#: What pairs in different clusters leave of the variance of a score, at least.
LEAST_FACTOR = 0.5
#: Least eigenvalue of a cluster's matrix: correlations that go beyond it are drawn to 0 by one factor.
LEAST_EIGENVALUE = 0.05


@dataclass(frozen=True)
class SizeGroup:
    """The clusters of one size.

    Attributes
    ----------
    members
        int64[c, size], rows among the people, ascending within a cluster.
    matrix
        float64[c, size, size], their correlations (or covariances, :meth:`Clusters.scaled`); positive definite.
    """

    members: np.ndarray
    matrix: np.ndarray

    @functools.cached_property
    def whitening(self) -> np.ndarray:
        """float64[c, size, size], inverses of the lower triangular factors of the matrices."""
        return np.linalg.inv(np.linalg.cholesky(self.matrix))

    @functools.cached_property
    def precision(self) -> np.ndarray:
        """float64[c, size, size], inverses of the matrices."""
        return np.matmul(self.whitening.transpose(0, 2, 1), self.whitening)


@dataclass(frozen=True)
class Clusters:
    """Correlations of relatives among the people of a study.

    Attributes
    ----------
    groups
        The clusters of two people or more, by size.
    n
        Number of people.
    apart
        Pairs of relatives in different clusters, since one for both would be too large: rows of the one and the other
        (int64[m]), and twice the product of the correlations of their phenotypes and genotypes (float64[m]). The
        matrices do not know them.
    """

    groups: tuple[SizeGroup, ...]
    n: int
    apart: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def cut(self) -> int:
        """Number of pairs of relatives in different clusters."""
        return 0 if self.apart is None else len(self.apart[0])

    def share_apart(self, deviations: np.ndarray | None = None) -> float:
        """Return what pairs in different clusters add to the variance of a variant's score, on average over variants.

        As a share of that of independent people; above -1 (:data:`LEAST_FACTOR`).

        Parameters
        ----------
        deviations
            float64[n], standard deviations of people; None, all the same.
        """
        if self.apart is None:
            return 0.0
        first, second, weight = self.apart
        if deviations is None:
            share = float(weight.sum()) / self.n
        else:
            share = float(weight @ (deviations[first] * deviations[second])) / float(deviations @ deviations)
        return max(share, LEAST_FACTOR - 1)

    def scaled(self, deviations: np.ndarray) -> Clusters:
        """Return the covariances of people of other standard deviations than 1: float64[n].

        Everybody is then in a cluster; people without relatives in one of their own.
        """
        alone = np.ones(self.n, dtype=bool)
        for group in self.groups:
            alone[group.members] = False
        rows = np.flatnonzero(alone)[:, None]
        groups = [SizeGroup(rows, deviations[rows][:, :, None] ** 2)] if len(rows) else []
        for group in self.groups:
            sd = deviations[group.members]
            groups.append(SizeGroup(group.members, group.matrix * sd[:, :, None] * sd[:, None, :]))
        return Clusters(tuple(groups), self.n, self.apart)

    def whiten(self, x: np.ndarray) -> np.ndarray:
        """Return L^-1 x, of x float64[n] or float64[n, k]."""
        return self._apply(x, lambda group: group.whitening)

    def back(self, x: np.ndarray) -> np.ndarray:
        """Return L^-T x, what genotypes are to be multiplied with for their products with whitened columns."""
        return self._apply(x, lambda group: group.whitening.transpose(0, 2, 1))

    def correlate(self, x: np.ndarray) -> np.ndarray:
        """Return R x."""
        return self._apply(x, lambda group: group.matrix)

    def _apply(self, x: np.ndarray, matrix: Callable[[SizeGroup], np.ndarray]) -> np.ndarray:
        out = np.array(x, dtype=np.float64).reshape(self.n, -1)
        for group in self.groups:
            out[group.members] = np.matmul(matrix(group), out[group.members])
        return out.reshape(x.shape)

    def precision_form(self, sample_index: np.ndarray) -> QuadraticForm:
        """Return R^-1 - 1 over relatives, who are people ``sample_index`` (int64[n]) of the cohort."""
        return self._form(sample_index, lambda group: group.precision)

    def covariance_form(self, sample_index: np.ndarray, deviations: np.ndarray) -> QuadraticForm:
        """Return S (R - 1) S over relatives, S the diagonal matrix of standard deviations (float64[n])."""
        return self._form(
            sample_index,
            lambda group: group.matrix,
            lambda group: deviations[group.members][:, :, None] * deviations[group.members][:, None, :],
        )

    def _form(
        self,
        sample_index: np.ndarray,
        matrix: Callable[[SizeGroup], np.ndarray],
        scale: Callable[[SizeGroup], np.ndarray] | None = None,
    ) -> QuadraticForm:
        people, sizes, weights = [], [], []
        for group in self.groups:
            size = group.members.shape[1]
            less_one = matrix(group) - np.eye(size)
            if scale is not None:
                less_one = less_one * scale(group)
            i, j = np.tril_indices(size)
            weights.append((less_one[:, i, j] * np.where(i == j, 1.0, 2.0)).ravel())
            people.append(sample_index[group.members].ravel())
            sizes += [size] * len(group.members)
        start = np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))])
        return QuadraticForm(np.concatenate(people).astype(np.int64), start.astype(np.int64), np.concatenate(weights))


@numba.njit(nogil=True, cache=True)
def _join(first, second, parent, size, largest):
    """Join people pair by pair into clusters of at most ``largest``."""
    for k in range(len(first)):
        a, b = first[k], second[k]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            continue
        if size[a] + size[b] > largest:
            continue
        a, b = min(a, b), max(a, b)
        parent[b] = a
        size[a] += size[b]
    for i in range(len(parent)):
        a = i
        while parent[a] != a:
            a = parent[a]
        parent[i] = a


def find_clusters(
    n: int, first: np.ndarray, second: np.ndarray, rho: np.ndarray, kinship: np.ndarray | None = None
) -> Clusters | None:
    """Return the clusters of relatives and their correlation matrices; None where nobody is correlated with anybody.

    Parameters
    ----------
    n
        Number of people.
    first, second
        int64[m], rows of the pairs.
    rho
        float64[m], their correlations.
    kinship
        float64[m], twice of which is the correlation of their genotypes: for pairs that come into different clusters
        (:meth:`Clusters.share_apart`); None, 0.

    Notes
    -----
    Pairs join clusters in the order of the size of their correlation, so that one that would become too large
    (:data:`LARGEST`) is cut between those who are the least correlated; between people of the same cluster every pair
    counts.

    Examples
    --------
    >>> clusters = find_clusters(4, np.array([0, 1]), np.array([2, 3]), np.array([0.5, 0.0]))
    >>> clusters.groups[0].members.tolist(), clusters.groups[0].matrix[0].tolist()
    ([[0, 2]], [[1.0, 0.5], [0.5, 1.0]])
    """
    order = np.lexsort((second, first, -np.abs(rho)))
    order = order[rho[order] != 0.0]
    if not len(order):
        return None
    alike = np.zeros(len(rho)) if kinship is None else np.clip(2 * np.nan_to_num(kinship), 0.0, 1.0)
    first, second, rho, alike = (np.asarray(a)[order] for a in (first, second, rho, alike))
    cluster, size = np.arange(n), np.ones(n, dtype=np.int64)
    _join(first, second, cluster, size, LARGEST)
    size = np.bincount(cluster, minlength=n)[cluster]
    related = np.flatnonzero(size > 1)
    related = related[np.lexsort((related, cluster[related], size[related]))]
    inside = cluster[first] == cluster[second]
    apart = None if inside.all() else (first[~inside], second[~inside], 2 * (rho * alike)[~inside])
    first, second, rho = first[inside], second[inside], rho[inside]
    groups, place, row = [], np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for s in np.unique(size[related]):
        members = related[size[related] == s].reshape(-1, s)
        row[members], place[members] = np.arange(len(members))[:, None], np.arange(s)
        matrix = np.tile(np.eye(s), (len(members), 1, 1))
        mine = size[first] == s
        a, b = first[mine], second[mine]
        matrix[row[a], place[a], place[b]] = rho[mine]
        matrix[row[a], place[b], place[a]] = rho[mine]
        groups.append(SizeGroup(members, _make_definite(matrix)))
    found = Clusters(tuple(groups), n, apart)
    if found.cut:
        logger.info(
            "%s pairs of relatives, in clusters of over %d people, are accounted for on average: %.4f of the variance",
            f"{found.cut:,}", LARGEST, found.share_apart(),
        )  # fmt: skip
    return found


def _make_definite(matrix: np.ndarray) -> np.ndarray:
    """Return correlation matrices whose least eigenvalue is at least :data:`LEAST_EIGENVALUE`."""
    least = np.linalg.eigvalsh(matrix)[:, 0]
    factor = np.where(least < LEAST_EIGENVALUE, (1 - LEAST_EIGENVALUE) / np.maximum(1 - least, 1e-300), 1.0)
    one = np.eye(matrix.shape[1])
    return one + factor[:, None, None] * (matrix - one)

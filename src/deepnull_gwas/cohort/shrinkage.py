"""Shrinkage of projections on principal components, and how it is taken out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def shrinkage(eigenvalues: np.ndarray, mean: float, spread: float) -> np.ndarray:
    """Compute by how much projections lie nearer to the centre than the people who define a component.

    Of somebody unrelated to them, that is. Those who define a component pull it towards themselves; whoever is
    projected does not.

    Parameters
    ----------
    eigenvalues
        Of the components, descending.
    mean, spread
        Mean and variance of all other eigenvalues.

    Returns
    -------
    float64, one per component, above 0 and at most 1: what a projection has to be divided by.

    Notes
    -----
    With people x independent variants of variance ``mean`` the other eigenvalues follow the law of Marchenko and
    Pastur, whose ratio of people to variants is spread / mean² (with dependent variants: to their effective number, as
    in Patterson et al. 2006, PLoS Genetics 2:e190). The ratio of variances is that of Lee, Zou & Wright (2010, Annals
    of Statistics 38:3605), in their words (d - 1) / (d + p/n - 1); a component that does not stand out from the others
    has that of the largest eigenvalue that noise has.
    """
    ratio = max(spread, 1e-12 * mean**2) / mean**2
    noise = mean * (1 + np.sqrt(ratio)) ** 2
    values = np.maximum(np.asarray(eigenvalues, dtype=np.float64), noise)
    half = (values + (ratio - 1) * mean) / 2
    return np.minimum((half + np.sqrt(np.maximum(half**2 - values * ratio * mean, 0))) / values, 1.0)


def unshrink(
    projected: np.ndarray,
    pcs: np.ndarray,
    fit: np.ndarray,
    shrunk: np.ndarray,
    related: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Turn projections into the components that people would have in the place of their relatives.

    That is, if they took the place of their relatives among those who define the components.

    Parameters
    ----------
    projected
        float64, people x k: projections, in the scale of ``pcs``.
    pcs
        float64, people x k: components of the people in ``fit``.
    fit
        bool, one per person: who defines the components.
    shrunk
        From :func:`shrinkage`.
    related
        Related pairs (rows of first and second person) and by how much (0 to 1: twice the kinship); None: nobody is
        related to anybody in ``fit``.

    Returns
    -------
    float64, people x k; of the people in ``fit`` not to be used.

    Notes
    -----
    A person's projection p is r v + (1 - r) sum(relatedness v_i), with v what they would have, r the shrinkage and v_i
    their relatives' in ``fit``: the relatives have pulled the component towards what they share with the person, just
    as they do towards themselves (relatedness 1: p = v).
    """
    pulled = np.zeros_like(projected)
    if related is not None:
        first, second, share = related
        for a, b in ((first, second), (second, first)):
            here = fit[b] & ~fit[a]
            np.add.at(pulled, a[here], share[here, None] * pcs[b[here]])
    return (projected - (1 - shrunk) * pulled) / shrunk


def noise_of(eigenvalues: np.ndarray, people: int, trace: float, squared: float) -> tuple[float, float]:
    """Compute mean and variance of the eigenvalues that are noise: of all but those of the components that stand out.

    Parameters
    ----------
    eigenvalues
        Of the components, descending.
    people
        Number of all eigenvalues.
    trace, squared
        Sum of all eigenvalues, and of their squares.
    """
    out = len(eigenvalues)
    while True:
        mean = (trace - eigenvalues[:out].sum()) / (people - out)
        spread = max((squared - np.square(eigenvalues[:out]).sum()) / (people - out) - mean**2, 0.0)
        above = int((eigenvalues > (np.sqrt(mean) + np.sqrt(spread / mean)) ** 2).sum())
        # what is counted as noise raises its edge, so that this ends
        if above >= out:
            return mean, spread
        out = above


def sum_of_squares(
    operator: Callable[[np.ndarray], np.ndarray],
    mask: np.ndarray,
    vectors: np.ndarray,
    values: np.ndarray,
    trace: float,
    seed: int,
) -> float:
    """Estimate the sum of the squares of all eigenvalues.

    From the leading ones and one application to random vectors (Hutchinson). The random vectors see the others less
    their mean: most of them lie near it, so little is left to chance.
    """
    others = int(mask.sum()) - len(values)
    mean = (trace - values.sum()) / others
    x = np.random.default_rng([seed, 1]).standard_normal((len(mask), 8)) * mask[:, None]
    x -= vectors @ (vectors.T @ x)
    image = operator(x) - mean * x
    image -= vectors @ (vectors.T @ image)
    return float(np.square(values).sum() + others * (mean**2 + (image**2).sum() / (x**2).sum()))

"""How a result of the scan is held against a recomputed one, and how far apart they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: How far a number of the scan may be from the recomputed one. The scan multiplies in single precision, whose rounding
#: moves an estimate by a few millionths of its standard error (seen: up to 1e-5), and 7 digits are published: the
#: bounds are twenty times that, and still far below what could matter to a reader.
BETA_IN_SE = 2e-4
SE_RELATIVE = 5e-5
#: For -log10 p: absolute, and relative (an error of z by e moves it by 2 e).
P_ABSOLUTE, P_RELATIVE = 3e-4, 2e-4
FREQUENCY = 1e-6
#: Relative error of a sum of products in single precision. It grows where most of a genotype is explained by the
#: covariates, or most of the phenotype by the genotype: a small number is then the difference of two large ones.
ROUNDING = 1e-6
#: Methods that a row may name, by the study's trait.
METHODS_OF = {"quantitative": {"linear"}, "binary": {"score", "logistic", "firth", "firth_approximate", "spa"}}
#: Those that the second implementation knows.
METHODS_KNOWN = {"linear", "score", "logistic", "firth", "firth_approximate", "spa"}


class Estimate(NamedTuple):
    """What was recomputed: beta, its standard error, -log10 p, and the factor that magnifies rounding errors."""

    beta: float
    se: float
    neg_log10_p: float
    magnified: float


@dataclass(frozen=True)
class Difference:
    """One number of the scan held against the recomputed one.

    Attributes
    ----------
    name
        ``beta``, ``se`` or ``neg_log10_p``.
    expected
        The recomputed number.
    size, bound
        How far apart the two are, and how far they may be: standard errors (beta), a fraction (se), or units of -log10
        p.
    """

    name: str
    expected: float
    size: float
    bound: float

    @property
    def agrees(self) -> bool:
        """Whether the two are near enough; what is not a number never is."""
        return self.size <= self.bound

    def __str__(self) -> str:
        """Return what was expected, and how near."""
        unit = {"beta": " standard errors", "se": " of it"}.get(self.name, "")
        return f"expected {self.expected:.7g} (within {self.bound:.2g}{unit})"


def differences(beta: float, se: float, neg_log10_p: float, expected: Estimate) -> tuple[Difference, ...]:
    """Compare what the scan found with what was recomputed.

    Returns
    -------
    The differences of ``beta``, ``se`` and ``neg_log10_p``.

    Examples
    --------
    >>> beta, se, p = differences(0.1, 0.0201, 5.0, Estimate(0.1, 0.02, 5.0, 1.0))
    >>> beta.agrees, se.agrees, p.agrees
    (True, False, True)
    >>> str(se)
    'expected 0.02 (within 5.1e-05 of it)'
    """
    rounding, z = ROUNDING * expected.magnified, abs(expected.beta / expected.se) if expected.se > 0 else math.inf
    near = P_ABSOLUTE + P_RELATIVE * expected.neg_log10_p + rounding * (1 + z * z)
    scale = expected.se if expected.se > 0 else abs(expected.beta)
    with np.errstate(invalid="ignore"):
        return (
            Difference("beta", expected.beta, abs(beta - expected.beta) / scale, BETA_IN_SE + rounding * (1 + z)),
            Difference("se", expected.se, abs(se - expected.se) / scale, SE_RELATIVE + rounding),
            Difference("neg_log10_p", expected.neg_log10_p, abs(neg_log10_p - expected.neg_log10_p), near),
        )


def count_agrees(name: str, found: float, expected: float) -> bool:
    """Return whether a count (``n``, ``n_cases``: exactly) or a frequency (nearly) is the recomputed one.

    A frequency among nobody is not a number in both.
    """
    bound = 0.0 if name in ("n", "n_cases") else FREQUENCY
    return abs(found - expected) <= bound or (math.isnan(found) and math.isnan(expected))

"""What a check of published results found: problems, and how much was compared. Records are returned, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deepnull_gwas.verify.compare import Difference

#: Ways in which a published number is compared.
SECOND, DOUBLE, NOT_COMPARED = "second implementation", "double precision", "not compared"


@dataclass(frozen=True)
class Tally:
    """How many results of one study and arm were compared, and the largest differences.

    Attributes
    ----------
    second, double, not_compared
        Results compared with the second implementation, with the scan in double precision, and not at all.
    beta, se, neg_log10_p
        Largest difference: in standard errors, as a fraction, absolute.

    Examples
    --------
    >>> Tally(second=1, beta=1e-5) + Tally(double=2, beta=3e-5)
    Tally(second=1, double=2, not_compared=0, beta=3e-05, se=0.0, neg_log10_p=0.0)
    """

    second: int = 0
    double: int = 0
    not_compared: int = 0
    beta: float = 0.0
    se: float = 0.0
    neg_log10_p: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.second + other.second,
            self.double + other.double,
            self.not_compared + other.not_compared,
            max(self.beta, other.beta),
            max(self.se, other.se),
            max(self.neg_log10_p, other.neg_log10_p),
        )

    @classmethod
    def of(cls, way: str, differences: Iterable[Difference]) -> Tally:
        """Return the tally of one result, by the way in which it was compared."""
        # max() keeps its first argument where the second is not a number: such a difference is a problem, not a size
        sizes = {d.name: max(0.0, d.size) for d in differences}
        return cls(second=int(way == SECOND), double=int(way == DOUBLE), **sizes)


@dataclass(frozen=True)
class Findings:
    """What was found: problems in the order of the search, and a tally of each study and arm.

    Examples
    --------
    >>> found = Findings.all_of([Findings(("a: wrong",)), Findings(tallies={("s", "baseline"): Tally(second=1)})])
    >>> found.problems, found.tally("s", "baseline").second, found.tally("s", "deepnull").second
    (('a: wrong',), 1, 0)
    """

    problems: tuple[str, ...] = ()
    tallies: Mapping[tuple[str, str], Tally] = field(default_factory=dict)

    def tally(self, study: str, arm: str) -> Tally:
        """Return what was compared for a study and arm."""
        return self.tallies.get((study, arm), Tally())

    @classmethod
    def all_of(cls, parts: Iterable[Findings]) -> Findings:
        """Return all together, in their order."""
        problems: list[str] = []
        tallies: dict[tuple[str, str], Tally] = {}
        for part in parts:
            problems += part.problems
            for key, tally in part.tallies.items():
                tallies[key] = tallies.get(key, Tally()) + tally
        return cls(tuple(problems), tallies)

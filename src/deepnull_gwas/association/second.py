"""The second implementation of the tests, by which the first is checked: one variant at a time, by plain numpy in double precision.

It shares no code with the scan. It reads the bytes of the .bed itself, codes haploid genotypes by itself, and computes least squares,
Newton's method for the logistic likelihood and for Firth's, the saddle point, and the tails of the distributions anew.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepnull_gwas.tables import read_json, read_table, to_numpy

#: How far a number of the scan may be from the recomputed one. The scan multiplies in single precision, whose rounding moves an estimate by a
#: few millionths of its standard error (seen: up to 1e-5), and 7 digits are published: the bounds are twenty times that, and still far below
#: what could matter to a reader.
BETA_IN_SE = 2e-4
SE_RELATIVE = 5e-5
#: Of -log10 p: absolute, and relative (an error of z by e moves it by 2 e).
P_ABSOLUTE, P_RELATIVE = 3e-4, 2e-4
FREQUENCY = 1e-6
#: Relative error of a sum of products in single precision. It grows where most of a genotype is explained by the covariates, or most of the
#: phenotype by the genotype: a small number is then the difference of two large ones.
ROUNDING = 1e-6
#: A covariate goes when less than this part of its length is left beside those before it.
COLLINEAR = 1e-7
#: Methods that a row may name, by the study's trait.
METHODS_OF = {"quantitative": {"linear"}, "binary": {"score", "logistic", "firth", "firth_approximate", "spa"}}
#: Those that the second implementation knows.
METHODS_KNOWN = {"linear", "score", "logistic", "firth", "firth_approximate", "spa"}
#: People whose rows are multiplied at a time: bounds the memory, whatever the size of the cohort.
ROWS = 1 << 16
LN10 = math.log(10.0)
#: Copies of A1 that the codes of a .bed stand for; -1 is a missing call.
_CALLS = np.array([2, -1, 1, 0], dtype=np.int8)


@dataclass
class Study:
    """One study and what its tests are made of: everything from its files, nothing from the scan."""

    name: str
    trait: str
    arms: tuple[str, ...]
    failed: tuple[str, ...]
    people: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    prediction: np.ndarray | None
    folder: Path


def read_study_files(
    study: str | Path, people: str | Path, prediction: str | Path | None, arms: Sequence[str]
) -> Study:
    """Read a study from study.json, samples.parquet and prediction.parquet (with metrics.json beside it)."""
    about, table = read_json(study), read_table(people)
    columns = [c for c in table.column_names if c.startswith("cov_")]
    failed, d = set(arms) if about["status"] != "ok" else set(), None
    if "deepnull" in arms and not failed and prediction is not None:
        metrics = Path(prediction).with_name("metrics.json")
        if metrics.exists() and read_json(metrics).get("status", "ok") != "ok":
            failed.add("deepnull")
        else:
            d = to_numpy(read_table(prediction, columns=["prediction"])["prediction"]).astype(float)
    covariates = [np.empty((len(table), 0)), *(to_numpy(table[c]) for c in columns)]
    return Study(
        about["study"], about["trait"], tuple(arms), tuple(failed), to_numpy(table["sample_index"]),
        to_numpy(table["phenotype"]).astype(float), np.column_stack(covariates).astype(float), d, Path(study).parent,
    )  # fmt: skip


def read_calls(path: str, row: int, people: int) -> np.ndarray:
    """Read one variant of a PLINK 1 file of genotypes: int8, copies of A1 (-1 missing) of everybody in it."""
    width = (people + 3) // 4
    with open(path, "rb") as file:
        file.seek(3 + row * width)
        packed = np.frombuffer(file.read(width), dtype=np.uint8)
    return _CALLS[(packed[:, None] >> np.array([0, 2, 4, 6])) & 3].ravel()[:people]


# --- tails ---------------------------------------------------------------------


def normal_tail(z: float) -> float:
    """Return -log10 of the two-sided normal p of a statistic."""
    z = abs(z)
    if z < 30.0:
        return -math.log10(math.erfc(z / math.sqrt(2.0)))
    return (z * z / 2 + math.log(z) + 0.5 * math.log(math.pi / 2) - math.log1p(-1 / z**2 + 3 / z**4)) / LN10


def student_tail(t: float, df: float) -> float:
    """Return -log10 of the two-sided p of Student's t.

    With t = sqrt(df) tan(a) the density is cos(a)^(df - 1) / B(1/2, df/2): its integral from a to pi/2 by Gauss and Legendre's rule, over
    the part that counts, with the largest value taken out as a logarithm.
    """
    a, k = math.atan2(abs(t), math.sqrt(df)), df - 1.0
    reach = min(math.pi / 2 - a, 45.0 / max(k * math.tan(a), 1e-300), math.sqrt(90.0 / max(k, 1e-300)))
    node, weight = _nodes()
    s = reach * node
    with np.errstate(divide="ignore"):
        # cos(a + s) / cos(a)
        ratio = np.maximum(np.cos(s) - np.sin(s) * math.tan(a), 0.0)
        integral = float(weight @ np.exp(k * np.log(ratio))) * reach
    log_beta = math.lgamma(0.5) + math.lgamma(df / 2) - math.lgamma(df / 2 + 0.5)
    largest = -0.5 * k * math.log1p(t * t / df)
    return -(math.log(2.0) + largest + math.log(integral) - log_beta) / LN10


@functools.cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(80)
    return (node + 1) / 2, weight / 2


# --- regressions ---------------------------------------------------------------


class Estimate(NamedTuple):
    """What was recomputed: beta, its standard error, -log10 p, and how much rounding in single precision is magnified by."""

    beta: float
    se: float
    neg_log10_p: float
    magnified: float


def _power_of_two(values: np.ndarray) -> float:
    """Return a power of two near the largest absolute value, 1 where all are 0."""
    largest = float(np.abs(values).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest > 0 else 1.0


def _basis(columns: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the constant and the columns; a column that those before it make up adds nothing."""
    n = len(columns)
    x = columns / np.array([_power_of_two(c) for c in columns.T])
    largest = np.abs(x).max(axis=0, initial=0.0)
    # in place from here on: these are the largest arrays of the check
    x -= x.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", x, x))
    keep = np.flatnonzero(length > 1e-12 * largest * np.sqrt(n))
    one = np.full((n, 1), 1 / np.sqrt(n))
    if not len(keep):
        return one
    x = x[:, keep] if len(keep) < x.shape[1] else x
    x /= length[keep]
    basis = np.empty((n, 1 + len(keep)))
    size, direction = np.linalg.eigh(x.T @ x)
    if size[0] > 1e-6:
        # far from collinear: orthogonal at once to 1e-10, by the second time to rounding, in a fraction of the time of Householder's method
        x = x @ (direction / np.sqrt(size))
        size, direction = np.linalg.eigh(x.T @ x)
        np.matmul(x, direction / np.sqrt(size), out=basis[:, 1:])
    else:
        q, r = np.linalg.qr(x)
        kept = list(range(len(keep)))
        while True:
            small = np.linalg.qr(r[:, kept])
            left = np.abs(np.diagonal(small.R)) <= COLLINEAR
            if not left.any():
                break
            # what comes after a collinear column is judged without it
            del kept[int(np.argmax(left))]
        basis = basis[:, : 1 + len(kept)]
        np.matmul(q, small.Q, out=basis[:, 1:])
    basis[:, :1] = one
    return basis


def _with_prediction(basis: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Add what a prediction has beyond the basis, if anything."""
    d = prediction / _power_of_two(prediction)
    d = d - d.mean()
    rest = d - basis @ (basis.T @ d)
    rest -= basis @ (basis.T @ rest)
    length = np.linalg.norm(rest)
    return basis if length <= 1e-6 * np.linalg.norm(d) else np.column_stack([basis, rest / length])


def _among(basis: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows of some people; what is constant or collinear among them adds nothing."""
    rows = basis[use]
    size, direction = np.linalg.eigh(rows.T @ rows)
    keep = size > 1e-9
    return rows @ (direction[:, keep] / np.sqrt(size[keep]))


def least_squares(basis: np.ndarray, y: np.ndarray, g: np.ndarray) -> Estimate:
    """Regress on the basis and a genotype, with -log10 p from Student's t."""
    whole = float(((g - g.mean()) ** 2).sum())
    g, r = g - basis @ (basis.T @ g), y - basis @ (basis.T @ y)
    length = float(g @ g)
    beta = float(g @ r) / length
    rest = r - beta * g
    df = len(y) - basis.shape[1] - 1
    se = math.sqrt(float(rest @ rest) / df / length)
    # a phenotype that the genotype explains wholly leaves no error to compare
    t = beta / se if se > 0 else math.inf
    tail = student_tail(t, df) if math.isfinite(t) else math.inf
    return Estimate(beta, se, tail, whole / length + 1 + t * t / df)


class _Model:
    """A logistic model of the basis and one genotype: likelihood, score and information, people in parts."""

    def __init__(self, basis: np.ndarray, y: np.ndarray, g: np.ndarray | None = None):
        self.basis, self.y, self.g = basis, y, g
        self.n, self.p = basis.shape

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give columns and phenotype of some people after the others."""
        for first in range(0, self.n, ROWS):
            at = slice(first, first + ROWS)
            # columns as long as the constant: a well-scaled information
            x = self.basis[at] * np.sqrt(self.n)
            yield (x if self.g is None else np.column_stack([x, self.g[at]])), self.y[at]

    def at(self, b: np.ndarray, firth: bool = False) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log-likelihood (Firth's: with its penalty), score and information at coefficients ``b``."""
        value, score, information, seen = 0.0, np.zeros(len(b)), np.zeros((len(b), len(b))), []
        for x, y in self.parts():
            eta = x @ b
            # a step that goes much too far must not overflow
            mu = np.exp(-np.logaddexp(0, -eta))
            w = mu * (1 - mu)
            information += (x.T * w) @ x
            value += float(y @ eta - np.logaddexp(0, eta).sum())
            score += x.T @ (y - mu)
            seen.append((mu, w))
        if firth:
            value += 0.5 * float(np.linalg.slogdet(information)[1])
            if not value > -np.inf:
                # nothing is left to invert: the step is halved
                return -np.inf, score, information
            inverse = np.linalg.inv(information)
            for (x, _), (mu, w) in zip(self.parts(), seen, strict=True):
                score += x.T @ (w * ((x @ inverse) * x).sum(axis=1) * (0.5 - mu))
        return value, score, information

    def maximise(
        self, free: int, start: np.ndarray, firth: bool = False, enough: float = 1e-8
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Maximise over the first ``free`` coefficients: coefficients, maximum, information."""
        b = start.copy()
        value, score, information = self.at(b, firth)
        for _ in range(500):
            step = np.linalg.solve(information[:free, :free], score[:free])
            if np.sqrt(max(score[:free] @ step, 0.0)) < enough:
                break
            # with a penalty such steps can be too long: halved until they climb
            for _ in range(40):
                candidate = b.copy()
                candidate[:free] += step
                new = self.at(candidate, firth)
                if new[0] >= value - 1e-13 * abs(value):
                    break
                step /= 2
            b, (value, score, information) = candidate, new
        return b, value, information


def fit_null(basis: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the coefficients of a logistic model of the basis alone (times sqrt(n))."""
    start = np.zeros(basis.shape[1])
    start[0] = np.log(y.mean() / (1 - y.mean()))
    return _Model(basis, y).maximise(basis.shape[1], start)[0]


def logistic(basis: np.ndarray, y: np.ndarray, g: np.ndarray, method: str, null: np.ndarray | None = None) -> Estimate:
    """Regress a 0/1 phenotype on the basis and a genotype by ``score``, ``spa``, ``logistic`` (Wald) or ``firth``.

    Parameters
    ----------
    null
        From :func:`fit_null`; fitted here if None.
    """
    p = basis.shape[1]
    null = fit_null(basis, y) if null is None else null
    model = _Model(basis, y, g - g.mean())
    start = np.append(null, 0.0)
    if method == "firth":
        # the square of this is what a better maximum could still add to the likelihood
        below, low, _ = model.maximise(p, start, True, 1e-6)
        full, high, information = model.maximise(p + 1, below, True, 1e-6)
        beta, se = full[p], np.sqrt(np.linalg.inv(information)[p, p])
        tail = normal_tail(math.sqrt(max(2 * (high - low), 0.0)))
    elif method == "logistic":
        full, _, information = model.maximise(p + 1, start)
        beta, se = full[p], np.sqrt(np.linalg.inv(information)[p, p])
        tail = normal_tail(beta / se)
    else:
        _, score, information = model.at(start)
        left = 1 / np.linalg.inv(information)[p, p]
        beta, se = score[p] / left, 1 / np.sqrt(left)
        tail = normal_tail(beta / se)
        if method == "spa":
            residual = [
                x[:, p] - x[:, :p] @ np.linalg.solve(information[:p, :p], information[:p, p]) for x, _ in model.parts()
            ]
            mu = np.concatenate([1 / (1 + np.exp(-(x @ start))) for x, _ in model.parts()])
            tail = saddle_point(float(score[p]), np.concatenate(residual), mu)
            se = abs(beta) / _deviate(tail)
    return Estimate(float(beta), float(se), float(tail), float(information[p, p] * np.linalg.inv(information)[p, p]))


def fit_penalised(basis: np.ndarray, y: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return the coefficients of the basis alone (times sqrt(n)) by Firth's likelihood, started from those without penalty."""
    return _Model(basis, y).maximise(basis.shape[1], null, True, 1e-7)[0]


def approximate(basis: np.ndarray, y: np.ndarray, g: np.ndarray, null: np.ndarray, penalised: np.ndarray) -> Estimate:
    """Test a genotype alone by Firth's likelihood, beside the penalised model of the basis as offset.

    Parameters
    ----------
    basis
        Orthonormal for all people; rows of the others are left out.
    g
        NaN for people who are left out.
    null, penalised
        Coefficients of the basis (times the root of its number of rows) without and with penalty.
    """
    use = np.flatnonzero(~np.isnan(g))
    root = math.sqrt(len(basis))
    offset, eta = (basis @ (b * root) for b in (penalised, null))
    x, y, g, offset, eta = basis[use], y[use], g[use] - g[use].mean(), offset[use], eta[use]
    mu = 1 / (1 + np.exp(-eta))
    weighted = (x.T * (mu * (1 - mu))).T
    g = g - x @ np.linalg.solve(weighted.T @ x, weighted.T @ g)

    def at(b: float) -> tuple[float, float, float]:
        t = offset + b * g
        mu = np.exp(-np.logaddexp(0, -t))
        w = mu * (1 - mu)
        information = float(w @ (g * g))
        slope = float(g @ (y - mu)) + 0.5 * float((w * (1 - 2 * mu)) @ g**3) / information
        return float(y @ t - np.logaddexp(0, t).sum()) + 0.5 * math.log(information), slope, information

    # the slope falls through 0 once: a bracket, then halved
    side = math.copysign(1.0, at(0.0)[1])
    low, high = 0.0, side
    while at(high)[1] * side > 0:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[1] * side > 0 else (low, middle)
    top, _, information = at((low + high) / 2)
    tail = normal_tail(math.sqrt(max(2 * (top - at(0.0)[0]), 0.0)))
    return Estimate((low + high) / 2, information**-0.5, tail, 1.0)


def saddle_point(score: float, g: np.ndarray, mu: np.ndarray) -> float:
    """Return -log10 of the two-sided p of a score by the saddle point (Barndorff-Nielsen's form); see association.spa."""

    none, all_ = np.log1p(-mu), np.log(mu)

    def cumulants(t: float) -> tuple[float, float, float]:
        whole = np.logaddexp(none, all_ + g * t)
        tilted = np.exp(all_ + g * t - whole)
        return (
            float(whole.sum() - t * (g @ mu)), float(g @ (tilted - mu)), float((g * g * tilted * (1 - tilted)).sum())
        )  # fmt: skip

    # the score that all cases with one sign of g, and all controls with the other, would make
    edge = [float(np.where(g > 0, g * (1 - mu), -g * mu).sum()), float(np.where(g > 0, -g * mu, g * (1 - mu)).sum())]
    total = 0.0
    for s in (score, -score):
        # a score that large on the other side cannot be
        if not edge[1] < s < edge[0]:
            continue
        low, high = 0.0, math.copysign(1.0, s)
        while (cumulants(high)[1] - s) * high < 0:
            low, high = high, 2 * high
        t = (low + high) / 2
        for _ in range(200):
            _, k1, k2 = cumulants(t)
            low, high = (t, high) if (k1 - s) * high < 0 else (low, t)
            new = t - (k1 - s) / k2 if k2 > 0 else high
            # outside of the bracket, or at its end: halve it
            new = new if min(low, high) < new < max(low, high) else (low + high) / 2
            t, moved = new, abs(new - t)
            if moved <= 1e-9 * abs(t):
                break
        k, _, k2 = cumulants(t)
        w, v = math.copysign(math.sqrt(2 * (t * s - k)), t), t * math.sqrt(k2)
        total += 0.5 * 10 ** -normal_tail(w + math.log(v / w) / w)
    return -math.log10(total)


def _deviate(neg_log10_p: float) -> float:
    """Return the normal deviate of a two-sided p, by halving."""
    low, high = 0.0, 1.0
    while normal_tail(high) < neg_log10_p:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_tail(middle) < neg_log10_p else (low, middle)
    return (low + high) / 2


# --- a study -------------------------------------------------------------------


class Second:
    """The second implementation, on the people of one study and one class of chromosomes.

    Parameters
    ----------
    study
        The study.
    sex
        int8, one a person of the .fam.
    kind
        ``autosome``, ``X``, ``Y`` or ``MT``.
    settings
        ``missing_genotypes``, ``x_male_copies``, ``refine_by`` and ``firth_form`` of the config.
    """

    def __init__(self, study: Study, sex: np.ndarray, kind: str, settings: Mapping[str, Any]):
        on = {"X": sex > 0, "Y": sex == 1}.get(kind, np.ones(len(sex), dtype=bool))
        inside = on[study.people]
        self.study, self.kind = study, kind
        self.people = study.people[inside]
        # a power of two changes no digit, and keeps squares of very small or large phenotypes within what a number can hold
        self.unit = _power_of_two(study.y) if study.trait == "quantitative" else 1.0
        self.y = study.y[inside] / self.unit
        men = (sex == 1)[self.people]
        self.copies_of = np.full(len(self.people), 1 if kind in ("Y", "MT") else 2)
        if kind == "X":
            self.copies_of[men] = 1
        #: What one copy of a person counts for in the test: on X, by default, one of a man's as both of a woman's
        self.weight = np.ones(len(self.people))
        if kind == "X":
            self.weight[men] = int(settings.get("x_male_copies", 2))
        covariates = study.covariates if inside.all() else study.covariates[inside]
        if kind == "X":
            covariates = np.column_stack([covariates, sex[self.people].astype(float)])
        self.covariates = covariates
        self.prediction = None if study.prediction is None else study.prediction[inside]
        self.drop = settings.get("missing_genotypes", "impute_mean") == "drop"
        self.by_score = settings.get("refine_by", "likelihood") == "spa"
        self.approximate = settings.get("firth_form", "full") == "approximate"
        self._nulls: dict[str, np.ndarray] = {}
        self._penalised: dict[str, np.ndarray] = {}

    @functools.cached_property
    def shared(self) -> np.ndarray:
        """Basis of the covariates for all people: that of the baseline."""
        return _basis(self.covariates)

    @functools.cached_property
    def _columns(self) -> np.ndarray:
        """Basis of the deepnull arm for all people: the shared one and, where the prediction adds one, a last column."""
        return self.shared if self.prediction is None else _with_prediction(self.shared, self.prediction)

    def ready(self, before: Second | None = None) -> Second:
        """Compute what all variants share, so that several can then be tested at a time.

        Parameters
        ----------
        before
            The same of another study: where people and covariates are the same, number by number, so is the basis.
        """
        if (
            before is not None
            and np.array_equal(before.people, self.people)
            and np.array_equal(before.covariates, self.covariates)
        ):
            self.shared = before.shared
        for arm in self.study.arms:
            self.basis(arm)
            if self.study.trait == "binary":
                self.null(arm)
                if self.approximate:
                    self.penalised(arm)
        return self

    def basis(self, arm: str) -> np.ndarray:
        """Return the basis of an arm for all people; a variant without missing calls needs no other."""
        return self.shared if arm == "baseline" else self._columns

    def null(self, arm: str) -> np.ndarray:
        """Return the coefficients of an arm's null model of all people (binary)."""
        if arm not in self._nulls:
            self._nulls[arm] = fit_null(self.basis(arm), self.y)
        return self._nulls[arm]

    def penalised(self, arm: str) -> np.ndarray:
        """Return the coefficients of an arm's null model of all people by Firth's likelihood (binary)."""
        if arm not in self._penalised:
            self._penalised[arm] = fit_penalised(self.basis(arm), self.y, self.null(arm))
        return self._penalised[arm]

    def copies(self, calls: np.ndarray) -> np.ndarray:
        """Return how many copies of A1 each analysed person carries: at most one where one is there; NaN without a call.

        Parameters
        ----------
        calls
            int8, of everybody in the .fam, as the .bed has them: 2 both alleles A1, 1 heterozygous, 0 both A2, -1 missing.
        """
        mine = calls[self.people]
        single = self.copies_of == 1
        copies = np.where(mine < 0, np.nan, mine.astype(float))
        # a person with one copy carries it or does not; two different alleles are no call
        copies[single & (mine == 2)] = 1.0
        copies[single & (mine == 1)] = np.nan
        return copies

    def counts(self, calls: np.ndarray) -> dict[str, float]:
        """Return, by the names of the published columns, numbers of people and frequencies of A1 (NaN where nobody has a call).

        Parameters
        ----------
        calls
            int8, of everybody in the .fam; -1 is missing.
        """
        copies = self.copies(calls)
        seen = ~np.isnan(copies)
        people = seen if self.drop else np.full(len(copies), seen.any())

        def frequency(who: np.ndarray) -> float:
            who = who & seen
            return float(copies[who].sum() / self.copies_of[who].sum()) if who.any() else float("nan")

        found = {"n": int(people.sum()), "effect_allele_frequency": frequency(seen)}
        if self.study.trait == "binary":
            cases = self.y == 1
            found |= {
                "n_cases": int((people & cases).sum()),
                "effect_allele_frequency_cases": frequency(cases),
                "effect_allele_frequency_controls": frequency(~cases),
            }
        return found

    def test(self, calls: np.ndarray, arm: str, method: str) -> Estimate:
        """Test one variant by the method that its row names."""
        g = self.copies(calls) * self.weight
        seen = ~np.isnan(g)
        if method == "firth_approximate":
            # the covariates' model stays that of everybody
            g = g if self.drop else np.where(seen, g, g[seen].mean())
            return approximate(self.basis(arm), self.y, g, self.null(arm), self.penalised(arm))
        # the score test is of the null model of everybody, also beside saddle points
        dropped = self.drop and not seen.all() and not (self.by_score and method in ("score", "spa"))
        if dropped:
            basis, y, g = _among(self.basis(arm), seen), self.y[seen], g[seen]
        else:
            basis, y = self.basis(arm), self.y
            g = np.where(seen, g, g[seen].mean())
        if method != "linear":
            # the constant must come first
            basis = basis if not dropped else _constant_first(basis)
            return logistic(basis, y, g, method, None if dropped else self.null(arm))
        found = least_squares(basis, y, g)
        return found._replace(beta=found.beta * self.unit, se=found.se * self.unit)


def _constant_first(basis: np.ndarray) -> np.ndarray:
    """Turn an orthonormal basis that spans the constant so that it is the first column."""
    n = len(basis)
    turn = np.linalg.qr(np.column_stack([basis.T @ np.full(n, 1 / np.sqrt(n)), np.eye(basis.shape[1])]))[0]
    out = basis @ turn
    return out * np.sign(out[0, 0])


# --- comparison ----------------------------------------------------------------


def differences(
    beta: float, se: float, neg_log10_p: float, expected: Estimate
) -> dict[str, tuple[float, float, float]]:
    """Compare what the scan found with what was recomputed.

    Returns
    -------
    ``beta`` (in standard errors), ``se`` (relative) and ``neg_log10_p`` (absolute): difference, bound, and what was expected.
    """
    rounding, z = ROUNDING * expected.magnified, abs(expected.beta / expected.se) if expected.se > 0 else math.inf
    near = P_ABSOLUTE + P_RELATIVE * expected.neg_log10_p + rounding * (1 + z * z)
    scale = expected.se if expected.se > 0 else abs(expected.beta)
    with np.errstate(invalid="ignore"):
        return {
            "beta": (abs(beta - expected.beta) / scale, BETA_IN_SE + rounding * (1 + z), expected.beta),
            "se": (abs(se - expected.se) / scale, SE_RELATIVE + rounding, expected.se),
            "neg_log10_p": (abs(neg_log10_p - expected.neg_log10_p), near, expected.neg_log10_p),
        }

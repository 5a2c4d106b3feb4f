"""The design of a batch: who is analysed in each study, its null model, and the columns that the genotypes are multiplied with.

Notation of the design document: Q an orthonormal basis of the covariates, y~ the phenotype with them taken out, u the unit vector of the
DeepNull prediction with them taken out (Frisch, Waugh and Lovell).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepnull_gwas.errors import StudyFailure

logger = logging.getLogger(__name__)

STAGE = "associate"
#: A column is collinear when what is left of it after the others is below this fraction of its length.
RANK_TOLERANCE = 1e-7
SEPARATION = (
    "a combination of the covariates separates cases from controls, so that the null model has no solution; "
    "merge rare categories or drop the covariate"
)


@dataclass
class StudyInput:
    """What the association needs to know of one study.

    Parameters
    ----------
    name, trait, arms
        As in the sheet.
    sample_index
        int64[n], rows of the .fam that are analysed, ascending.
    y
        float64[n], the phenotype as analysed (binary: 1 case, 0 control).
    covariates
        float64[n, c], encoded, without intercept.
    covariate_names
        Their names.
    prediction
        float64[n], the out-of-fold DeepNull prediction; None where the deepnull arm is not run or failed.
    failures
        Arms that failed in a step before, and why.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    sample_index: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    prediction: np.ndarray | None = None
    failures: dict[str, StudyFailure] = field(default_factory=dict)


def power_of_two(values: np.ndarray) -> float:
    """Return the power of two next above the largest absolute value; 1 where all are 0, or one is not a number.

    Numbers divided by it keep all their digits, and neither their squares nor their single-precision forms leave what can be held.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]))) if 0.0 < largest < np.inf else 1.0


def orthonormal_basis(covariates: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """Give an orthonormal basis of the centred covariates.

    Parameters
    ----------
    covariates
        float64[n, c], without intercept.
    names
        Their names.

    Returns
    -------
    basis
        float64[n, r], orthogonal to the constant.
    kept, dropped
        Names of the columns that the basis spans, and of those that are constant or collinear with columns before them.

    Notes
    -----
    Columns are taken in their order, each orthogonalised twice against those before (classical Gram-Schmidt with
    re-orthogonalisation, as accurate as Householder's QR: Giraud et al. 2005), so that it is the later of two collinear
    covariates that goes.
    """
    n = len(covariates)
    if not n:  # nobody's sex is known, on X
        return np.empty(covariates.shape), list(names), []
    basis = np.empty((n, covariates.shape[1]))
    kept, dropped = [], []
    for j, name in enumerate(names):
        column = covariates[:, j] / power_of_two(covariates[:, j])
        scale = np.abs(column).max() * np.sqrt(n)
        column = column - column.mean()
        length = np.linalg.norm(column)
        rank = len(kept)
        for _ in range(2):
            column = column - basis[:, :rank] @ (basis[:, :rank].T @ column)
            column -= column.mean()
        left = np.linalg.norm(column)
        if length <= 1e-12 * scale or left <= RANK_TOLERANCE * length:
            dropped.append(name)
            continue
        basis[:, rank] = column / left
        kept.append(name)
    return np.ascontiguousarray(basis[:, : len(kept)]), kept, dropped


@dataclass
class LogisticNull:
    """A fitted logistic null model.

    Attributes
    ----------
    x
        float64[n, p], intercept first, on an orthonormal scale (spans the covariates).
    coefficients
        float64[p].
    log_likelihood
        Its maximum.
    eta, mu
        float64[n], linear predictors and probabilities.
    inverse
        float64[p, p], inverse of the information X'WX.
    """

    x: np.ndarray
    coefficients: np.ndarray
    log_likelihood: float

    @functools.cached_property
    def eta(self) -> np.ndarray:
        """Linear predictors."""
        return self.x @ self.coefficients

    @functools.cached_property
    def mu(self) -> np.ndarray:
        """Probabilities."""
        return 1.0 / (1.0 + np.exp(-self.eta))

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """mu (1 - mu)."""
        return self.mu * (1.0 - self.mu)

    @functools.cached_property
    def inverse(self) -> np.ndarray:
        """Inverse of the information."""
        return np.linalg.inv((self.x * self.weights[:, None]).T @ self.x)

    @functools.cached_property
    def half(self) -> np.ndarray:
        """float64[p, p], upper triangular R with R R' = inverse: X R is orthonormal under the weights."""
        lower = np.linalg.cholesky((self.x * self.weights[:, None]).T @ self.x)
        return np.linalg.inv(lower).T


def fit_logistic(x: np.ndarray, y: np.ndarray, stage: str = STAGE, iterations: int = 50) -> LogisticNull:
    """Fit a logistic regression by iteratively reweighted least squares.

    Parameters
    ----------
    x
        float64[n, p] with the intercept.
    y
        0/1.
    stage
        For the message of a failure.

    Raises
    ------
    StudyFailure
        When the covariates separate cases from controls, or the fit does not converge.
    """
    p = x.shape[1]
    beta = np.zeros(p)
    mean = y.mean()
    if mean in (0.0, 1.0):
        raise StudyFailure(stage, "all people are cases" if mean else "no cases among the analysed people")
    # start at the intercept-only model: x[:, 0] is constant
    beta[0] = np.log(mean / (1 - mean)) / x[0, 0]
    eta = x @ beta
    value = log_likelihood(eta, y)
    for _ in range(iterations):
        mu = 1.0 / (1.0 + np.exp(-eta))
        w = mu * (1 - mu)
        try:
            step = np.linalg.solve((x * w[:, None]).T @ x, x.T @ (y - mu))
        except np.linalg.LinAlgError as error:
            raise StudyFailure(stage, SEPARATION) from error
        # a step past the maximum is halved: Newton's method then climbs always
        for _ in range(30):
            new_eta = x @ (beta + step)
            new_value = log_likelihood(new_eta, y)
            if new_value >= value - 1e-12 * abs(value):
                break
            step /= 2
        moved = np.abs(new_eta - eta).max()
        gain = new_value - value
        beta, eta, value = beta + step, new_eta, new_value
        if moved < 1e-7:
            return LogisticNull(x, beta, value)
        # under separation the likelihood has no maximum: it creeps up to a limit while the coefficients run away
        if gain < 1e-9 and moved > 0.01:
            raise StudyFailure(stage, SEPARATION)
    raise StudyFailure(stage, "the null model did not converge: covariates nearly separate cases from controls")


def log_likelihood(eta: np.ndarray, y: np.ndarray) -> float:
    """Give the Bernoulli log-likelihood of linear predictors."""
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)))


@dataclass
class StudyDesign:
    """The null models of one study on one class of chromosomes.

    Attributes
    ----------
    basis
        float64[n, r] of the shared covariates, orthogonal to the constant.
    y_residual, yy
        y~ and its squared length (linear), in units of ``unit``.
    unit
        A power of two near the length of y~: the products in single precision are of a vector of about unit length. Effects and their
        standard errors are to be multiplied by it.
    u, uy
        Unit vector of the prediction with the covariates taken out, or None where nothing is left of it; u.y~.
    nulls
        arm -> LogisticNull (binary).
    sex_unknown
        Whether it fails on these chromosomes (X, Y) only because of people whose sex is not known.
    """

    study: StudyInput
    sample_index: np.ndarray
    y: np.ndarray
    basis: np.ndarray
    dropped: list[str]
    y_residual: np.ndarray | None = None
    unit: float = 1.0
    u: np.ndarray | None = None
    nulls: dict[str, LogisticNull] = field(default_factory=dict)
    failures: dict[str, StudyFailure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sex_unknown: bool = False

    def fails_for_want_of_sex(self, unknown: int) -> bool:
        """Return whether too few people are left for a model, and would not be with those whose sex is not known."""
        need = self.basis.shape[1] + 3
        few = self.n <= need or (self.study.trait == "binary" and len(np.unique(self.y)) < 2)
        return few and unknown > 0 and self.n + unknown > need

    @functools.cached_property
    def yy(self) -> float:
        """y~.y~."""
        return float(self.y_residual @ self.y_residual)

    @functools.cached_property
    def uy(self) -> float:
        """u.y~, 0 where there is no u."""
        return 0.0 if self.u is None else float(self.u @ self.y_residual)

    @property
    def n(self) -> int:
        """Number of analysed people."""
        return len(self.sample_index)

    @property
    def arms(self) -> list[str]:
        """Arms that have a null model."""
        return [a for a in self.study.arms if a not in self.failures]


def build_study(
    study: StudyInput, extra: Mapping[str, np.ndarray] | None = None, keep: np.ndarray | None = None
) -> StudyDesign:
    """Fit the null models of one study.

    Parameters
    ----------
    study
        The study.
    extra
        Further covariates by name, one value a person of the .fam (sex, on X).
    keep
        bool, one a person of the .fam: who can be analysed on these chromosomes; None, everybody.
    """
    inside = np.ones(len(study.sample_index), dtype=bool) if keep is None else keep[study.sample_index]
    index = study.sample_index[inside]
    y = study.y[inside]
    covariates = study.covariates[inside]
    names = list(study.covariate_names)
    for name, values in (extra or {}).items():
        covariates = np.column_stack([covariates, values[index]])
        names.append(name)
    basis, _, dropped = orthonormal_basis(covariates, names)
    design = StudyDesign(study, index, y, basis, dropped, failures=dict(study.failures))

    def fail(reason: str) -> StudyDesign:
        design.failures = {arm: StudyFailure(STAGE, reason) for arm in study.arms} | design.failures
        return design

    n = len(index)
    if n <= basis.shape[1] + 3:
        return fail(f"{n} people for {basis.shape[1]} covariates, prediction and variant")
    residual = None
    if study.prediction is not None and "deepnull" in design.arms:
        d = study.prediction[inside]
        d = d / power_of_two(d)
        d = d - d.mean()
        residual = d - basis @ (basis.T @ d)
        residual -= basis @ (basis.T @ residual)
        residual -= residual.mean()
        length = np.linalg.norm(residual)
        if length <= 1e-6 * np.linalg.norm(d) or length == 0.0:
            design.notes.append(
                "the prediction is a linear combination of the covariates: the deepnull arm equals the baseline"
            )
        else:
            design.u = residual / length
    if study.trait == "quantitative":
        unit = power_of_two(y)
        scaled = y / unit
        yr = scaled - scaled.mean()
        yr = yr - basis @ (basis.T @ yr)
        yr -= basis @ (basis.T @ yr)
        yr -= yr.mean()
        length = float(np.linalg.norm(yr))
        if not np.isfinite(length):
            return fail("the phenotype has values that are no numbers")
        # rounding leaves some 1e-16 of it, a phenotype written with ten digits 1e-10
        if length <= 1e-12 * np.linalg.norm(scaled):
            return fail("nothing of the phenotype is left beside the covariates: it is a linear combination of them")
        own = power_of_two(np.array([length]))
        design.y_residual, design.unit = yr / own, unit * own
        return design
    intercept = np.full((n, 1), 1.0)
    # columns of length sqrt(n), as long as the intercept: a well-scaled Hessian
    x = np.hstack([intercept, basis * np.sqrt(n)])
    for arm in list(design.arms):
        columns = x if arm == "baseline" or design.u is None else np.hstack([x, design.u[:, None] * np.sqrt(n)])
        try:
            design.nulls[arm] = fit_logistic(np.ascontiguousarray(columns), y)
        except StudyFailure as failure:
            design.failures[arm] = failure
    return design


@dataclass
class MaskGroup:
    """The studies of a batch with the same people, and the columns that these people's genotypes are multiplied with.

    Attributes
    ----------
    sample_index
        int64[n], the people.
    members
        Positions of the studies in the batch.
    columns
        float64[n, k]: bases, then phenotypes, then predictions, as the studies need them.
    basis_of, y_of, u_of
        study -> its columns: of its basis, of y~, of u (None where it has none); linear studies only.
    """

    sample_index: np.ndarray
    members: list[int]
    columns: np.ndarray
    basis_of: dict[int, slice]
    y_of: dict[int, int]
    u_of: dict[int, int | None]


@dataclass
class Design:
    """The design of a batch on one class of chromosomes.

    Attributes
    ----------
    studies
        One a study, in the order of the batch.
    groups
        The studies by their people.
    """

    studies: list[StudyDesign]
    groups: list[MaskGroup]


def build_design(
    studies: Sequence[StudyInput], extra: Mapping[str, np.ndarray] | None = None, keep: np.ndarray | None = None
) -> Design:
    """Fit all null models of a batch and lay out the columns; studies with the same people and covariates share their basis.

    Parameters
    ----------
    studies
        The batch.
    extra
        Further covariates by name, one value a person of the .fam.
    keep
        bool, one a person of the .fam: who can be analysed; None, everybody.
    """
    designs = [build_study(s, extra, keep) for s in studies]
    members: dict[bytes, list[int]] = {}
    for i, d in enumerate(designs):
        members.setdefault(d.sample_index.tobytes(), []).append(i)
    return Design(designs, [_group(designs, rows) for rows in members.values()])


def _group(designs: Sequence[StudyDesign], members: list[int]) -> MaskGroup:
    linear = [i for i in members if designs[i].y_residual is not None and designs[i].arms]
    parts: list[np.ndarray] = []
    width = 0
    bases: dict[bytes, slice] = {}
    basis_of, y_of, u_of = {}, {}, {}
    for i in linear:
        basis = designs[i].basis
        key = basis.tobytes()
        if key not in bases:
            parts.append(basis)
            bases[key] = slice(width, width + basis.shape[1])
            width += basis.shape[1]
        basis_of[i] = bases[key]
    for i in linear:
        parts.append(designs[i].y_residual[:, None])
        y_of[i] = width
        width += 1
    for i in linear:
        u_of[i] = None
        if designs[i].u is not None:
            parts.append(designs[i].u[:, None])
            u_of[i] = width
            width += 1
    index = designs[members[0]].sample_index
    columns = np.hstack(parts) if parts else np.zeros((len(index), 0))
    return MaskGroup(index, members, columns, basis_of, y_of, u_of)

"""The design of a batch: who is analysed in each study, its null model, and the columns that the genotypes are multiplied with.

Notation of the design document: Q an orthonormal basis of the covariates, y~ the phenotype with them taken out, u the unit vector of the
DeepNull prediction with them taken out (Frisch, Waugh and Lovell).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from deepnull_gwas.errors import StudyFailure

logger = logging.getLogger(__name__)

#: A column is collinear when what is left of it after the others is below this fraction of its length.
RANK_TOLERANCE = 1e-7


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
    status, reason
        ``ok`` or ``failed``, per arm where they differ.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    sample_index: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    prediction: np.ndarray | None = None
    arm_status: dict[str, tuple[str, str]] = field(default_factory=dict)


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
    basis = np.empty((n, covariates.shape[1]))
    kept, dropped = [], []
    for j, name in enumerate(names):
        column = covariates[:, j] - covariates[:, j].mean()
        length = np.linalg.norm(column)
        scale = np.abs(covariates[:, j]).max(initial=0.0) * np.sqrt(n)
        rank = len(kept)
        for _ in range(2):
            column = column - basis[:, :rank] @ (basis[:, :rank].T @ column)
            column -= column.mean()
        left = np.linalg.norm(column)
        if length <= 1e-12 * max(scale, 1e-300) or left <= RANK_TOLERANCE * length:
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
    """

    x: np.ndarray
    coefficients: np.ndarray
    log_likelihood: float


def fit_logistic(x: np.ndarray, y: np.ndarray, stage: str = "associate", iterations: int = 50) -> LogisticNull:
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
    previous = -np.inf
    for _ in range(iterations):
        eta = x @ beta
        value = log_likelihood(eta, y)
        mu = 1.0 / (1.0 + np.exp(-eta))
        w = mu * (1 - mu)
        hessian = (x * w[:, None]).T @ x
        try:
            step = scipy.linalg.solve(hessian, x.T @ (y - mu), assume_a="pos")
        except np.linalg.LinAlgError as error:
            raise StudyFailure(
                stage, "the null model is singular: covariates separate cases from controls or are collinear"
            ) from error
        factor = 1.0
        while factor > 1e-4 and log_likelihood(x @ (beta + factor * step), y) < value - 1e-10 * abs(value):
            factor /= 2
        beta = beta + factor * step
        if np.abs(x @ beta).max() > 35:
            raise StudyFailure(
                stage,
                "a combination of the covariates separates cases from controls; merge rare categories or drop the covariate",
            )
        scale = 1.0 / np.sqrt(np.diag(hessian))
        if (factor == 1.0 and np.all(np.abs(step) < 1e-9 * scale + 1e-12)) or (value - previous == 0 and factor < 1):
            break
        previous = value
    else:
        raise StudyFailure(stage, "the null model did not converge")
    return LogisticNull(x, beta, log_likelihood(x @ beta, y))


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
        y~ and its squared length (linear).
    u, uy
        Unit vector of the prediction with the covariates taken out, or None where nothing is left of it; u.y~.
    nulls
        arm -> LogisticNull (binary).
    """

    study: StudyInput
    sample_index: np.ndarray
    y: np.ndarray
    basis: np.ndarray
    basis_key: tuple
    dropped: list[str]
    y_residual: np.ndarray | None = None
    u: np.ndarray | None = None
    nulls: dict[str, LogisticNull] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
    failures = {arm: reason for arm, (status, reason) in study.arm_status.items() if status != "ok"}
    basis, _, dropped = orthonormal_basis(covariates, names)
    design = StudyDesign(study, index, y, basis, (index.tobytes(), basis.tobytes()), dropped, failures=failures)
    n = len(index)
    if n <= basis.shape[1] + 3:
        reason = f"{n} people for {basis.shape[1]} covariates, prediction and variant"
        design.failures = {arm: failures.get(arm, reason) for arm in study.arms}
        return design
    residual = None
    if study.prediction is not None and "deepnull" in design.arms:
        d = study.prediction[inside]
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
        yr = y - y.mean()
        yr = yr - basis @ (basis.T @ yr)
        yr -= basis @ (basis.T @ yr)
        design.y_residual = yr - yr.mean()
        return design
    intercept = np.full((n, 1), 1.0)
    # columns of length sqrt(n), as long as the intercept: a well-scaled Hessian
    x = np.hstack([intercept, basis * np.sqrt(n)])
    for arm in list(design.arms):
        columns = x if arm == "baseline" or design.u is None else np.hstack([x, design.u[:, None] * np.sqrt(n)])
        try:
            design.nulls[arm] = fit_logistic(np.ascontiguousarray(columns), y)
        except StudyFailure as failure:
            design.failures[arm] = failure.reason
    return design


@dataclass
class Design:
    """The design of a batch on one class of chromosomes.

    Attributes
    ----------
    studies
        One a study, in the order of the batch.
    k
        float64[people of the .fam, columns]; zero outside each study's mask.
    slices
        study -> (columns of its basis, column of y~ or -1, column of u or -1).
    masks
        bool[distinct masks, people]; ``mask_of`` says which is whose.
    """

    studies: list[StudyDesign]
    k: np.ndarray
    basis_of: list[slice]
    y_column: list[int]
    u_column: list[int]
    masks: np.ndarray
    mask_of: list[int]


def build_design(
    studies: Sequence[StudyInput],
    n_people: int,
    extra: Mapping[str, np.ndarray] | None = None,
    keep: np.ndarray | None = None,
) -> Design:
    """Fit all null models of a batch and lay out the columns; studies with the same people and covariates share their basis."""
    designs = [build_study(s, extra, keep) for s in studies]
    columns: list[np.ndarray] = []
    bases: dict[tuple, slice] = {}
    masks: dict[bytes, int] = {}
    mask_rows, basis_of, y_column, u_column, mask_of = [], [], [], [], []

    def place(index: np.ndarray, values: np.ndarray) -> int:
        column = np.zeros(n_people)
        column[index] = values
        columns.append(column)
        return len(columns) - 1

    for d in designs:
        key = d.sample_index.tobytes()
        if key not in masks:
            masks[key] = len(masks)
            row = np.zeros(n_people, dtype=bool)
            row[d.sample_index] = True
            mask_rows.append(row)
        mask_of.append(masks[key])
        linear = d.y_residual is not None and d.arms
        if linear and d.basis_key not in bases:
            start = len(columns)
            for j in range(d.basis.shape[1]):
                place(d.sample_index, d.basis[:, j])
            bases[d.basis_key] = slice(start, len(columns))
        basis_of.append(bases.get(d.basis_key, slice(0, 0)) if linear else slice(0, 0))
        y_column.append(place(d.sample_index, d.y_residual) if linear else -1)
        u_column.append(place(d.sample_index, d.u) if linear and d.u is not None else -1)
    k = np.stack(columns, axis=1) if columns else np.zeros((n_people, 0))
    return Design(
        designs,
        np.ascontiguousarray(k),
        basis_of,
        y_column,
        u_column,
        np.array(mask_rows).reshape(-1, n_people),
        mask_of,
    )

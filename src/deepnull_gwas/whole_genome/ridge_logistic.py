"""Ridge logistic regression of a binary trait on the predictors of all blocks, for all training sets at once.

The model of a training set (everybody but one fold) is

    logit P(y = 1) = X a + Z b,        Z: the predictors of all blocks, covariates taken out, variance 1

with a ridge penalty tau on b, as regenie has it (Mbatchou et al. 2021), and a weak one on the covariates' coefficients,
so that neither separation nor a rare category leaves it without a solution. All training sets are fitted at once, from
the largest penalty down, by Newton's method whose steps are solved by conjugate gradients: no weighted Gram matrix per
training set and step, only passes over the predictors. The preconditioner is the unweighted Gram matrix of everybody.

A person's own phenotype enters no sum of the models that predict this person: in those, this person has weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.null_models import (
    Covariates,
    NullModel,
    log_likelihoods,
    probabilities,
)

#: Shares of the variance on the logit scale that the penalties stand for; the penalty of a share h is
#: m (1 - h) / h x 3 / pi^2 for m predictors (the logistic distribution has variance pi^2 / 3)
SHARES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
MAX_STEPS = 40
MAX_PASSES = 60
#: Converged when twice what the next step would gain in log-likelihood is below this
DECREMENT = 1e-12
#: Conjugate gradients end when the squared length of the residual has come down by this factor
SOLVED = 1e-6
#: People taken at a time in a pass over the predictors
TILE = 2048
#: Standardised predictors are kept in double precision up to so many bytes, else made again in each pass
KEPT = 1 << 30
#: A predictor is left out when what the covariates leave of it is below this fraction of its sum of squares
LEAST_LEFT = 1e-6


def penalties(predictors: int) -> np.ndarray:
    """Return the grid of penalties for a number of predictors, largest first."""
    h = np.array(SHARES)
    return predictors * (1 - h) / h * 3.0 / np.pi**2


class Predictors:
    """Predictors of blocks with the covariates taken out and variance 1, in tiles of people.

    What is taken out, and the scale, are those of everybody: they know nothing of the phenotype.

    Parameters
    ----------
    w
        float32[n, m], predictors as level 0 leaves them; an array or anything that is sliced like one.
    x
        float64[n, c], covariates, the intercept among them.
    """

    def __init__(self, w: np.ndarray, x: np.ndarray):
        self.w, self.x = w, x
        n, m = w.shape
        cross, squares = np.zeros((x.shape[1], m)), np.zeros(m)
        for rows in self.tiles():
            part = w[rows].astype(np.float64)
            cross += x[rows].T @ part
            squares += np.einsum("ij,ij->j", part, part)
        self.on_covariates = np.linalg.lstsq(x.T @ x, cross, rcond=1e-10)[0]
        left = np.zeros(m)
        for rows in self.tiles():
            part = w[rows].astype(np.float64) - x[rows] @ self.on_covariates
            left += np.einsum("ij,ij->j", part, part)
        #: bool[m], predictors that the covariates leave something of
        self.used = left > LEAST_LEFT * np.maximum(squares, np.finfo(float).tiny)
        self.scale = np.where(self.used, np.sqrt(np.where(self.used, left, 1.0) / n), np.inf)
        self._kept = [self._make(rows) for rows in self.tiles()] if 8 * n * m <= KEPT else None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of people and of predictors."""
        return self.w.shape

    def tiles(self) -> list[slice]:
        """Return the rows of each tile."""
        n = len(self.x)
        return [slice(first, min(first + TILE, n)) for first in range(0, n, TILE)]

    def _make(self, rows: slice) -> np.ndarray:
        return (self.w[rows].astype(np.float64) - self.x[rows] @ self.on_covariates) / self.scale

    def __iter__(self):
        """Yield rows and standardised predictors, tile by tile."""
        for i, rows in enumerate(self.tiles()):
            yield rows, self._make(rows) if self._kept is None else self._kept[i]

    def gram(self) -> np.ndarray:
        """Return the sums of products over everybody: float64[m, m]."""
        out = np.zeros((self.shape[1],) * 2)
        for _, z in self:
            out += z.T @ z
        return out


@dataclass
class Path:
    """Where the fits of all training sets stand; a column per training set.

    Attributes
    ----------
    covariates
        float64[c, k], coefficients of the covariates.
    blocks
        float64[m, k], coefficients of the standardised predictors.
    eta
        float64[n, k], linear predictors of everybody.
    """

    covariates: np.ndarray
    blocks: np.ndarray
    eta: np.ndarray


class TrainingSets:
    """The ridge logistic regressions of all training sets.

    Parameters
    ----------
    z
        The predictors.
    covariates
        Of the people.
    y
        float64[n], 0 or 1.
    fold
        int[n], 0 ... k - 1: the training set of a column is everybody who is not in its fold.
    nulls
        The covariates' model of each.
    """

    def __init__(self, z: Predictors, covariates: Covariates, y: np.ndarray, fold: np.ndarray, nulls: list[NullModel]):
        self.z, self.x, self.y = z, covariates.x, y
        self.cost = covariates.penalty[:, None]
        self.trained = (fold[:, None] != np.arange(len(nulls))[None, :]).astype(np.float64)
        self.nulls = nulls
        self.start = np.column_stack([null.coefficients for null in nulls])
        self.null_eta = self.x @ self.start
        mu = probabilities(self.null_eta)
        # what the unweighted Gram matrix of everybody is multiplied with to be near a training set's information
        self.weight = (self.trained * mu * (1.0 - mu)).sum(axis=0) / len(y)
        # the rows of predictors that are not used are 0, and so is their score: they stay at 0
        self.roots, self.vectors = np.linalg.eigh(z.gram())

    def begin(self) -> Path:
        """Return the covariates' models: no predictor has an effect."""
        return Path(self.start.copy(), np.zeros((self.z.shape[1], len(self.nulls))), self.null_eta.copy())

    def _value(self, at: Path, penalty: float) -> np.ndarray:
        """Return the penalised log-likelihood of each training set."""
        value = (self.trained * log_likelihoods(at.eta, self.y[:, None])).sum(axis=0)
        return value - 0.5 * ((self.cost * at.covariates**2).sum(axis=0) + penalty * (at.blocks**2).sum(axis=0))

    def _forth(self, covariates: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """Return what coefficients add to the linear predictors: float64[n, k]."""
        out = self.x @ covariates
        for rows, z in self.z:
            out[rows] += z @ blocks
        return out

    def _back(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the products of covariates and predictors with a number per person and training set."""
        blocks = np.zeros((self.z.shape[1], residual.shape[1]))
        for rows, z in self.z:
            blocks += z.T @ residual[rows]
        return self.x.T @ residual, blocks

    def _precondition(self, a: np.ndarray, b: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Solve an approximation of the information: predictors and covariates apart, the weights at their mean."""
        on_covariates = np.column_stack([null.inverse @ column for null, column in zip(self.nulls, a.T)])
        inside = (self.vectors.T @ b) / (self.roots[:, None] * self.weight[None, :] + penalty)
        return on_covariates, self.vectors @ inside

    def _step(self, w: np.ndarray, a: np.ndarray, b: np.ndarray, penalty: float) -> tuple[np.ndarray, ...]:
        """Solve Newton's equations for the score (a, b) by preconditioned conjugate gradients.

        Returns
        -------
        The step in both kinds of coefficients, and in the linear predictors.
        """
        step = [np.zeros_like(a), np.zeros_like(b), np.zeros_like(w)]
        left = [a.copy(), b.copy()]
        ahead = self._precondition(*left, penalty)
        direction = [*ahead]
        length = _dots(left, ahead)
        enough = SOLVED * length
        for _ in range(MAX_PASSES):
            going = length > enough
            if not going.any():
                break
            eta = self._forth(*direction)
            c, d = self._back(w * eta)
            c, d = c + self.cost * direction[0], d + penalty * direction[1]
            # columns that have got there stand still: what they would do must not depend on the others, nor they on it
            curvature = _dots(direction, (c, d))
            rate = np.where(going, length / np.where(curvature > 0, curvature, 1.0), 0.0)
            for part, move in zip(step, (*direction, eta)):
                part += rate * move
            left[0] -= rate * c
            left[1] -= rate * d
            ahead = self._precondition(*left, penalty)
            new = _dots(left, ahead)
            turn = np.where(going, new / np.where(length > 0, length, 1.0), 0.0)
            direction = [part + turn * old for part, old in zip(ahead, direction)]
            length = np.where(going, new, length)
        return tuple(step)

    def fit(self, start: Path, penalty: float) -> tuple[Path, bool]:
        """Maximise the penalised likelihood of every training set by Newton's method with halved steps.

        Parameters
        ----------
        start
            Where to start from: the fit at a larger penalty.
        penalty
            Of the predictors' coefficients.

        Returns
        -------
        The fit, and whether it converged in all training sets.
        """
        at, value = start, self._value(start, penalty)
        for _ in range(MAX_STEPS):
            mu = probabilities(at.eta)
            a, b = self._back(self.trained * (self.y[:, None] - mu))
            a, b = a - self.cost * at.covariates, b - penalty * at.blocks
            going = _dots((a, b), self._precondition(a, b, penalty)) > DECREMENT
            if not going.any():
                return at, True
            step = self._step(self.trained * mu * (1.0 - mu), a, b, penalty)
            rate = np.where(going, 1.0, 0.0)
            for _ in range(30):
                new = Path(*(part + rate * move for part, move in zip((at.covariates, at.blocks, at.eta), step)))
                reached = self._value(new, penalty)
                worse = reached < value - 1e-12 * np.abs(value)
                if not worse.any():
                    break
                rate = np.where(worse, rate / 2.0, rate)
            at, value = new, reached
        return at, False


def _dots(a, b) -> np.ndarray:
    """Return the dot products of columns of two pairs of coefficients."""
    return sum(np.einsum("ij,ij->j", p, q) for p, q in zip(a, b))


def follow(sets: TrainingSets, fold: np.ndarray) -> tuple[list[Path], np.ndarray]:
    """Fit all training sets from the largest penalty down, while the out-of-fold likelihood rises.

    Returns
    -------
    The fits, and the out-of-fold log-likelihood of each.
    """
    fits, found, at = [], [], sets.begin()
    people = np.arange(len(fold))
    for penalty in penalties(sets.z.shape[1]):
        at, converged = sets.fit(at, float(penalty))
        if not converged:
            break
        fits.append(at)
        found.append(float(log_likelihoods(at.eta[people, fold], sets.y).sum()))
        if len(found) > 1 and found[-1] < found[-2]:
            break
    return fits, np.array(found)

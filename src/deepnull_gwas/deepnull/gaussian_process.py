"""A sparse Gaussian process with an additive kernel up to third order, as a kind of model.

What splines and second order cannot hold: curves of any roughness, each covariate with a length of its own, and
products of two and three of them. Some hundreds of people find the hyperparameters; then it is a ridge regression on
features (Nystroem's method, Williams and Seeger 2001), from one matrix of cross-products for each part of the people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from deepnull_gwas.deepnull.kernel import Hyper, Scale
from deepnull_gwas.deepnull.likelihood import most_likely
from deepnull_gwas.deepnull.process_features import Features
from deepnull_gwas.deepnull.protocol import Arrays, Fit, Inner, Model, Task, under
from deepnull_gwas.deepnull.recipe import LINEAR, Recipe
from deepnull_gwas.deepnull.smooth import FAR
from deepnull_gwas.errors import InputError
from deepnull_gwas.packages import NO_TORCH_FOR_GPU
from deepnull_gwas.traits import trait_of

#: People by whom hyperparameters are found, and between whom and everybody else the kernel is evaluated, at most.
SEARCHED, INDUCING = 1600, 800
#: Newton steps at most, and the gain in log-likelihood that ends them.
_STEPS, _GAINED = 6, 0.1
_OF_SCALE = ("values", "scores", "two", "atoms")
_OF_FEATURES = ("mean", "spread", "points", "roots")
_OF_HYPER = ("amplitude", "length", "order")


def gpu_for(wanted: str) -> str | None:
    """Return the device of torch on which features are evaluated, None: numpy does on the CPU.

    Raises
    ------
    InputError, StudyFailure
        When ``cuda`` is asked for, and torch or a GPU is not there.
    """
    # torch costs seconds to import, and an installation may do without it
    if wanted == "cpu":
        return None
    if find_spec("torch") is None:
        if wanted == "cuda":
            raise InputError(NO_TORCH_FOR_GPU)
        return None
    from deepnull_gwas.deepnull.training import pick_device

    device = pick_device(wanted)
    return None if device.type == "cpu" else device.type


@dataclass(frozen=True)
class ProcessModel:
    """The mean of some fitted processes.

    Attributes
    ----------
    features
        Of each.
    coefficients
        float64[count] of each, the constant last.
    device
        Of torch, on which it predicts; None: numpy does, as with every model that was saved.
    """

    features: Sequence[Features]
    coefficients: Sequence[np.ndarray]
    device: str | None = None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict: float64[n]; a logit for binary traits."""
        total = np.zeros(len(x))
        # sums over the features must not depend on the number of cores
        with threadpool_limits(1, user_api="blas"):
            for features, beta in zip(self.features, self.coefficients, strict=True):
                total += features.design(x, self.device).times([beta])[0]
        return total / len(self.features)

    def arrays(self) -> Arrays:
        """Return everything as arrays by name."""
        out: Arrays = {"processes": np.array(len(self.features))}
        for i, (features, beta) in enumerate(zip(self.features, self.coefficients, strict=True)):
            own = {key: getattr(features.scale, key) for key in _OF_SCALE}
            own |= {key: getattr(features.hyper, key) for key in _OF_HYPER}
            own |= {"noise": np.array(features.hyper.noise)} | {key: getattr(features, key) for key in _OF_FEATURES}
            out |= {f"{i}.{key}": array for key, array in (own | {"coefficients": beta}).items()}
        return out

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ProcessModel:
        """Return the model whose :meth:`arrays` these are."""
        features, coefficients = [], []
        for i in range(int(arrays["processes"])):
            own = under(f"{i}.", arrays)
            scale = Scale(*(own[key] for key in _OF_SCALE))
            hyper = Hyper(*(own[key] for key in _OF_HYPER), float(own["noise"]))
            made = Features(scale, hyper, *(own[key] for key in _OF_FEATURES))
            if made.points.shape != (len(hyper.used), len(made.roots)) or own["coefficients"].shape != (made.count,):
                raise ValueError("the arrays of a Gaussian process do not fit together")
            features.append(made)
            coefficients.append(own["coefficients"])
        if not features:
            raise ValueError("no Gaussian process")
        return cls(features, coefficients)


@dataclass(frozen=True)
class _Process:
    """Features that some people have found, and the scale of their phenotype.

    Attributes
    ----------
    key
        Digest of who found them.
    mean, spread
        The prior is one of the phenotype less the mean, divided by the spread: the standard deviation of what lines
        leave of it (binary: of the logit times the spread, the variance of the phenotype over that).
    """

    key: bytes
    features: Features
    mean: float
    spread: float


def find(x: np.ndarray, y: np.ndarray, trait: str, key: bytes) -> _Process:
    """Find hyperparameters and features by some people.

    Parameters
    ----------
    x, y
        Covariates float64[n, p] and phenotype (binary: 0/1).
    trait
        ``quantitative`` or ``binary``.
    key
        Of these people.

    Notes
    -----
    Binary traits: as many cases as controls are taken where there are enough (odds ratios do not depend on how many
    there are), and the likelihood is that of a quantitative trait. An effect on the probability is one on the logit
    times the variance of the phenotype.
    """
    rng = np.random.default_rng(len(x))
    order, count = rng.permutation(len(x)), min(SEARCHED, len(x))
    if trait_of(trait).has_cases:
        cases, controls = order[y[order] == 1], order[y[order] == 0]
        few = min(len(cases), len(controls), count // 2)
        who = np.sort(np.r_[cases[: max(few, count - len(controls))], controls[: max(few, count - len(cases))]])
        who = who if len(who) <= count else np.sort(np.r_[cases[:few], controls[: count - few]])
    else:
        who = np.sort(order[:count])
    scale, mean, left = Scale.of(x), float(y[who].mean()), _left_by_lines(x[who], y[who])
    size = float(left.std()) or 1.0
    hyper = most_likely(x[who], left / size, scale)
    inducing = np.sort(order[: min(INDUCING, len(x))])
    spread = float(y[who].var()) / size if trait_of(trait).has_cases else size
    return _Process(key, Features.of(x[inducing], scale, hyper, 2 * len(x)), mean, spread or 1.0)


def _left_by_lines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what a linear model leaves of a phenotype: there is a process of its own for that only."""
    spread = x.std(axis=0)
    lines = np.clip((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), -FAR, FAR)
    design = np.column_stack([np.ones(len(x)), lines])
    return y - design @ np.linalg.lstsq(design, y, rcond=1e-8)[0]


@dataclass(frozen=True)
class _Solved:
    """Coefficients by the part that they have not seen, -1: everybody's."""

    process: _Process
    beta: dict[int, np.ndarray]


def _least_squares(task: Task, process: _Process, wanted: Sequence[int], device: str | None = None) -> _Solved:
    """Solve for the people without each of some parts, and for everybody, from the sums of each part."""

    def sums_of(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return process.features.design(x, device).sums([(y - process.mean) / process.spread])[0]

    name = process.key + f"sums {device}".encode()
    sums = [_shared(task, name, task.parts.part == j, sums_of) for j in range(task.parts.count)]
    beta = {}
    for j in wanted:
        gram, cross = (sum(s[i] for part, s in enumerate(sums) if part != j) for i in (0, 1))
        solved = np.linalg.solve(gram + np.diag(process.features.ridge + 1e-9 * gram[-1, -1]), cross) * process.spread
        solved[-1] += process.mean
        beta[j] = solved
    return _Solved(process, beta)


def _maximum_likelihood(task: Task, process: _Process, wanted: Sequence[int], device: str | None = None) -> _Solved:
    """Do the same for binary traits by Newton's method, from the linear model without the same part."""
    features, part, y = process.features, task.parts.part, task.y
    linear = task.inner[LINEAR].found
    design = features.design(task.x, device, kept=True)
    # the logit's prior: on the logit effects are larger by the variance of the phenotype
    ridge = process.features.ridge / max(process.features.hyper.noise, 1e-12) * process.spread**2
    eta = {j: linear.start[:, j - task.parts.count] if j >= 0 else linear.model.predict(task.x) for j in wanted}
    beta = {j: np.zeros(features.count) for j in wanted}
    going, before = sorted(wanted), dict.fromkeys(wanted, np.inf)
    for step in range(_STEPS):
        targets, weights = zip(*(_working(eta[j], y, part != j) for j in going))
        proposed = {
            j: np.linalg.solve(gram + np.diag(ridge + 1e-9 * gram[-1, -1]), cross)
            for j, (gram, cross) in zip(going, design.sums(targets, weights), strict=True)
        }
        fitted = dict(zip(going, design.times(list(proposed.values())), strict=True))
        for j in list(going):
            own = part != j

            def cost(e: np.ndarray, b: np.ndarray, own: np.ndarray = own) -> float:
                return float(np.sum(np.logaddexp(0, e[own]) - y[own] * e[own]) + 0.5 * ridge @ b**2)

            value = cost(fitted[j], proposed[j])
            for _ in range(8 if step else 0):
                if value <= before[j]:
                    break
                proposed[j], fitted[j] = (proposed[j] + beta[j]) / 2, (fitted[j] + eta[j]) / 2
                value = cost(fitted[j], proposed[j])
            if value > before[j]:
                going.remove(j)
                continue
            beta[j], eta[j] = proposed[j], fitted[j]
            if before[j] - value < _GAINED:
                going.remove(j)
            before[j] = value
        if not going:
            break
    return _Solved(process, beta)


def _working(eta: np.ndarray, y: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weight times working response of Newton's method, and the weight: float64[n], 0 for people not ``own``."""
    target, weight = np.zeros(len(y)), np.zeros(len(y))
    e = eta[own]
    mu = 1 / (1 + np.exp(-e))
    weight[own] = w = np.maximum(mu * (1 - mu), 1e-5)
    target[own] = w * e + y[own] - mu
    return target, weight


def _shared(task: Task, name: bytes, rows: np.ndarray, make: Callable[[np.ndarray, np.ndarray], Any]) -> Any:
    """Return what is made of some people, or what another fold has made of the same people."""
    x, y = task.x[rows], task.y[rows]
    key = hashlib.sha256(name + x.tobytes() + y.tobytes()).digest()
    if key not in task.shared:
        task.shared[key] = make(x, y)
    return task.shared[key]


class _GaussianProcess:
    """The kind.

    Two halves of the parts find hyperparameters and features, each by itself. The models without a part have those of
    the half that it is not in. The model that predicts new people is the mean of both.
    """

    name = "gaussian_process"
    stops_early = False
    batched_on_gpu = False

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        """Return nothing: it starts from no other model but the linear one."""
        return ()

    def fit_inner(self, tasks: Sequence[Task]) -> list[Inner]:
        """Fit the processes without each part, and those that predict new people."""
        device = gpu_for(tasks[0].device)
        with threadpool_limits(1, user_api="blas"):
            return [self._inner(task, device) for task in tasks]

    def _inner(self, task: Task, device: str | None) -> Inner:
        parts, prediction = task.parts, np.empty(len(task.x))
        middle = parts.count // 2
        halves = [range(middle), range(middle, parts.count)]
        solve = _maximum_likelihood if trait_of(task.trait).has_cases else _least_squares
        without: dict[int, ProcessModel] = {}
        found = []
        for own, other in (halves, halves[::-1]):
            rows = np.isin(parts.part, list(own))
            name = f"{self.name} {task.trait} ".encode()
            digest = hashlib.sha256(name + task.x[rows].tobytes() + task.y[rows].tobytes()).digest()
            process = _shared(task, name, rows, lambda x, y, key=digest: find(x, y, task.trait, key))
            solved = solve(task, process, [*other, -1], device)
            found.append(solved)
            for j in other:
                without[j] = ProcessModel([process.features], [solved.beta[j]], device)
        for j, model in without.items():
            rows = parts.part == j
            prediction[rows] = model.predict(task.x[rows])
        return Inner([without[j] for j in range(parts.count)], prediction, found)

    def fit(self, tasks: Sequence[Task], inner: Sequence[Inner]) -> list[Fit]:
        """Return the mean of the processes that were fitted with the others."""
        device, fits = gpu_for(tasks[0].device), []
        for own in inner:
            features = [solved.process.features for solved in own.found]
            model = ProcessModel(features, [solved.beta[-1] for solved in own.found], device)
            fits.append(Fit(model, {"processes": [_about(f) for f in features]}))
        return fits

    def from_arrays(self, arrays: Arrays) -> Model:
        """Return the model whose arrays these are."""
        return ProcessModel.from_arrays(arrays)


def _about(features: Features) -> dict[str, Any]:
    """Return what was chosen for a process."""
    hyper = features.hyper
    return {
        "features": features.roots.shape[1],
        "amplitude": hyper.amplitude.round(6).tolist(),
        "length": hyper.length.round(6).tolist(),
        "order": hyper.order.round(6).tolist(),
        "noise": round(hyper.noise, 6),
    }


GAUSSIAN_PROCESS = _GaussianProcess()

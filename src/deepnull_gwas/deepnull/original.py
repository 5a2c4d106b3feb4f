"""Parity mode: the original DeepNull, so that analyses can be repeated.

Package ``deepnull`` 0.2.2; McCaw et al., Nature Communications 2022.

Architecture, optimiser, batches, choice of the epoch, folds and their roles
(:func:`deepnull_gwas.deepnull.folds.original_folds`), raw inputs and (binary) the probability as covariate are the
original's. Batches always hold 1,024 people: they are cut from an endless run of passes over the people, each in a new
order from a shuffle buffer of 10,000, and an epoch is as many of them as one pass needs, rounded up. So a batch may
hold people of two passes, or (below 1,024 people) the same people several times.

What differs: the numbers that chance gives (TensorFlow's generator is not rebuilt, so weights and orders are others, as
they are between two runs of the original); Adam's epsilon is added to the bias-corrected root of the second moment,
as PyTorch has it, and not to the uncorrected one. Where the original is at fault this raises instead: a Pearson
correlation that is not a number; and a checkpoint folder shared by runs does not exist here.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.torch_import import torch
from deepnull_gwas.deepnull.training import deterministic, pick_device
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.logs import Progress
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

STAGE = "train_folds"
HIDDEN = (64, 64, 32, 16)
BATCH = 1024
EPOCHS = 1000
#: People among whom the next one of a pass is drawn.
BUFFER = 10_000
#: Adam: 1e-4 for a batch of 1,024 in proportion to the batch; Keras's epsilon.
LEARNING_RATE = 1e-4
BETAS = (0.9, 0.99)
EPSILON = 1e-7


@dataclass
class OriginalModel:
    """The trained network as plain arrays.

    Attributes
    ----------
    columns, trait
        Covariates, and kind of the phenotype.
    weights, biases
        Of the layers; the last pair is the parallel linear path.
    """

    columns: list[str]
    trait: str
    weights: list[np.ndarray]
    biases: list[np.ndarray]

    def predict_all(self, x: np.ndarray, wanted: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Predict: ``original``, float64[n].

        For binary traits a logit (the covariate is its probability, see :meth:`beyond`).
        """
        if x.shape[1] != len(self.columns):
            raise InputError(
                f"{x.shape[1]} covariates, the model was trained on {len(self.columns)}: {', '.join(self.columns)}"
            )
        h = x = x.astype(np.float32)
        for weight, bias in zip(self.weights[:-2], self.biases[:-2]):
            h = np.maximum(h @ weight + bias, 0)
        out = h @ self.weights[-2] + self.biases[-2] + x @ self.weights[-1] + self.biases[-1]
        return {"original": out[:, 0].astype(np.float64)}

    def combine(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Return the one prediction."""
        return each["original"]

    def beyond(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Return the original's covariate of the association.

        The prediction itself, for binary traits the probability.
        """
        return 1 / (1 + np.exp(-each["original"])) if trait_of(self.trait).has_cases else each["original"]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict: float64[n]."""
        return self.predict_all(x)["original"]

    def covariate(self, x: np.ndarray) -> np.ndarray:
        """Return what enters the association, see :meth:`beyond`."""
        return self.beyond(self.predict_all(x), x)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name."""
        out = {"original.columns": np.array(self.columns), "original.trait": np.array(self.trait)}
        out |= {f"original.weight{i}": w for i, w in enumerate(self.weights)}
        return out | {f"original.bias{i}": b for i, b in enumerate(self.biases)}

    @classmethod
    def from_arrays(cls, data: dict[str, np.ndarray]) -> OriginalModel:
        """Take back what :meth:`arrays` gave."""
        count = len(HIDDEN) + 2
        return cls(
            [str(c) for c in data["original.columns"]],
            str(data["original.trait"]),
            [data[f"original.weight{i}"] for i in range(count)],
            [data[f"original.bias{i}"] for i in range(count)],
        )

    def save(self, path: Any) -> None:
        """Save as .npz, without pickle."""
        from deepnull_gwas.tables import write_npz

        write_npz(path, **self.arrays())


def pearson(prediction: np.ndarray, y: np.ndarray) -> float:
    """Correlate as the original does: the mean over batches of 1,024 of each batch's Pearson correlation.

    Raises
    ------
    StudyFailure
        Where a batch's correlation is not a number (one person in the last batch, or a constant): the original then
        silently keeps a wrong epoch.
    """
    values = []
    for first in range(0, len(y), BATCH):
        a, b = prediction[first : first + BATCH].astype(np.float64), y[first : first + BATCH]
        if len(a) < 2:
            raise StudyFailure(
                STAGE,
                f"recipe original: the {len(y)} people who validate leave one in the last batch of {BATCH}, whose "
                f"correlation does not exist; the "
                "original would choose its epoch by NaN. Change the seed or the number of folds by one",
            )
        spread = a.std() * b.std()
        if not spread > 0:
            raise StudyFailure(
                STAGE,
                "recipe original: prediction or phenotype is constant among people who validate, and their "
                "correlation does not exist; the original "
                "would choose its epoch by NaN. Scale the covariates, or use the default recipe",
            )
        values.append(float(np.mean((a - a.mean()) * (b - b.mean())) / spread))
    return float(np.mean(values))


def buffered_order(n: int, rng: np.random.Generator, buffer: int = BUFFER) -> np.ndarray:
    """Draw the order of one pass as ``tf.data.Dataset.shuffle`` does.

    Each next person by chance from a buffer that the people go through in their order.

    With more people than the buffer holds, those at the beginning come early and those at the end late.

    Returns
    -------
    int64[n], the people's numbers.
    """
    held = min(n, buffer)
    slots = rng.integers(0, held, n - held)
    # whoever is drawn from a slot is who was put there when it was last drawn from, or its first
    order = np.argsort(slots, kind="stable")
    drawn = slots[order]
    first, last = np.ones(len(order), dtype=bool), np.ones(len(order), dtype=bool)
    first[1:] = last[:-1] = drawn[1:] != drawn[:-1]
    out = np.empty(n, dtype=np.int64)
    out[order] = np.where(first, drawn, held + np.concatenate([[0], order[:-1]])[: len(order)])
    left = np.arange(held)
    left[drawn[last]] = held + order[last]
    out[n - held :] = rng.permutation(left)
    return out


def batches(n: int, rng: np.random.Generator, size: int = BATCH) -> Iterator[np.ndarray]:
    """Yield int64[size], the people of each batch, without end.

    Passes in new orders, one after the other, cut into batches of one size.
    """
    waiting = np.empty(0, dtype=np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, buffered_order(n, rng)])
        yield waiting[:size]
        waiting = waiting[size:]


class _Network:
    """The network while it is trained: hidden layers with ReLU, and a parallel linear path.

    Parameters
    ----------
    width
        Number of covariates.
    seed
        Of the initial weights: uniform as Glorot and Bengio have it, biases 0.
    where
        Device.
    has_cases
        Whether its output is a logit, and the loss cross-entropy; else a mean squared error.
    """

    def __init__(self, width: int, seed: int, where: torch.device, has_cases: bool):
        generator = torch.Generator().manual_seed(seed)
        sizes = [(width, HIDDEN[0]), *itertools.pairwise(HIDDEN), (HIDDEN[-1], 1), (width, 1)]
        self.has_cases = has_cases
        self.weights: list[torch.Tensor] = []
        self.biases: list[torch.Tensor] = []
        for a, b in sizes:
            bound = (6.0 / (a + b)) ** 0.5
            self.weights.append(((torch.rand(a, b, generator=generator) * 2 - 1) * bound).to(where).requires_grad_())
            self.biases.append(torch.zeros(b, device=where, requires_grad=True))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Predict: float32[n]."""
        h = inputs
        for weight, bias in zip(self.weights[:-2], self.biases[:-2]):
            h = torch.relu(torch.addmm(bias, h, weight))
        deep = torch.addmm(self.biases[-2], h, self.weights[-2])
        return (deep + torch.addmm(self.biases[-1], inputs, self.weights[-1]))[:, 0]

    def loss(self, out: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of predictions."""
        if not self.has_cases:
            return torch.mean((out - wanted) ** 2)
        return torch.nn.functional.binary_cross_entropy_with_logits(out, wanted)

    def snapshot(self) -> list[list[torch.Tensor]]:
        """Copy weights and biases."""
        return [[v.detach().clone() for v in group] for group in (self.weights, self.biases)]


@dataclass
class _Trained:
    """The best epoch of a training: its weights and biases, number and score, and the losses on the way."""

    kept: list[list[torch.Tensor]]
    taken: int
    score: float
    history: list[dict[str, Any]]


def _train(
    network: _Network,
    optimiser: torch.optim.Optimizer,
    training: tuple[torch.Tensor, torch.Tensor],
    validation: tuple[torch.Tensor, torch.Tensor],
    y: np.ndarray,
    seed: int,
    epochs: int,
) -> _Trained:
    """Train, and keep the best epoch: by correlation with the phenotypes ``y`` of who validates, or (binary) loss."""
    (inputs, truth), (other_inputs, other_truth) = training, validation
    best, taken, kept, history = -np.inf, 0, None, []
    progress = Progress(epochs, "epochs of the network")
    stream, steps = batches(len(truth), np.random.default_rng(seed)), math.ceil(len(truth) / BATCH)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for people in itertools.islice(stream, steps):
            rows = torch.from_numpy(people).to(inputs.device)
            optimiser.zero_grad(set_to_none=True)
            value = network.loss(network.forward(inputs[rows]), truth[rows])
            value.backward()
            optimiser.step()
            total += float(value.detach())
        with torch.no_grad():
            out = network.forward(other_inputs)
            now = float(network.loss(out, other_truth))
        if not np.isfinite(now):
            raise StudyFailure(STAGE, f"recipe original: the loss is not finite at epoch {epoch}; scale the covariates")
        score = pearson(out.cpu().numpy(), y) if not network.has_cases else -now
        if score > best:
            best, taken, kept = score, epoch, network.snapshot()
        if epoch % 10 == 0 or epoch == epochs:
            history.append({"epoch": epoch, "train": total / steps, "validation": now})
        progress.add(1)
    return _Trained(kept, taken, best, history)


def fit_original(
    x: np.ndarray,
    y: np.ndarray,
    people: tuple[np.ndarray, np.ndarray, np.ndarray],
    columns: Sequence[str],
    trait: str,
    seed: int,
    device: str = "cpu",
    epochs: int = EPOCHS,
) -> tuple[OriginalModel, dict[str, Any]]:
    """Train the original's network for one fold.

    Parameters
    ----------
    x, y
        Covariates as they are, and phenotype (binary: 0/1), of everybody.
    people
        Who trains, who validates and who is predicted: :func:`deepnull_gwas.deepnull.folds.roles`. The phenotypes of
        those who are predicted are not looked at.
    columns, trait, seed, device
        See :func:`deepnull_gwas.deepnull.fitting.fit_folds`.
    epochs
        Passes over the training people.

    Raises
    ------
    StudyFailure
        Where the original would go on with a number that is none.
    """
    train, validation, _ = people
    has_cases = trait_of(trait).has_cases
    if not train.any() or not validation.any():
        raise StudyFailure(STAGE, "a fold has no people; use fewer folds")
    if has_cases and any(y[rows].min() == y[rows].max() for rows in (train, validation)):
        raise StudyFailure(STAGE, "a fold has no cases or no controls; use fewer folds, or leave out the deepnull arm")
    where = pick_device(device)
    with deterministic(where):
        network = _Network(x.shape[1], seed, where, has_cases)
        seen, unseen = (
            tuple(torch.from_numpy(v[rows]).float().to(where) for v in (x, y)) for rows in (train, validation)
        )
        optimiser = torch.optim.Adam(
            [*network.weights, *network.biases], lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, foreach=True
        )
        trained = _train(network, optimiser, seen, unseen, y[validation], seed, epochs)
    model = OriginalModel(list(columns), trait, *[[v.cpu().numpy() for v in group] for group in trained.kept])
    logger.info(
        "network of the original: epoch %d of %d taken, %s in the fold that validates %.5f",
        trained.taken,
        epochs,
        "loss" if has_cases else "correlation",
        -trained.score if has_cases else trained.score,
    )
    return model, {
        "epochs": trained.history,
        "taken": [trained.taken],
        "weights": {"original": 1.0},
        "models": {},
        "kept": list(columns),
    }

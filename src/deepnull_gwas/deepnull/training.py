"""Training of the networks of one fold, or of all folds as one batched model. It knows nothing of files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.applying import NetworkModel
from deepnull_gwas.deepnull.network import DeepNull
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.torch_import import torch
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.logs import Progress
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

STAGE = "train_folds"
_ROWS = 65536
#: Longest gradient of a network that is not shortened.
_LONGEST = 20.0
#: Share of the starting loss by which the loss must fall to count as a gain: less does not keep a network in training.
_GAIN = 2e-4


def pick_device(wanted: str) -> torch.device:
    """Turn ``auto|cpu|cuda`` into a device: ``auto`` takes a GPU where one is granted.

    Raises
    ------
    StudyFailure
        When ``cuda`` is asked for and not there.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise StudyFailure(
            STAGE, "deepnull.device is cuda, but this job sees no GPU; grant it one, or set the device to auto or cpu"
        )
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Let sums come out the same whatever number of cores was granted; networks this small gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


def batch_size(people: int, recipe: Recipe) -> int:
    """Return the number of people per step.

    A 32nd of the training people, at least 64 (where there are as many) and at most ``recipe.batch_size``.
    """
    return max(1, min(people, recipe.batch_size, max(64, people // 32)))


@dataclass(frozen=True)
class Job:
    """The networks of one fold: what they are trained on.

    Attributes
    ----------
    z, y
        Standardised covariates float64[n, p] and phenotype (binary: 0/1).
    start
        float64[n, networks]: the predictions that each starts from and adds to (binary: logits).
    trainings
        bool[n] who trains each, and bool[n] who stops it.
    seed
        Source of all randomness.
    together
        Whether the networks go on as long as one of them gains.
    """

    z: np.ndarray
    y: np.ndarray
    start: np.ndarray
    trainings: Sequence[tuple[np.ndarray, np.ndarray]]
    seed: int
    together: bool = False


def fit_networks(
    jobs: Sequence[Job], trait: str, recipe: Recipe, device: str = "cpu"
) -> list[tuple[NetworkModel, dict[str, Any]]]:
    """Train the networks of one fold, or of several, as one batched model.

    Each is stopped by people who do not train it.

    Networks know nothing of each other: their starts, batches, steps and the epochs that they are taken from are
    those that their fold would give alone (but folds of different sizes take batches and steps of the smallest).

    Parameters
    ----------
    jobs
        What to train on, one per fold. The same seeds give the same bytes on a CPU, whatever its number of cores.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train.
    device
        ``auto|cpu|cuda``.

    Returns
    -------
    The networks of each fold, and their history: ``epochs``, the training and validation loss of each (means over the
    networks; quantitative: in units of the phenotype's variance); ``taken``, the epoch that each network was taken
    from; ``batch_size``.

    Raises
    ------
    StudyFailure
        When a loss is not finite.
    """
    where = pick_device(device)
    # where a covariate is constant in one fold, its networks are smaller; of a smaller fold there may be more
    shapes = [(job.z.shape[1], len(job.trainings)) for job in jobs]
    fits: dict[int, tuple[NetworkModel, dict[str, Any]]] = {}
    for shape in sorted(set(shapes)):
        numbers = [i for i, other in enumerate(shapes) if other == shape]
        with deterministic(where):
            fits |= dict(zip(numbers, _Training([jobs[i] for i in numbers], trait, recipe, where).run(), strict=True))
    return [fits[i] for i in range(len(jobs))]


def _losses(prediction: torch.Tensor, wanted: torch.Tensor, trait: str) -> torch.Tensor:
    """Return each person's loss."""
    if not trait_of(trait).has_cases:
        return (prediction - wanted) ** 2
    return torch.nn.functional.binary_cross_entropy_with_logits(prediction, wanted, reduction="none")


def _clip(parameters: Sequence[torch.Tensor]) -> None:
    """Shorten the gradient of each network that is longer than ``_LONGEST``."""
    squares = torch.stack([p.grad.flatten(1).square().sum(dim=1) for p in parameters])
    share = (_LONGEST / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
    for p in parameters:
        p.grad.mul_(share[:, None, None])


def _rate(step: int, total: int) -> float:
    """Return the share of the learning rate: a short warm-up, then half a cosine down to a hundredth."""
    warm = min(100, total // 10 + 1)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


class _Data:
    """The people of all folds on the device, and which of them each network is trained and validated on.

    Attributes
    ----------
    scales
        float64[networks]: standard deviation of the phenotype among those who train each (binary: 1); targets are
        divided by it.
    """

    def __init__(self, jobs: Sequence[Job], trait: str, where: torch.device):
        count = len(jobs[0].trainings)
        trains = [np.flatnonzero(who) for job in jobs for who, _ in job.trainings]
        stops = [torch.from_numpy(np.flatnonzero(who)).to(where) for job in jobs for _, who in job.trainings]
        ys = [job.y for job in jobs for _ in range(count)]
        spread = (
            [float(y[rows].std()) for y, rows in zip(ys, trains)] if not trait_of(trait).has_cases else np.ones(len(ys))
        )
        self.scales = np.array(spread)
        self.shrink = torch.from_numpy(1 / self.scales).float()[:, None].to(where)
        sizes = [len(job.z) for job in jobs]

        def place(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).float().to(where)

        self.x = torch.cat([place(job.z) for job in jobs])
        self.truth = torch.cat([place(job.y) for job in jobs])
        # rows are counted within a fold; its people begin here
        self.first = torch.from_numpy(np.repeat(np.cumsum([0, *sizes[:-1]]), count))[:, None].to(where)
        longest = max(sizes)
        self.offset = torch.cat(
            [torch.nn.functional.pad(place(job.start.T), (0, longest - len(job.z))) for job in jobs]
        )
        self.trains = [torch.from_numpy(rows).to(where) for rows in trains]
        # padded to one length
        longest = max(len(v) for v in stops)
        self.validates = torch.stack([torch.cat([v, v.new_zeros(longest - len(v))]) for v in stops])
        self.weight = torch.stack(
            [torch.cat([torch.ones(len(v)), torch.zeros(longest - len(v))]) / len(v) for v in stops]
        ).to(where)

    def take(self, rows: torch.Tensor, networks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return covariates, starting prediction and truth of the rows int64[networks, people] of some networks."""
        own, shrink = rows + self.first[networks], self.shrink[networks]
        offset = self.offset[networks[:, None], rows]
        return self.x[own], offset * shrink, self.truth[own] * shrink


class _Training:
    """Networks in training.

    Attributes
    ----------
    going
        int64: the networks that are still trained; the others have left the batch.
    best, taken, kept
        The least loss of each network, its epoch and its parameters then.
    mark, since
        The loss from which a gain is counted, and the epochs since there was one.
    """

    def __init__(self, jobs: Sequence[Job], trait: str, recipe: Recipe, where: torch.device):
        self.trait, self.recipe, self.where = trait, recipe, where
        self.count, self.folds, self.together = len(jobs[0].trainings), len(jobs), jobs[0].together
        self.data = _Data(jobs, trait, where)
        self.generators = [torch.Generator().manual_seed(job.seed) for job in jobs]
        self.network = DeepNull(jobs[0].z.shape[1], recipe.hidden, self.count, self.generators).to(where)
        self.decayed = [*self.network.weights, self.network.out]
        self.rest = [*self.network.biases, self.network.linear, self.network.intercept]
        self.optimiser = torch.optim.AdamW(
            [{"params": self.decayed, "weight_decay": recipe.weight_decay}, {"params": self.rest, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )
        self.people = min(len(rows) for rows in self.data.trains)
        self.batch = batch_size(self.people, recipe)
        self.steps = max(1, self.people // self.batch)
        networks = self.count * self.folds
        self.going = torch.arange(networks)
        self.best = self.evaluate()
        if not torch.isfinite(self.best).all():
            raise StudyFailure(STAGE, "the starting model is not finite; look for extreme covariate values")
        self.began, self.mark = self.best, self.best.clone()
        self.taken = torch.zeros(networks, dtype=torch.long)
        self.since = torch.zeros(networks, dtype=torch.long)
        self.kept = {name: value.detach().clone() for name, value in self.network.named_parameters()}

    def of_folds(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of networks as one row per fold."""
        return values.reshape(self.folds, self.count)

    def evaluate(self) -> torch.Tensor:
        """Return the loss of the networks in training in those who stop them."""
        going = self.going.to(self.where)
        value = torch.zeros(len(going), device=self.where)
        with torch.no_grad():
            for first in range(0, self.data.validates.shape[1], _ROWS):
                rows = slice(first, first + _ROWS)
                z, offset, wanted = self.data.take(self.data.validates[going, rows], going)
                losses = _losses(self.network(z) + offset, wanted, self.trait)
                value += (losses * self.data.weight[going, rows]).sum(dim=1)
        return value

    def run(self) -> list[tuple[NetworkModel, dict[str, Any]]]:
        """Train until no network gains, and return those of each fold with their history."""
        history = [[{"epoch": 0, "train": None, "validation": float(v)}] for v in self.of_folds(self.best).mean(dim=1)]
        progress = Progress(self.recipe.max_epochs, "epochs at most of the networks")
        train, validation = torch.zeros_like(self.best), self.best.clone()
        for epoch in range(1, self.recipe.max_epochs + 1):
            going = self.going.to(self.where)
            train[going] = self.epoch(epoch)
            now = self.evaluate()
            validation[going] = now
            # a network that has stopped may still be among the others, and is not looked at: theirs is no word on when
            # it ends
            active = self.since < self.recipe.patience
            seen = active[self.going].to(self.where)
            if not torch.isfinite(now[seen]).all() or not torch.isfinite(train[going][seen]).all():
                raise StudyFailure(
                    STAGE,
                    f"the loss is not finite at epoch {epoch}; lower deepnull.recipe.learning_rate, or look for "
                    f"extreme covariate values",
                )
            self.keep(epoch, now, seen)
            means = self.of_folds(train).mean(dim=1), self.of_folds(validation).mean(dim=1)
            for fold in torch.nonzero(self.of_folds(active).any(dim=1)).flatten().tolist():
                losses = {"train": float(means[0][fold]), "validation": float(means[1][fold])}
                history[fold].append({"epoch": epoch} | losses)
            progress.add(1)
            if (self.since >= self.recipe.patience).all():
                break
            self.leave()
        return [self.result(fold, epochs) for fold, epochs in enumerate(history)]

    def epoch(self, epoch: int) -> torch.Tensor:
        """Train an epoch long; return the mean loss of each network in training."""
        rows, going = self.data.trains, self.going.to(self.where)
        # those that have left draw too: what a network is trained on must not depend on when others end
        order = [
            rows[i][torch.randperm(len(rows[i]), generator=self.generators[i // self.count]).to(self.where)]
            for i in range(len(rows))
        ]
        order = torch.stack([order[i][: self.people] for i in self.going])
        running = torch.zeros(len(going), device=self.where)
        parameters = [*self.decayed, *self.rest]
        total = self.steps * self.recipe.max_epochs
        for step in range(self.steps):
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate * _rate((epoch - 1) * self.steps + step, total)
            z, offset, wanted = self.data.take(order[:, step * self.batch : (step + 1) * self.batch], going)
            self.optimiser.zero_grad(set_to_none=True)
            value = _losses(self.network(z, self.recipe.dropout) + offset, wanted, self.trait).mean(dim=-1)
            value.sum().backward()
            _clip(parameters)
            self.optimiser.step()
            running += value.detach()
        return running / self.steps

    def keep(self, epoch: int, now: torch.Tensor, seen: torch.Tensor) -> None:
        """Keep the networks that are better than before, and count the epochs since each gained."""
        going = self.going.to(self.where)
        better = (now < self.best[going]) & seen
        if better.any():
            whose = going[better]
            self.best[whose] = now[better]
            self.taken[whose.cpu()] = epoch
            for name, value in self.network.named_parameters():
                self.kept[name][whose] = value.detach()[better]
        gained = (now < self.mark[going] - _GAIN * self.began[going]) & seen
        self.mark[going[gained]] = now[gained]
        fresh = torch.zeros(len(self.since), dtype=torch.bool)
        fresh[self.going] = gained.cpu()
        if self.together:
            fresh = self.of_folds(fresh).any(dim=1, keepdim=True).expand(-1, self.count).flatten()
        self.since = torch.where(fresh, 0, self.since + 1)

    def leave(self) -> None:
        """Take the networks that have stopped out of the batch."""
        stays = self.since[self.going] < self.recipe.patience
        # the draws of dropout are those of the whole batch
        if stays.all() or self.recipe.dropout:
            return
        self.going = self.going[stays]
        stays = stays.to(self.where)
        for p in (*self.decayed, *self.rest):
            p.data, p.grad = p.data[stays], None
            state = self.optimiser.state[p]
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = state[key][stays]

    def result(self, fold: int, epochs: list[dict[str, Any]]) -> tuple[NetworkModel, dict[str, Any]]:
        """Return the networks of a fold, and their history."""
        own = slice(fold * self.count, (fold + 1) * self.count)
        parameters = {name: v[own].cpu().numpy().copy() for name, v in self.kept.items()}
        for name in ("out", "linear", "intercept"):
            # the output in units of the phenotype
            parameters[name] = (parameters[name] * self.data.scales[own, None, None]).astype(np.float32)
        taken = self.taken[own].tolist()
        logger.info(
            "networks stopped after %d epochs, taken from epochs %s; loss in those who stop them %.5f, at the start "
            "%.5f",
            len(epochs) - 1,
            ", ".join(map(str, taken)),
            float(self.best[own].mean()),
            float(self.began[own].mean()),
        )
        return NetworkModel(parameters), {"epochs": epochs, "taken": taken, "batch_size": self.batch}

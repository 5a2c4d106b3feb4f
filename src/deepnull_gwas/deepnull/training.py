"""Training of the networks of one fold, or of all folds as one batched model. It knows nothing of files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from deepnull_gwas.deepnull.applying import NetworkModel
from deepnull_gwas.deepnull.models import NetworkFit, NetworkTask
from deepnull_gwas.deepnull.network import DeepNull
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.logs import Progress

logger = logging.getLogger(__name__)

STAGE = "train_folds"
_ROWS = 65536
#: Longest gradient of a network that is not shortened.
_LONGEST = 20.0


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
    """Give the people a step: a 32nd of the training people, at least 64 (where there are as many) and at most ``recipe.batch_size``."""
    return max(1, min(people, recipe.batch_size, max(64, people // 32)))


def fit_networks(tasks: Sequence[NetworkTask], trait: str, recipe: Recipe, device: str = "cpu") -> list[NetworkFit]:
    """Train the networks of one fold, or of several, as one batched model: without each part of the people, and for new people; each is stopped by a
    piece that does not train it.

    Networks know nothing of those beside them: their starts, batches, steps and the epochs that they are taken from are those that their fold would
    give alone (but folds of different sizes take batches and steps of the smallest).

    Parameters
    ----------
    tasks
        What to train on, one a fold. The same seeds give the same bytes on a CPU, whatever its number of cores.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train.
    device
        ``auto|cpu|cuda``.

    Raises
    ------
    StudyFailure
        When a loss is not finite.
    """
    where = pick_device(device)
    # where a covariate is constant in one fold, its networks are smaller
    widths = sorted({task.z.shape[1] for task in tasks})
    fits: dict[int, NetworkFit] = {}
    for width in widths:
        numbers = [i for i, task in enumerate(tasks) if task.z.shape[1] == width]
        fits |= dict(zip(numbers, _fit([tasks[i] for i in numbers], trait, recipe, where), strict=True))
    return [fits[i] for i in range(len(tasks))]


def _losses(prediction: torch.Tensor, wanted: torch.Tensor, trait: str) -> torch.Tensor:
    """Give each person's loss."""
    if trait == "quantitative":
        return (prediction - wanted) ** 2
    return torch.nn.functional.binary_cross_entropy_with_logits(prediction, wanted, reduction="none")


def _clip(parameters: Sequence[torch.Tensor]) -> None:
    """Shorten the gradient of each network that is longer than ``_LONGEST``."""
    squares = torch.stack([p.grad.flatten(1).square().sum(dim=1) for p in parameters])
    share = (_LONGEST / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
    for p in parameters:
        p.grad.mul_(share[:, None, None])


def _rate(step: int, total: int) -> float:
    """Give the share of the learning rate: a short warm-up, then half a cosine down to a hundredth."""
    warm = min(100, total // 10 + 1)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


class _Data:
    """The people of all folds on the device, and which of them each network is trained and validated on.

    Attributes
    ----------
    count
        Networks of a fold.
    held
        int[count]: the part that each does without; -1 for those that predict new people.
    scales
        float64[networks]: standard deviation of the phenotype among those who train each (binary: 1); targets are divided by it.
    """

    def __init__(self, tasks: Sequence[NetworkTask], trait: str, ensemble: int, where: torch.device):
        parts = tasks[0].parts.count
        repeats = math.ceil(ensemble / parts)
        # those that predict new people are stopped by a whole part: it takes many people to see what entangled covariates bring
        trainings = [
            t.parts.trainings(repeats)[: parts * repeats]
            + [(-1, t.parts.part != j, t.parts.part == j) for j in range(parts)] * repeats
            for t in tasks
        ]
        self.held = np.array([j for j, _, _ in trainings[0]])
        self.count = len(self.held)
        starts = np.arange(self.count) % parts + np.where(self.held < 0, parts, 0)
        trains = [np.flatnonzero(who) for t in trainings for _, who, _ in t]
        ys = [t.y for t in tasks for _ in self.held]
        spread = [float(y[rows].std()) for y, rows in zip(ys, trains)] if trait == "quantitative" else np.ones(len(ys))
        self.scales = np.array(spread)
        self.shrink = torch.from_numpy(1 / self.scales).float()[:, None].to(where)
        sizes = [len(task.z) for task in tasks]

        def place(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).float().to(where)

        self.x = torch.cat([place(task.z) for task in tasks])
        self.truth = torch.cat([place(task.y) for task in tasks])
        # rows are counted within a fold; its people begin here
        self.first = torch.from_numpy(np.repeat(np.cumsum([0, *sizes[:-1]]), self.count))[:, None].to(where)
        longest = max(sizes)
        self.offset = torch.cat(
            [torch.nn.functional.pad(place(task.start.T)[starts], (0, longest - len(task.z))) for task in tasks]
        )
        self.trains = [torch.from_numpy(rows).to(where) for rows in trains]
        validates = [torch.from_numpy(np.flatnonzero(who)).to(where) for t in trainings for _, _, who in t]
        # padded to one length
        longest = max(len(v) for v in validates)
        self.validates = torch.stack([torch.cat([v, v.new_zeros(longest - len(v))]) for v in validates])
        self.weight = torch.stack(
            [torch.cat([torch.ones(len(v)), torch.zeros(longest - len(v))]) / len(v) for v in validates]
        ).to(where)

    def take(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give covariates, starting prediction and truth of each network's rows int64[networks, people]."""
        own = rows + self.first
        return self.x[own], self.offset.gather(1, rows) * self.shrink, self.truth[own] * self.shrink


def _fit(tasks: Sequence[NetworkTask], trait: str, recipe: Recipe, where: torch.device) -> list[NetworkFit]:
    generators = [torch.Generator().manual_seed(task.seed) for task in tasks]
    with deterministic(where):
        data = _Data(tasks, trait, recipe.ensemble, where)
        network = DeepNull(tasks[0].z.shape[1], recipe.hidden, data.count, generators).to(where)
        decayed = [*network.weights, network.out]
        rest = [*network.biases, network.linear, network.intercept]
        optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.99),
            foreach=True,
        )
        n = min(len(rows) for rows in data.trains)
        batch = batch_size(n, recipe)
        steps = max(1, n // batch)
        total = steps * recipe.max_epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total))
        networks = len(data.trains)

        def evaluate() -> torch.Tensor:
            value = torch.zeros(networks, device=where)
            with torch.no_grad():
                for first in range(0, data.validates.shape[1], _ROWS):
                    rows = slice(first, first + _ROWS)
                    z, offset, wanted = data.take(data.validates[:, rows])
                    value += (_losses(network(z) + offset, wanted, trait) * data.weight[:, rows]).sum(dim=1)
            return value

        def of_folds(values: torch.Tensor) -> torch.Tensor:
            return values.reshape(len(tasks), data.count)

        best = evaluate()
        if not torch.isfinite(best).all():
            raise StudyFailure(STAGE, "the starting model is not finite; look for extreme covariate values")
        taken = torch.zeros(networks, dtype=torch.long)
        kept = {name: value.detach().clone() for name, value in network.named_parameters()}
        epochs = [[{"epoch": 0, "train": None, "validation": float(v)}] for v in of_folds(best).mean(dim=1)]
        began = best
        progress = Progress(recipe.max_epochs, "epochs at most of the networks")
        since = torch.zeros(networks, dtype=torch.long)
        for epoch in range(1, recipe.max_epochs + 1):
            order = torch.stack(
                [
                    rows[torch.randperm(len(rows), generator=generators[i // data.count]).to(where)[:n]]
                    for i, rows in enumerate(data.trains)
                ]
            )
            running = torch.zeros(networks, device=where)
            for step in range(steps):
                z, offset, wanted = data.take(order[:, step * batch : (step + 1) * batch])
                optimiser.zero_grad(set_to_none=True)
                value = _losses(network(z, recipe.dropout) + offset, wanted, trait).mean(dim=-1)
                value.sum().backward()
                _clip([*decayed, *rest])
                optimiser.step()
                schedule.step()
                running += value.detach()
            now = evaluate()
            # a network that has stopped is trained on beside the others, and not looked at: theirs is no word on when it ends
            active = of_folds(since < recipe.patience)
            seen = active.flatten().to(where)
            if not torch.isfinite(now[seen]).all() or not torch.isfinite(running[seen]).all():
                raise StudyFailure(
                    STAGE,
                    f"the loss is not finite at epoch {epoch}; lower deepnull.recipe.learning_rate, or look for extreme covariate values",
                )
            better = (now < best) & seen
            if better.any():
                best = torch.where(better, now, best)
                taken[better.cpu()] = epoch
                for name, value in network.named_parameters():
                    kept[name][better] = value.detach()[better]
            # and those that predict new people go on together
            fresh = of_folds(better.cpu())
            fresh[:, data.held < 0] = fresh[:, data.held < 0].any(dim=1, keepdim=True)
            since = torch.where(fresh.flatten(), 0, since + 1)
            means = of_folds(running).mean(dim=1) / steps, of_folds(now).mean(dim=1)
            for fold in torch.nonzero(active.any(dim=1)).flatten().tolist():
                train, validation = (float(v[fold]) for v in means)
                epochs[fold].append({"epoch": epoch, "train": train, "validation": validation})
            progress.add(1)
            if (since >= recipe.patience).all():
                break
    fits = []
    for fold, task in enumerate(tasks):
        own = slice(fold * data.count, (fold + 1) * data.count)
        parameters = {name: v[own].cpu().numpy().copy() for name, v in kept.items()}
        for name in ("out", "linear", "intercept"):
            # the output in units of the phenotype
            parameters[name] = (parameters[name] * data.scales[own, None, None]).astype(np.float32)
        without = NetworkModel({name: v[data.held >= 0] for name, v in parameters.items()})
        model = NetworkModel({name: v[data.held < 0] for name, v in parameters.items()})
        logger.info(
            "networks stopped after %d epochs, taken from epochs %s; loss in those who stop them %.5f, at the start %.5f",
            len(epochs[fold]) - 1,
            ", ".join(map(str, taken[own].tolist())),
            float(best[own].mean()),
            float(began[own].mean()),
        )
        history = {"epochs": epochs[fold], "taken": taken[own].tolist(), "batch_size": batch}
        fits.append(NetworkFit(model, without, _added(without, task, data.held[data.held >= 0]), history))
    return fits


def _added(model: NetworkModel, task: NetworkTask, held: np.ndarray) -> np.ndarray:
    """Return what the networks that have not seen a person's part add, the mean of them."""
    added, count = np.zeros(len(task.z)), np.zeros(len(task.z))
    for e, j in enumerate(held):
        rows = task.parts.part == j
        added[rows] += model.predict(task.z[rows], e)
        count[rows] += 1
    return added / np.maximum(count, 1)

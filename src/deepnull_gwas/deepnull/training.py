"""Training of the networks of one fold. It knows nothing of files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from deepnull_gwas.deepnull.applying import NetworkModel
from deepnull_gwas.deepnull.network import DeepNull
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.logs import Progress

logger = logging.getLogger(__name__)

STAGE = "train_folds"
_ROWS = 65536


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


def fit_networks(
    z: np.ndarray,
    y: np.ndarray,
    start: np.ndarray,
    part: np.ndarray,
    trait: str,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
) -> tuple[NetworkModel, np.ndarray, dict[str, Any]]:
    """Train the networks of one fold side by side, each with another part of the people as its validation part.

    Parameters
    ----------
    z, y
        Standardised covariates float64[n, p] and phenotype (binary: 0/1) of everybody but the people to predict.
    start
        float64[n, parts]: the predictions that the networks start from and add to (binary: logits); column j by a model that has not seen part j.
    part
        int[n]: the part of each person.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train.
    seed
        Source of all randomness; the same seed gives the same bytes on a CPU, whatever its number of cores.
    device
        ``auto|cpu|cuda``.

    Returns
    -------
    The networks; float64[n], what each person's network (the mean of those that have not trained on them) adds; and the history: per epoch
    the training and validation loss (means over the networks; quantitative: in units of the phenotype's variance), and the epoch that each
    network was taken from.

    Raises
    ------
    StudyFailure
        When the loss is not finite.
    """
    where = pick_device(device)
    parts = int(part.max()) + 1
    networks = parts * math.ceil(recipe.ensemble / parts)
    held = np.arange(networks) % parts
    scale = float(y.std()) if trait == "quantitative" else 1.0
    target = y / scale
    generator = torch.Generator().manual_seed(seed)
    rows_of = [np.flatnonzero(part != j) for j in held]
    n = min(len(rows) for rows in rows_of)
    with deterministic(where):
        network = DeepNull(z.shape[1], recipe.hidden, networks, generator).to(where)
        x = torch.from_numpy(z).float().to(where)
        truth = torch.from_numpy(target).float().to(where)
        offset = torch.from_numpy(np.ascontiguousarray(start.T / scale)).float().to(where)
        trains = [torch.from_numpy(rows).to(where) for rows in rows_of]
        validates = [torch.from_numpy(np.flatnonzero(part == j)).to(where) for j in held]

        def losses(prediction: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
            if trait == "quantitative":
                return ((prediction - wanted) ** 2).mean(dim=-1)
            return torch.nn.functional.binary_cross_entropy_with_logits(prediction, wanted, reduction="none").mean(-1)

        decayed = [*network.weights, network.out]
        rest = [*network.biases, network.linear, network.intercept]
        optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.99),
            foreach=True,
        )
        batch = batch_size(n, recipe)
        steps = max(1, n // batch)
        # a short warm-up, then half a cosine down to a hundredth
        total = steps * recipe.max_epochs
        warm = min(100, total // 10 + 1)

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        longest = max(len(v) for v in validates)
        # each network's own validation people, padded to one length
        padded = torch.stack([torch.cat([v, v.new_zeros(longest - len(v))]) for v in validates])
        weight = torch.stack(
            [torch.cat([torch.ones(len(v)), torch.zeros(longest - len(v))]) / len(v) for v in validates]
        ).to(where)
        own_offset = torch.stack([offset[j] for j in held])

        def evaluate() -> torch.Tensor:
            value = torch.zeros(networks, device=where)
            with torch.no_grad():
                for first in range(0, longest, _ROWS):
                    rows = padded[:, first : first + _ROWS]
                    out = network(x[rows]) + own_offset.gather(1, rows)
                    wanted = truth[rows]
                    each = (
                        (out - wanted) ** 2
                        if trait == "quantitative"
                        else torch.nn.functional.binary_cross_entropy_with_logits(out, wanted, reduction="none")
                    )
                    value += (each * weight[:, first : first + _ROWS]).sum(dim=1)
            return value

        best = evaluate()
        if not torch.isfinite(best).all():
            raise StudyFailure(STAGE, "the starting model is not finite; look for extreme covariate values")
        taken = torch.zeros(networks, dtype=torch.long)
        kept = {name: value.detach().clone() for name, value in network.named_parameters()}
        epochs = [{"epoch": 0, "train": None, "validation": float(best.mean())}]
        progress = Progress(recipe.max_epochs, "epochs")
        since = 0
        for epoch in range(1, recipe.max_epochs + 1):
            order = torch.stack([rows[torch.randperm(len(rows), generator=generator).to(where)[:n]] for rows in trains])
            running = torch.zeros(networks, device=where)
            for step in range(steps):
                rows = order[:, step * batch : (step + 1) * batch]
                optimiser.zero_grad(set_to_none=True)
                out = network(x[rows], recipe.dropout) + own_offset.gather(1, rows)
                value = losses(out, truth[rows])
                value.sum().backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0 * networks)
                optimiser.step()
                schedule.step()
                running += value.detach()
            now = evaluate()
            if not torch.isfinite(now).all() or not torch.isfinite(running).all():
                raise StudyFailure(
                    STAGE,
                    f"the loss is not finite at epoch {epoch}; lower deepnull.recipe.learning_rate, or look for extreme covariate values",
                )
            better = now < best
            if better.any():
                best = torch.where(better, now, best)
                taken[better.cpu()] = epoch
                for name, value in network.named_parameters():
                    kept[name][better] = value.detach()[better]
                since = 0
            else:
                since += 1
            epochs.append({"epoch": epoch, "train": float(running.mean() / steps), "validation": float(now.mean())})
            progress.add(1)
            if since >= recipe.patience:
                break
    model = NetworkModel({name: value.cpu().numpy().copy() for name, value in kept.items()}, scale)
    inner, count = np.zeros(len(z)), np.zeros(len(z))
    for e, j in enumerate(held):
        rows = part == j
        inner[rows] += model.predict(z[rows], e)
        count[rows] += 1
    logger.info(
        "networks stopped after %d epochs, taken from epochs %s; validation loss %.5f, at the start %.5f",
        epoch,
        taken.tolist(),
        float(best.mean()),
        epochs[0]["validation"],
    )
    inner /= np.maximum(count, 1)
    return model, inner, {"epochs": epochs, "taken": taken.tolist(), "batch_size": batch}

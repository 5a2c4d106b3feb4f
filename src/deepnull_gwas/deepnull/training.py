"""Training of one fold's model. It knows nothing of files."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepnull_gwas.deepnull.linear import fit_linear
from deepnull_gwas.deepnull.metrics import loss
from deepnull_gwas.deepnull.network import DeepNull
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import atomic_path

logger = logging.getLogger(__name__)

STAGE = "train_fold"


@dataclass
class FoldModel:
    """A trained model: plain arrays, so that it is saved without pickle and applied without torch.

    Attributes
    ----------
    columns
        Names of the covariates it was given, in order.
    keep
        Which of them it uses (constants in the training part are left out).
    mean, scale
        Of the used covariates in the training part.
    y_mean, y_scale
        Of the phenotype there; 0 and 1 for binary traits.
    linear, intercept
        The linear model on standardised covariates.
    weight
        How much of what the network adds to the linear model is taken, 0 to 1.
    network
        Parameters by name, networks first.
    trait
        ``quantitative`` or ``binary``.
    """

    columns: list[str]
    keep: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    y_mean: float
    y_scale: float
    linear: np.ndarray
    intercept: float
    weight: float
    network: dict[str, np.ndarray]
    trait: str

    def standardise(self, x: np.ndarray) -> np.ndarray:
        """Standardise covariates as the training part was; values are held within 10 standard deviations, beyond which nothing was learned."""
        return np.clip((np.asarray(x, dtype=np.float64)[:, self.keep] - self.mean) / self.scale, -10, 10)

    def predict_linear(self, x: np.ndarray) -> np.ndarray:
        """Predict by the linear model alone: float64[n], in units of the phenotype, or a logit."""
        return self.y_mean + self.y_scale * (self.standardise(x) @ self.linear + self.intercept)

    def predict_network(self, x: np.ndarray) -> np.ndarray:
        """Predict by the mean of the networks, before calibration."""
        z = self.standardise(x).astype(np.float32)
        total = np.zeros(len(z))
        layers = sorted(k for k in self.network if k.startswith("weights."))
        n_networks = len(self.network["out"])
        for first in range(0, len(z), 65536):
            part = z[first : first + 65536]
            for e in range(n_networks):
                h = part
                for name in layers:
                    h = h @ self.network[name][e] + self.network[name.replace("weights", "biases")][e]
                    # SiLU; the exponent is held where float32 can take it
                    h = h / (1 + np.exp(-np.maximum(h, -80)))
                out = h @ self.network["out"][e] + part @ self.network["linear"][e] + self.network["intercept"][e]
                total[first : first + 65536] += out[:, 0]
        return self.y_mean + self.y_scale * total / n_networks

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the phenotype (binary: its logit).

        Parameters
        ----------
        x
            float[n, covariates] in the order of ``columns``.

        Returns
        -------
        float64[n].
        """
        if x.shape[1] != len(self.columns):
            raise InputError(
                f"{x.shape[1]} covariates, the model was trained on {len(self.columns)}: {', '.join(self.columns)}"
            )
        linear = self.predict_linear(x)
        return linear if self.weight == 0.0 else linear + self.weight * (self.predict_network(x) - linear)

    def save(self, path: str | Path) -> None:
        """Save as .npz, without pickle."""
        head = {
            "format": 1,
            "columns": self.columns,
            "trait": self.trait,
            "y_mean": self.y_mean,
            "y_scale": self.y_scale,
        }
        head |= {"intercept": self.intercept, "weight": self.weight}
        arrays = {
            "head": np.array(json.dumps(head)),
            "keep": self.keep,
            "mean": self.mean,
            "scale": self.scale,
            "linear": self.linear,
        }
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays, **{f"network.{k}": v for k, v in self.network.items()})

    @classmethod
    def load(cls, path: str | Path) -> FoldModel:
        """Load what :meth:`save` wrote; refuses pickled content."""
        with np.load(path, allow_pickle=False) as data:
            head = json.loads(str(data["head"]))
            network = {k.removeprefix("network."): data[k] for k in data.files if k.startswith("network.")}
            return cls(
                head["columns"], data["keep"], data["mean"], data["scale"], head["y_mean"], head["y_scale"], data["linear"], head["intercept"],
                head["weight"], network, head["trait"],
            )  # fmt: skip


def pick_device(wanted: str) -> torch.device:
    """Turn ``auto|cpu|cuda`` into a device: ``auto`` takes a GPU where one is granted."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def fit_fold(
    x: np.ndarray,
    y: np.ndarray,
    x_validation: np.ndarray,
    y_validation: np.ndarray,
    columns: list[str],
    trait: str,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
) -> tuple[FoldModel, dict[str, Any]]:
    """Train one fold's model.

    Parameters
    ----------
    x, y
        Covariates float64[n, p] and phenotype of the training part (binary: 0/1).
    x_validation, y_validation
        The same of the validation part, which stops the training and weighs network against linear model.
    columns
        Names of the covariates.
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
    The model, and its history: per epoch the training and validation loss (means over the networks; standardised units), the epoch that each
    network was taken from, and the calibration weight.

    Raises
    ------
    StudyFailure
        When a part is empty, has no cases or controls, or the loss is not finite.
    """
    if not len(x) or not len(x_validation):
        raise StudyFailure(STAGE, "a fold has no people; use fewer folds")
    if trait == "binary":
        for part, values in (("training", y), ("validation", y_validation)):
            if values.min() == values.max():
                raise StudyFailure(
                    STAGE,
                    f"the {part} part has {'no controls' if values[0] else 'no cases'}; use fewer folds, or leave out the deepnull arm",
                )
    mean, scale = x.mean(axis=0), x.std(axis=0)
    keep = np.flatnonzero(scale > 1e-12 * np.maximum(1.0, np.abs(mean)))
    y_mean, y_scale = (float(y.mean()), float(y.std())) if trait == "quantitative" else (0.0, 1.0)
    if y_scale == 0.0:
        raise StudyFailure(STAGE, "the phenotype is constant in a training part")
    model = FoldModel(
        list(columns), keep, mean[keep], scale[keep], y_mean, y_scale, np.zeros(len(keep)), 0.0, 0.0, {}, trait
    )
    z, target = model.standardise(x), (y - y_mean) / y_scale
    model.linear, model.intercept = fit_linear(z, target, trait)
    z_validation, target_validation = model.standardise(x_validation), (y_validation - y_mean) / y_scale
    history = _train(model, z, target, z_validation, target_validation, recipe, seed, device)
    if recipe.calibrate:
        model.weight = _stacking_weight(
            target_validation,
            (model.predict_linear(x_validation) - y_mean) / y_scale,
            (model.predict_network(x_validation) - y_mean) / y_scale,
            trait,
        )
    else:
        model.weight = 1.0
    history["weight"] = model.weight
    return model, history


def _train(
    model: FoldModel,
    z: np.ndarray,
    target: np.ndarray,
    zv: np.ndarray,
    tv: np.ndarray,
    recipe: Recipe,
    seed: int,
    device: str,
) -> dict[str, Any]:
    where = pick_device(device)
    threads = torch.get_num_threads()
    # sums then come out the same whatever number of cores was granted, and networks this small gain nothing from more
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(where.type == "cpu")
    try:
        generator = torch.Generator().manual_seed(seed)
        network = DeepNull(
            z.shape[1],
            recipe.hidden,
            recipe.ensemble,
            torch.from_numpy(model.linear).float(),
            model.intercept,
            generator,
        ).to(where)
        x, y = torch.from_numpy(z).float().to(where), torch.from_numpy(target).float().to(where)
        xv, yv = torch.from_numpy(zv).float().to(where), torch.from_numpy(tv).float().to(where)

        def losses(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            truth = truth.expand_as(prediction)
            if model.trait == "quantitative":
                return ((prediction - truth) ** 2).mean(dim=1)
            return torch.nn.functional.binary_cross_entropy_with_logits(prediction, truth, reduction="none").mean(dim=1)

        decayed = [*network.weights, network.out]
        rest = [*network.biases, network.linear, network.intercept]
        optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.99),
            foreach=True,
        )
        n = len(x)
        batch = max(32, min(recipe.batch_size, n // 16))
        steps = max(1, n // batch)
        # a short warm-up, then half a cosine down to a hundredth
        total = steps * recipe.max_epochs
        warm = min(100, total // 10 + 1)

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)

        def evaluate(inputs: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                sums = [
                    losses(network(inputs[i : i + 65536]), truth[i : i + 65536]) * len(truth[i : i + 65536])
                    for i in range(0, len(truth), 65536)
                ]
                return torch.stack(sums).sum(dim=0) / len(truth)

        best = evaluate(xv, yv)
        taken = torch.zeros(recipe.ensemble, dtype=torch.long)
        kept = {name: value.detach().clone() for name, value in network.named_parameters()}
        epochs = [{"epoch": 0, "train": float(evaluate(x, y).mean()), "validation": float(best.mean())}]
        progress = Progress(recipe.max_epochs, "epochs")
        since = 0
        for epoch in range(1, recipe.max_epochs + 1):
            order = torch.stack([torch.randperm(n, generator=generator) for _ in range(recipe.ensemble)]).to(where)
            running = torch.zeros(recipe.ensemble, device=where)
            for step in range(steps):
                rows = order[:, step * batch : (step + 1) * batch]
                optimiser.zero_grad(set_to_none=True)
                value = losses(network(x[rows]), y[rows])
                value.sum().backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0 * recipe.ensemble)
                optimiser.step()
                schedule.step()
                running += value.detach()
            now = evaluate(xv, yv)
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
        model.network = {name: value.cpu().numpy().copy() for name, value in kept.items()}
        logger.info(
            "stopped after %d epochs; networks taken from epochs %s; validation loss %.5f (linear %.5f)",
            epoch,
            taken.tolist(),
            float(best.mean()),
            epochs[0]["validation"],
        )
        return {"epochs": epochs, "taken": taken.tolist(), "batch_size": batch}
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


def _stacking_weight(y: np.ndarray, linear: np.ndarray, network: np.ndarray, trait: str) -> float:
    """Find how much of what the network adds to the linear model to take, on the validation part.

    The weight that minimises the validation loss within 0 to 1; none where the gain is not above one standard error of itself, so that noise is
    not taken for a pattern when the truth is linear.
    """
    extra = network - linear
    grid = np.linspace(0.0, 1.0, 21)
    values = [loss(y, linear + w * extra, trait) for w in grid]
    best = int(np.argmin([v.mean() for v in values]))
    gain = values[0] - values[best]
    if best == 0 or gain.mean() <= gain.std() / math.sqrt(len(gain)):
        return 0.0
    return float(grid[best])

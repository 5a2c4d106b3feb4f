"""DeepNull on a GPU and on the CPU, same people, folds and seeds: seconds, and how far the predictions are apart.

    python benchmarks/gpu.py [--people 20000,500000] [--covariates 20] [--folds 5] [--models network,auto] [--cpu-up-to
    20000] [--json FILE]

Differences are root mean squares in standard deviations of the CPU's prediction. The first fit on a device pays for its
libraries, so each device fits a small case before it is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from deepnull_architectures import entangled

from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.recipe import Recipe

SHARE = 0.27  # of the variance, explained by the truth


def draw(n: int, p: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates float64[n, p], truth and phenotype float64[n]: the architecture that favours the network."""
    rng = np.random.default_rng(seed)
    x, truth = entangled(rng, n, p)
    truth = (truth - truth.mean()) / truth.std() * SHARE**0.5
    return x, truth, truth + rng.normal(scale=(1 - SHARE) ** 0.5, size=n)


def run(n: int, p: int, folds: int, model: str, device: str) -> tuple[np.ndarray, dict]:
    """Cross-fit one case on a device; returns the prediction and what it took."""
    x, _, y = draw(n, p)
    fold = np.random.default_rng(2).permutation(n) % folds
    started = time.perf_counter()
    prediction, _, _ = crossfit(x, y, fold, Recipe(), 3, choice=Choice(model, compare=False), device=device)
    row = {"people": n, "covariates": p, "folds": folds, "model": model, "device": device}
    return prediction, row | {
        "seconds": round(time.perf_counter() - started, 1),
        "r2": round(measure(y, prediction, "quantitative")["r2"], 4),
    }


def main() -> None:
    """Run the cases and print them as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="20000,500000")
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--models", default="network,auto")
    parser.add_argument("--cpu-up-to", type=int, default=20_000, help="people up to which the CPU is timed, too")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    names = {"cpu": platform.processor() or platform.machine()}
    if len(devices) == 2:
        names["cuda"] = torch.cuda.get_device_name()
    else:
        print("no GPU seen; only the CPU is timed")
    for device in devices:
        run(2_000, given.covariates, 3, "network", device)
    rows = []
    for n in map(int, given.people.split(",")):
        for model in given.models.split(","):
            reference = None
            for device in devices:
                if device == "cpu" and len(devices) == 2 and n > given.cpu_up_to:
                    continue
                prediction, row = run(n, given.covariates, given.folds, model, device)
                if reference is None and device == "cpu":
                    reference = prediction
                elif reference is not None:
                    row["difference_sd"] = float(np.sqrt(np.mean((prediction - reference) ** 2)) / reference.std())
                rows.append(row)
                print(json.dumps(row), flush=True)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"devices": names, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

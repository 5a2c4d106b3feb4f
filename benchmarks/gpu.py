"""DeepNull on a GPU and on the CPU, same people, folds and seeds: seconds, and how far the predictions are apart.

    python benchmarks/gpu.py [--people 20000,500000] [--covariates 20] [--folds 5] [--trait quantitative]
    [--models network,gaussian_process,auto] [--cpu-up-to 20000] [--json FILE]

Differences are root mean squares in standard deviations of the CPU's prediction. The first fit on a device pays for its
libraries, so each device fits small cases before it is timed. `search_seconds`: of them, for the hyperparameters of the
Gaussian process, which are searched on the CPU in any case. Without a GPU the CPU alone is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from deepnull_architectures import Case, draw, entangled

from deepnull_gwas.deepnull import gaussian_process
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.recipe import Recipe

#: Share of cases.
PREVALENCE = 0.2


def run(n: int, p: int, folds: int, trait: str, model: str, device: str) -> tuple[np.ndarray, dict]:
    """Cross-fit one case on a device: returns the prediction and what it took."""
    binary = trait == "binary"
    x, y, _ = draw(Case(entangled, n, p, prevalence=PREVALENCE if binary else None), 1)
    fold = np.random.default_rng(2).permutation(n) % folds
    search, real = [0.0], gaussian_process.most_likely

    def timed(*args):
        began = time.perf_counter()
        found = real(*args)
        search[0] += time.perf_counter() - began
        return found

    began = time.perf_counter(), time.process_time()
    with mock.patch.object(gaussian_process, "most_likely", timed):
        prediction, _, _ = crossfit(x, y, fold, Recipe(), 3, trait, Choice(model, compare=False), device)
    row = {"people": n, "covariates": p, "folds": folds, "trait": trait, "model": model, "device": device}
    fit = "r2_mcfadden" if binary else "r2"
    return prediction, row | {
        "seconds": round(time.perf_counter() - began[0], 1),
        "cpu_seconds": round(time.process_time() - began[1], 1),
        "search_seconds": round(search[0], 1),
        fit: round(measure(y, prediction, trait)[fit], 4),
    }


def main() -> None:
    """Run the cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="20000,500000")
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trait", choices=["quantitative", "binary"], default="quantitative")
    parser.add_argument("--models", default="network,gaussian_process,auto")
    parser.add_argument("--cpu-up-to", type=int, default=20_000, help="people up to which the CPU is timed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    names = {"cpu": platform.processor() or platform.machine()}
    if len(devices) == 2:
        names["cuda"] = torch.cuda.get_device_name()
    else:
        print(f"no GPU seen: only the CPU is timed, with up to {given.cpu_up_to:,} people (--cpu-up-to)")
    models = given.models.split(",")
    for device in devices:
        for model in models:
            run(500, given.covariates, 3, given.trait, model, device)
    rows = []
    for n in map(int, given.people.split(",")):
        for model in models:
            reference = None
            for device in devices:
                if device == "cpu" and n > given.cpu_up_to:
                    continue
                prediction, row = run(n, given.covariates, given.folds, given.trait, model, device)
                if device == "cpu":
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

"""CatBoost, LightGBM and explainable boosting machines on the draws and folds of benchmarks/deepnull_architectures.py.

Those that are installed are measured (`pip install catboost lightgbm interpret`); the workflow needs none of them.
Boosting is stopped early by a tenth of the people outside the fold.

    python benchmarks/deepnull_rivals.py [--cases NAME,...] [--packages NAME,...] [--replicates N] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from deepnull_architectures import CASES, Case, draw, error_of_mean, folds_of
from threadpoolctl import threadpool_limits

#: (covariates, phenotype, who stops, covariates to predict, whether binary, seed) -> prediction, a logit where binary.
Rival = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool, int], np.ndarray]


def _raw(model: Any, x: np.ndarray, binary: bool, **options: Any) -> np.ndarray:
    """Predict; of a classifier the logit."""
    if not binary:
        return np.asarray(model.predict(x))
    share = np.clip(model.predict_proba(x)[:, 1], 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))


def lightgbm(x: np.ndarray, y: np.ndarray, stops: np.ndarray, new: np.ndarray, binary: bool, seed: int) -> np.ndarray:
    import lightgbm as library

    kind = library.LGBMClassifier if binary else library.LGBMRegressor
    model = kind(n_estimators=3000, learning_rate=0.03, num_leaves=15, random_state=seed, n_jobs=1, verbose=-1)
    # its name since 4.7 is not known to earlier versions
    warnings.filterwarnings("ignore", "The argument 'eval_set'")
    ends = [library.early_stopping(50, verbose=False)]
    model.fit(x[~stops], y[~stops], eval_set=[(x[stops], y[stops])], callbacks=ends)
    return _raw(model, new, binary)


def catboost(x: np.ndarray, y: np.ndarray, stops: np.ndarray, new: np.ndarray, binary: bool, seed: int) -> np.ndarray:
    import catboost as library

    kind = library.CatBoostClassifier if binary else library.CatBoostRegressor
    model = kind(
        iterations=3000, learning_rate=0.03, random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
    )
    model.fit(x[~stops], y[~stops], eval_set=(x[stops], y[stops]), early_stopping_rounds=50)
    return _raw(model, new, binary)


def explainable(
    x: np.ndarray, y: np.ndarray, stops: np.ndarray, new: np.ndarray, binary: bool, seed: int
) -> np.ndarray:
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    # it keeps people of its own to stop by
    kind = ExplainableBoostingClassifier if binary else ExplainableBoostingRegressor
    model = kind(random_state=seed, n_jobs=1).fit(x, y)
    return _raw(model, new, binary)


#: By the package that they need.
RIVALS: dict[str, Rival] = {"catboost": catboost, "lightgbm": lightgbm, "interpret": explainable}


def trial(name: str, case: Case, seed: int, package: str) -> dict[str, Any]:
    """Cross-fit one draw of a case by one rival, on the folds that the workflow's models have."""
    from deepnull_gwas.deepnull.metrics import measure

    x, y, truth = draw(case, seed)
    fold, binary = folds_of(case, y, seed), case.prevalence is not None
    prediction, rng = np.full(case.n, np.nan), np.random.default_rng(seed)
    began = time.process_time()
    with threadpool_limits(1):
        for evaluated in range(int(fold.max()) + 1):
            outside = fold != evaluated
            stops = rng.random(int(outside.sum())) < 0.1
            own = RIVALS[package](x[outside], y[outside], stops, x[~outside], binary, seed)
            prediction[~outside] = own
    seconds = time.process_time() - began
    trait, key = ("binary", "r2_mcfadden") if binary else ("quantitative", "r2")
    values = {"best": truth, "prediction": prediction}
    row = {"case": name, "seed": seed, "package": package, "seconds": seconds}
    return row | {m: float(measure(y, v, trait)[key]) for m, v in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="published_1k,published_4k,entangled_4k,lifestyle_4k,binary_4k")
    parser.add_argument("--packages", default=",".join(RIVALS))
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/output/deepnull_rivals.json", help="results are added to it")
    arguments = parser.parse_args()
    wanted = arguments.packages.split(",")
    there = [package for package in wanted if importlib.util.find_spec(package)]
    for package in sorted(set(wanted) - set(there)):
        print(f"{package} is not installed (pip install {package}): left out")
    out = Path(arguments.out)
    rows = json.loads(out.read_text()) if out.exists() else []
    done = {(r["case"], r["seed"], r["package"]) for r in rows}
    for name in arguments.cases.split(","):
        for seed in range(1, arguments.replicates + 1):
            for package in there:
                if (name, seed, package) not in done:
                    rows.append(trial(name, CASES[name], seed, package))
                    print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
                    out.parent.mkdir(parents=True, exist_ok=True)
                    out.write_text(json.dumps(rows, indent=1))
    print("\n".join(table(rows)))


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return Markdown: for each case and package the mean, the standard error of what is missing to the best possible,
    and the CPU seconds of five folds.
    """
    packages = list(dict.fromkeys(r["package"] for r in rows))
    lines = ["| case | " + " | ".join(packages) + " |", "| --- " * (len(packages) + 1) + "|"]
    for name in dict.fromkeys(r["case"] for r in rows):
        shown = []
        for package in packages:
            own = [r for r in rows if (r["case"], r["package"]) == (name, package)]
            if not own:
                shown.append("")
                continue
            seconds = np.mean([r["seconds"] for r in own])
            shown.append(f"{np.mean([r['prediction'] for r in own]):.4f}{error_of_mean(own)} ({seconds:.0f} s)")
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines


if __name__ == "__main__":
    main()

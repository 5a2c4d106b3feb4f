"""What an out-of-fold prediction costs the tests when it enters the association whole, its linear part too.

The covariates act linearly, so a prediction has nothing to add to them: what chi-squares lose is the price of the
covariate alone. By theory (k - 1) p / n for a linear prediction of p covariates from k folds of n people: its
coefficients differ by fold, each away from its own fold's phenotypes. Models of the registry are measured raw, as
they predict, and as the workflow takes them, less their linear part.

    python benchmarks/covariate_loss.py [--people 1000] [--replicates 200] [--models linear,second_order] [--seed 1]
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

#: Covariates, folds, and variants with an effect, each tested by itself.
COVARIATES, FOLDS, VARIANTS = 12, 5, 100
#: Share of the variance that the covariates explain, and that each variant does.
LINEAR, EACH = 0.25, 0.002


def chi2(g: np.ndarray, y: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Return the chi-square of each variant, float64[variants], of float64[n, variants] next to a design."""
    q = np.linalg.qr(design)[0]
    g, y = g - q @ (q.T @ g), y - q @ (q.T @ y)
    squares, cross = np.einsum("ij,ij->j", g, g), g.T @ y
    explained = cross**2 / squares
    return explained / ((y @ y - explained) / (len(y) - design.shape[1] - 1))


def replicate(rng: np.random.Generator, n: int, models: list[str]) -> dict[str, float]:
    """Return for each model, raw and as a covariate of the workflow, the share of all chi-squares that is lost."""
    from deepnull_gwas.deepnull.crossfit import crossfit
    from deepnull_gwas.deepnull.fitting import Choice
    from deepnull_gwas.deepnull.recipe import Recipe

    x, g = rng.normal(size=(n, COVARIATES)), rng.normal(size=(n, VARIANTS))
    effect = np.sqrt(EACH) * rng.choice([-1.0, 1.0], VARIANTS)
    rest = 1 - LINEAR - EACH * VARIANTS
    y = x @ np.full(COVARIATES, np.sqrt(LINEAR / COVARIATES)) + g @ effect + np.sqrt(rest) * rng.normal(size=n)
    fold, design, lost = rng.permutation(n) % FOLDS, np.column_stack([np.ones(n), x]), {}
    without = chi2(g, y, design).sum()
    for model in models:
        _, each, results = crossfit(x, y, fold, Recipe(), 1, choice=Choice(model, compare=False))
        covariate = np.empty(n)
        for result in results:
            covariate[result.rows] = result.covariate
        for name, values in ((model, each.get(model)), (f"{model}, less its linear part", covariate)):
            if values is not None:
                some = np.column_stack([design, values]) if values.any() else design
                lost[name] = 1 - chi2(g, y, some).sum() / without
    return lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--models", default="linear,second_order,splines,trees,gaussian_process")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, rows = np.random.default_rng(arguments.seed), []
    with threadpool_limits(1):
        for _ in range(arguments.replicates):
            rows.append(replicate(rng, arguments.people, arguments.models.split(",")))
    print(f"{arguments.people} people, {COVARIATES} covariates, {FOLDS} folds, {len(rows)} replicates")
    print(f"by theory, linear: {(FOLDS - 1) * COVARIATES / arguments.people:.4f}")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        print(f"{name}: {values.mean():.4f} (standard error {values.std() / np.sqrt(len(values)):.4f})", flush=True)


if __name__ == "__main__":
    main()

"""Out-of-fold accuracy of the DeepNull models on simulated covariate architectures.

Each case is drawn with a known truth, cross-fitted with the workflow's own folds, and measured against the best
possible prediction (the truth itself). The table goes to docs/deepnull_architectures.md.

    python benchmarks/deepnull_architectures.py [--cases NAME,...] [--replicates N] [--models auto,...] [--out FILE]
    [--device auto]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def people(rng: np.random.Generator, n: int, p: int) -> np.ndarray:
    """Draw age (years), sex (1, 2) and p - 2 principal components."""
    return np.column_stack([np.round(rng.uniform(40, 70, n), 1), rng.integers(1, 3, n), rng.normal(size=(n, p - 2))])


def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x[:, 0] - 55) / 8.66, x[:, 1] - 1.5


def linear(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.6 * a + 0.8 * s + (x[:, 2:] @ np.linspace(0.3, 0.05, p - 2))


def published(rng, n, p):
    """Quadratic, interaction and two sine terms: a case like that of McCaw et al. 2022."""
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.34 * a + 0.3 * s + 0.28 * a**2 + 0.5 * a * s + 0.22 * np.sin(2.5 * a) + 0.22 * np.sin(3 * x[:, 2])


def quadratic(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.2 * s + 0.5 * a**2 + 0.2 * x[:, 2] ** 2


def age_by_sex(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.3 * s + 1.2 * a * s


def sine(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.2 * s + 0.7 * np.sin(4 * a + s * np.pi)


def thresholds(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.2 * a + (x[:, 0] > 50) * (s + 0.5) + 0.8 * (x[:, 2] > 0.5) + 0.6 * (x[:, 3] > 1) * (x[:, 0] > 60)


def pc_by_covariate(rng, n, p):
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.3 * x[:, 2] + 0.5 * a * x[:, 2] + 0.8 * s * x[:, 3] + 0.3 * x[:, 2] * x[:, 3]


def heavy_tails(rng, n, p):
    """Covariates of log-normal and Student's distribution; the noise of Student's, too (see Case.noise)."""
    x = people(rng, n, p)
    x[:, 2] = np.exp(1.2 * x[:, 2])
    x[:, 3] = rng.standard_t(3, n)
    a, s = parts(x)
    return x, 0.3 * a + 0.3 * s + 0.8 * np.log1p(x[:, 2]) + 0.6 * np.tanh(x[:, 3]) * a


def entangled(rng, n, p):
    """Three covariates at a time, and products of curves: what neither splines nor polynomials of second order hold."""
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.9 * np.sin(2 * a) * x[:, 2] + 1.2 * a * s * x[:, 3] + 0.6 * np.abs(x[:, 4] + x[:, 5])


def lifestyle(rng, n, p):
    """The demo cohort's covariates: waves of age and body-mass index, a threshold of pack-years."""
    x = people(rng, n, p)
    a, s = parts(x)
    man = (x[:, 1] == 1).astype(float)
    bmi = np.round(25 + 0.05 * (x[:, 0] - 55) + 0.8 * man + rng.gamma(3, 2.2, n) - 4, 1)
    smoking = np.round(np.where(rng.random(n) < 0.45, np.minimum(rng.gamma(1.6, 12, n), 120), 0), 1)
    x[:, 2], x[:, 3] = bmi, smoking
    wave = np.sin(2 * np.pi * (x[:, 0] - 40) / 12 + man * np.pi / 2)
    f = 0.4 * a + 0.4 * s + 0.3 * a**2 + 0.5 * a * s + 0.7 * wave + 0.5 * np.sin(2 * np.pi * (bmi - 25) / 10)
    return x, f + 0.7 * (smoking > 15) + 0.06 * np.maximum(bmi - 30, 0) * a


def correlated(rng, n, p):
    """Products of curves, of principal components that correlate by .5."""
    x = people(rng, n, p)
    x[:, 2:] = np.sqrt(0.5) * x[:, 2:] + np.sqrt(0.5) * rng.normal(size=(n, 1))
    a, s = parts(x)
    return x, 0.3 * a + 0.8 * np.sin(1.5 * x[:, 2]) * np.cos(x[:, 3]) + 0.4 * (x[:, 4] ** 2 - 1) * a + 0.3 * s


def threshold_by_age(rng, n, p):
    """A threshold inside an interaction: above it age acts, and in men only another covariate does."""
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.2 * s + 0.9 * (x[:, 2] > 0.3) * a + 0.7 * (s > 0) * (x[:, 3] > 0)


def fast_waves(rng, n, p):
    """Periodic effects of high frequency: a year of age in five, and sin(3 pi x)."""
    x = people(rng, n, p)
    a, s = parts(x)
    return x, 0.3 * a + 0.6 * np.sin(2 * np.pi * x[:, 0] / 5) + 0.6 * np.sin(3 * np.pi * x[:, 2]) * (1 + 0.5 * s)


def three_of_thirty(rng, n, p):
    """Three of thirty covariates matter: curves, a product of two, and of all three."""
    x = people(rng, n, p)
    a, b, c = x[:, 5], x[:, 11], x[:, 23]
    return x, 0.5 * np.tanh(2 * a) + 0.5 * np.abs(b) + 0.4 * b * c + 0.4 * np.sin(1.5 * a) * b * c


def nothing(rng, n, p):
    """No covariate explains anything."""
    return people(rng, n, p), np.zeros(n)


@dataclass(frozen=True)
class Case:
    """One architecture with its size.

    Attributes
    ----------
    draw
        (rng, n, p) -> covariates float64[n, p] and the truth float64[n].
    n, p
        People and covariates.
    share
        Variance explained by the truth (binary: of the liability, before the logistic noise).
    prevalence
        Share of cases; None: a quantitative trait.
    noise
        ``normal`` or ``student`` (4 degrees of freedom).
    slow
        Left out unless asked for.
    """

    draw: Draw
    n: int
    p: int
    share: float = 0.27
    prevalence: float | None = None
    noise: str = "normal"
    slow: bool = False


CASES = {
    "linear_1k": Case(linear, 1000, 12),
    "linear_4k": Case(linear, 4000, 12),
    "linear_20k": Case(linear, 20000, 12),
    "published_1k": Case(published, 1000, 12),
    "published_4k": Case(published, 4000, 12),
    "published_20k": Case(published, 20000, 12),
    "published_200k": Case(published, 200000, 12, slow=True),
    "published_400k": Case(published, 400000, 12, slow=True),
    "quadratic": Case(quadratic, 5000, 6),
    "two_covariates": Case(age_by_sex, 5000, 2),
    "age_by_sex": Case(age_by_sex, 5000, 12),
    "sine": Case(sine, 10000, 12),
    "thresholds": Case(thresholds, 10000, 12),
    "pc_by_covariate": Case(pc_by_covariate, 10000, 22),
    "entangled_4k": Case(entangled, 4000, 12),
    "entangled_20k": Case(entangled, 20000, 12),
    "heavy_tails": Case(heavy_tails, 10000, 12, noise="student"),
    "lifestyle_4k": Case(lifestyle, 4000, 14, share=0.4),
    "lifestyle_20k": Case(lifestyle, 20000, 14, share=0.4),
    "sixty": Case(published, 10000, 60),
    "binary_50": Case(published, 10000, 12, prevalence=0.5),
    "binary_10": Case(published, 20000, 12, prevalence=0.1),
    "binary_1": Case(published, 40000, 12, prevalence=0.01),
    "binary_linear_10": Case(linear, 20000, 12, prevalence=0.1),
    "binary_4k": Case(lifestyle, 4000, 14, share=0.4, prevalence=0.3),
    # not looked at while the Gaussian process was made
    "correlated_4k": Case(correlated, 4000, 12),
    "threshold_by_age_4k": Case(threshold_by_age, 4000, 12),
    "fast_waves_4k": Case(fast_waves, 4000, 12),
    "three_of_thirty_4k": Case(three_of_thirty, 4000, 30),
    "binary_correlated_4k": Case(correlated, 4000, 12, share=0.4, prevalence=0.3),
    "nothing_4k": Case(nothing, 4000, 12),
}


def draw(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw covariates, phenotype and the best possible prediction (binary: its logit)."""
    rng = np.random.default_rng(seed)
    x, f = case.draw(rng, case.n, case.p)
    f = (f - f.mean()) / (f.std() or 1.0)
    if case.prevalence is None:
        noise = rng.normal(size=case.n) if case.noise == "normal" else rng.standard_t(4, case.n) / np.sqrt(2)
        f = f * np.sqrt(case.share)
        return x, f + noise * np.sqrt(1 - case.share), f
    # the logistic distribution has variance pi^2/3
    f = f * np.sqrt(case.share / (1 - case.share) * np.pi**2 / 3)
    low, high = -20.0, 20.0
    for _ in range(60):
        shift = (low + high) / 2
        if np.mean(1 / (1 + np.exp(-(f + shift)))) < case.prevalence:
            low = shift
        else:
            high = shift
    f = f + shift
    return x, (rng.random(case.n) < 1 / (1 + np.exp(-f))).astype(float), f


def folds_of(case: Case, y: np.ndarray, seed: int) -> np.ndarray:
    """Assign five folds as the workflow does, int[n]."""
    from deepnull_gwas.deepnull.folds import assign_folds

    stratum = None if case.prevalence is None else y.astype(int)
    return assign_folds([f"p{i}" for i in range(case.n)], 5, seed, stratum=stratum)


def trial(name: str, case: Case, seed: int, model: str, recipe: dict) -> dict:
    """Cross-fit one draw of a case; return out-of-fold accuracy of each model and of the truth, and the seconds."""
    from deepnull_gwas.deepnull.crossfit import crossfit
    from deepnull_gwas.deepnull.fitting import Choice
    from deepnull_gwas.deepnull.metrics import measure
    from deepnull_gwas.deepnull.recipe import Recipe
    from deepnull_gwas.traits import trait_of

    x, y, truth = draw(case, seed)
    trait = "quantitative" if case.prevalence is None else "binary"
    fold = folds_of(case, y, seed)
    began = time.process_time()
    how = recipe if isinstance(recipe, str) else Recipe.from_dict(recipe)
    with threadpool_limits(1):
        prediction, each, results = crossfit(x, y, fold, how, seed, trait, Choice(model))
    seconds = time.process_time() - began
    # r2 for quantitative traits; McFadden's for binary ones, which is on a like scale
    has_cases = trait_of(trait).has_cases
    key = "r2_mcfadden" if has_cases else "r2"
    values = {"best": truth, "prediction": prediction, **each}
    weight = float(np.mean([sum(r.history["weights"].values()) for r in results]))
    row = {"case": name, "seed": seed, "seconds": seconds, "weight": weight}
    row |= {m: float(measure(y, v, trait)[key]) for m, v in values.items()}
    if has_cases:
        row["auc"] = {m: float(measure(y, v, trait)["auc"]) for m, v in values.items()}
    return row


def error_of_mean(draws: list[dict]) -> str:
    """Return the standard error of what predictions miss of the best possible, as written; of one draw nothing.

    By how much they differ from the truth varies less between draws than each of them.
    """
    if len(draws) < 2:
        return ""
    gaps = [r["prediction"] - r["best"] for r in draws]
    return f" ± {np.std(gaps, ddof=1) / np.sqrt(len(gaps)):.4f}"


def table(rows: list[dict]) -> list[str]:
    """Return one line of Markdown for each case: means over replicates, and of auto the standard error."""
    models = ["best", "linear", "second_order", "splines", "trees", "gaussian_process", "network", "prediction"]
    heads = ["best possible", "linear", "second order", "splines", "trees", "Gaussian process", "network", "**auto**"]
    lines = ["| case | draws | n | covariates | " + " | ".join(heads) + " | auto, share of best | CPU seconds |"]
    lines.append("| --- " * (len(heads) + 6) + "|")
    for name in dict.fromkeys(r["case"] for r in rows):
        own, case = [r for r in rows if r["case"] == name], CASES[name]
        mean = {m: float(np.mean([r[m] for r in own])) for m in models}
        shown = " | ".join(f"{mean[m]:.4f}" for m in models) + error_of_mean(own)
        seconds = np.mean([r["seconds"] for r in own])
        cases = "" if case.prevalence is None else f", {case.prevalence:.0%} cases"
        share = f"{mean['prediction'] / mean['best']:.1%}" if mean["best"] > 0.001 else ""
        lines.append(f"| {name}{cases} | {len(own)} | {case.n:,} | {case.p} | {shown} | {share} | {seconds:.0f} |")
    return lines


#: What is taken away from the recipe, one at a time (model `network` unless it says otherwise).
ABLATIONS = {
    "auto": ("auto", {}),
    "network, as in auto": ("network", {}),
    "started at the linear model": ("network", {"start": "linear"}),
    "and weight decay .001": ("network", {"start": "linear", "weight_decay": 0.001}),
    "weight decay .001": ("network", {"weight_decay": 0.001}),
    "weight decay 1": ("network", {"weight_decay": 1.0}),
    "learning rate .001": ("network", {"learning_rate": 0.001}),
    "learning rate .01": ("network", {"learning_rate": 0.01}),
    "batches of 256 at most": ("network", {"batch_size": 256}),
    "dropout .1": ("network", {"dropout": 0.1}),
    "patience 25": ("network", {"patience": 25}),
    "eight networks": ("network", {"ensemble": 8}),
    "not weighed against the linear model": ("network", {"calibrate": False}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help="names, separated by commas; all but slow ones by default")
    parser.add_argument(
        "--replicates", type=int, default=5, help="draws of each case below 10,000 people (larger: one)"
    )
    parser.add_argument("--ablation", action="store_true", help="take parts of the recipe away instead")
    parser.add_argument(
        "--out", default="benchmarks/output/deepnull_architectures.json", help="results are added to it"
    )
    parser.add_argument("--markdown", action="store_true", help="only print the tables of --out")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    rows = json.loads(out.read_text()) if out.exists() else []
    done = {(r["case"], r["seed"], r.get("variant", "default")) for r in rows}
    names = arguments.cases.split(",") if arguments.cases else [n for n, c in CASES.items() if not c.slow]
    variants = ABLATIONS if arguments.ablation else {"default": ("auto", {})}
    for name in [] if arguments.markdown else names:
        replicates = 1 if CASES[name].n >= 10000 or arguments.ablation else arguments.replicates
        for seed in range(1, replicates + 1):
            for variant, (model, recipe) in variants.items():
                if (name, seed, variant) in done:
                    continue
                row = trial(name, CASES[name], seed, model, recipe) | {"variant": variant}
                print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items() if k != "auc"}, flush=True)
                rows.append(row)
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(rows, indent=1))
    print("\n".join(table([r for r in rows if r.get("variant", "default") == "default"])))
    ablated = [r for r in rows if r.get("variant", "default") != "default"]
    if ablated:
        cases = list(dict.fromkeys(r["case"] for r in ablated))
        print("\n| recipe | " + " | ".join(cases) + " |")
        print("| --- " * (len(cases) + 1) + "|")
        for variant in dict.fromkeys(r["variant"] for r in ablated):
            found = {r["case"]: r["prediction"] for r in ablated if r["variant"] == variant}
            print(f"| {variant} | " + " | ".join(f"{found[c]:.4f}" if c in found else "" for c in cases) + " |")
    print(f"\n{platform.machine()}, one thread, Python {platform.python_version()}")


if __name__ == "__main__":
    main()

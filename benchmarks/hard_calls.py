"""What hard calls of imputed genotypes cost: power and bias against dosages, simulated.

    python benchmarks/hard_calls.py      # ten seconds on one core

Each haplotype of a person has a probability of carrying the effect allele, drawn from a beta distribution whose
variance is INFO times that of the allele itself, and an allele drawn by it: the imputation is calibrated, and MaCH's r2
of the dosages is INFO. The phenotype is the true genotype times an effect, plus noise. Tested by linear regression:

* the true genotype;
* the dosage;
* hard calls as PLINK 2 makes them, within 0.1 of a whole number, others missing (at the mean, as `impute_mean` has
  them; or left out, `drop`);
* the nearest whole number, whatever the uncertainty.

The table goes to docs/imputed.md.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from scipy import stats

PEOPLE, VARIANTS, FREQUENCY = 5_000, 600, 0.2
#: Non-centrality of the test of the true genotype: half of such variants pass 5e-8.
STRENGTH = 29.7
INFOS = (0.3, 0.5, 0.8, 0.95)
GENOME_WIDE = stats.chi2.isf(5e-8, 1)


def draw(rng: np.random.Generator, info: float) -> tuple[np.ndarray, np.ndarray]:
    """Return true genotypes and dosages: variants x people."""
    size = 1 / info - 1
    p = rng.beta(FREQUENCY * size, (1 - FREQUENCY) * size, (2, VARIANTS, PEOPLE))
    return (rng.random(p.shape) < p).sum(axis=0).astype(float), p.sum(axis=0)


def test(g: np.ndarray, y: np.ndarray, at_mean: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return effects and chi-squares of simple regressions, row by row; NaN in ``g`` at the mean, or left out."""
    seen = ~np.isnan(g)
    n = seen.sum(axis=1)
    centre = np.nanmean(g, axis=1, keepdims=True)
    x = np.where(seen, g - centre, 0.0)
    if at_mean:
        n, y = np.full(len(g), g.shape[1]), y - y.mean(axis=1, keepdims=True)
    else:
        y = np.where(seen, y - (y * seen).sum(axis=1, keepdims=True) / n[:, None], 0.0)
    xx, xy, yy = (x * x).sum(axis=1), (x * y).sum(axis=1), (y * y).sum(axis=1)
    beta = xy / xx
    return beta, beta**2 * xx / ((yy - beta * xy) / (n - 2))


def run(seed: int) -> list[dict[str, float | str]]:
    """Return one row per INFO and way."""
    rows = []
    for info in INFOS:
        rng = np.random.default_rng([seed, int(100 * info)])
        truth, dosage = draw(rng, info)
        effect = np.sqrt(STRENGTH / PEOPLE / (2 * FREQUENCY * (1 - FREQUENCY)))
        y = effect * truth + rng.normal(size=truth.shape)
        near = np.where(np.abs(dosage - np.rint(dosage)) <= 0.1, np.rint(dosage), np.nan)
        ways = {
            "true genotypes": (truth, True),
            "dosages": (dosage, True),
            "hard calls, missing at the mean": (near, True),
            "hard calls, missing left out": (near, False),
            "nearest whole number": (np.rint(dosage), True),
        }
        for name, (g, at_mean) in ways.items():
            beta, chi2 = test(g, y, at_mean)
            rows.append(
                {
                    "info": info,
                    "way": name,
                    "called": float((~np.isnan(g)).mean()),
                    "effect": float(beta.mean() / effect),
                    "chi2": float((chi2.mean() - 1) / STRENGTH),
                    "power": float((chi2 > GENOME_WIDE).mean()),
                }
            )
    return rows


def main() -> None:
    """Print the table, as Markdown and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    rows = run(parser.parse_args().seed)
    print("| INFO | tested | called | effect | chi-square | found at 5e-8 |\n| --- | --- | --- | --- | --- | --- |")
    for r in rows:
        shown = f"{r['called']:.0%} | {r['effect']:.2f} | {r['chi2']:.2f} | {r['power']:.0%}"
        print(f"| {r['info']:g} | {r['way']} | {shown} |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

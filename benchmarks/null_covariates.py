"""What the deepnull arm costs where covariates explain little: 40 expression phenotypes of GEUVADIS, no workflow.

Each gene is cross-fitted with the workflow's folds, seeds and models, and all variants are tested in both arms by their
formulas. For each gene: the out-of-fold R2 of the linear model and of the prediction, the folds with any weight, and
the ratio of the arms' mean chi-squares over the variants with -log10 p above 5 in the baseline (the cis signals; all
variants where there are none) and over all variants.

    python benchmarks/null_covariates.py [--prefix ../shared/data/geuvadis/geuvadis343] [--genes N] [--jobs N] [--out
    FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

COVARIATES = ["SEX", "PHASE1", "PC1", "PC2", "PC3"]
SEED = 7


def predict(table: pd.DataFrame, gene: str) -> dict:
    """Cross-fit one gene; return the deepnull arm's covariate and what it explains out of fold."""
    from deepnull_gwas.deepnull.crossfit import Setup, crossfit_folds
    from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed
    from deepnull_gwas.deepnull.metrics import measure
    from deepnull_gwas.deepnull.recipe import Recipe

    began = time.process_time()
    y, x = table[gene].to_numpy(float), table[COVARIATES].to_numpy(float)
    k = default_folds(y, "quantitative")
    names = [f"{f} {i}" for f, i in zip(table["FID"], table["IID"])]
    fold = assign_folds(names, k, derive_seed(SEED, "geuvadis", gene, "folds"))
    seeds = [derive_seed(SEED, "geuvadis", gene, "fold", f) for f in range(k)]
    prediction, linear, weights = np.empty(len(y)), np.empty(len(y)), []
    with threadpool_limits(1):
        for result in crossfit_folds(x, y, fold, seeds, Setup(COVARIATES, "quantitative", Recipe())):
            prediction[result.rows], linear[result.rows] = result.prediction, result.each["linear"]
            weights.append(sum(result.history["weights"].values()))
    row = {"gene": gene, "folds": k, "r2_linear": measure(y, linear, "quantitative")["r2"]}
    row |= {"r2": measure(y, prediction, "quantitative")["r2"], "weight": float(np.mean(weights))}
    row |= {"weighted_folds": int(np.count_nonzero(weights)), "seconds": time.process_time() - began}
    return row | {"covariate": (prediction - linear).tolist()}


def test(table: pd.DataFrame, rows: list[dict], prefix: str) -> None:
    """Test all variants in both arms; adds the ratios of mean chi-squares to the rows."""
    from deepnull_gwas.genotypes.bed import BedGenotypes
    from deepnull_gwas.genotypes.kernels import decode

    n, c = len(table), len(COVARIATES)
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), table[COVARIATES].to_numpy(float)]))
    ys, ds = (np.array(values).T for values in ([table[r["gene"]] for r in rows], [r["covariate"] for r in rows]))
    y, u = ys - q @ (q.T @ ys), ds - q @ (q.T @ ds)
    length = np.linalg.norm(u, axis=0)
    u, free = np.divide(u, length, out=np.zeros_like(u), where=length > 0), (length > 0).astype(int)
    uy, yy = np.einsum("ij,ij->j", u, y), np.einsum("ij,ij->j", y, y)
    fileset, chi2 = BedGenotypes([Path(prefix)]), []
    for first in range(0, fileset.n_variants, 8192):
        g = decode(fileset.calls_between(first, min(first + 8192, fileset.n_variants)), n, missing=-1).astype(float)
        missing = g < 0
        g[missing] = np.nan
        g -= np.nanmean(g, axis=1, keepdims=True)
        g[missing] = 0
        g = g[(g**2).sum(axis=1) > 0.02 * n]
        base = np.einsum("ij,ij->i", g, g) - ((g @ q) ** 2).sum(axis=1)
        gy, gu = g @ y, g @ u
        out = []
        for num, den, rss, df in (
            (gy, base[:, None], yy, n - c - 2),
            (gy - gu * uy, base[:, None] - gu**2, yy - uy**2, n - c - 2 - free),
        ):
            out.append(num**2 / den / ((rss - num**2 / den) / df))
        chi2.append(np.stack(out))
    both = np.concatenate(chi2, axis=1)
    for j, row in enumerate(rows):
        baseline, deepnull = both[:, :, j]
        strong = baseline > 20
        row |= {"signals": int(strong.sum()), "ratio_all": float(deepnull.mean() / baseline.mean())}
        at = strong if strong.any() else slice(None)
        row["ratio"] = float(deepnull[at].mean() / baseline[at].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", default="../shared/data/geuvadis/geuvadis343")
    parser.add_argument("--genes", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/output/null_covariates.json")
    given = parser.parse_args()
    table = pd.read_csv(f"{given.prefix}.samples.tsv", sep="\t")
    genes = [c for c in table if c.startswith("ENSG")][: given.genes]
    rows = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for row in pool.map(partial(predict, table), genes):
            rows.append(row)
            print(
                {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items() if k != "covariate"}, flush=True
            )
    test(table, rows, given.prefix)
    frame = pd.DataFrame(rows).drop(columns="covariate")
    Path(given.out).parent.mkdir(parents=True, exist_ok=True)
    Path(given.out).write_text(json.dumps(rows))
    print(frame.round(4).to_string(index=False))
    nothing = frame[frame["r2"] <= 0]
    for name, some in (("all genes", frame), ("genes where nothing is explained out of fold", nothing)):
        values = some[["ratio", "ratio_all"]].mean()
        print(
            f"{name}: {len(some)}, mean chi-square ratio {values['ratio']:.4f} at the signals, "
            f"{values['ratio_all']:.4f} over all variants"
        )
    print(f"CPU seconds: {frame['seconds'].sum():.0f}")


if __name__ == "__main__":
    main()

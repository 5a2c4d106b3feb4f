"""Calibration and power of the arms on simulated cohorts with linkage disequilibrium of a coalescent simulation, through the whole workflow.

Phenotypes without any genetic effect give type I error and lambda; phenotypes with known causal variants give power and chi-squares, which are
compared with the theory (1 - R2 linear) / (1 - R2 DeepNull). A third arm, `oracle`, has the true covariate effect as a covariate. Writes
docs/validity.md and docs/images/validity.png.

    python benchmarks/validity.py [--people 3000] [--variants 12000] [--replicates 2] [--folder benchmarks/output/validity] [--cores 2]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from deepnull_gwas.genotypes import kernels
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.results.calibration import chi2_of_neg_log10_p, lambda_gc
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.tables import read_json, read_parquet

ROOT = Path(__file__).resolve().parent.parent
TYPES = {
    "linear": {"trait": "quantitative", "covariate_effects": "linear", "covariate_variance": 0.35},
    "nonlinear": {"trait": "quantitative", "covariate_effects": "nonlinear", "covariate_variance": 0.4},
    "binary": {"trait": "binary", "covariate_effects": "nonlinear", "covariate_variance": 0.4, "prevalence": 0.3},
}
EFFECTS = {"null": {"heritability": 0.0, "causal_variants": 0}, "power": {"heritability": 0.15, "causal_variants": 12}}
ARMS = ("baseline", "deepnull", "oracle")
#: Chi-square with one degree of freedom at p = 5e-8.
GENOME_WIDE = 29.7168
LEVELS = (1e-2, 1e-3, 1e-4, 5e-8)
BINS = ((0.01, 0.05), (0.05, 0.2), (0.2, 0.5))
COLOURS = {"baseline": "#56718f", "deepnull": "#d55e00", "oracle": "#333333"}


def configure(
    folder: Path, people: int, variants: int, chromosomes: int, replicates: dict[str, int], seed: int
) -> list[tuple[str, str, str]]:
    """Write config and sheet; give effect, type and name of each phenotype."""
    names = [(e, t, f"{e}_{t}_{r}") for e in EFFECTS for t in TYPES for r in range(1, replicates[e] + 1)]
    covariates = "age,sex,bmi,smoking,site"
    rows = []
    for _, t, name in names:
        common = {"cohort": "validity", "phenotype": name, "trait": TYPES[t]["trait"], "categorical_covariates": "site"}
        rows.append({"study": name, "covariates": covariates, "arms": "baseline,deepnull"} | common)
        rows.append(
            {"study": f"{name}_oracle", "covariates": f"{covariates},{name}_covariates", "arms": "baseline"} | common
        )
    simulate = {
        "people": people,
        "variants": variants,
        "chromosomes": list(range(1, chromosomes + 1)),
        "sibling_pairs": 0,
        "parent_child_pairs": 0,
        "missing_rate": 0.002,
        "truth_columns": True,
        "phenotypes": {name: TYPES[t] | EFFECTS[e] for e, t, name in names},
    }
    config = {
        "seed": seed,
        "studies": "studies.tsv",
        "cohorts": {"validity": {"genome_build": "GRCh38", "simulate": simulate}},
        "structure": {"pcs": 4},
        "association": {"chunks": 2},
    }
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "studies.tsv", sep="\t", index=False)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return names


def effective_tests(results: Path, ids: set[str]) -> float:
    """Give the effective number of independent tests among variants: blocks of 500, m^2 / sum of r^2 each (less what chance adds to r^2)."""
    # the paths in genotypes.json are relative to the folder in which the workflow ran
    prefixes = [str(results.parent.parent / prefix) for prefix in read_json(results / "genotypes.json")["filesets"]]
    fileset = Fileset(prefixes)
    keep = read_parquet(results / "variants.parquet")["id"].isin(ids).to_numpy()
    total = 0.0
    for start in range(0, fileset.n_variants, 500):
        stop = min(start + 500, fileset.n_variants)
        packed = fileset.packed(start, stop)[keep[start:stop]]
        if not len(packed):
            continue
        g = kernels.decode(packed, fileset.n_samples).astype(np.float64)
        g = np.where(np.isnan(g), np.nanmean(g, axis=1, keepdims=True), g)
        r2 = np.corrcoef(g) ** 2
        excess = np.maximum(r2 - 1 / fileset.n_samples, 0)
        np.fill_diagonal(excess, 1)
        total += len(packed) ** 2 / excess.sum()
    return total


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a rate."""
    z = 1.96
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), middle + half


def with_error(each: list[float], pooled: float) -> str:
    """Write a value with twice its standard error, from how it varies between phenotypes."""
    if len(each) < 3:
        return f"{pooled:.3f}"
    error = 2 * np.std(each, ddof=1) / np.sqrt(len(each))
    return f"{pooled:.3f} ({pooled - error:.3f}-{pooled + error:.3f})"


def ratio_with_interval(chi2: list[np.ndarray], base: list[np.ndarray]) -> tuple[float, float, float]:
    """Give the ratio of the mean chi-squares of two arms, and its 95 % interval by resampling phenotypes."""
    sums, base_sums = np.array([c.sum() for c in chi2]), np.array([c.sum() for c in base])
    drawn = np.random.default_rng(1).integers(0, len(sums), (2000, len(sums)))
    resampled = sums[drawn].sum(axis=1) / base_sums[drawn].sum(axis=1)
    return sums.sum() / base_sums.sum(), *np.quantile(resampled, [0.025, 0.975])


def collect(folder: Path, names: list[tuple[str, str, str]]) -> dict:
    """Read all summary statistics: by effect, type and arm the -log10 p, frequencies, and chi-squares of the causal variants."""
    results = folder / "results" / "validity"
    truth = pd.read_csv(results / "simulated" / "truth.tsv", sep="\t")
    found: dict = {"tests": None, "null": {}, "power": {}}
    for effect, kind, name in names:
        causal = set(truth.loc[truth["phenotype"] == name, "id"])
        for arm in ARMS:
            study, place = (f"{name}_oracle", "baseline") if arm == "oracle" else (name, arm)
            columns = ["variant_id", "effect_allele_frequency", "neg_log_10_p_value"]
            table = read_sumstats(results / study / place / "sumstats.tsv.gz", columns).to_pandas()
            if effect == "null":
                maf = np.minimum(table["effect_allele_frequency"], 1 - table["effect_allele_frequency"])
                found["null"].setdefault((kind, arm), []).append(
                    (table["neg_log_10_p_value"].to_numpy(), maf.to_numpy())
                )
                if found["tests"] is None:
                    found["tests"] = (effective_tests(results, set(table["variant_id"])), len(table))
            else:
                p = table.loc[table["variant_id"].isin(causal)].set_index("variant_id")["neg_log_10_p_value"]
                found["power"].setdefault((kind, arm), []).append(p.sort_index())
        if effect == "power":
            metrics = read_json(results / name / "deepnull" / "metrics.json")
            found.setdefault("metrics", {}).setdefault(kind, []).append(metrics)
            shares = read_json(next((results / "simulated").glob("*.json")))["phenotypes"][name]
            found.setdefault("shares", {}).setdefault(kind, []).append(shares)
    return found


def write(found: dict, arguments: argparse.Namespace, docs: Path) -> None:
    """Write tables and figure."""
    tests, variants = found["tests"]
    lines = [
        "# Calibration and power",
        "",
        "Made by `make validity` (`benchmarks/validity.py`), which runs the whole workflow on a simulated cohort with linkage disequilibrium of a coalescent simulation: "
        f"{arguments.people:,} people, {variants:,} variants tested (effectively {tests:,.0f} independent tests), {arguments.null_replicates} phenotypes of each kind without genetic effects and {arguments.replicates} with them, seed "
        f"{arguments.seed}. `oracle` has the true covariate effect as a covariate: what a perfect prediction would give.",
        "",
        "## Type I error",
        "",
        "Phenotypes without genetic effects. In brackets 95 % intervals: of rates Wilson's with the effective number of tests, of lambda (of all tests of "
        "all phenotypes together) by how it varies between phenotypes, twice its standard error to either side.",
        "",
        "| covariate effects | arm | "
        + " | ".join(f"{level:g}" for level in LEVELS)
        + " | lambda |"
        + "".join(f" MAF {a:g}-{b:g} |" for a, b in BINS),
        "| --- " * (3 + len(LEVELS) + len(BINS)) + "|",
    ]
    for (kind, arm), parts in found["null"].items():
        p = np.concatenate([q for q, _ in parts])
        maf = np.concatenate([m for _, m in parts])
        cells = []
        for level in LEVELS:
            rate = float(np.mean(p >= -np.log10(level)))
            low, high = wilson(rate, tests * len(parts))
            cells.append(f"{rate:.2g} ({low:.2g}-{high:.2g})")
        cells.append(with_error([lambda_gc(q) for q, _ in parts], lambda_gc(p)))
        for a, b in BINS:
            cells.append(
                with_error(
                    [lambda_gc(q[(m >= a) & (m < b + 1e-9)]) for q, m in parts],
                    lambda_gc(p[(maf >= a) & (maf < b + 1e-9)]),
                )
            )
        lines.append(f"| {kind} | {arm} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Power",
        "",
        f"Causal variants ({EFFECTS['power']['causal_variants']} a phenotype, {100 * EFFECTS['power']['heritability']:g} % of the variance or liability together). The ratio of mean chi-squares is to the "
        "baseline; expected: (1 - R² linear) / (1 - R² prediction), from the out-of-fold R² (quantitative traits). In brackets the 95 % interval of "
        "the ratio, by resampling phenotypes. Variants that the arm finds and the baseline does not, and the other way round, at 5e-8.",
        "",
        "| covariate effects | arm | mean χ² | ratio | expected | power at 5e-8 | found, lost | explained, out of fold |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in TYPES:
        metrics = found["metrics"][kind]
        base = None
        for arm in ARMS:
            parts = [chi2_of_neg_log10_p(q.to_numpy()) for q in found["power"][kind, arm]]
            chi2 = np.concatenate(parts)
            base = parts if base is None else base
            ratio, low, high = ratio_with_interval(parts, base)
            key = "r2" if TYPES[kind]["trait"] == "quantitative" else "auc"
            expected, explained = "", ""
            if arm != "oracle":
                explained = (
                    f"{key} {np.mean([m['linear' if arm == 'baseline' else 'deepnull'][key] for m in metrics]):.3f}"
                )
            else:
                share = "best_covariate_r2" if key == "r2" else "best_covariate_auc"
                explained = f"{key} {np.mean([s[share] for s in found['shares'][kind]]):.3f} (best possible)"
            if key == "r2" and arm == "deepnull":
                value = np.mean([(1 - m["linear"]["r2"]) / (1 - m["deepnull"]["r2"]) for m in metrics])
                expected = f"{value:.3f}"
            hit, hit_base = chi2 >= GENOME_WIDE, np.concatenate(base) >= GENOME_WIDE
            moved = "" if arm == "baseline" else f"+{int((hit & ~hit_base).sum())}, -{int((hit_base & ~hit).sum())}"
            shown = f"{ratio:.3f}" if arm == "baseline" else f"{ratio:.3f} ({low:.3f}-{high:.3f})"
            lines.append(
                f"| {kind} | {arm} | {chi2.mean():.2f} | {shown} | {expected} | {hit.mean():.3f} ({len(hit)} variants) | {moved} | {explained} |"
            )
    lines += ["", "![QQ plot of the null phenotypes, and mean chi-squares of causal variants](images/validity.png)", ""]
    (docs / "validity.md").write_text("\n".join(lines), encoding="utf-8")
    draw(found, docs / "images" / "validity.png")
    print("\n".join(lines))


def draw(found: dict, out: Path) -> None:
    """Draw QQ plots of the null phenotypes and chi-squares of the causal variants."""
    fig, axes = plt.subplots(2, len(TYPES), figsize=(11, 7), layout="constrained")
    for column, kind in enumerate(TYPES):
        for arm in ARMS:
            p = np.sort(np.concatenate([q for q, _ in found["null"][kind, arm]]))[::-1]
            expected = -np.log10((np.arange(len(p)) + 0.5) / len(p))
            shown = np.unique(np.geomspace(1, len(p), 400).astype(int)) - 1
            axes[0, column].plot(expected[shown], p[shown], ".", markersize=3, color=COLOURS[arm], label=arm)
        top = expected.max()
        axes[0, column].plot([0, top], [0, top], color="#888888", linewidth=0.8)
        axes[0, column].set(title=f"{kind}: no genetic effect", xlabel="expected −log10 p", ylabel="−log10 p")
        axes[0, column].legend(fontsize=8, frameon=False)
        base = chi2_of_neg_log10_p(pd.concat(found["power"][kind, "baseline"]).to_numpy())
        for arm in ARMS[1:]:
            other = chi2_of_neg_log10_p(pd.concat(found["power"][kind, arm]).to_numpy())
            axes[1, column].plot(
                base,
                other,
                "o",
                markersize=4,
                color=COLOURS[arm],
                label=f"{arm}: ratio {other.mean() / base.mean():.2f}",
            )
        axes[1, column].plot([0, base.max()], [0, base.max()], color="#888888", linewidth=0.8)
        axes[1, column].set(title=f"{kind}: causal variants", xlabel="χ², baseline", ylabel="χ²")
        axes[1, column].legend(fontsize=8, frameon=False)
    out.parent.mkdir(exist_ok=True)
    fig.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--variants", type=int, default=12000)
    parser.add_argument("--chromosomes", type=int, default=2)
    parser.add_argument("--replicates", type=int, default=2, help="phenotypes of each kind with genetic effects")
    parser.add_argument("--null-replicates", type=int, default=2, help="phenotypes of each kind without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", default="2")
    parser.add_argument(
        "--folder", type=Path, default=Path("benchmarks/output/validity"), help="where the workflow runs"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    names = configure(
        arguments.folder,
        arguments.people,
        arguments.variants,
        arguments.chromosomes,
        {"null": arguments.null_replicates, "power": arguments.replicates},
        arguments.seed,
    )
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(arguments.folder)]
    command += [
        "--configfile",
        str(arguments.folder / "config.yaml"),
        "--cores",
        arguments.cores,
        "--quiet",
        "rules",
        "--",
        "associations",
    ]
    metrics = [f"results/validity/{name}/deepnull/metrics.json" for _, _, name in names]
    subprocess.run([*command, *metrics], check=True)
    write(collect(arguments.folder, names), arguments, arguments.docs)


if __name__ == "__main__":
    main()

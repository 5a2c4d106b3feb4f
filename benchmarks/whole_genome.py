"""Calibration, power and cost of the whole-genome regression, where the truth is known, beside BOLT-LMM and GEMMA.

    python benchmarks/whole_genome.py power         # unrelated people: R2 and gain, beside BOLT-LMM
    python benchmarks/whole_genome.py nothing       # phenotypes of no heritability
    python benchmarks/whole_genome.py families      # pairs of relatives with and without a shared environment
    python benchmarks/whole_genome.py populations   # 12 populations, and mosaics of their people (real genotypes)
    python benchmarks/whole_genome.py gemma         # agreement with GEMMA's mixed model
    python benchmarks/whole_genome.py intercept     # LD score regression of the statistics
    python benchmarks/whole_genome.py deepnull      # what the arm deepnull adds to it
    python benchmarks/whole_genome.py cost          # time and memory beside BOLT-LMM, and the plan for 500,000 people
    python benchmarks/whole_genome.py all --json FOLDER
    python benchmarks/whole_genome.py tables --json FOLDER    # put what is there into docs/whole_genome.md

Each prints its figures with the bound that they are held to, ``ok`` or ``MISSED``, and writes them to FOLDER. Sizes are
options; the defaults are those of docs/whole_genome.md. One core is used.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

if TYPE_CHECKING:
    from whole_genome_data import Bed, People
    from whole_genome_model import Cohort


class Figures:
    """Figures of one benchmark, printed as they come, with their bounds."""

    def __init__(self, name: str):
        self.name, self.rows, self.began = name, [], time.process_time()

    def note(self, what: str, value: float, low: float = -np.inf, high: float = np.inf) -> None:
        """Add a figure; it is held to ``low <= value <= high``."""
        bounded = np.isfinite(low) or np.isfinite(high)
        good = bool(low <= value <= high)
        row = {"what": what, "value": round(float(value), 5)}
        if bounded:
            row |= {"low": None if low == -np.inf else low, "high": None if high == np.inf else high, "ok": good}
        self.rows.append(row)
        said = f"[{low:.4g}, {high:.4g}] {'ok' if good else 'MISSED'}" if bounded else ""
        print(f"{self.name:12s} {what:64s} {value:9.4f} {said}", flush=True)

    def write(self, folder: Path | None) -> bool:
        """Write them; return whether all are within their bounds."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            out = {"name": self.name, "cpu_s": round(time.process_time() - self.began, 1), "figures": self.rows}
            (folder / f"whole_genome_{self.name}.json").write_text(json.dumps(out, indent=1) + "\n")
        return all(row.get("ok", True) for row in self.rows)


def fitted_cohort(
    given: argparse.Namespace, people: People | Bed, studies: dict[str, tuple[np.ndarray, ...]]
) -> Cohort:
    """Write a cohort and its studies (name -> y, covariates, DeepNull covariate), and fit them."""
    from whole_genome_model import Cohort

    folder = Path(tempfile.mkdtemp(dir=given.scratch, prefix="whole_genome_"))
    cohort = Cohort(folder, people, block_size=given.block_size)
    for name, arrays in studies.items():
        cohort.add(name, *arrays)
    cohort.fit()
    return cohort


def power(given: argparse.Namespace, figures: Figures) -> None:
    """Unrelated people, 1 % and 20 % of the variants causal, independent or in LD."""
    from whole_genome_data import polygenic, run_bolt, unrelated, write_phenotype

    for ld in (0.0, 0.97):
        for share in (0.01, 0.2):
            found = []
            for seed in range(1, given.seeds + 1):
                people = unrelated(given.people, given.variants, seed, ld)
                # with LD the variants near causal ones are not null: whole chromosomes are
                within = people.chromosome <= 8 if ld else None
                trait = polygenic(people, 0.5, share, seed, within=within)
                null = people.chromosome > 8 if ld else np.isin(np.arange(given.variants), trait.causal, invert=True)
                cohort = fitted_cohort(given, people, {"y": (trait.y,)})
                fitted = cohort.fitted("y")
                linear, ours = (cohort.test("y", whole)["baseline"] for whole in (False, True))
                gain = (ours[trait.causal].mean() - 1) / (linear[trait.causal].mean() - 1)
                row = {
                    "r2": fitted.r2,
                    "true": trait.true_r2(fitted.whole),
                    "loco": fitted.r2_loco(trait.y - trait.y.mean()),
                    "gain": gain,
                }
                # the statistics of variants i and j correlate by r2_ij
                scores = ld_scores(people)[null].sum() if ld else null.sum()
                row |= {"null": ours[null].mean(), "variance": 2 * scores / null.sum() ** 2}
                row |= {"linear null": linear[null].mean()}
                if shutil.which("bolt") and not given.no_bolt:
                    write_phenotype(cohort.bed.prefix, trait.y)
                    bolt = run_bolt(cohort.bed.prefix, given.variants)
                    row |= {"bolt": bolt.r2}
                    row |= {"inf": (bolt.chi2_inf[trait.causal].mean() - 1) / (linear[trait.causal].mean() - 1)}
                shutil.rmtree(cohort.folder)
                found.append(row)
                said = {k: round(float(v), 4) for k, v in row.items()}
                print("  ", f"LD {ld} causal {share} seed {seed}", said, flush=True)
            mean = {k: float(np.mean([row[k] for row in found])) for k in found[0]}
            at = f"LD {ld:g}, {share:.0%} causal"
            if "bolt" in mean:
                least = 0.97 if share == 0.01 and not ld else 0.9
                figures.note(f"{at}: R2 over BOLT-LMM's best cross-validated", mean["r2"] / mean["bolt"], least)
                figures.note(f"{at}: BOLT-LMM's R2", mean["bolt"])
                figures.note(f"{at}: gain over BOLT-LMM-inf's", mean["gain"] / mean["inf"], 0.97)
            figures.note(f"{at}: R2", mean["r2"])
            figures.note(f"{at}: R2 for other phenotypes of the same genes", mean["true"], mean["r2"] - 0.02)
            figures.note(f"{at}: R2 of the LOCO predictor", mean["loco"])
            least = (1.5 if ld else 1.6) if share == 0.01 else -np.inf
            figures.note(f"{at}: gain in chi2 - 1 at causal variants over linear", mean["gain"], least)
            figures.note(f"{at}: gain over 1 / (1 - R2)", mean["gain"] * (1 - mean["loco"]), 0.92, 1.08)
            spread = 4 * np.sqrt(mean["variance"] / len(found))
            figures.note(f"{at}: mean chi2 of null variants", mean["null"], 1 - spread, 1 + spread)
            figures.note(f"{at}: mean chi2 of null variants, linear regression", mean["linear null"])


def nothing(given: argparse.Namespace, figures: Figures) -> None:
    """Phenotypes of no heritability: what the prediction says that it explains, and whether it is used."""
    from whole_genome_data import unrelated

    for n, m in ((1000, 1000), (given.people, given.variants)):
        people, rng = unrelated(n, m, 66), np.random.default_rng(66)
        cohort = fitted_cohort(given, people, {f"y{i}": (rng.normal(size=n),) for i in range(given.traits)})
        found = [cohort.fitted(name) for name in cohort.studies]
        at = f"{n:,} x {m:,}"
        # four weights are fitted to noise, too
        figures.note(f"{at}: mean R2", np.mean([f.r2 for f in found]), -0.01, 0.002 + 8 / n)
        figures.note(f"{at}: share of traits with an offset", np.mean([f.about["used"] for f in found]))
        chi2 = np.array([[cohort.test(name, w)["baseline"].mean() for w in (False, True)] for name in cohort.studies])
        spread = 4 * np.std(chi2[:, 1] - chi2[:, 0]) / np.sqrt(len(chi2)) + 1e-6
        figures.note(f"{at}: mean chi2 less that of linear regression", np.diff(chi2).mean(), -spread, spread)
        shutil.rmtree(cohort.folder)


#: Kind of pairs, share of the people in pairs, variance of the shared environment, whether people are shuffled
FAMILIES = {
    "siblings": ("sibling", 1.0, 0.0, False),
    "siblings, shared environment": ("sibling", 1.0, 0.15, False),
    "siblings, shared environment, shuffled": ("sibling", 1.0, 0.15, True),
    "parent and child": ("parent_child", 1.0, 0.0, False),
    "parent and child, shared environment": ("parent_child", 1.0, 0.15, False),
    "siblings among unrelated": ("sibling", 0.4, 0.15, False),
}


def families(given: argparse.Namespace, figures: Figures) -> None:
    """Pairs of relatives, with and without a shared environment: calibration and power."""
    from scipy.stats import binom
    from scipy.stats import chi2 as chi2_distribution
    from whole_genome_data import polygenic, relatives

    for name, (kind, share, c2, shuffled) in FAMILIES.items():
        null_linear, null_ours, causal_linear, causal_ours = [], [], [], []
        for seed in range(1, given.seeds + 1):
            people = relatives(2 * given.pairs, given.variants, seed, kind, share)
            if shuffled:
                people = people.shuffled(np.random.default_rng(seed))
            trait = polygenic(people, 0.6, 0.0125, seed, c2)
            cohort = fitted_cohort(given, people, {"y": (trait.y,)})
            linear, ours = (cohort.test("y", whole)["baseline"] for whole in (False, True))
            shutil.rmtree(cohort.folder)
            null = np.isin(np.arange(len(linear)), trait.causal, invert=True)
            null_linear.append(linear[null])
            null_ours.append(ours[null])
            causal_linear.append(linear[trait.causal].mean())
            causal_ours.append(ours[trait.causal].mean())
        chi2 = np.concatenate(null_ours)
        figures.note(f"{name}: null mean chi2", chi2.mean(), 0.97, 1.03)
        figures.note(f"{name}: lowest of a seed", min(c.mean() for c in null_ours))
        figures.note(f"{name}: highest of a seed", max(c.mean() for c in null_ours))
        for level in (0.01, 0.001):
            low, high = binom.interval(0.99, len(chi2), level)
            rate = np.mean(chi2 > chi2_distribution.isf(level, 1))
            figures.note(f"{name}: type I error at {level}", rate, low / len(chi2), high / len(chi2))
        least = 1.1 if share == 1.0 else -np.inf
        figures.note(f"{name}: null mean chi2, linear regression", np.concatenate(null_linear).mean(), least)
        gain = np.mean(causal_ours) / np.mean(causal_linear)
        figures.note(f"{name}: causal mean chi2 over linear's", gain, 1.5 if share == 1.0 else -np.inf)


def populations(given: argparse.Namespace, figures: Figures) -> None:
    """Real people of 12 populations, and mosaics of them: causal variants on odd chromosomes, lambda on even ones."""
    from whole_genome_data import mosaic, polygenic
    from whole_genome_model import read_autosomes, with_relatives

    genotypes, chromosome, position = read_autosomes(Path(given.data) / "kg1126/kg1126")
    for name, n in (("12 populations", genotypes.shape[1]), ("mosaics", given.mosaics)):
        g = genotypes if name == "12 populations" else mosaic(genotypes, chromosome, position, n, 5)
        with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
            people, pcs = with_relatives(g, chromosome, position, Path(folder))
        copies = g.sum(axis=1)
        rarer = np.minimum(copies, 2 * n - copies)
        tested = (rarer >= 20) & (chromosome % 2 == 0)
        within = (chromosome % 2 == 1) & (rarer >= 0.02 * n)
        traits = {f"y{i}": polygenic(people, 0.6, 0.05, 900 + i, within=within) for i in range(given.traits)}
        cohort = fitted_cohort(
            given, people, {key: (trait.y, pcs, None, "quantitative", True) for key, trait in traits.items()}
        )
        figures.note(f"{name}: people", n)
        figures.note(f"{name}: pairs of relatives", len(people.pairs))
        figures.note(f"{name}: variants tested", tested.sum())
        figures.note(f"{name}: R2", np.mean([cohort.fitted(key).r2 for key in traits]))
        for whole, kind in ((False, "linear regression"), (True, "whole genome")):
            chi2 = [cohort.test(key, whole)["baseline"][tested] for key in traits]
            each = [np.nanmedian(c) / 0.4549364 for c in chi2]
            least = 1.05 if name == "12 populations" else 1.3
            bounds = (0.97, 1.05) if whole else (least, np.inf)
            figures.note(f"{name}: lambda on even chromosomes, {kind}", np.mean(each), *bounds)
            figures.note(f"{name}: its standard error, {kind}", np.std(each) / np.sqrt(len(each)))
            figures.note(f"{name}: mean chi2 on even chromosomes, {kind}", np.mean([np.nanmean(c) for c in chi2]))
        shutil.rmtree(cohort.folder)


def gemma(given: argparse.Namespace, figures: Figures) -> None:
    """Agreement with GEMMA's mixed model, whose relationship matrix leaves the tested chromosome out."""
    from scipy.stats import chi2 as chi2_distribution
    from whole_genome_data import polygenic, relatives, run_gemma

    people = relatives(3000, given.variants, 31)
    trait = polygenic(people, 0.6, 0.05, 31)
    cohort = fitted_cohort(given, people, {"y": (trait.y,)})
    ours = cohort.test("y")["baseline"]
    mine, theirs = [], []
    for chromosome in range(1, 1 + given.gemma_chromosomes):
        theirs.append(run_gemma(cohort.folder, people, trait.y, chromosome))
        mine.append(ours[people.chromosome == chromosome])
    shutil.rmtree(cohort.folder)
    mine, theirs = np.concatenate(mine), np.concatenate(theirs)
    log_p = [-chi2_distribution.logsf(c, 1) / np.log(10) for c in (mine, theirs)]
    figures.note("r of -log10 p with GEMMA's", np.corrcoef(*log_p)[0, 1], 0.9)
    figures.note("sum of chi2 over GEMMA's", mine.sum() / theirs.sum(), 0.9, 1.05)


def deepnull(given: argparse.Namespace, figures: Figures) -> None:
    """The ratio of the arms' non-centralities, and what the arm deepnull costs where covariates act linearly."""
    from whole_genome_data import polygenic, unrelated
    from whole_genome_model import cross_fitted, left_of

    found: dict[str, list[dict[str, float]]] = {"non-linear": [], "linear": []}
    for seed in range(1, given.seeds + 1):
        people = unrelated(given.people, given.variants, 40 + seed)
        trait = polygenic(people, 0.4, 0.05, seed)
        covariates = np.random.default_rng(seed).normal(size=(people.n, 3))
        a, b, c = covariates.T
        bent = a**2 + np.sin(2 * b) + 0.5 * c**2
        effects = {"non-linear": bent / bent.std(), "linear": covariates.sum(axis=1) / np.sqrt(3)}
        ys = {kind: trait.y + 0.9 * effect for kind, effect in effects.items()}
        ds = {kind: cross_fitted(covariates, y) for kind, y in ys.items()}
        cohort = fitted_cohort(given, people, {kind: (y, covariates, ds[kind]) for kind, y in ys.items()})
        for kind, y in ys.items():
            row, chi2 = {}, cohort.test(kind)
            for arm, x in (("baseline", covariates), ("deepnull", np.column_stack([covariates, ds[kind]]))):
                left = [np.var(left_of(y - p, x)) for p in cohort.fitted(kind, arm).loco.values()]
                row |= {f"ncp {arm}": chi2[arm][trait.causal].mean() - 1, f"left {arm}": np.mean(left)}
            found[kind].append(row)
        shutil.rmtree(cohort.folder)
    for kind, rows in found.items():
        mean = {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}
        ratio = mean["ncp deepnull"] / mean["ncp baseline"]
        expected = mean["left baseline"] / mean["left deepnull"]
        figures.note(
            f"{kind}: ratio of non-centralities, deepnull over baseline", ratio, *((0.99,) * (kind == "linear"))
        )
        figures.note(f"{kind}: ratio of (1 - R2), baseline over deepnull", expected)
        figures.note(f"{kind}: one over the other", ratio / expected, 0.95, 1.05)


def intercept(given: argparse.Namespace, figures: Figures) -> None:
    """LD score regression of the statistics, with the simulated people's own LD scores."""
    from whole_genome_data import polygenic, unrelated

    rng = np.random.default_rng(3)
    ld = np.repeat(rng.uniform(0.2, 0.99, -(-given.variants // 150)), 150)[: given.variants]
    people = unrelated(given.people, given.variants, 77, ld)
    scores = ld_scores(people)
    traits = {f"y{i}": polygenic(people, 0.2, 1.0, 500 + i) for i in range(given.intercept_traits)}
    cohort = fitted_cohort(given, people, {name: (trait.y,) for name, trait in traits.items()})
    figures.note("R2", np.mean([cohort.fitted(name).r2 for name in traits]))
    found = []
    for whole, kind in ((False, "linear regression"), (True, "whole genome")):
        each = [ld_score_intercept(cohort.test(name, whole)["baseline"], scores) for name in traits]
        found.append(np.array(each))
        bounds = (0.98, 1.02) if whole else (-np.inf, np.inf)
        figures.note(f"LD score intercept, {kind}, {len(traits)} traits", np.mean(each), *bounds)
        figures.note(f"its standard error, {kind}", np.std(each) / np.sqrt(len(each)))
    figures.note("LD score intercept, whole genome less linear regression", np.mean(found[1] - found[0]), -0.02, 0.02)
    shutil.rmtree(cohort.folder)


def ld_scores(people: People) -> np.ndarray:
    """Return the LD score of each variant: the sum of the unbiased r2 with all of its chromosome."""
    n = people.n
    out = np.empty(len(people.genotypes))
    for chromosome in np.unique(people.chromosome):
        inside = people.chromosome == chromosome
        x = people.genotypes[inside].astype(np.float32)
        x -= x.mean(axis=1, keepdims=True)
        x /= x.std(axis=1, keepdims=True)
        r2 = (x @ x.T / n).astype(np.float64) ** 2
        out[inside] = (r2 - (1 - r2) / (n - 2)).sum(axis=1)
    return out


def ld_score_intercept(chi2: np.ndarray, scores: np.ndarray) -> float:
    """Return the intercept of chi2 on LD scores, weighted by the inverse of the variance that the fit expects and of
    the score (twice, as LD score regression does).
    """
    x = np.column_stack([np.ones(len(chi2)), scores])
    fit = np.array([1.0, max((chi2.mean() - 1) / scores.mean(), 0.0)])
    for _ in range(3):
        w = 1 / (np.maximum(scores, 1) * np.maximum(x @ fit, 0.5) ** 2)
        fit = np.linalg.solve(x.T @ (w[:, None] * x), x.T @ (w * chi2))
    return float(fit[0])


def cost(given: argparse.Namespace, figures: Figures) -> None:
    """CPU time and memory of the regression's jobs, beside BOLT-LMM; what follows for 500,000 people."""
    from whole_genome_data import run_bolt, simulate_bed, write_phenotype

    folder = Path(tempfile.mkdtemp(dir=given.scratch, prefix="whole_genome_"))
    seconds = {}
    for n, m, traits in given.shapes:
        bed, y = simulate_bed(folder / "large", n, m, 1)
        rng = np.random.default_rng(1)
        at = f"{n:,} x {m:,}"
        for count in sorted({1, traits}):
            ys = [y, *(y + rng.normal(size=n) for _ in range(count - 1))]
            seconds[n, m, count], peak = measured(folder / "cohort", bed, ys, given.block_size)
            figures.note(f"{at}, traits: {count}, CPU seconds", seconds[n, m, count])
            figures.note(f"{at}, traits: {count}, peak memory, MB", peak, high=1000 if n <= 10_000 else np.inf)
        if traits > 1:
            ratio = seconds[n, m, traits] / seconds[n, m, 1]
            figures.note(f"{at}: {traits} traits over one", ratio, high=2 if traits == 20 else np.inf)
        if n * m <= 1e9 and shutil.which("bolt") and not given.no_bolt:
            write_phenotype(bed.prefix, y)
            bolt = run_bolt(bed.prefix, m)
            figures.note(f"{at}: BOLT-LMM, CPU seconds", bolt.cpu_s)
            figures.note(f"{at}: BOLT-LMM over one trait", bolt.cpu_s / seconds[n, m, 1], 15)
        bed.prefix.with_suffix(".bed").unlink()
    shutil.rmtree(folder)
    n, m, traits = given.shapes[-1]
    if traits > 1:
        each = (seconds[n, m, traits] - seconds[n, m, 1]) / (traits - 1)
        shared, scale = seconds[n, m, 1] - each, 500_000 / n * (500_000 / m)
        figures.note("500,000 x 500,000, derived: shared by 100 traits of a mask, core-hours", shared * scale / 3600)
        figures.note("500,000 x 500,000, derived: each trait, core-hours", each * scale / 3600)
        figures.note(
            "500,000 x 500,000, derived: core-hours a trait, of 100", (shared / 100 + each) * scale / 3600, high=24
        )


def measured(folder: Path, bed: Bed, ys: list[np.ndarray], block_size: int) -> tuple[float, float]:
    """Fit traits in a process of its own: CPU seconds, and peak memory in MB."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(fit_and_measure, folder, bed, ys, block_size).result()


def fit_and_measure(folder: Path, bed: Bed, ys: list[np.ndarray], block_size: int) -> tuple[float, float]:
    """Do what :func:`measured` asks for, in its process."""
    import resource

    from whole_genome_model import Cohort, defaults

    cohort = Cohort(folder, bed, block_size=block_size)
    for i, y in enumerate(ys):
        cohort.add(f"y{i}", y)
    parts = defaults("association")["chunks"]
    began = time.process_time()
    with threadpool_limits(1, user_api="blas"):
        cohort.fit(parts)
    return time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


SIDES = {"low": "at least", "high": "at most"}
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def write_tables(folder: Path) -> None:
    """Put the figures of a folder, those of benchmarks/whole_genome_binary.py too, into docs/whole_genome.md."""
    page = ROOT / "docs/whole_genome.md"
    head, rest = page.read_text().split(BEGIN)
    found = {path.stem.removeprefix("whole_genome_"): json.loads(path.read_text()) for path in folder.glob("*.json")}
    lines = []
    for name in [*(n for n in BENCHMARKS if n in found), *sorted(n for n in found if n not in BENCHMARKS)]:
        about = BENCHMARKS[name].__doc__.splitlines()[0] if name in BENCHMARKS else ""
        lines += [
            f"### {name}",
            "",
            *([about, ""] if about else []),
            "| figure | found | bounds |",
            "| --- | --- | --- |",
        ]
        for row in found[name]["figures"]:
            value = f"{row['value']:,.0f}" if abs(row["value"]) >= 100 else f"{row['value']:.4g}"
            sides = [f"{word} {row[key]:.4g}" for key, word in SIDES.items() if row.get(key) is not None]
            missed = "" if row.get("ok", True) else " (**missed**)"
            lines.append(f"| {row['what']} | {value} | {', '.join(sides)}{missed} |")
        lines.append("")
    page.write_text(f"{head}{BEGIN}\n\n" + "\n".join(lines) + END + rest.split(END)[1])


BENCHMARKS: dict[str, Callable[[argparse.Namespace, Figures], None]] = {
    "power": power,
    "nothing": nothing,
    "families": families,
    "populations": populations,
    "gemma": gemma,
    "intercept": intercept,
    "deepnull": deepnull,
    "cost": cost,
}


def shape(text: str) -> tuple[int, int, int]:
    """Read PEOPLExVARIANTSxTRAITS."""
    n, m, traits = map(int, text.split("x"))
    return n, m, traits


def run(benchmarks: Mapping[str, Callable], given: argparse.Namespace, prefix: str = "") -> int:
    """Run the benchmark ``given.what``, or all, write their figures, and return the exit code."""
    good = True
    for name in benchmarks if given.what == "all" else [given.what]:
        figures = Figures(f"{prefix}{name}")
        with threadpool_limits(1, user_api="blas"):
            benchmarks[name](given, figures)
        good &= figures.write(given.json)
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all", "tables"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--variants", type=int, default=6000)
    parser.add_argument("--pairs", type=int, default=1500, help="pairs of relatives (families)")
    parser.add_argument("--traits", type=int, default=10)
    parser.add_argument("--intercept-traits", type=int, default=60)
    parser.add_argument("--gemma-chromosomes", type=int, default=3)
    parser.add_argument("--mosaics", type=int, default=2000, help="people who are mosaics of two real ones")
    parser.add_argument("--block-size", type=int, default=500)
    parser.add_argument("--no-bolt", action="store_true", help="leave BOLT-LMM out")
    parser.add_argument("--scratch", default=None, help="folder for temporary files")
    parser.add_argument("--data", default=str(ROOT / "../shared/data"), help="folder of the real genotypes")
    parser.add_argument("--json", type=Path, default=None, help="folder for the figures")
    parser.add_argument(
        "--shapes", type=shape, nargs="+", default=[(10_000, 100_000, 20), (50_000, 100_000, 2)],
        metavar="PEOPLExVARIANTSxTRAITS", help="sizes of the benchmark cost",
    )  # fmt: skip
    given = parser.parse_args()
    if given.what == "tables":
        write_tables(given.json)
        return 0
    return run(BENCHMARKS, given)


if __name__ == "__main__":
    sys.exit(main())

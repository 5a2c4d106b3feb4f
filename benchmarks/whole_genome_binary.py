"""Whole-genome regression of binary traits: calibration and power where the truth is known.

    python benchmarks/whole_genome_binary.py rare     # traits of 30-250 cases in 10,000 people, cases first in the file
    python benchmarks/whole_genome_binary.py common   # 30 % and 5 % cases: R2 and gain over logistic regression
    python benchmarks/whole_genome_binary.py small    # 300 to 1,000 people
    python benchmarks/whole_genome_binary.py all --json FOLDER

Liabilities are normal, or logistic where the model is to be right. Causal variants lie on odd chromosomes; those on
even ones are null. Each figure is printed with the bound that it is held to, ``ok`` or ``MISSED``. One core is used.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from whole_genome import Figures, run  # noqa: E402

if TYPE_CHECKING:
    from whole_genome_data import People
    from whole_genome_model import Cohort

#: What refines the score tests
TESTS = {"Firth": {"firth": "always", "refine_by": "likelihood"}, "SPA": {"refine_by": "spa"}}


@dataclasses.dataclass(frozen=True)
class Disease:
    """A binary trait of people.

    Attributes
    ----------
    people
        In the order of the file: cases first.
    y
        float64[n], 1 case, 0 control.
    covariates
        float64[n, 2].
    causal
        Numbers of the causal variants.
    """

    people: People
    y: np.ndarray
    covariates: np.ndarray
    causal: np.ndarray


def disease(people: People, cases: int, h2: float, share: float, seed: int, logistic: bool = False) -> Disease:
    """Simulate who falls ill: those with the highest liability.

    Parameters
    ----------
    people
        Genotypes.
    cases
        How many.
    h2, share
        Share of the liability's variance, beyond covariates, that variants explain, and share of the variants that do.
    seed
        Seed.
    logistic
        Whether what is not explained is logistic: the model of the tests is then right.
    """
    from whole_genome_data import polygenic, without_relatives

    rng = np.random.default_rng(20_000 + seed)
    trait = polygenic(people, 0.999999, share, seed, within=people.chromosome % 2 == 1)
    covariates = np.column_stack([rng.normal(size=people.n), rng.integers(0, 2, people.n)])
    noise = rng.logistic(size=people.n) * np.sqrt(3) / np.pi if logistic else rng.normal(size=people.n)
    liability = np.sqrt(h2) * trait.y + np.sqrt(1 - h2) * noise + 0.4 * covariates[:, 0] + 0.3 * covariates[:, 1]
    y = np.zeros(people.n)
    y[np.argsort(-liability, kind="stable")[:cases]] = 1.0
    order = np.argsort(-y, kind="stable")
    sorted_people = without_relatives(np.ascontiguousarray(people.genotypes[:, order]), people.chromosome)
    return Disease(sorted_people, y[order], covariates[order], trait.causal)


def fitted(given: argparse.Namespace, case: Disease) -> Cohort:
    """Write and fit a cohort with one study, ``y``."""
    from whole_genome_model import Cohort

    folder = Path(tempfile.mkdtemp(dir=given.scratch, prefix="whole_genome_binary_"))
    cohort = Cohort(folder, case.people, block_size=given.block_size)
    cohort.add("y", case.y, case.covariates, trait="binary")
    cohort.fit()
    return cohort


def chi2_of(cohort: Cohort, whole_genome: bool, **settings) -> np.ndarray:
    """Test all variants; return the chi2 that their p stand for, NaN where a variant is not tested."""
    from scipy.stats import chi2

    from deepnull_gwas.tables import read_parquet

    cohort.settings = cohort.settings | settings
    cohort.test("y", whole_genome)
    p = 10.0 ** -read_parquet(cohort.folder / "y/association.parquet")["y.baseline.neg_log10_p"].to_numpy()
    return chi2.isf(np.maximum(p, 1e-300), 1)


def r2_of_offsets(cohort: Cohort, case: Disease) -> float:
    """Return what the offsets of the causal variants' chromosomes explain on the observed scale, the mean over them."""
    from deepnull_gwas.whole_genome.null_models import Covariates, fit_null_model, probabilities

    design, everybody = Covariates.of(case.covariates), np.arange(len(case.y))

    def left(offset: np.ndarray) -> float:
        fit = fit_null_model(design, case.y, everybody, offset)
        return float(np.sum((case.y - probabilities(design.x @ fit.coefficients + offset)) ** 2))

    nothing, loco = left(np.zeros(len(case.y))), cohort.fitted("y").loco
    return float(np.mean([1 - left(loco[c]) / nothing for c in np.unique(case.people.chromosome[case.causal])]))


def type_1_errors(figures: Figures, what: str, chi2: np.ndarray, bounded: bool = True) -> None:
    """Note how often null variants are significant; ``bounded``: that is to be as often as chance has it."""
    from scipy.stats import binom
    from scipy.stats import chi2 as distribution

    for level in (0.01, 0.001):
        bounds = [b / len(chi2) for b in binom.interval(0.99, len(chi2), level)] if bounded else []
        figures.note(f"{what}: type I error at {level}", np.mean(chi2 > distribution.isf(level, 1)), *bounds)


def rare(given: argparse.Namespace, figures: Figures) -> None:
    """Traits of 30 to 250 cases, the cases first in the file; every second one of few causal variants."""
    from whole_genome_data import unrelated

    counts = np.rint(np.geomspace(30, 250, given.traits)).astype(int)
    null: dict[tuple[str, bool], list[np.ndarray]] = {}
    returned, used = 0, []
    for i, cases in enumerate(counts):
        people = unrelated(given.rare_people, given.rare_variants, 100 + i)
        case = disease(people, int(cases), 0.5, 0.01 if i % 2 else 0.2, 100 + i, logistic=True)
        cohort = fitted(given, case)
        found = cohort.fitted("y")
        returned += found.about["status"] in ("ok", "none") and bool(found.about["method"])
        used.append(bool(found.about["used"]))
        even = case.people.chromosome % 2 == 0
        for test, settings in TESTS.items():
            for whole in (False, True):
                chi2 = chi2_of(cohort, whole, **settings)[even]
                returned -= 0 if np.isfinite(chi2).all() else 1
                null.setdefault((test, whole), []).append(chi2)
        shutil.rmtree(cohort.folder)
        r2 = found.about["r2_genome"]
        said = f"{cases} cases: {found.about['method']}, R2 {r2 if r2 is None else round(r2, 4)}, used {used[-1]}"
        print("  ", said, found.about["reason"], flush=True)
    figures.note(f"traits that return, of {given.traits}", returned, given.traits)
    figures.note("traits with an offset", sum(used))
    for (test, whole), values in sorted(null.items()):
        label = f"{test}, {'whole genome' if whole else 'logistic'}"
        figures.note(f"{label}: mean chi2 of null variants", np.mean(values))
        type_1_errors(figures, label, np.concatenate(values), bounded=whole)
        if whole:
            chi2 = np.concatenate([v for v, offset in zip(values, used, strict=True) if offset])
            type_1_errors(figures, f"{label}, traits with an offset", chi2)


def common(given: argparse.Namespace, figures: Figures) -> None:
    """30 % and 5 % cases: what the genome explains, and what that gains at causal variants."""
    from whole_genome_data import run_bolt, unrelated, write_phenotype
    from whole_genome_model import left_of

    for prevalence in (0.3, 0.05):
        for share in (0.01, 0.2):
            rows, null = [], {False: [], True: []}
            for seed in range(1, given.seeds + 1):
                people = unrelated(given.people, given.variants, seed)
                case = disease(people, int(prevalence * given.people), 0.5, share, seed)
                cohort = fitted(given, case)
                about = cohort.fitted("y").about
                chi2 = {whole: chi2_of(cohort, whole) for whole in (False, True)}
                causal, even = case.causal, case.people.chromosome % 2 == 0
                for whole in (False, True):
                    null[whole].append(chi2[whole][even])
                mean = {whole: chi2[whole][causal].mean() for whole in (False, True)}
                row = {"r2": about["r2_genome"], "loco": r2_of_offsets(cohort, case)}
                row |= {"gain": (mean[True] - 1) / (mean[False] - 1)}
                if shutil.which("bolt") and not given.no_bolt:
                    write_phenotype(cohort.bed.prefix, left_of(case.y, case.covariates))
                    row |= {"bolt": np.nan, "inf": np.nan}
                    with contextlib.suppress(subprocess.CalledProcessError):  # it dies of some data
                        bolt = run_bolt(cohort.bed.prefix, given.variants)
                        row |= {"bolt": bolt.r2, "inf": (bolt.chi2_inf[causal].mean() - 1) / (mean[False] - 1)}
                shutil.rmtree(cohort.folder)
                rows.append(row)
                said = {k: round(float(v), 4) for k, v in row.items()}
                print("  ", f"{prevalence:.0%} cases, causal {share}, seed {seed}", said, flush=True)
            figures_of = {k: float(np.nanmean([row[k] for row in rows])) for k in rows[0]}
            at = f"{prevalence:.0%} cases, {share:.0%} causal"
            figures.note(f"{at}: R2 on the observed scale", figures_of["r2"])
            figures.note(f"{at}: gain in chi2 - 1 at causal variants over logistic", figures_of["gain"], 1.0)
            figures.note(f"{at}: R2 of the offsets of causal variants", figures_of["loco"])
            figures.note(f"{at}: gain over 1 / (1 - R2)", figures_of["gain"] * (1 - figures_of["loco"]), 0.92, 1.08)
            if "bolt" in figures_of:
                figures.note(f"{at}: BOLT-LMM's best cross-validated R2, of 0 and 1", figures_of["bolt"])
                figures.note(f"{at}: gain of BOLT-LMM-inf over logistic", figures_of["inf"])
            for whole, values in null.items():
                label = f"{at}, {'whole genome' if whole else 'logistic'}"
                figures.note(f"{label}: mean chi2 of null variants", np.concatenate(values).mean())
                type_1_errors(figures, label, np.concatenate(values), bounded=whole)


def small(given: argparse.Namespace, figures: Figures) -> None:
    """A few hundred people: calibration of the offsets where there is little to learn from."""
    from whole_genome_data import unrelated

    for n, cases in ((300, 60), (500, 250), (1000, 300)):
        null, used = {False: [], True: []}, 0
        for seed in range(given.traits):
            people = unrelated(n, given.small_variants, 300 + seed)
            case = disease(people, cases, 0.5, 0.02, 300 + seed, logistic=True)
            cohort = fitted(given, case)
            used += bool(cohort.fitted("y").about["used"])
            for whole, values in null.items():
                values.append(chi2_of(cohort, whole)[case.people.chromosome % 2 == 0])
            shutil.rmtree(cohort.folder)
        at = f"{n} people, {cases} cases"
        figures.note(f"{at}: traits with an offset, of {given.traits}", used)
        means = {whole: np.concatenate(values).mean() for whole, values in null.items()}
        figures.note(f"{at}: mean chi2 of null variants, logistic", means[False])
        figures.note(f"{at}: mean chi2 of null variants", means[True], means[False] - 0.03, means[False] + 0.03)
        type_1_errors(figures, at, np.concatenate(null[True]))


BENCHMARKS: dict[str, Callable[[argparse.Namespace, Figures], None]] = {"rare": rare, "common": common, "small": small}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--variants", type=int, default=6000)
    parser.add_argument("--rare-people", type=int, default=10_000)
    parser.add_argument("--rare-variants", type=int, default=2000)
    parser.add_argument("--small-variants", type=int, default=1500)
    parser.add_argument("--traits", type=int, default=20)
    parser.add_argument("--block-size", type=int, default=500)
    parser.add_argument("--no-bolt", action="store_true", help="leave BOLT-LMM out")
    parser.add_argument("--scratch", default=None, help="folder for temporary files")
    parser.add_argument("--json", type=Path, default=None, help="folder for the figures")
    given = parser.parse_args()
    return run(BENCHMARKS, given, "binary_")


if __name__ == "__main__":
    sys.exit(main())

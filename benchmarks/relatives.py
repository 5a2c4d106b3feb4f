"""Type I error of binary traits among correlated relatives, by every method, where the truth is known.

    python benchmarks/relatives.py --seeds 4 --json FOLDER

Pairs of relatives, all people or with unrelated ones, a polygenic liability with and without what families share, 30 %
or 5 % of the people cases. Each figure comes with the bound that it is held to, as in benchmarks/whole_genome.py, which
does the same for quantitative traits (``families``). One core is used.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent))

#: Kind of pairs, share of the people in pairs, variance of the shared environment, share of cases, shuffled people
CASES = {
    "siblings": ("sibling", 1.0, 0.0, 0.3, False),
    "siblings, shared environment": ("sibling", 1.0, 0.15, 0.3, False),
    "siblings, shared environment, shuffled": ("sibling", 1.0, 0.15, 0.3, True),
    "parent and child, shared environment": ("parent_child", 1.0, 0.15, 0.3, False),
    "siblings among unrelated": ("sibling", 0.4, 0.15, 0.3, False),
    "siblings, shared environment, 5 % cases": ("sibling", 1.0, 0.15, 0.05, False),
}
#: How variants are tested: settings of the association.
METHODS = {
    "likelihood": {"refine_by": "likelihood", "firth": "never"},
    "Firth": {"refine_by": "likelihood", "firth": "always"},
    "saddle point": {"refine_by": "spa"},
}
LEVELS = (0.05, 0.01, 0.001)


def deviates(path: Path, name: str) -> np.ndarray:
    """Return the squared normal deviates of a study's p."""
    from scipy.stats import norm

    from deepnull_gwas.tables import read_parquet

    p = read_parquet(path)[f"{name}.baseline.neg_log10_p"].to_numpy()
    return norm.isf(10.0**-p / 2) ** 2


def measure(given: argparse.Namespace, figures) -> None:
    """Measure all cases and methods."""
    from scipy.stats import binom
    from scipy.stats import chi2 as chi2_distribution
    from whole_genome_data import polygenic, relatives
    from whole_genome_model import Cohort

    for name in given.cases:
        kind, share, c2, cases, shuffled = CASES[name]
        methods = METHODS if share == 1.0 and not shuffled and kind == "sibling" else {"likelihood": {}}
        for method, settings in methods.items():
            null_plain, null_ours, causal_plain, causal_ours, rho = [], [], [], [], []
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                people = relatives(2 * given.pairs, given.variants, seed, kind, share)
                if shuffled:
                    people = people.shuffled(np.random.default_rng(seed))
                liability = polygenic(people, 0.6, 0.01, seed, c2)
                y = (liability.y > np.quantile(liability.y, 1 - cases)).astype(np.float64)
                cohort = Cohort(Path(tempfile.mkdtemp(dir=given.scratch)), people, block_size=500, **settings)
                cohort.add("y", y, trait="binary")
                cohort.fit()
                rho.append(cohort.fitted("y").about["relatives"][kind]["rho"])
                null = np.isin(np.arange(given.variants), liability.causal, invert=True)
                for whole, nulls, causal in ((False, null_plain, causal_plain), (True, null_ours, causal_ours)):
                    cohort.test("y", whole)
                    chi2 = deviates(cohort.folder / "y/association.parquet", "y")
                    nulls.append(chi2[null])
                    causal.append(chi2[~null].mean())
                shutil.rmtree(cohort.folder)
            chi2 = np.concatenate(null_ours)
            at = f"{name}, {method}"
            figures.note(f"{at}: null mean chi2", chi2.mean(), 0.97, 1.03)
            for level in LEVELS:
                low, high = binom.interval(0.99, len(chi2), level)
                rate = np.mean(chi2 > chi2_distribution.isf(level, 1))
                figures.note(f"{at}: type I error at {level}", rate, low / len(chi2), high / len(chi2))
            figures.note(f"{at}: null mean chi2, plain regression", np.concatenate(null_plain).mean())
            figures.note(f"{at}: correlation of the relatives", float(np.mean(rho)))
            figures.note(
                f"{at}: causal mean chi2 over plain regression's", np.mean(causal_ours) / np.mean(causal_plain)
            )


def main() -> int:
    """Run what is asked for."""
    from whole_genome import Figures

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=[*CASES], default=[*CASES], help="which of them")
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--variants", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--scratch", help="folder for temporary files")
    parser.add_argument("--json", type=Path, help="folder for the figures")
    given = parser.parse_args()
    figures = Figures("relatives")
    with threadpool_limits(limits=1):
        measure(given, figures)
    return 0 if figures.write(given.json) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Type I error of binary traits among correlated relatives, by every method, and of rare variants, truth known.

    python benchmarks/relatives.py pairs --seeds 4 --json FOLDER
    python benchmarks/relatives.py rare

``pairs``: pairs of relatives, all people or with unrelated ones, a polygenic liability with and without what families
share, 30 % or 5 % of the people cases, whole-genome regression. ``rare``: siblings alike in their phenotype, variants
of a frequency of 0.2 to 1 %, no offsets. Each figure comes with the bound that it is held to, as in
benchmarks/whole_genome.py, which does ``pairs`` for quantitative traits (``families``). One core is used.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent))

if TYPE_CHECKING:
    from whole_genome import Figures

    from deepnull_gwas.genotypes.block import Block

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
#: Of rare variants: share of cases (None: quantitative) and method.
RARE = {
    "quantitative": (None, {}),
    "30 % cases, Firth": (0.3, METHODS["Firth"]),
    "5 % cases, Firth": (0.05, METHODS["Firth"]),
    "5 % cases, saddle point": (0.05, METHODS["saddle point"]),
}


def squares(neg_log10_p: np.ndarray) -> np.ndarray:
    """Return the squared normal deviates of p of the variants that were tested."""
    from scipy.stats import norm

    p = neg_log10_p[np.isfinite(neg_log10_p)]
    return norm.isf(10.0**-p / 2) ** 2


def note(figures: Figures, at: str, ours: list[np.ndarray], plain: list[np.ndarray], least: float = 0.97) -> None:
    """Add mean and type I error of null variants with relatives taken into account, and without."""
    from scipy.stats import binom
    from scipy.stats import chi2 as chi2_distribution

    chi2 = np.concatenate(ours)
    figures.note(f"{at}: null mean chi2", chi2.mean(), least, 1.03)
    for level in (0.01, 0.001):
        low, high = binom.interval(0.99, len(chi2), level)
        rate = np.mean(chi2 > chi2_distribution.isf(level, 1))
        # what is conservative in the mean may be so in the tail
        figures.note(f"{at}: type I error at {level}", rate, low / len(chi2) if least > 0 else 0.0, high / len(chi2))
    figures.note(f"{at}: null mean chi2, plain regression", np.concatenate(plain).mean())


def measure_pairs(given: argparse.Namespace, figures: Figures) -> None:
    """Measure common variants of binary traits with the whole-genome regression."""
    from whole_genome_data import polygenic, relatives
    from whole_genome_model import Cohort

    from deepnull_gwas.tables import read_parquet

    for name in given.cases:
        kind, share, c2, cases, shuffled = CASES[name]
        methods = METHODS if share == 1.0 and not shuffled and kind == "sibling" else {"likelihood": {}}
        for method, settings in methods.items():
            null: dict[bool, list[np.ndarray]] = {False: [], True: []}
            causal: dict[bool, list[float]] = {False: [], True: []}
            rho = []
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
                is_null = np.isin(np.arange(given.variants), liability.causal, invert=True)
                for whole in (False, True):
                    cohort.test("y", whole)
                    p = read_parquet(cohort.folder / "y/association.parquet")["y.baseline.neg_log10_p"].to_numpy()
                    null[whole].append(squares(p[is_null]))
                    causal[whole].append(squares(p[~is_null]).mean())
                shutil.rmtree(cohort.folder)
            at = f"{name}, {method}"
            note(figures, at, null[True], null[False])
            figures.note(f"{at}: correlation of the relatives", float(np.mean(rho)))
            figures.note(
                f"{at}: causal mean chi2 over plain regression's", np.mean(causal[True]) / np.mean(causal[False])
            )


def rare_siblings(given: argparse.Namespace, seed: int) -> tuple[Block, np.ndarray]:
    """Return rare variants of pairs of siblings, neighbours in the file, and a liability correlated 0.6 in them."""
    from deepnull_gwas.genotypes.block import PackedBlock
    from deepnull_gwas.genotypes.dosage import pack_counts

    rng, k = np.random.default_rng(seed), given.pairs
    p = rng.uniform(0.002, 0.01, given.variants)
    parents = [(rng.random((given.variants, k)) < p[:, None]).astype(np.int8) for _ in range(4)]
    copies = np.empty((given.variants, 2 * k), dtype=np.int8)
    for side in (0, 1):
        first, second = (np.where(rng.random((given.variants, k)) < 0.5, *parents[i : i + 2]) for i in (0, 2))
        copies[:, side::2] = first + second
    liability = np.sqrt(0.6) * np.repeat(rng.normal(size=k), 2) + np.sqrt(0.4) * rng.normal(size=2 * k)
    return PackedBlock(pack_counts(copies), 2 * k), liability


def measure_rare(given: argparse.Namespace, figures: Figures) -> None:
    """Measure variants that few families carry."""
    from whole_genome_model import NO_FILTERS, _defaults

    from deepnull_gwas.association.inputs import StudyInput
    from deepnull_gwas.association.scan import Scan
    from deepnull_gwas.association.settings import Settings
    from deepnull_gwas.whole_genome.relatives import RelatedPairs, RelativeCorrelations, family_covariance

    n = 2 * given.pairs
    people, nothing = np.arange(n), np.empty((n, 0))
    pairs = RelatedPairs(people[::2], people[1::2], np.full(n // 2, "sibling", dtype=object), np.full(n // 2, 0.25))
    for name, (cases, settings) in RARE.items():
        trait = "quantitative" if cases is None else "binary"
        section = Settings.of({**_defaults("association"), **NO_FILTERS, "min_mac": 10, **settings})
        chi2: dict[bool, list[np.ndarray]] = {False: [], True: []}
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            block, liability = rare_siblings(given, seed)
            y = liability if cases is None else (liability > np.quantile(liability, 1 - cases)).astype(np.float64)
            rho = family_covariance(trait, y, nothing, {}, pairs)["sibling"]["rho"]
            known = RelativeCorrelations(pairs, {"baseline": {"all": {"sibling": rho}}})
            for related in (None, known):
                study = StudyInput("s", trait, ("baseline",), people, y, nothing, (), relatives=related)
                found = Scan([study], np.zeros(n, dtype=np.int8), section).block(block, "autosome")
                chi2[related is not None].append(squares(found["s.baseline.neg_log10_p"]))
        # with few copies in few cases a discrete statistic falls short of chi2 on average
        note(figures, f"rare, {name}", chi2[True], chi2[False], 0.97 if cases is None else 0.0)


def main() -> int:
    """Run what is asked for."""
    from whole_genome import Figures

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pairs", "rare"])
    parser.add_argument("--cases", nargs="*", choices=[*CASES], default=[*CASES], help="which kinds of pairs")
    parser.add_argument("--pairs", type=int, default=1500, help="pairs of people")
    parser.add_argument("--variants", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--scratch", help="folder for temporary files")
    parser.add_argument("--json", type=Path, help="folder for the figures")
    given = parser.parse_args()
    figures = Figures(given.what)
    with threadpool_limits(limits=1):
        (measure_pairs if given.what == "pairs" else measure_rare)(given, figures)
    return 0 if figures.write(given.json) else 1


if __name__ == "__main__":
    sys.exit(main())

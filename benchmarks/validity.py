"""Calibration and power of the arms on a simulated cohort of any size, by the workflow's own target `validity`.

Writes a config and a sheet of studies (phenotypes without any genetic effect give type I error and lambda, phenotypes
with causal variants give power; a third arm, `oracle`, has the true covariate effect as a covariate), runs the target,
and puts its tables and figure into docs/validity.md, between the marks. `--only-config` writes config and sheet and
stops: so was config/validity made.

    python benchmarks/validity.py --people 6000 --variants 50000 --chromosomes 5 --null-replicates 30 --replicates 12
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
KINDS = {
    "linear": {"trait": "quantitative", "covariate_effects": "linear", "covariate_variance": 0.35},
    "nonlinear": {"trait": "quantitative", "covariate_effects": "nonlinear", "covariate_variance": 0.4},
    "binary": {"trait": "binary", "covariate_effects": "nonlinear", "covariate_variance": 0.4, "prevalence": 0.3},
}
# many weak variants: of few strong ones every arm finds all
EFFECTS = {"null": {"heritability": 0.0, "causal_variants": 0}, "power": {"heritability": 0.2, "causal_variants": 40}}
COVARIATES = "age,sex,bmi,smoking,site"
HEAD = """# Calibration and power on a simulated cohort:
# snakemake --cores 2 --configfile config/validity/config.yaml -- validity
# Made by benchmarks/validity.py, which makes larger ones too. Each phenotype has a study with both arms and one, the
# oracle, that is given its true covariate effect.
"""
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def configure(folder: Path, at: Path, arguments: argparse.Namespace) -> None:
    """Write config and sheet into ``folder``, for a run from a folder in which they are at ``at``."""
    replicates = {"null": arguments.null_replicates, "power": arguments.replicates}
    names = [(e, k, f"{e}_{k}_{r}") for e in EFFECTS for k in KINDS for r in range(1, replicates[e] + 1)]
    rows = []
    for _, kind, name in names:
        common = {
            "cohort": "validity",
            "phenotype": name,
            "trait": KINDS[kind]["trait"],
            "categorical_covariates": "site",
        }
        rows.append({"study": name, "covariates": COVARIATES, "arms": "baseline,deepnull"} | common)
        oracle = {"study": f"{name}_oracle", "covariates": f"{COVARIATES},{name}_covariates", "arms": "baseline"}
        rows.append(oracle | common)
    simulate = {
        "people": arguments.people,
        "variants": arguments.variants,
        "chromosomes": list(range(1, arguments.chromosomes + 1)),
        "sibling_pairs": 0,
        "parent_child_pairs": 0,
        "missing_rate": 0.002,
        "truth_columns": True,
        "phenotypes": {name: KINDS[k] | EFFECTS[e] for e, k, name in names},
    }
    config = {
        "seed": arguments.seed,
        "studies": str(at / "studies.tsv"),
        "cohorts": {"validity": {"genome_build": "GRCh38", "simulate": simulate}},
        "structure": {"pcs": 4},
        "association": {"chunks": 2},
    }
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "studies.tsv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "config.yaml").write_text(
        HEAD + yaml.safe_dump(config, sort_keys=False, default_flow_style=None, width=120)
    )


def publish(results: Path, docs: Path) -> None:
    """Put tables and figure into the documentation, between the marks."""
    page = docs / "validity.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = (results / "validity.md").read_text(encoding="utf-8").replace("(validity.svg)", "(images/validity.svg)")
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")
    shutil.copy(results / "validity.svg", docs / "images" / "validity.svg")


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
    parser.add_argument("--only-config", type=Path, help="write config and sheet there, and stop")
    arguments = parser.parse_args()
    if arguments.only_config:
        configure(arguments.only_config, arguments.only_config, arguments)
        return
    configure(arguments.folder, Path(), arguments)
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(arguments.folder)]
    command += ["--configfile", str(arguments.folder / "config.yaml"), "--cores", arguments.cores]
    subprocess.run([*command, "--quiet", "rules", "--", "validity"], check=True)
    publish(arguments.folder / "results" / "validity", arguments.docs)


if __name__ == "__main__":
    main()

"""The target `validity`: its numbers against scipy, statsmodels and counting by hand, and configs that are not made for
it.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import yaml
from scipy.stats import chi2
from statsmodels.stats.proportion import proportion_confint

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.formats import open_filesets
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.results.validity import (
    effective_tests,
    measure_validity,
    simulated_phenotypes,
    wilson,
)
from deepnull_gwas.results.validity_page import write_validity
from deepnull_gwas.tables import read_json, write_json
from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).resolve().parents[2]

KINDS = {
    "curved": {"trait": "quantitative", "covariate_effects": "nonlinear", "covariate_variance": 0.5},
    "ill": {"trait": "binary", "covariate_effects": "nonlinear", "covariate_variance": 0.4, "prevalence": 0.4},
}
PHENOTYPES = {f"{k}_null": v | {"heritability": 0.0, "causal_variants": 0} for k, v in KINDS.items()} | {
    f"{k}_power": v | {"heritability": 0.4, "causal_variants": 8} for k, v in KINDS.items()
}
SIMULATE = {
    "people": 700,
    "variants": 1500,
    "chromosomes": [1],
    "sibling_pairs": 0,
    "parent_child_pairs": 0,
    "truth_columns": True,
    "phenotypes": PHENOTYPES,
}


def sheet_of(phenotypes: dict) -> list[dict]:
    """Return the two studies of each phenotype."""
    rows = []
    for name, settings in phenotypes.items():
        row = {"cohort": "sim", "phenotype": name, "trait": settings["trait"]}
        rows.append(row | {"study": name, "covariates": "age,sex,bmi", "arms": "baseline,deepnull"})
        rows.append(row | {"study": f"{name}_o", "covariates": f"age,sex,bmi,{name}_covariates", "arms": "baseline"})
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    """Run the target on a small cohort."""
    run = Run(tmp_path_factory.mktemp("validity"))
    deepnull = {"folds": 3, "model": "splines", "compare": False}
    cohorts = {"sim": {"genome_build": "GRCh38", "simulate": SIMULATE}}
    run.configure(
        {"cohorts": cohorts, "deepnull": deepnull, "structure": {"pcs": 0, "relatives": "keep"}}, sheet_of(PHENOTYPES)
    )
    run.snakemake("--cores", "2", "validity")
    return run


def statistics(run: Run, phenotype: str, arm: str) -> pd.DataFrame:
    """Read what an arm of a phenotype published."""
    folder = f"{phenotype}_o/baseline" if arm == "oracle" else f"{phenotype}/{arm}"
    return read_sumstats(run.results / "sim" / folder / "sumstats.tsv.gz").to_pandas()


def test_the_tables_are_what_was_published(finished):
    measured = read_json(finished.results / "sim/validity.json")
    truth = pd.read_csv(finished.results / "sim/simulated/truth.tsv", sep="\t")
    kinds = {"curved": "quantitative, nonlinear", "ill": "binary, nonlinear"}
    null = {(r["kind"], r["arm"]): r for r in measured["null"]}
    power = {(r["kind"], r["arm"]): r for r in measured["power"]}
    assert set(null) == set(power) == {(k, a) for k in kinds.values() for a in ("baseline", "deepnull", "oracle")}
    for short, kind in kinds.items():
        causal = truth.loc[truth["phenotype"] == f"{short}_power", "id"]
        base = statistics(finished, f"{short}_power", "baseline").set_index("original_id")
        causal = [v for v in causal if v in base.index]
        assert len(causal) >= 6
        for arm in ("baseline", "deepnull", "oracle"):
            p = 10 ** -statistics(finished, f"{short}_null", arm)["neg_log_10_p_value"]
            row = null[kind, arm]
            for cell in row["rates"]:
                assert cell["rate"] == pytest.approx(np.mean(p <= cell["level"] * (1 + 1e-12)))
            # the middle of chi-square with one degree of freedom
            assert row["lambda"][0]["lambda_gc"] == pytest.approx(chi2.isf(np.median(p), 1) / chi2.median(1), rel=1e-6)
            own = statistics(finished, f"{short}_power", arm).set_index("original_id").loc[causal]
            row = power[kind, arm]
            assert row["variants"] == len(causal)
            assert row["power"] == pytest.approx(np.mean(own["neg_log_10_p_value"] >= -np.log10(5e-8)))
            values = chi2.isf(10 ** -own["neg_log_10_p_value"], 1)
            base_values = chi2.isf(10 ** -base.loc[causal, "neg_log_10_p_value"], 1)
            assert row["mean_chi2"] == pytest.approx(values.mean(), rel=1e-6)
            assert row["ratio"] == pytest.approx(values.sum() / base_values.sum(), rel=1e-6)
            hit, hit_base = values >= chi2.isf(5e-8, 1), base_values >= chi2.isf(5e-8, 1)
            assert (row["found"], row["lost"]) == ((hit & ~hit_base).sum(), (hit_base & ~hit).sum())
    # half of the variance is in curves: the theory's ratio is well above 1, and DeepNull comes near what the truth
    # gives
    gained = power[kinds["curved"], "deepnull"]
    assert gained["expected_ratio"] > 1.1
    assert 1.0 < gained["ratio"] < 1.1 * power[kinds["curved"], "oracle"]["ratio"]
    tested = statistics(finished, "curved_null", "baseline")
    assert measured["variants"] == len(tested)
    assert 10 < measured["effective_tests"] < measured["variants"]


def test_the_page_shows_the_tables_and_the_figure(finished):
    page = (finished.results / "sim/validity.md").read_text()
    for words in ("## Type I error", "## Power", "| quantitative, nonlinear | oracle |", "(validity.svg)"):
        assert words in page
    assert (finished.results / "sim/validity.svg").read_text().count("<image") >= 4


def test_intervals_against_statsmodels():
    for hits, n in ((0, 50), (3, 200), (40, 40)):
        assert wilson(hits / n, n) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)


def test_independent_and_doubled_variants_are_counted_as_such(tmp_path):
    small_cohort(tmp_path, n=2000, m=400)
    tested = np.ones(400, dtype=bool)
    # chance adds 1/n to each r2, which is taken off where it is above: what is left makes a few tests less
    assert effective_tests(open_filesets([tmp_path / "g"]), tested) == pytest.approx(400, rel=0.15)
    bed, bim = (tmp_path / "g.bed").read_bytes(), (tmp_path / "g.bim").read_text().splitlines(keepends=True)
    width = 2000 // 4
    rows = [bed[3 + i * width : 3 + (i + 1) * width] for i in range(400)]
    (tmp_path / "d.bed").write_bytes(bed[:3] + b"".join(rows[i // 2] for i in range(400)))
    (tmp_path / "d.bim").write_text("".join(bim))
    (tmp_path / "d.fam").write_text((tmp_path / "g.fam").read_text())
    assert effective_tests(open_filesets([tmp_path / "d"]), tested) == pytest.approx(200, rel=0.15)


def test_a_config_that_is_not_made_for_it_is_refused_before_anything_runs(tmp_path):
    small_cohort(tmp_path)
    run = Run(tmp_path)
    run.configure(CONFIG, SHEET)
    done = run.snakemake("--cores", "1", "validity", check=False)
    assert done.returncode != 0
    assert "cohort c: validity is measured on simulated cohorts only" in done.stdout + done.stderr
    assert not run.results.exists()


def test_what_a_simulated_cohort_lacks_is_named():
    studies = [
        row | {"arms": row["arms"].split(","), "covariates": row["covariates"].split(",")}
        for row in sheet_of(PHENOTYPES)
    ]
    assert [p.oracle for p in simulated_phenotypes("sim", SIMULATE, studies)] == [f"{p}_o" for p in PHENOTYPES]
    with pytest.raises(InputError, match="truth_columns: true"):
        simulated_phenotypes("sim", SIMULATE | {"truth_columns": False}, studies)
    with pytest.raises(InputError, match=r"phenotype ill_power: .* covariate ill_power_covariates \(found 0\)"):
        simulated_phenotypes("sim", SIMULATE, studies[:-1])


def rewrite(path: Path, keep: Callable[[str], bool]) -> None:
    """Leave lines of published statistics out."""
    with gzip.open(path, "rt") as file:
        head, *lines = file.readlines()
    with pysam.BGZFile(str(path), "wb") as file:
        file.write("".join([head, *filter(keep, lines)]).encode())


def test_what_an_arm_lacks_is_left_out_of_all_arms(finished, tmp_path):
    results = tmp_path / "sim"
    shutil.copytree(finished.results / "sim", results)
    truth = pd.read_csv(results / "simulated/truth.tsv", sep="\t").set_index("phenotype")["id"]
    before = {(r["kind"], r["arm"]): r for r in read_json(results / "validity.json")["power"]}
    # a variant that one arm could not test, and studies that failed
    tested = set(statistics(finished, "curved_power", "baseline")["original_id"])
    lost = next(v for v in truth["curved_power"] if v in tested)
    rewrite(results / "curved_power/deepnull/sumstats.tsv.gz", lambda line: lost not in line.split())
    rewrite(results / "ill_power/baseline/sumstats.tsv.gz", lambda line: False)
    rewrite(results / "curved_null_o/baseline/sumstats.tsv.gz", lambda line: False)
    studies = [
        row | {"arms": row["arms"].split(","), "covariates": row["covariates"].split(",")}
        for row in sheet_of(PHENOTYPES)
    ]
    phenotypes = simulated_phenotypes("sim", SIMULATE, studies)
    # as if the model of one were the whole-genome regression
    genome = results / "curved_power/genome/genome.json"
    arms = {arm: {"used": True, "r2_both": r2} for arm, r2 in (("baseline", 0.4), ("deepnull", 0.5))}
    write_json({"arms": arms}, genome)
    with chdir(finished.folder):
        measure_validity(results, phenotypes, tmp_path / "v.json", tmp_path / "v.npz", 5e-8, [genome])
    after = read_json(tmp_path / "v.json")
    expected = {r["arm"]: r["expected_ratio"] for r in after["power"]}
    assert expected == {"baseline": None, "deepnull": pytest.approx(0.6 / 0.5), "oracle": None}
    assert after["left_out"] == ["curved_null", "ill_power"]
    assert {r["kind"] for r in after["null"]} == {"binary, nonlinear"}
    assert len(after["power"]) == 3
    for row in after["power"]:
        assert row["variants"] == before[row["kind"], row["arm"]]["variants"] - 1
    write_validity(tmp_path / "v.json", "v.svg", tmp_path / "v.md")
    assert "a study of theirs failed: curved_null, ill_power." in (tmp_path / "v.md").read_text()


def test_the_small_cohort_is_the_one_that_the_script_makes(tmp_path):
    """The script writes a config that can be read, and the one in config/validity is its own."""
    script = ROOT / "benchmarks/validity.py"
    subprocess.run([sys.executable, str(script), "--only-config", str(tmp_path)], check=True)
    for name in ("config.yaml", "studies.tsv"):
        text = (tmp_path / name).read_text()
        assert text.replace(str(tmp_path), "config/validity") == (ROOT / "config/validity" / name).read_text()
    assert "validity" in yaml.safe_load((tmp_path / "config.yaml").read_text())["cohorts"]

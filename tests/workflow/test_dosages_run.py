"""The workflow on PLINK 2 filesets and BGEN files: published results are those of each other, and of a .bed."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.config import read_config
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.results.verify_batch import verify_batch
from dictionary_checks import problems_of
from dosage_files import UNIT, variant_rows, write_bgen, write_pgen
from workflow_runs import CONFIG, Run, copy_of, once, publish

pytestmark = pytest.mark.workflow
pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

PEOPLE, VARIANTS = 300, 300


def dosages_of(copies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return imputed-like dosages of copies: most within 0.08 of them, one in fifty anywhere."""
    noise = np.abs(rng.normal(0, 0.03, copies.shape)).clip(0, 0.08)
    dosages = np.where(copies == 0, noise, np.where(copies == 2, 2 - noise, 1 + noise - 0.04))
    dosages = np.where(rng.random(copies.shape) < 0.02, rng.uniform(0, 2, copies.shape), dosages)
    return np.round(dosages / UNIT) * UNIT


def write_data(folder: Path) -> None:
    """Write one cohort's genotypes as dosages and hard calls in all formats, and its sample table."""
    rng = np.random.default_rng(14)
    copies = rng.binomial(2, rng.uniform(0.1, 0.5, VARIANTS)[:, None], (VARIANTS, PEOPLE)).astype(np.int8)
    dosages = dosages_of(copies, rng)
    variants = variant_rows(VARIANTS, step=100_000)
    ids = [f"p{i:03d}" for i in range(PEOPLE)]
    people = pd.DataFrame({"fid": ids, "iid": ids, "sex": rng.integers(1, 3, PEOPLE)})
    write_pgen(folder / "imputed", dosages, variants, people)
    write_bgen(folder / "imputed.bgen", dosages, variants, people, "first")
    shutil.copy(folder / "imputed.sample", folder / "ukb_s300.sample")
    calls = np.where(rng.random(copies.shape) < 0.01, -1, copies).astype(np.int8)
    write_pgen(folder / "calls", calls, variants, people)
    bim = variants[["chromosome", "id", "position", "position", "effect_allele", "other_allele"]]
    bim = bim.set_axis(list("cimpab"), axis=1).assign(m=0)
    fam = people[["fid", "iid", "sex", "sex", "sex", "sex"]].set_axis(list("fimpsy"), axis=1).assign(m=0, p=0)
    write_bed(folder / "calls", calls, bim, fam)
    # in another order, without ten people, and with alleles the other way round
    there = np.arange(PEOPLE - 1, 9, -1)
    swapped = bim.rename(columns={"a": "b", "b": "a"})[list(bim.columns)]
    write_bed(folder / "array", 2 - copies[:, there], swapped, fam.iloc[there])
    age = rng.uniform(40, 70, PEOPLE).round(2)
    liability = 0.8 * dosages[7] + 0.03 * (age - 55) + rng.logistic(size=PEOPLE)
    table = pd.DataFrame({"FID": ids, "IID": ids, "age": age, "y": liability.round(5), "case": 1 * (liability > 0.7)})
    table.sample(frac=1, random_state=1).to_csv(folder / "samples.tsv", sep="\t", index=False)


GENOTYPES = {
    "pgen": {"genotypes": "imputed.pgen"},
    "bgen": {"genotypes": "imputed.bgen", "bgen_reference": "first", "bgen_sample": "ukb_s300.sample"},
    "calls_pgen": {"genotypes": "calls.pgen"},
    "calls_bed": {"genotypes": "calls", "reference": "imputed.pvar"},
    "array": {"genotypes": "imputed.bgen", "bgen_reference": "first", "structure": {"genotypes": "array"}},
}


def studies_of(cohort: str) -> list[dict]:
    common = {"cohort": cohort, "covariates": "age", "pcs": 2 if cohort == "array" else 0, "arms": "baseline"}
    studies = [common | {"study": "y", "phenotype": "y", "trait": "quantitative"}]
    if cohort in ("pgen", "bgen"):
        studies.append(common | {"study": "case", "phenotype": "case", "trait": "binary"})
    return studies


@pytest.fixture(scope="module")
def imputed(shared_folder) -> Run:
    """Run all cohorts once up to the summary statistics."""

    def make(folder: Path) -> None:
        write_data(folder)
        run = Run(folder)
        cohorts = {name: own | {"samples": "samples.tsv", "genome_build": "GRCh38"} for name, own in GENOTYPES.items()}
        run.configure(CONFIG | {"cohorts": cohorts}, [row for name in cohorts for row in studies_of(name)])
        verified = [f"results/{cohort}/associations/main/verified.tsv" for cohort in ("pgen", "bgen")]
        run.snakemake("--cores", "2", "associations", *verified)

    return Run(once(shared_folder / "imputed", make))


def test_the_dictionary_knows_every_file_and_every_column(imputed):
    assert problems_of(imputed.results, whole=False) == []


def published(run: Run, cohort: str, study: str) -> pd.DataFrame:
    return read_sumstats(run.results / cohort / study / "baseline" / "sumstats.tsv.gz").to_pandas()


@pytest.mark.parametrize("study", ["y", "case"])
def test_bgen_and_pgen_publish_the_same(imputed, study):
    one, other = published(imputed, "pgen", study), published(imputed, "bgen", study)
    assert len(one) == VARIANTS
    # the two formats have different definitions of INFO
    pd.testing.assert_frame_equal(
        one.drop(columns="info", errors="ignore"), other.drop(columns="info", errors="ignore")
    )
    assert (one["effect_allele"] == variant_rows(VARIANTS)["effect_allele"].to_numpy()).all()
    assert one["beta"][7] > (4 if study == "y" else 2.5) * one["standard_error"][7]


@pytest.mark.parametrize("cohort", ["pgen", "bgen"])
def test_published_results_are_those_of_a_second_implementation(imputed, tmp_path, monkeypatch, cohort):
    """Beta, se, p, frequencies and INFO, by its own decoder of the files; one INFO that was changed is found."""
    table = pd.read_csv(imputed.results / cohort / "associations/main/verified.tsv", sep="\t")
    assert table[["study", "arm", "state"]].values.tolist() == [["y", "baseline", "ok"], ["case", "baseline", "ok"]]
    assert (table[["variants, second implementation", "variants, double precision"]] > 50).all().all()
    run = copy_of(imputed, tmp_path / "copy")
    monkeypatch.chdir(run.folder)
    path = run.results / cohort / "y/baseline/sumstats.tsv.gz"
    lines = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    at, row = lines[0].index("info"), lines[20]
    right = row[at]
    row[at] = f"{float(right) - 0.01:.6g}"
    publish(path, "\n".join("\t".join(fields) for fields in lines) + "\n", tell=True)
    config = read_config("config.yaml", run.folder)
    studies = [{"study": s.name, "arms": list(s.arms), "model": s.association_model} for s in config.studies_of(cohort)]
    settings = config.association | {"genome_build": "GRCh38"}
    with pytest.raises(InputError, match=rf"sumstats\.tsv\.gz: variant .*: info: found {row[at]}, expected") as error:
        verify_batch(
            run.results / cohort, "main", studies, settings, {"variants": VARIANTS, "blocks": 0}, 1, tmp_path / "v.tsv"
        )
    assert len(error.value.problems) == 1


def test_hard_calls_publish_what_a_bed_does(imputed):
    one, other = published(imputed, "calls_bed", "y"), published(imputed, "calls_pgen", "y")
    same = [c for c in one.columns if c in other.columns and c not in ("info", "ref_allele")]
    assert {"beta", "standard_error", "neg_log_10_p_value", "effect_allele", "n"} <= set(same)
    pd.testing.assert_frame_equal(one[same], other[same])


def test_the_reference_proves_the_alleles_of_a_bed(imputed):
    index = json.loads((imputed.results / "calls_bed/genotypes.json").read_text())
    assert index["reference"] | {"files": 0} == {
        "files": 0, "other": VARIANTS, "effect": 0, "either": 0, "neither": 0, "not_compared": 0
    }  # fmt: skip
    for cohort, allele in (("calls_bed", "OA"), ("bgen", "OA")):
        assert set(published(imputed, cohort, "y")["ref_allele"]) == {allele}


def test_what_is_kept_of_the_files(imputed):
    index = json.loads((imputed.results / "bgen/genotypes.json").read_text())
    assert (index["format"], index["bgen_reference"]) == ("bgen", "first")
    assert Path(index["bgen_index"]) == Path("results/bgen/genotypes")
    assert len(list((imputed.results / "bgen/genotypes").glob("*.parquet"))) == 1
    assert not list(imputed.folder.glob("*.bgi"))


def test_structure_is_that_of_the_array(imputed):
    folder = imputed.results / "array"
    people = pd.read_parquet(folder / "qc/samples.parquet")
    assert people["iid"].tolist() == [f"p{i:03d}" for i in range(PEOPLE)]
    assert people.index[~people["passed"]].tolist() == list(range(10))
    assert set(people["reason"][:10]) == {"not in the sample table and in structure.genotypes"}
    components = pd.read_parquet(folder / "structure/pcs.parquet")
    assert components["iid"].tolist() == people["iid"][10:].tolist()
    assert components["PC1"].notna().all()
    pruned = pd.read_parquet(folder / "structure/pruned.parquet")
    assert (pruned["effect_allele"] == variant_rows(VARIANTS)["other_allele"][pruned["index"]].to_numpy()).all()
    assert published(imputed, "array", "y")["n"].max() == PEOPLE - 10
    flow = pd.read_csv(folder / "qc/flow.tsv", sep="\t")
    assert flow[(flow["step"] == "sample_table")]["removed"].tolist() == [10]
    assert {"sample_call_rate", "maf", "hwe_p"} <= set(flow["step"])

"""The commands of an exported study on imputed genotypes: PLINK 2 runs its block, and finds the effect allele and the
dosages of this workflow; the other engines are told the same order of alleles.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.deepnull.engines import commands
from dosage_files import variant_rows, write_bgen, write_pgen

pytestmark = pytest.mark.oracle("plink2")
PEOPLE, VARIANTS = 80, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("exports"), np.random.default_rng(1)
    ids = [f"p{i}" for i in range(PEOPLE)]
    people = pd.DataFrame({"fid": ids, "iid": ids, "sex": 1})
    dosages = rng.integers(0, 2**15 + 1, (VARIANTS, PEOPLE)) / 2**14
    variants = variant_rows(VARIANTS)
    write_pgen(folder / "p", dosages, variants, people)
    for reference in ("first", "last"):
        write_bgen(folder / f"{reference}.bgen", dosages, variants, people, reference)
    age = rng.normal(size=PEOPLE)
    y = dosages[2] + age + rng.normal(size=PEOPLE)
    (folder / "exports").mkdir()
    pairs = pd.DataFrame({"FID": ids, "IID": ids})
    for name, column, values in (("phenotype", "PHENOTYPE", y), ("covariates", "age", age)):
        pairs.assign(**{column: values}).to_csv(folder / f"exports/{name}.txt", sep="\t", index=False)
    pairs.to_csv(folder / "exports/people.txt", sep="\t", index=False, header=False)
    (folder / "passed.txt").write_text("\n".join(variants["id"]) + "\n")
    return folder, dosages, variants, np.column_stack([np.ones(PEOPLE), age]), y


def script_of(folder, name: str, monkeypatch, **settings) -> str:
    monkeypatch.chdir(folder)
    info = {"study": "s", "cohort": "c", "phenotype": "y", "n": PEOPLE, "trait": "quantitative", "stage": ""}
    return commands(info, ["age"], {"filesets": [name], **settings}, "passed.txt", "exports")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("p.pgen", {}),
        ("first.bgen", {"bgen_reference": "first"}),
        ("last.bgen", {"bgen_reference": "last"}),
        ("packed.pgen", {}),
        ("alone.bgen", {"bgen_reference": "first"}),
    ],
)
def test_plink_counts_the_effect_allele(folder, monkeypatch, tmp_path, name, settings):
    folder, dosages, variants, x, y = folder
    if name == "packed.pgen":
        packed = ["--pfile", "p", "--make-pgen", "vzs", "--out", "packed"]
        subprocess.run(["plink2", *packed], cwd=folder, check=True, capture_output=True)
    if name == "alone.bgen":
        # lists its people itself
        shutil.copy(folder / "first.bgen", folder / name)
    script = script_of(folder, name, monkeypatch, **settings)
    if name == "alone.bgen":
        assert "alone.sample" not in script
        return
    block = "\n".join([script.split("##")[0], script.split("## PLINK 2")[1].split("##")[0].split("\n", 1)[1]])
    done = subprocess.run(["sh", "-c", block], cwd=folder, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    found = pd.read_csv(folder / "deepnull.PHENOTYPE.glm.linear", sep="\t")
    assert found["A1"].tolist() == variants["effect_allele"].tolist()
    for v, row in enumerate(found.itertuples()):
        beta = np.linalg.lstsq(np.column_stack([x, dosages[v]]), y, rcond=None)[0][-1]
        assert beta == pytest.approx(row.BETA, abs=2e-4 * row.SE)


@pytest.mark.parametrize("structure", [["array"], ["one", "two"], ["array.pgen"]])
def test_first_steps_take_the_hard_calls_for_structure(folder, monkeypatch, structure):
    """All of them; the imputed genotypes are what is tested. PLINK 2 runs the block that makes the one fileset."""
    folder, *_ = folder
    if not (folder / "array.bed").exists():
        for name, chosen in (("one", "rs0-rs2"), ("two", "rs3-rs5"), ("array", "rs0-rs5")):
            command = ["plink2", "--pfile", "p", "--snps", chosen, "--make-bed", "--out", name, "--silent"]
            subprocess.run(command, cwd=folder, check=True)
        command = ["plink2", "--bfile", "array", "--make-pgen", "--out", "array", "--silent"]
        subprocess.run(command, cwd=folder, check=True)
    monkeypatch.chdir(folder)
    info = {"study": "s", "cohort": "c", "phenotype": "y", "n": PEOPLE, "trait": "quantitative", "stage": ""}
    genotypes = {"filesets": ["first.bgen"], "bgen_reference": "first"}
    script = commands(info, ["age"], genotypes, "passed.txt", "exports", structure=structure)
    for first in ("regenie --step 1 --bed ", "bolt --bfile=", "step1_fitNULLGLMM.R --plinkFile=", "gcta64 --bfile "):
        assert f"\n{first}structure_calls " in script
    assert "regenie --step 2 --bgen first.bgen" in script and "--bgenFile=first.bgen" in script
    assert "gcta64 --bfile hard_calls --extract passed.txt --grm-sparse sparse --fastGWA-mlm" in script
    block = "\n".join([script.split("##")[0], next(b for b in script.split("##") if "(structure.genotypes)" in b)])
    lines = [line for line in block.replace("--maf 0.01 --geno 0.02", "").splitlines() if not line.startswith(" The")]
    done = subprocess.run(["sh", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True)
    if len(structure) > 1 and "--pmerge-list" in done.stderr:
        pytest.skip("this plink2 does not merge filesets of different variants")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((folder / "structure_calls.bim").read_text().splitlines()) == VARIANTS
    for file in folder.glob("structure_calls*"):
        file.unlink()


def test_engines_are_told_the_order_of_alleles(folder, monkeypatch):
    folder = folder[0]
    first = script_of(folder, "first.bgen", monkeypatch, bgen_reference="first")
    last = script_of(folder, "last.bgen", monkeypatch, bgen_reference="last")
    assert "regenie --step 2 --bgen first.bgen --sample first.sample --ref-first --extract" in first
    assert "regenie --step 2 --bgen last.bgen --sample last.sample --extract" in last
    assert "--bgenFile=first.bgen --bgenFileIndex=first.bgen.bgi --sampleFile=saige.samples" in first
    assert "--AlleleOrder=ref-first" in first and "--AlleleOrder=alt-first" in last
    assert "awk 'NR > 2 {print $2}' first.sample > saige.samples" in first
    named = script_of(
        folder, "last.bgen", monkeypatch, bgen_reference="last", bgen_samples={"last.bgen": "of ukb_s80.sample"}
    )
    assert named.count("--sample 'of ukb_s80.sample'") == 3 and "last.sample" not in named
    assert "awk 'NR > 2 {print $2}' 'of ukb_s80.sample' > saige.samples" in named
    pgen = script_of(folder, "p.pgen", monkeypatch)
    assert "regenie --step 2 --pgen p --extract" in pgen
    for text in (first, last, pgen):
        assert "--make-bed --out hard_calls" in text and "regenie --step 1 --bed hard_calls --extract" in text
        assert "REF_" not in text

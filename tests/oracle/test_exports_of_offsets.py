"""The exported offsets run in PLINK 2, by the commands that are written for it: its results are those of our test."""

from __future__ import annotations

import dataclasses
import os
import subprocess

import numpy as np
import pandas as pd
import pytest

from association_cases import impute, least_squares, make_cohort, make_genotypes
from deepnull_gwas.association import chunk as module
from deepnull_gwas.tables import read_json, write_json, write_parquet
from deepnull_gwas.whole_genome import exports
from deepnull_gwas.whole_genome.offsets import WHOLE, read_offsets, write_offsets

pytestmark = pytest.mark.oracle("plink2")
N, ARMS = 600, ("baseline", "deepnull")
CHROMOSOME = ["1"] * 8 + ["2"] * 8 + ["X"] * 6


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A cohort with a quantitative and a binary study, offsets of both arms, and what the association says of them."""
    folder, rng = tmp_path_factory.mktemp("offsets"), np.random.default_rng(8)
    g = make_genotypes(rng, N, len(CHROMOSOME), low=0.15)
    sex = 1 + np.arange(N) % 2
    men = np.ix_(np.arange(16, 22), sex == 1)
    g[men] = np.where(g[men] == 1, 2, g[men])
    cohort = make_cohort(folder, g, sex, CHROMOSOME)
    age, polygenic = rng.normal(size=N), rng.normal(size=N)
    d = np.sin(2 * age) + 0.1 * rng.normal(size=N)
    y = age + d + polygenic + 0.3 * np.maximum(g[3], 0) + rng.normal(size=N)
    status = (rng.random(N) < 1 / (1 + np.exp(0.5 - age - d - polygenic))).astype(float)
    y[::7] = np.nan
    status[3::9] = np.nan
    files = {"q": cohort.study("q", y, {"age": age}, d), "b": cohort.study("b", status, {"age": age}, d, "binary")}
    offsets = {}
    for name, values in (("q", y), ("b", status)):
        inside = np.flatnonzero(~np.isnan(values))
        offsets[name] = {
            arm: {c: scale * polygenic[inside] + 0.1 * rng.normal(size=len(inside)) for c in ("1", "2", WHOLE)}
            for scale, arm in zip((0.6, 0.9), ARMS, strict=True)
        }
        write_offsets(folder / name / "genome/offsets.parquet", inside, offsets[name], ("1", "2"))
    return folder, cohort, g, sex, files, offsets


def export(folder, name: str, files: tuple, monkeypatch) -> str:
    """Write the exports of a study, as the rules do, and return the commands of PLINK 2 alone."""
    monkeypatch.chdir(folder)
    study, samples, prediction, _ = files
    people = pd.read_parquet(samples)
    people["fid"] = people["iid"] = [f"p{i}" for i in people["sample_index"]]
    write_parquet(people, folder / name / "named.parquet")
    write_json(read_json(study) | {"cohort": "c", "phenotype": "y"}, folder / name / "said.json")
    out = folder / name / "exports"
    genotypes = read_json(folder / "genotypes.json")
    (folder / "passed.txt").write_text("".join(f"v{i}\n" for i in range(len(CHROMOSOME))))
    exports.export_offsets(
        folder / name / "named.parquet", folder / name / "said.json", prediction,
        folder / name / "genome/offsets.parquet", genotypes, folder / "variants.parquet", "passed.txt", out / "loco",
    )  # fmt: skip
    text = (out / "loco/commands.sh").read_text()
    blocks = text.split("\n## ")
    return "\n".join([blocks[0], *(b.split("\n", 1)[1] for b in blocks[1:] if b.startswith("PLINK 2"))])


def results(folder, arm: str, form: str, pheno: str | None = None) -> pd.DataFrame:
    parts = []
    for c in ("1", "2", "X"):
        column = f"CHR{c}" if pheno is None else pheno
        parts.append(pd.read_csv(folder / f"loco_{arm}_g_{c}.{column}.glm.{form}", sep="\t"))
    return pd.concat(parts, ignore_index=True)


def test_plink_finds_what_the_association_finds(cohort, monkeypatch):
    folder, _, g, sex, files, offsets = cohort
    script = export(folder, "q", files["q"], monkeypatch)
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    people = pd.read_parquet(files["q"][1])
    d = pd.read_parquet(files["q"][2])["deepnull_covariate"].to_numpy()
    index = people["sample_index"].to_numpy()
    for arm in ARMS:
        found = results(folder, arm, "linear")
        assert found["ID"].tolist() == [f"v{i}" for i in range(len(CHROMOSOME))] and (found["A1"] == "A").all()
        for v, row in enumerate(found.itertuples()):
            covariates = [people["cov_age"]] + ([d] if arm == "deepnull" else []) + ([sex[index]] if v >= 16 else [])
            y = people["phenotype"] - offsets["q"][arm][WHOLE if v >= 16 else CHROMOSOME[v]]
            beta, se, _ = least_squares(impute(g[v])[index], y.to_numpy(), np.column_stack(covariates))
            assert int(row.OBS_CT) == len(index)
            assert abs(row.BETA - beta) < 1e-4 * se and abs(row.SE - se) < 1e-4 * se
    # and that is what the workflow publishes
    published = association(cohort, "q", monkeypatch)
    for arm in ARMS:
        found = results(folder, arm, "linear")
        se = published[f"q.{arm}.se"].to_numpy()
        assert np.abs(found["BETA"].to_numpy() - published[f"q.{arm}.beta"].to_numpy()).max() < 1e-4 * se.min()
        np.testing.assert_allclose(-np.log10(found["P"]), published[f"q.{arm}.neg_log10_p"], atol=1e-3)


def association(cohort, name: str, monkeypatch) -> pd.DataFrame:
    """Return what the association job says of a study with its offsets."""
    folder, made, _, _, files, _ = cohort
    stored = read_offsets(folder / name / "genome/offsets.parquet")
    for reader in ("read_study", "read_study_files"):
        read = getattr(module, reader)
        monkeypatch.setattr(module, reader, lambda *a, read=read: dataclasses.replace(read(*a), offsets=stored))
    return made.run([files[name]])


def test_plink_takes_the_offset_of_a_binary_trait_as_a_covariate(cohort, monkeypatch):
    """Its coefficient is free there, so that results are near ours, not the same."""
    folder, _, _, _, files, _ = cohort
    script = export(folder, "b", files["b"], monkeypatch)
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    published = association(cohort, "b", monkeypatch)
    for arm in ARMS:
        found = results(folder, arm, "logistic", "PHENOTYPE")
        assert found["ERRCODE"].eq(".").all()
        z = np.log(found["OR"]) / found["LOG(OR)_SE"]
        ours = published[f"b.{arm}.beta"] / published[f"b.{arm}.se"]
        assert np.corrcoef(z, ours)[0, 1] > 0.99
        assert np.abs(z - ours).max() < 0.35


def test_regenie_gets_logits(cohort, monkeypatch):
    folder, _, _, _, files, offsets = cohort
    export(folder, "b", files["b"], monkeypatch)
    listed = exports.read_list(folder / "b/exports/loco/deepnull_pred.list")
    people, read = exports.read_loco(listed["PHENOTYPE"])
    assert people == [f"p{i}_p{i}" for i in pd.read_parquet(files["b"][1])["sample_index"]]
    # a chromosome of which no variant took part has the offset of the whole genome
    for c, column in (("1", "1"), ("22", WHOLE), ("X", WHOLE)):
        np.testing.assert_allclose(read[c], offsets["b"]["deepnull"][column], rtol=1e-9)

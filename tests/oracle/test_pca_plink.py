"""Pruning and principal components against PLINK 2 and smartpca on real data."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import index_fileset, run_pruning, run_qc
from deepnull_gwas.cohort.pca import principal_components
from deepnull_gwas.genotypes.bed import BedGenotypes

pytestmark = pytest.mark.realdata


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.array([abs(np.corrcoef(ours[:, i], theirs[:, i])[0, 1]) for i in range(theirs.shape[1])])


def test_pcs_agree_with_smartpca_at_least_as_well_as_plink2(real_data, tmp_path):
    folder = real_data("hgdp_euro")
    prefix = folder / "H938_Euro.LDprune"
    index_fileset(prefix, tmp_path)
    table = pd.read_csv(f"{prefix}.eigs", sep=r"\s+", skiprows=1, header=None)
    theirs = table.iloc[:, 1:5].to_numpy()
    fam = pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None, dtype=str)
    np.testing.assert_array_equal(table[0].str.split(":").str[1], fam[1])
    variants = pd.read_parquet(tmp_path / "variants.parquet")
    index = variants.loc[variants["chromosome"].isin([str(i) for i in range(1, 23)]), "index"].to_numpy()
    result = principal_components(BedGenotypes([prefix]), index, np.ones(len(fam), dtype=bool), 4)
    found = correlations(result["pcs"], theirs)
    # what PLINK 2 reaches on these files; smartpca itself normalises a little differently, and PCs 3 and 4 lie close
    # together
    assert (found >= np.array([1.000, 0.997, 0.995, 0.978]) - 5e-4).all(), found


@pytest.mark.oracle("plink2")
def test_pruning_and_pcs_against_plink2_on_geuvadis(real_data, tmp_path):
    prefix = real_data("geuvadis") / "geuvadis343"
    index_fileset(prefix, tmp_path)
    run_qc(tmp_path, {"maf": 0.05})
    pruned = run_pruning(tmp_path, maf=0.05, window_kb=1000, r2=0.1)
    run = ["--bfile", str(prefix), "--threads", "1", "--memory", "2000"]
    # candidates: what ours would keep with a window of nothing and a threshold that nothing passes
    candidates = run_pruning(tmp_path, maf=0.05, window_kb=0, r2=1.0)
    (tmp_path / "candidates.txt").write_text("\n".join(candidates["id"]))
    for window, r2 in ((1000, 0.1), (50, 0.5)):
        subprocess.run(
            ["plink2", *run, "--extract", str(tmp_path / "candidates.txt"), "--indep-pairwise", f"{window}kb", str(r2),
            "--out", str(tmp_path / "prune")],
            check=True, capture_output=True,
        )  # fmt: skip
        ours = run_pruning(tmp_path, maf=0.05, window_kb=window, r2=r2)
        assert set(ours["id"]) == set((tmp_path / "prune.prune.in").read_text().split())
    (tmp_path / "keep.txt").write_text("\n".join(pruned["id"]))
    subprocess.run(
        ["plink2", *run, "--extract", str(tmp_path / "keep.txt"), "--pca", "10", "--out", str(tmp_path / "pca")],
        check=True, capture_output=True,
    )  # fmt: skip
    people = BedGenotypes([prefix]).n_samples
    result = principal_components(BedGenotypes([prefix]), pruned["index"].to_numpy(), np.ones(people, dtype=bool), 10)
    theirs = pd.read_csv(tmp_path / "pca.eigenvec", sep="\t").filter(like="PC").to_numpy()
    values = pd.read_csv(tmp_path / "pca.eigenval", header=None)[0].to_numpy()
    # the same matrix and the same method: what remains is PLINK's six printed digits and our float32 products
    np.testing.assert_allclose(result["eigenvalues"], values, rtol=1e-4)
    assert correlations(result["pcs"], theirs).min() > 0.9999

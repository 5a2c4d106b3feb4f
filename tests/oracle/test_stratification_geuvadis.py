"""Real populations: a phenotype that is ancestry itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import index_fileset, run_pruning, run_qc
from deepnull_gwas.cohort.pca import principal_components
from deepnull_gwas.cohort.stratification import lambda_gc
from deepnull_gwas.genotypes.bed import BedGenotypes


@pytest.mark.realdata
def test_being_finnish_is_inflated_without_components_only(real_data, tmp_path):
    folder = real_data("geuvadis")
    prefix = folder / "geuvadis343"
    index_fileset(prefix, tmp_path)
    run_qc(tmp_path, {"maf": 0.01})
    pruned = run_pruning(tmp_path)["index"].to_numpy()
    fileset = BedGenotypes([prefix])
    people = np.arange(343)
    pcs = principal_components(fileset, pruned, np.ones(343, dtype=bool), 5)["pcs"] * np.sqrt(343)
    fam = pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None)
    table = pd.read_csv(folder / "geuvadis343.samples.tsv", sep="\t").set_index("IID").loc[fam[1]]
    finnish = (table["POP"] == "FIN").to_numpy(dtype=float)
    one = np.ones((343, 1))
    without, with_five = lambda_gc(fileset, pruned, people, finnish, [one, np.hstack([one, pcs])])
    assert 2.8 < without < 3.3
    # 17,088 variants: a standard error of .012
    assert with_five == pytest.approx(1, abs=0.02)

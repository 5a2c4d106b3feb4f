"""A small cohort for files of weights."""

from __future__ import annotations

import pytest

from cohort_files import make_cohort
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.tables import read_parquet
from score_cases import genotypes


@pytest.fixture
def cohort(tmp_path):
    dosages = genotypes(50, 20)
    folder = make_cohort(tmp_path / "cohort", dosages)
    return folder, dosages, open_genotypes(folder / "genotypes.json"), read_parquet(folder / "variants.parquet")

"""A configuration beside a sheet."""

from __future__ import annotations

import copy

import pytest

from config_cases import ROW, SIMULATED, write_sheet
from deepnull_gwas.config import load_config


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a config beside a sheet of the given rows."""

    def function(*rows: dict, cohort: dict | None = None, **config):
        write_sheet(tmp_path, *(rows or (ROW,)))
        return load_config(
            {"studies": "studies.tsv", "cohorts": {"c": cohort or copy.deepcopy(SIMULATED)}} | config, tmp_path
        )

    return function

"""The settings of the tests against the schema of the configuration, the only home of defaults."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from association_cases import section
from deepnull_gwas.association.settings import Settings

#: How the work is spread over jobs and cores: no number depends on it, and no test knows it
ELSEWHERE = {"chunks", "threads", "genome_build", "model"}


def test_fields_are_the_keys_of_the_schema():
    assert {f.name for f in fields(Settings)} == set(section()) - ELSEWHERE


def test_there_is_no_second_default():
    whole = section()
    for f in fields(Settings):
        part = {key: value for key, value in whole.items() if key != f.name}
        with pytest.raises(KeyError, match=f.name):
            Settings.of(part)


def test_values_are_those_of_the_section_and_stay():
    settings = Settings.of(section(min_mac=7, missing_genotypes="drop", exact=True))
    assert (settings.min_mac, settings.drop, settings.dtype.__name__) == (7, True, "float64")
    with pytest.raises(FrozenInstanceError):
        settings.min_mac = 3

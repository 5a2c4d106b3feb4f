"""The site of a small run, built once."""

from __future__ import annotations

import pytest

from site_cases import Made, make_site


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Made:
    """Build the site of a small run once."""
    return make_site(tmp_path_factory.mktemp("site"))

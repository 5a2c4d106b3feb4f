"""What all tests share: the real data folder, other tools, and small filesets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_root() -> Path:
    """Give the folder of the real data (DEEPNULL_GWAS_DATA, else ../shared/data beside the project)."""
    return Path(os.environ.get("DEEPNULL_GWAS_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data():
    """Give a function from the name of a real data set to its folder; skips where it is absent."""

    def folder(name: str) -> Path:
        path = data_root() / name
        if not path.is_dir():
            pytest.skip(f"real data '{name}' not found under {data_root()} (set DEEPNULL_GWAS_DATA)")
        return path

    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose other tool is missing; with REQUIRE_ORACLES set, as in CI, fail it."""
    for mark in item.iter_markers("oracle"):
        for tool in mark.args:
            if shutil.which(tool) is None:
                missing = pytest.fail if os.environ.get("REQUIRE_ORACLES") else pytest.skip
                missing(f"oracle tool '{tool}' is not installed (scripts/install-test-tools.sh installs it)")


# before xdist, which writes the groups into the names of the tests
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the tests out for several workers: a file stays together, and so do all tests that look at the demo; long runs start first.

    What a file's tests share (a finished run, a cohort) is then made once, whatever the number of workers.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = "demo" if "demo" in getattr(item, "fixturenames", ()) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    # the demo's run is the longest of all; runs of the workflow take longer than the rest
    items.sort(key=lambda item: ("demo" not in getattr(item, "fixturenames", ()), "/workflow/" not in item.nodeid))

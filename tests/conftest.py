"""What all tests share: the real data folder, other tools, and small filesets."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import pytest

from deepnull_gwas.garbage import collect_seldom

# one thread in each of several workers: more threads than cores wait for each other at full speed, and training takes
# twice the processor time (jobs of the workflow have the threads of their rule)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
# as in the jobs and the command line
collect_seldom()


def data_root() -> Path:
    """Return the folder of the real data (DEEPNULL_GWAS_DATA, else ../shared/data beside the project)."""
    return Path(os.environ.get("DEEPNULL_GWAS_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data():
    """Return a function from the name of a real data set to its folder; skips where it is absent."""

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


#: Files of tests that take longest, in this order.
LONGEST = ("test_demo.py", "test_faults.py", "test_provenance_run.py", "test_batches.py", "test_real_cohort.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that run the workflow first, the longest before all: with several workers (each takes whole files)
    none is left with a long one at the end.
    """

    def place(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.name
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), "workflow" not in item.path.parts

    items.sort(key=place)
    # what was collected stays to the end: no search for cycles looks at it again
    gc.freeze()

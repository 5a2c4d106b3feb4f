"""Fixtures that run the workflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_runs import CHUNKS, ROOT, SHEET, Run, copy_of, once, small_cohort


@pytest.fixture
def run(tmp_path) -> Run:
    """Return a fresh folder to run in."""
    return Run(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Run:
    """Run the demo once for all tests that look at its results."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "config").symlink_to(ROOT / "config")
    # as a new user runs it
    done = Run(folder, warm=False)
    done.snakemake("--cores", "2")
    return done


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """Return the folder that the processes of one run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    # each process of pytest-xdist has a folder of its own in it
    return (base.parent if base.name.startswith("popen-") else base) / "shared"


@pytest.fixture(scope="session")
def published(shared_folder) -> Run:
    """Run two studies in two chunks up to the summary statistics, once for all files of tests: who changes it, copies
    it.
    """

    def make(folder: Path) -> None:
        small_cohort(folder)
        run = Run(folder)
        run.configure(CHUNKS, SHEET)
        run.snakemake("--cores", "2", "associations")

    return Run(once(shared_folder / "published", make))


@pytest.fixture(scope="session")
def finished(published, shared_folder) -> Run:
    """Run the same to the end, once for all files of tests: who changes it, copies it."""

    def make(folder: Path) -> None:
        folder.rmdir()
        copy_of(published, folder).snakemake("--cores", "2")

    return Run(once(shared_folder / "finished", make))

"""Fixtures that run the workflow."""

from __future__ import annotations

import pytest

from workflow_runs import ROOT, Run


@pytest.fixture
def run(tmp_path) -> Run:
    """Give a fresh folder to run in."""
    return Run(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Run:
    """Run the demo once for all tests that look at its results."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "config").symlink_to(ROOT / "config")
    done = Run(folder)
    done.snakemake("--cores", "2")
    return done

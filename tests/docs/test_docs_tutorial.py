"""The tutorial runs, shows what its text says, and the committed notebook is made from its source."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from warm import python

ROOT = Path(__file__).resolve().parents[2]
#: The command line, whose Snakemake and jobs are forks of a process with its imports behind it (:mod:`warm`).
COMMAND = """#!{python}
import os, sys
sys.executable = {warm!r}
execv = os.execv
os.execv = lambda path, arguments: execv(path, [a for a in arguments if a != "-P"])
from deepnull_gwas.cli import main
sys.exit(main())
"""


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def printed(notebook: nbformat.NotebookNode) -> str:
    """Return all that the cells of a notebook printed."""
    return "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", ()))


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> nbformat.NotebookNode:
    """Run the tutorial as it is."""
    folder = tmp_path_factory.mktemp("tutorial")
    command = folder / "deepnull-gwas"
    command.write_text(COMMAND.format(python=sys.executable, warm=python()))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    environment |= {"PATH": f"{folder}:{environment['PATH']}", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts/docs/tutorial_page.py"), str(folder / "done.ipynb")],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return read(folder / "done.ipynb")


def test_the_committed_notebook_is_made_from_its_source(done):
    """`python scripts/docs/tutorial_page.py` makes it."""
    committed = read(ROOT / "docs/tutorial/deepnull.ipynb")
    assert [(c.cell_type, c.source) for c in committed.cells] == [(c.cell_type, c.source) for c in done.cells]

    def kinds(notebook: nbformat.NotebookNode) -> list[list[tuple[str, list[str]]]]:
        return [[(o.output_type, sorted(o.get("data", {}))) for o in c.get("outputs", ())] for c in notebook.cells]

    assert kinds(committed) == kinds(done)


def test_it_shows_what_its_text_says(done):
    text = printed(done)
    of_lung, of_height = (json.loads(found.replace("'", '"')) for found in re.findall(r"^loci: (.*)$", text, re.M))
    assert of_lung["gained"] > of_lung["lost"] and of_height["gained"] == of_height["lost"] == 0
    ratios = [
        [float(v) for v in r] for r in re.findall(r"ratio of chi-squares at the loci: (\S+), expected (\S+)", text)
    ]
    assert ratios[0] == pytest.approx([1.4, 1.4], abs=0.1) and ratios[1] == pytest.approx([1, 1], abs=0.02)
    alone = {arm: int(n) for arm, n in re.findall(r"found by (\w+) alone: (\d+)", text)}
    assert alone["deepnull"] >= 2 > alone["baseline"]
    assert "variants below 5e-8: {'baseline': 0, 'deepnull': 0}" in text
    linear, predicted = (float(re.search(pattern, text)[1]) for pattern in (r"linear model (\d.\d+)", r"r2 (\d.\d+) "))
    # of .12 and .39 that straight lines and the truth explain
    assert linear < 0.15 and predicted > 0.33

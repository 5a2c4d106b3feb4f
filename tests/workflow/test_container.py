"""The container recipe: what it copies is all that the workflow needs, what it installs is what the lock file says."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_runs import CONFIG, ROOT, SHEET, Run, small_cohort

TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [(word, rest) for word, rest in re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", TEXT, flags=re.M)]


def copied() -> list[tuple[str, str]]:
    """List source and destination of every file or folder that the recipe copies."""
    pairs = []
    for word, rest in STEPS:
        if word == "COPY":
            *sources, place = rest.split()
            pairs += [(source.rstrip("/"), place) for source in sources]
    return pairs


def sent() -> list[str]:
    """List the project's files that the builder gets to see: .dockerignore leaves out all but some."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]
    assert lines[0] == "*"
    kept = [line[1:] for line in lines if line.startswith("!")]
    left_out = [line.removeprefix("**/") for line in lines[1:] if not line.startswith("!")]
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [
        name
        for name in names
        if any(name == k or name.startswith(f"{k}/") for k in kept)
        and not any(fnmatch.fnmatch(part, pattern) for part in name.split("/") for pattern in left_out)
        and (ROOT / name).is_file()
    ]


@pytest.fixture
def image(tmp_path) -> Path:
    """Lay out the project's folder as it is in the image."""
    folder = tmp_path / "opt"
    names = sent()
    for source, place in copied():
        files = [name for name in names if name == source or name.startswith(f"{source}/")]
        assert files, f"Dockerfile copies {source}, which the builder does not get"
        for name in files:
            # a folder's contents go into the place, a file under its own name
            inside = Path(name).relative_to(source) if name != source else Path(name).name
            to = folder / place / inside
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to)
    return folder


@pytest.mark.oracle("git")
@pytest.mark.workflow
def test_the_image_holds_all_that_the_workflow_needs(image, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    small_cohort(folder)
    Run(folder).configure(CONFIG, SHEET[:1])
    entry = yaml.safe_load(next(rest for word, rest in STEPS if word == "ENTRYPOINT"))
    home = next(rest for word, rest in STEPS if word == "WORKDIR")
    assert entry[:2] == ["snakemake", "--snakefile"]
    snakefile = image / Path(entry[2]).relative_to(home)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE", "PYTHONPATH"))}
    done = subprocess.run(
        # -P, and the copy's library first: nothing comes from this folder
        [
            *(sys.executable, "-P", "-m", "snakemake", "-s", str(snakefile), "--configfile", "config.yaml"),
            *("--cores", "1", "--", "results/c/preflight.tsv"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(image / "src")},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert (folder / "results/c/preflight.tsv").exists()
    # as in the image, where nobody may write: only caches of Python are added
    assert not {p.name for p in image.iterdir()} - {Path(place if place != "./" else s).name for s, place in copied()}


def test_the_image_installs_the_lock_file_and_nothing_else():
    runs = " ".join(rest for word, rest in STEPS if word == "RUN")
    assert "sh scripts/setup.sh" in runs and not re.search(r"pip install|conda|apt-get", runs)
    assert "-r requirements.lock" in (ROOT / "scripts/setup.sh").read_text()
    assert ("requirements.lock", "./") in copied()
    # the versions of Python: of the image, of the conda environment, of the lock file
    base = next(rest for word, rest in STEPS if word == "ARG")
    environment = yaml.safe_load((ROOT / "envs/deepnull-gwas.yaml").read_text())["dependencies"]
    lock = (ROOT / "scripts/lock.sh").read_text()
    versions = {
        re.search(r"python:([\d.]+)-", base)[1],
        re.search(r"python =([\d.]+)", "\n".join(d for d in environment if isinstance(d, str)))[1],
        re.search(r"--python-version ([\d.]+)", lock)[1],
    }
    assert versions == {"3.11"}

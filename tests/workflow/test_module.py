"""Another workflow uses this one by `module:`, from a folder, and from a hosted repository at a tag; all offline."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_runs import CONFIG, OF_ONE_RUN, ROOT, SHEET, Run, small_cohort

pytestmark = [pytest.mark.workflow, pytest.mark.oracle("git")]
TAG = "v9.9.9"
FORMS = {
    "folder": '"{tree}/Snakefile"',
    "catalog": '"{tree}/workflow/Snakefile"',
    # gitfile("/a/clone", ...) does not work: Snakemake 9.27 loses its way from a Snakefile at the top of the repository
    "hosted": f'github("someone/deepnull-gwas", path="Snakefile", tag="{TAG}")',
    "hosted_catalog": f'github("someone/deepnull-gwas", path="workflow/Snakefile", tag="{TAG}")',
}
USER = '''"""A workflow that makes its own phenotypes' report from two cohorts' associations."""


configfile: "gwas.yaml"


module gwas:
    snakefile:
        {snakefile}
    config:
        config["gwas"]
    pathvars:
        results="out/gwas",
        logs="out/logs",


use rule * from gwas as gwas_*


use rule associate from gwas as gwas_associate with:
    threads: 2


rule count_hits:
    """Use what the module made."""
    default_target: True
    input:
        "out/gwas/c/y/study.json",
    output:
        "out/people.txt",
    shell:
        "grep -o '\\"n\\": [0-9]*' {{input}} > {{output}}"
'''


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> dict[str, Path]:
    """Return the project's files as a folder, and as a bare repository with a tag; both away from this one."""
    folder = tmp_path_factory.mktemp("repository")
    tree, bare = folder / "deepnull-gwas", folder / "deepnull-gwas.git"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        # a file may be listed and removed
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        [*who, "commit", "-q", "-m", "all"],
        ["tag", TAG],
        ["clone", "-q", "--bare", str(tree), str(bare)],
    ):
        subprocess.run(["git", *command], cwd=tree, check=True)
    return {"tree": tree, "bare": bare}


@pytest.fixture
def cache(repository, tmp_path, monkeypatch) -> None:
    """Return Snakemake a cache of its own that holds the clone of the hosted repository, as after a first use with a
    network.
    """
    place = tmp_path / "cache/snakemake/snakemake/source-cache/snakemake-git-cache/github.com/someone/deepnull-gwas"
    place.parent.mkdir(parents=True)
    shutil.copytree(repository["bare"], place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # a look at the network fails at once
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")


def snakemake(folder: Path, *arguments: str) -> str:
    """Run snakemake with the user's own Snakefile; returns what it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE", "PYTHONPATH"))}
    done = subprocess.run(
        # -P: the library has to come with the module, not from the folder of the tests
        [sys.executable, "-P", "-m", "snakemake", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def user_folder(tmp_path: Path, repository: dict[str, Path], form: str) -> Path:
    """Write the user's workflow with a cohort of its own."""
    folder = tmp_path / "mine"
    folder.mkdir()
    small_cohort(folder)
    Run(folder).configure({}, SHEET[:1])
    (folder / "gwas.yaml").write_text(yaml.safe_dump({"gwas": CONFIG | {"studies": "studies.tsv"}}))
    (folder / "Snakefile").write_text(USER.format(snakefile=FORMS[form].format(**repository)))
    return folder


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_module_plans_the_jobs(repository, cache, tmp_path, form):
    folder = user_folder(tmp_path, repository, form)
    said = snakemake(folder, "-n", "--cores", "2", "--", "gwas_all")
    jobs = dict(re.findall(r"^(gwas_\w+) +(\d+)$", said, flags=re.M))
    assert jobs["gwas_associate"] == "1" and jobs["gwas_merge_sumstats"] == "2" and jobs["gwas_all"] == "1"
    assert "gwas_simulate_genotypes" not in jobs
    assert "out/gwas/c/y/deepnull/sumstats.tsv.gz" in said and "out/logs/associate/c/main/0.log" in said
    assert " results/" not in said
    # changed by the user: `use rule ... with`
    body = re.search(r"^rule gwas_associate:\n((?:    .*\n)+)", said, flags=re.M)[1]
    assert "threads: 2" in body


def test_a_module_from_git_runs(repository, cache, tmp_path):
    folder = user_folder(tmp_path, repository, "hosted")
    snakemake(folder, "--cores", "2")
    assert re.fullmatch(r'"n": \d+', (folder / "out/people.txt").read_text().split("\n")[0])
    # nothing lies outside the places that the user gave
    assert {p.name for p in folder.iterdir()} == {
        *("Snakefile", "gwas.yaml", "config.yaml", "studies.tsv", "samples.tsv", "g.bed", "g.bim", "g.fam"),
        *("out", ".snakemake", "logs"),
    }


@pytest.mark.slow
def test_a_module_gives_the_bytes_of_the_workflow_itself(repository, cache, tmp_path):
    folder = user_folder(tmp_path, repository, "hosted_catalog")
    snakemake(folder, "--cores", "2", "--", "gwas_all")
    own = tmp_path / "own"
    own.mkdir()
    small_cohort(own)
    run = Run(own)
    run.configure(CONFIG, SHEET[:1])
    run.snakemake("--cores", "2")

    def digests(results: Path) -> dict[str, str]:
        files = (p for p in sorted(results.rglob("*")) if p.is_file())
        found = {str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        # says where things are
        found.pop("summary.txt")
        return {name: digest for name, digest in found.items() if Path(name).name not in OF_ONE_RUN}

    assert digests(folder / "out/gwas") == digests(own / "results")
    assert "Nothing to be done" in snakemake(folder, "-n", "--cores", "2", "--", "gwas_all")

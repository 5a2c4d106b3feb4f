"""The command line itself: what a shell completes, what the commands hand to Snakemake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from deepnull_gwas import cli, packages
from deepnull_gwas.cli.check import problems_in
from deepnull_gwas.cli.init import _ask as ask
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.project import project_folder

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
studies: studies.tsv
cohorts: {c: {simulate: {phenotypes: {y: {trait: quantitative}}}, genome_build: GRCh38}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with a configuration that is not where Snakemake looks for it, and be in it."""
    (tmp_path / "my.yaml").write_text(CONFIG)
    (tmp_path / "studies.tsv").write_text("study\tcohort\tphenotype\ttrait\ny\tc\ty\tquantitative\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """Return the command lines that this process would have become."""
    found: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: found.append(command))
    return found


def test_run_becomes_snakemake_with_this_workflow(folder, started):
    assert cli.main(["run", "--configfile", "my.yaml", "--cores", "3", "--", "-n", "qc"]) == 0
    assert cli.main(["verify", "--configfile", "my.yaml", "--profile", "slurm"]) == 0
    assert project_folder() == ROOT
    for command in started:
        assert command[1:6] == ["-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        assert command[6:10] == ["--directory", ".", "--configfile", "my.yaml"]
    assert started[0][10:] == ["--cores", "3", "-n", "qc"]
    assert started[1][10:] == ["--profile", str(ROOT / "profiles/slurm"), "--", "verify"]


def test_the_configuration_that_snakemake_finds_itself_is_left_to_it(folder, started):
    (folder / "config").mkdir()
    (folder / "my.yaml").rename(folder / "config/config.yaml")
    assert cli.main(["run", "--directory", str(folder)]) == 0
    assert started[0][6:] == ["--directory", str(folder), "--cores", "all"]


def test_what_is_wrong_is_said_before_anything_starts(folder, started, capsys, monkeypatch):
    (folder / "my.yaml").write_text(CONFIG.replace("GRCh38", "FILL_IN"))
    assert cli.main(["run", "--configfile", "my.yaml"]) == 1
    assert 'genome_build: found "FILL_IN", allowed: GRCh37, GRCh38' in capsys.readouterr().err
    # a setting of the command line may complete it
    assert cli.main(["run", "--configfile", "my.yaml", "--", "--config", "x=1"]) == 0
    assert cli.main(["run", "--configfile", "nowhere.yaml"]) == 1
    assert "nowhere.yaml: no such file; `deepnull-gwas init FOLDER" in capsys.readouterr().err
    (folder / "my.yaml").write_text(CONFIG)
    assert cli.main(["run", "--configfile", "my.yaml", "--profile", "slrum"]) == 1
    assert "did you mean 'slurm'?" in capsys.readouterr().err
    assert len(started) == 1
    # a model that needs what is not installed; elsewhere it may be
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert cli.main(["run", "--configfile", "my.yaml"]) == 1
    assert "studies y: networks are trained with torch, which is not installed" in capsys.readouterr().err
    assert cli.main(["run", "--configfile", "my.yaml", "--", "--sdm", "conda"]) == 0
    (folder / "my.yaml").write_text(CONFIG + "deepnull: {model: splines}\n")
    assert cli.main(["run", "--configfile", "my.yaml"]) == 1
    (folder / "my.yaml").write_text(CONFIG + "deepnull: {model: splines, compare: false}\n")
    assert cli.main(["run", "--configfile", "my.yaml"]) == 0
    # a model that needs it on a GPU only
    for device, status in (("cuda", 1), ("auto", 0)):
        own = f"deepnull: {{model: gaussian_process, compare: false, device: {device}}}\n"
        (folder / "my.yaml").write_text(CONFIG + own)
        assert cli.main(["run", "--configfile", "my.yaml"]) == status
    assert "studies y: deepnull.device is cuda, and GPUs are used through torch" in capsys.readouterr().err


def test_check_shows_the_messages_and_nothing_else():
    printed = (
        "Select jobs\n\nInput error: 2 problems in the input:\n  1. a\n  2. b\nRuleException:\nCalledProcessError\n"
        "[Thu]\nInput error: x.tsv: row 2\nRuleException:\nExiting because a job execution failed"
    )
    assert problems_in(printed) == [
        "Input error: 2 problems in the input:\n  1. a\n  2. b",
        "Input error: x.tsv: row 2",
    ]
    assert problems_in("something else") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(capsys):
    assert cli.main(["completion", "bash"]) == 0
    code = capsys.readouterr().out
    asked = {
        "re": "report repeat",
        "convert --to ''": "ldsc pheweb mungesumstats gwaslab",
        "init x --b": "--build --bgen-reference",
        "init x --build ''": "GRCh37 GRCh38",
        "completion ''": "bash zsh fish",
        "init x --genotypes da": "",
    }
    tell = 'tell() { COMP_WORDS=(deepnull-gwas "$@"); COMP_CWORD=$#; _deepnull_gwas; echo "${COMPREPLY[@]}"; }'
    script = "\n".join([code, tell, *(f"tell {words}" for words in asked)])
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == list(asked.values())


def test_completions_know_every_command(capsys):
    names = list(cli.COMMANDS)
    for shell in ("bash", "zsh", "fish"):
        assert cli.main(["completion", shell]) == 0
        code = capsys.readouterr().out
        assert all(name in code for name in names) and "--genotypes" in code.replace("-l ", "--")


def test_torch_is_named_where_it_is_missing():
    """The module that hands it to the others says how to get it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import deepnull_gwas.deepnull.training\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert said.startswith(InputError.__name__) and "pip install 'deepnull-gwas[network]'" in said


def test_init_asks_where_somebody_is_there(monkeypatch, capsys):
    """Until the answer is one of those; an empty one, or none, leaves the line open."""
    given = iter(["hg19", "grch38", ""])

    def answer(question: str) -> str:
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    builds = ["GRCh37", "GRCh38"]
    assert ask("Genome build", builds, "Seen: nothing.") is None, "nobody is there"
    monkeypatch.setattr("builtins.input", answer)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    assert ask("Genome build", builds, "Seen: nothing.") == "GRCh38"
    assert "Seen: nothing." in (said := capsys.readouterr().out) and "found 'hg19', expected GRCh37 or GRCh38" in said
    assert ask("Genome build", builds, "") is None and ask("Genome build", builds, "") is None


def test_init_names_what_lies_in_its_folder_as_it_is_seen_from_there(tmp_path, monkeypatch, capsys):
    """The folder may be moved as a whole; files elsewhere have absolute paths."""
    ids = [f"p{i}" for i in range(12)]
    variants = {"c": 1, "id": [f"v{i}" for i in range(4)], "cm": 0, "p": range(1, 5), "a1": "A", "a2": "G"}
    people = pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": 1, "ph": -9})
    (tmp_path / "my/data").mkdir(parents=True)
    write_bed(tmp_path / "my/data/x", np.ones((4, 12), dtype=np.int8), pd.DataFrame(variants), people)
    (tmp_path / "t.tsv").write_text("IID\ty\n" + "".join(f"{name}\t{i}.5\n" for i, name in enumerate(ids)))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "my", "--genotypes", "my/data/x", "--samples", "t.tsv", "--name", "c"]) == 0
    cohort = yaml.safe_load((tmp_path / "my/config/config.yaml").read_text())["cohorts"]["c"]
    assert cohort["genotypes"] == "data/x" and cohort["samples"] == str(tmp_path / "t.tsv")
    assert "genome_build. Seen: neither IDs" in capsys.readouterr().out
    assert cli.main(["init", "my", "--genotypes", "my/data/x", "--samples", "t.tsv"]) == 1
    assert "there already, not overwritten" in capsys.readouterr().err

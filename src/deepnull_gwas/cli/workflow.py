"""What the commands that run the workflow have in common: their options, and how Snakemake is called."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.errors import InputError

#: Where `init` writes the configuration, and Snakemake looks for it.
CONFIG = "config/config.yaml"


def add_place(command: argparse.ArgumentParser) -> None:
    """Add the options that say which run a command is about."""
    command.add_argument("--configfile", default=CONFIG, metavar="YAML", help=f"the configuration (default {CONFIG})")
    command.add_argument(
        "--directory", default=".", metavar="FOLDER", help="where it runs: relative paths start there (default here)"
    )


def joined(lists: list[list[str]] | None) -> list[str]:
    """Return the names of an option that may be given several times, each once."""
    return list(dict.fromkeys(name for part in lists or [] for name in part))


def add_cores(command: argparse.ArgumentParser) -> None:
    """Add how many cores, which profile, and what else Snakemake is told."""
    command.add_argument("--cores", metavar="N", help="cores to use (default all)")
    command.add_argument(
        "--profile", metavar="NAME", help="where jobs run: slurm, generic, kubernetes, or a folder with a profile"
    )
    command.add_argument(
        "arguments", nargs="*", metavar="-- ARGUMENT", help="targets and options for snakemake, after two dashes"
    )


def place_of_config(given: argparse.Namespace) -> Path:
    """Return the path of the configuration: as it is, or else in the run's folder.

    Raises
    ------
    InputError
        When it is in neither.
    """
    for place in (Path(given.configfile), Path(given.directory, given.configfile)):
        if place.is_file():
            return place
    raise InputError(
        f"{Path(given.directory, given.configfile)}: no such file; `deepnull-gwas init FOLDER --genotypes ... "
        "--samples ...` writes one for your data, and --configfile names one that lies elsewhere"
    )


def snakemake_command(given: argparse.Namespace, *arguments: str) -> list[str]:
    """Return the command line that runs the workflow of this installation.

    Parameters
    ----------
    given
        ``configfile`` and ``directory``.
    arguments
        More options, and targets.
    """
    from deepnull_gwas.project import project_folder

    # -P: modules of the folder in which it is started are not the interpreter's business
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(project_folder() / "Snakefile")]
    command += ["--directory", given.directory]
    place = place_of_config(given)
    # the one that Snakemake finds by itself is left to it, so that both ways to start a run are the same to it
    if place.resolve() != Path(given.directory, CONFIG).resolve():
        command += ["--configfile", str(place)]
    return [*command, *arguments]


def cores_of(given: argparse.Namespace) -> list[str]:
    """Return the options of Snakemake that say where jobs run, and on how many cores.

    Raises
    ------
    InputError
        When there is no such profile.
    """
    options = [] if given.profile is None else ["--profile", _profile(given.profile)]
    # of a cluster the profile says how many jobs there are at a time
    if given.cores is not None or given.profile is None:
        options += ["--cores", given.cores or "all"]
    return options


def _profile(name: str) -> str:
    """Return the folder of a profile: the user's own, or one that comes with the workflow."""
    from deepnull_gwas.errors import nearest
    from deepnull_gwas.project import project_folder

    if Path(name, "config.yaml").is_file() or Path(name).is_file():
        return name
    shipped = project_folder() / "profiles"
    if "/" not in name and (shipped / name / "config.yaml").is_file():
        return str(shipped / name)
    names = sorted(p.parent.name for p in shipped.glob("*/config.yaml"))
    raise InputError(
        f"--profile: found '{name}', expected a folder with a config.yaml, or one of {', '.join(names)}"
        f"{nearest(name, names)}"
    )


def results_of(config: Mapping[str, Any], directory: str) -> Path:
    """Return the folder of results of a configuration as it was given (``pathvars.results``)."""
    pathvars = config.get("pathvars")
    name = pathvars.get("results") if isinstance(pathvars, dict) else None
    return Path(directory, name or "results")


def wait_for(command: list[str], quiet: bool = False) -> tuple[int, str]:
    """Run a command to its end; an interruption ends it in its own way.

    Parameters
    ----------
    command
        Program and arguments.
    quiet
        Whether what it prints is kept instead of shown.

    Returns
    -------
    Its exit code, and what it printed if that was kept.
    """
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}
    with subprocess.Popen(command, text=True, **streams) as process:
        while True:
            try:
                printed, _ = process.communicate()
                return process.returncode, printed or ""
            except KeyboardInterrupt:
                # it has got the same signal, and stops its jobs
                continue

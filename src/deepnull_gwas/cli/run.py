"""The command `run`: the workflow, or any target of it."""

from __future__ import annotations

import argparse

from deepnull_gwas.cli.workflow import add_cores, add_place, cores_of, place_of_config, snakemake_command

RUN = """\
Run the workflow: everything that the configuration asks for and that is not there yet. The same as `snakemake` in a
checkout; what stands after two dashes goes to snakemake.

  deepnull-gwas run
  deepnull-gwas run --cores 8 -- --dry-run
  deepnull-gwas run --profile slurm
  deepnull-gwas run -- predictions exports

Targets other than everything (`all`): qc, predictions, exports, associations, scores, report, verify.
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `run`."""
    run = commands.add_parser(
        "run",
        help="run the workflow",
        description=RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(run)
    add_cores(run)


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas run`: this process becomes Snakemake."""
    start(given, given.arguments)


def start(given: argparse.Namespace, arguments: list[str]) -> None:
    """Check the configuration, then become Snakemake.

    Parameters
    ----------
    given
        Where it runs, and on what.
    arguments
        Targets and options for Snakemake.

    Raises
    ------
    InputError
        When the configuration is wrong, with all that is.
    """
    import os
    import sys

    from deepnull_gwas.config import read_config
    from deepnull_gwas.packages import check_packages

    command = snakemake_command(given, *cores_of(given), *arguments)
    # settings of the command line may repair it
    if not any(argument.startswith("--config") for argument in arguments):
        config = read_config(place_of_config(given), given.directory)
        # with environments of conda or a container the jobs' packages are elsewhere
        if not any(argument.startswith(("--sdm", "--software-deployment-method")) for argument in arguments):
            check_packages(config)
    sys.stdout.flush()
    os.execv(command[0], command)

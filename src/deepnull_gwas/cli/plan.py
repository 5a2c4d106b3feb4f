"""The command `plan`: what a run will need."""

from __future__ import annotations

import argparse

from deepnull_gwas.cli.workflow import add_place, place_of_config


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `plan`."""
    plan = commands.add_parser(
        "plan",
        help="tell what a run of the workflow will need, before it runs",
        description=(
            "Print jobs, memory, time and disk space of a run, rule by rule, from the headers of its files. Nothing "
            "is run."
        ),
    )
    add_place(plan)


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas plan`."""
    from deepnull_gwas.config import read_config
    from deepnull_gwas.resources import plan_text

    print(plan_text(read_config(place_of_config(given), given.directory), given.directory), end="")

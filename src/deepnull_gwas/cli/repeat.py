"""The command `repeat`: a finished run set up again."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `repeat`."""
    repeat = commands.add_parser(
        "repeat",
        help="set up a finished run again, from its provenance.json",
        description=(
            "Write the configuration and the studies of a recorded run into a new folder, after checking that its "
            "inputs are what they were."
        ),
    )
    repeat.add_argument("provenance", metavar="JSON", help="results/provenance.json of the run to repeat")
    repeat.add_argument("--directory", required=True, metavar="FOLDER", help="new folder to run in")
    repeat.add_argument(
        "--inputs", metavar="FOLDER", help="where relative paths of inputs start (default: where the recorded run ran)"
    )
    repeat.add_argument(
        "--compare", action="store_true", help="compare what the repeated run published with what was recorded"
    )


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas repeat`."""
    from deepnull_gwas.provenance import compare_run, repeat_run

    if given.compare:
        print(compare_run(given.provenance, given.directory))
        return
    for line in repeat_run(given.provenance, given.directory, given.inputs):
        print(line)

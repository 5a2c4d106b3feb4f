"""The command line `deepnull-gwas`: a thin caller of the library, one module per command.

A module of a command has ``add``, which describes it to the parser, and ``run``, which does it. Heavy imports wait
until they are needed: every help text is there within half a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deepnull_gwas.cli import check, completion, convert, init, plan, predict, repeat, report, run, verify
from deepnull_gwas.errors import InputError
from deepnull_gwas.garbage import collect_seldom

#: The module of each command, in the order of the help text.
COMMANDS = {
    "init": init,
    "check": check,
    "plan": plan,
    "run": run,
    "report": report,
    "verify": verify,
    "repeat": repeat,
    "predict": predict,
    "convert": convert,
    "completion": completion,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="deepnull-gwas", description="GWAS with non-linear covariate effects (DeepNull)."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        What follows the program's name; ``sys.argv`` by default.

    Returns
    -------
    The exit code: 0; 1 with one message on the standard error when an input is wrong; that of Snakemake, which has said
    why.
    """
    collect_seldom()
    top = parser()
    given = top.parse_args(arguments)
    try:
        return COMMANDS[given.command].run(given, top) or 0
    except (InputError, OSError) as error:
        print(f"deepnull-gwas: {error}", file=sys.stderr)
        return 1

"""The command `verify`: what was published, computed again in another way."""

from __future__ import annotations

import argparse

from deepnull_gwas.cli.run import start
from deepnull_gwas.cli.workflow import add_cores, add_place

VERIFY = """\
Check what a run published: random variants and the strongest leads are tested again by a second implementation and in
double precision, and compared with the published files, whose checksums are compared with the recorded ones. Fails,
naming file, variant, what was found and what was expected, where anything differs.
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `verify`."""
    verify = commands.add_parser(
        "verify",
        help="check what a run published, by a second implementation",
        description=VERIFY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(verify)
    add_cores(verify)


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas verify`: this process becomes Snakemake."""
    start(given, [*given.arguments, "--", "verify"])

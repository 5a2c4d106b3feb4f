"""The command `report`: one page with the figures and tables of a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepnull_gwas.cli.workflow import add_place, place_of_config, results_of, snakemake_command, wait_for

REPORT = """\
Write the report of a finished run: one HTML page with its figures, tables and captions, and how each was made. It
opens in any browser and needs nothing else.
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `report`."""
    report = commands.add_parser(
        "report",
        help="write the report of a finished run, one HTML page",
        description=REPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(report)
    report.add_argument("--output", metavar="HTML", help="where it goes (default report.html in the folder of results)")


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> int:
    """Run `deepnull-gwas report`."""
    from deepnull_gwas.config import read_given

    config, _ = read_given(place_of_config(given), given.directory)
    results = results_of(config, given.directory)
    output = Path(given.output) if given.output else results / "report.html"
    command = snakemake_command(given, "--cores", "1", "--report", str(output.absolute()))
    code, printed = wait_for(command, quiet=True)
    if code:
        print(printed.rstrip())
        print("No report was written. It needs a finished run: `deepnull-gwas run` does what is left.")
    else:
        print(f"Report: {output.absolute()}")
        if (site := results / "site" / "index.html").is_file():
            print(f"Site:   {site.absolute()}")
    return code

"""The command `convert`: published summary statistics for other programs."""

from __future__ import annotations

import argparse

CONVERT = """\
Write published summary statistics in the form that another program reads (docs/summary_statistics.md has the recipes).
Alleles in capitals.

  deepnull-gwas convert --to ldsc results/ukb/bmd/deepnull/sumstats.tsv.gz --output bmd.ldsc.tsv
  munge_sumstats.py --sumstats bmd.ldsc.tsv --merge-alleles w_hm3.snplist --out bmd
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `convert`."""
    convert = commands.add_parser(
        "convert",
        help="write published summary statistics in the form that another program reads",
        description=CONVERT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    convert.add_argument("sumstats", metavar="SUMSTATS", help="sumstats.tsv.gz of a study and arm")
    convert.add_argument("--to", required=True, choices=["ldsc", "pheweb", "mungesumstats", "gwaslab"], help="which")
    convert.add_argument("--output", required=True, metavar="TABLE", help="where it goes (.gz: compressed)")


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas convert`."""
    import logging

    from deepnull_gwas.results.conversions import convert_sumstats

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    rows = convert_sumstats(given.sumstats, given.to, given.output)
    print(f"{given.output}: {rows:,} variants")

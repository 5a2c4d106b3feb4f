# Needs: memory and time of a job, as the library expects them, more at each attempt; and what a run says at its end.

import atexit
import math


def expected(rule, wildcards):
    """Return what a job is expected to need."""
    return resources.estimate(rule, PLAN, dict(wildcards.items()))


def memory_for(rule):
    """Return the function that asks for a job's memory (MB), doubled at each attempt."""

    def memory(wildcards, attempt):
        return resources.memory_mb(expected(rule, wildcards), attempt)

    return memory


def minutes_for(rule):
    """Return the function that asks for a job's time, several times what is expected, doubled at each attempt."""

    def minutes(wildcards, attempt):
        return resources.limit_minutes(expected(rule, wildcards), attempt)

    return minutes


def seconds_for(rule):
    """Return the function that tells how long a job is expected to take, for its log only."""

    def seconds(wildcards):
        return math.ceil(expected(rule, wildcards).seconds)

    return seconds


def last_word(log):
    """Print at the very end of a run what came of it: the summary of all studies, or how far it got."""
    summary = Path(RESULTS, "summary.txt")
    if summary.is_file() and summary.stat().st_mtime >= STARTED:
        words = summary.read_text(encoding="utf-8").rstrip("\n")
    else:
        there = sum(
            Path(RESULTS, s.cohort, s.name, arm, "sumstats.tsv.gz").is_file()
            for s in STUDIES
            for arm in s.arms
        )
        of_all = sum(len(s.arms) for s in STUDIES)
        words = (
            f"Summary statistics of {there} of {of_all} analyses ({len(STUDIES)} studies) are in {RESULTS}; "
            f"log: {', '.join(log)}"
        )
    # after this hook Snakemake itself goes on: where its log is, the time taken, the error
    atexit.register(print, f"\n{words}", file=sys.stderr, flush=True)

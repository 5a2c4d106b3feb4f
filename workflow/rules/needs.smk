# Needs: memory and time of a job, as the library expects them, more at each attempt.

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

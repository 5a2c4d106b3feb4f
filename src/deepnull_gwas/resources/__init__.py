"""What each step needs: memory and time, known from the headers of the genotype files before anything has run.

There is one formula per rule, used by the workflow for what it asks the scheduler for, by the first line of each log,
and by ``deepnull-gwas plan``. The terms are the arrays that a step holds, the constants are measured
(benchmarks/resources.py; docs/resources.md has the comparison). Light imports only: the workflow reads this each time
that it is parsed.
"""

from deepnull_gwas.resources.jobs import Estimate, Job, columns_of
from deepnull_gwas.resources.plan import Row, disk_mb, plan_run, plan_text, seconds_of_steps
from deepnull_gwas.resources.size import RARE_GUESS, Size, cohort_size, rare_share
from deepnull_gwas.resources.steps import (
    STEPS,
    Step,
    estimate,
    has_structure,
    job_of,
    jobs_of,
    limit_minutes,
    memory_mb,
    threads_of,
)

__all__ = [
    "RARE_GUESS",
    "STEPS",
    "Estimate",
    "Job",
    "Row",
    "Size",
    "Step",
    "cohort_size",
    "columns_of",
    "disk_mb",
    "estimate",
    "has_structure",
    "job_of",
    "jobs_of",
    "limit_minutes",
    "memory_mb",
    "plan_run",
    "plan_text",
    "rare_share",
    "seconds_of_steps",
    "threads_of",
]

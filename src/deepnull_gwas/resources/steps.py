"""The steps of the workflow: what there is one job for, its threads, memory and time.

This is the only description of the jobs of a run: targets, estimates, the plan and the lineage of jobs come from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepnull_gwas.config import Cohort, Config, Study
from deepnull_gwas.logs import SNAKEMAKE_MB
from deepnull_gwas.resources import of_cohorts, of_genome, of_studies
from deepnull_gwas.resources.jobs import Estimate, Job
from deepnull_gwas.resources.size import cohort_size

#: The limit of time is a multiple of the estimate, and minutes more: machines differ, and a job that is killed is lost.
TIME_MARGIN, TIME_LEAST = 3, 20


@dataclass(frozen=True)
class Step:
    """How the jobs of a rule are counted, and what each needs.

    Attributes
    ----------
    per
        What there is one job for: a key of :data:`PER_COHORT`, :data:`PER_BATCH` or :data:`PER_STUDY`, or ``run``.
    estimate
        Job -> Estimate.
    threads
        Threads of a job, or the section of the config that has them under ``threads``.
    optional
        Whether only a target of its own runs it, not `all`.
    on_calls
        Whether it works on the hard calls beside a cohort's genotypes, where there are any.
    """

    per: str
    estimate: Callable[[Job], Estimate]
    threads: int | str = 1
    optional: bool = False
    on_calls: bool = False


def _record_run(job: Job) -> Estimate:
    jobs = sum(times for rule in STEPS for _, times in jobs_of(rule, job.config))
    # genotypes are read once for their checksums, at some hundred MB a second
    read = sum(
        size.people * size.variants / 4
        for size in (cohort_size(c, job.base) for c in job.config.cohorts.values() if c.simulate is None)
    )
    return Estimate(150 + 0.02 * jobs, 3 + read / 3e8 + 0.002 * jobs)


STEPS: dict[str, Step] = {
    "simulate_genotypes": Step("simulated cohort", of_cohorts.simulate_genotypes),
    "simulate_phenotypes": Step("simulated cohort", of_cohorts.simulate_phenotypes),
    "import_vcf": Step("imported fileset", of_cohorts.import_vcf),
    "index_cohort": Step("cohort", of_cohorts.index_cohort),
    "screen_cohort": Step("cohort", of_cohorts.screen_cohort),
    "preflight_cohort": Step("cohort", of_cohorts.preflight_cohort),
    "count_genotypes": Step("chunk", of_cohorts.count_genotypes),
    "index_array": Step("cohort with array", of_cohorts.index_array, on_calls=True),
    "filter_array": Step("cohort with array", of_cohorts.filter_cohort, on_calls=True),
    "filter_cohort": Step("cohort", of_cohorts.filter_cohort),
    "plot_qc": Step("cohort", of_cohorts.plot_qc),
    "prune_variants": Step("cohort with structure", of_cohorts.prune_variants, on_calls=True),
    "estimate_kinship": Step("cohort with structure", of_cohorts.estimate_kinship, threads=2, on_calls=True),
    "compute_pcs": Step("cohort with components", of_cohorts.compute_pcs, threads=2, on_calls=True),
    "adjust_kinship": Step("cohort with structure", of_cohorts.adjust_kinship, threads=2, on_calls=True),
    "check_stratification": Step("cohort with components", of_cohorts.check_stratification, on_calls=True),
    "plot_structure": Step("cohort with components", of_cohorts.plot_structure, on_calls=True),
    "assemble_study": Step("study", of_cohorts.assemble_study),
    "train_folds": Step("deepnull study", of_studies.train_folds),
    "plot_deepnull": Step("deepnull study", of_studies.plot_deepnull),
    "score_study": Step("predicted study", of_studies.score_study, threads="scores"),
    "plot_scores": Step("cohort with predicted studies", of_studies.small),
    "list_passed": Step("cohort", of_studies.list_passed, optional=True),
    "export_study": Step("deepnull study", of_studies.export_study, optional=True),
    "fit_blocks": Step("batch and part", of_genome.fit_blocks, threads="whole_genome", on_calls=True),
    "refit_blocks": Step("batch and part of a second pass", of_genome.refit_blocks, "whole_genome", on_calls=True),
    "stack_blocks": Step("whole-genome study", of_genome.stack_blocks, on_calls=True),
    "export_offsets": Step("whole-genome study", of_genome.export_offsets, optional=True),
    "associate": Step("batch and chunk", of_studies.associate, threads="association"),
    "merge_sumstats": Step("study and arm", of_studies.merge_sumstats),
    "plot_sumstats": Step("study", of_studies.plot_sumstats),
    "compare_arms": Step("study with both arms", of_studies.compare_arms),
    "measure_regions": Step("study", of_studies.measure_regions),
    "plot_regions": Step("study", of_studies.plot_regions),
    "compare_batch": Step("batch with both arms", of_studies.small),
    "summarise_run": Step("run", of_studies.summarise_run),
    "record_run": Step("run", _record_run),
    "describe_study": Step("study", of_studies.describe_study),
    "describe_cohort": Step("cohort", of_cohorts.describe_cohort),
    "build_site": Step("run", of_studies.build_site),
    "check_status": Step("run", of_studies.small),
    "measure_validity": Step("simulated cohort", of_studies.measure_validity, optional=True),
    "verify_batch": Step("batch", of_studies.verify_batch, optional=True),
}


def job_of(rule: str, config: Config, wildcards: Mapping[str, str], base: str | Path = ".") -> Job:
    """Return what a job's estimate depends on.

    Parameters
    ----------
    rule
        Name of the rule.
    config
        The configuration.
    wildcards
        Those of the job: cohort, study, batch, as far as it has them.
    base
        Folder to which the config's paths refer.
    """
    threads = threads_of(rule, config)
    name = wildcards.get("cohort")
    if name is None:
        sizes = [cohort_size(c, base) for c in config.cohorts.values()]
        return Job(config, None, max(sizes, key=lambda s: s.variants), tuple(config.studies), threads, str(base))
    cohort = config.cohorts[name]
    if "study" in wildcards:
        studies = [config.study(name, wildcards["study"])]
    elif "batch" in wildcards:
        studies = config.batches(name)[wildcards["batch"]]
    else:
        studies = config.studies_of(name)
    size = cohort_size(cohort, base, STEPS[rule].on_calls)
    return Job(config, cohort, size, tuple(studies), threads, str(base))


def threads_of(rule: str, config: Config) -> int:
    """Return the threads of a rule's jobs."""
    threads = STEPS[rule].threads
    return int(getattr(config, threads)["threads"]) if isinstance(threads, str) else threads


def estimate(rule: str, config: Config, wildcards: Mapping[str, str], base: str | Path = ".") -> Estimate:
    """Estimate what one job needs; parameters as :func:`job_of`."""
    return STEPS[rule].estimate(job_of(rule, config, wildcards, base))


def memory_mb(need: Estimate, attempt: int = 1) -> int:
    """Return the memory to ask for: the estimate and Snakemake's own, in whole 100 MB, doubled at each attempt."""
    return (math.ceil(need.mb / 100) * 100 + SNAKEMAKE_MB) * 2 ** (attempt - 1)


def limit_minutes(need: Estimate, attempt: int = 1) -> int:
    """Return the limit of time to ask for: several times the estimate, doubled at each attempt."""
    return math.ceil(TIME_LEAST + TIME_MARGIN * need.seconds / 60) * 2 ** (attempt - 1)


def has_structure(config: Config, cohort: str) -> bool:
    """Return whether anything of a cohort needs its relatives: every study does, to leave out copies of a person."""
    return bool(config.studies_of(cohort))


def _parts(config: Config, cohort: Cohort, studies: list[Study]) -> int:
    """Return the number of parts of the whole-genome regression of a batch."""
    return config.parts(cohort.name) * any(s.is_whole_genome for s in studies)


def _is_predicted(config: Config, study: Study) -> bool:
    """Return whether a study's phenotype is predicted with scores."""
    return "deepnull" in study.arms and config.scores["method"] != "none"


#: How many jobs there are for a cohort, by what there is one job for.
PER_COHORT: dict[str, Callable[[Config, Cohort], int]] = {
    "cohort": lambda config, cohort: 1,
    "chunk": lambda config, cohort: cohort.chunks,
    "imported fileset": lambda config, cohort: len(cohort.filesets) if cohort.is_imported else 0,
    "simulated cohort": lambda config, cohort: cohort.simulate is not None,
    "cohort with array": lambda config, cohort: bool(cohort.structure_filesets),
    "cohort with structure": lambda config, cohort: has_structure(config, cohort.name),
    "cohort with components": lambda config, cohort: any(s.pcs for s in config.studies_of(cohort.name)),
    "cohort with predicted studies": lambda config, cohort: any(
        _is_predicted(config, s) for s in config.studies_of(cohort.name)
    ),
}
#: The same for a batch, from its studies.
PER_BATCH: dict[str, Callable[[Config, Cohort, list[Study]], int]] = {
    "batch": lambda config, cohort, studies: 1,
    "batch and chunk": lambda config, cohort, studies: cohort.chunks,
    "batch and part": lambda config, cohort, studies: _parts(config, cohort, studies),
    "batch and part of a second pass": lambda config, cohort, studies: (
        _parts(config, cohort, studies) * (config.whole_genome["passes"] == 2)
    ),
    "batch with both arms": lambda config, cohort, studies: any(s.is_compared for s in studies),
}
#: The same for a study.
PER_STUDY: dict[str, Callable[[Config, Study], int]] = {
    "study": lambda config, study: 1,
    "study and arm": lambda config, study: len(study.arms),
    "deepnull study": lambda config, study: "deepnull" in study.arms,
    "whole-genome study": lambda config, study: study.is_whole_genome,
    "study with both arms": lambda config, study: study.is_compared,
    "predicted study": _is_predicted,
}


def jobs_of(rule: str, config: Config) -> Iterator[tuple[dict[str, str], int]]:
    """Go through the jobs of a rule in a whole run.

    Yields
    ------
    (wildcards, how many jobs have them and differ in their chunk, fileset or arm only)
    """
    per = STEPS[rule].per
    if per == "run":
        yield {}, 1
        return
    for name, cohort in config.cohorts.items():
        if per in PER_COHORT:
            counted = [({}, PER_COHORT[per](config, cohort))]
        elif per in PER_BATCH:
            counted = [({"batch": b}, PER_BATCH[per](config, cohort, s)) for b, s in config.batches(name).items()]
        else:
            counted = [({"study": s.name}, PER_STUDY[per](config, s)) for s in config.studies_of(name)]
        yield from (({"cohort": name, **wildcards}, int(times)) for wildcards, times in counted if times)

"""The plan of a run: jobs, memory, time and disk space, rule by rule, before anything has run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deepnull_gwas.config import Config
from deepnull_gwas.logs import SNAKEMAKE_MB, duration
from deepnull_gwas.resources.jobs import PRUNED_MOST, PRUNED_SHARE, columns_of, mega
from deepnull_gwas.resources.of_genome import OFFSETS, temporary_bytes
from deepnull_gwas.resources.size import cohort_size
from deepnull_gwas.resources.steps import STEPS, estimate, has_structure, job_of, jobs_of, memory_mb, threads_of

#: Bytes of an imported genotype: of two bytes where it is uncertain.
IMPORTED_BYTES = 1.0


@dataclass(frozen=True)
class Row:
    """A rule in the plan: ``mb`` and ``seconds`` of its largest job, ``core_seconds`` summed over its jobs."""

    rule: str
    jobs: int
    threads: int
    mb: int
    seconds: float
    core_seconds: float


def plan_run(config: Config, base: str | Path = ".") -> list[Row]:
    """Estimate a whole run, rule by rule, in the order of the steps.

    Parameters
    ----------
    config
        The configuration.
    base
        Folder to which its paths refer.

    Raises
    ------
    InputError
        When a file of genotypes is not there.
    """
    rows = []
    for rule, step in STEPS.items():
        if step.optional:
            continue
        needs = [(estimate(rule, config, w, base), times) for w, times in jobs_of(rule, config)]
        if needs:
            threads = threads_of(rule, config)
            rows.append(
                Row(
                    rule,
                    sum(times for _, times in needs),
                    threads,
                    max(memory_mb(need) for need, _ in needs),
                    max(need.seconds for need, _ in needs),
                    sum(times * need.seconds * threads for need, times in needs),
                )
            )
    return rows


def seconds_of_steps(config: Config, base: str | Path = ".") -> dict[str, float]:
    """Return for each rule what one of its jobs is expected to take on average, in seconds times threads.

    Parameters
    ----------
    config, base
        As :func:`plan_run`.
    """
    means = dict.fromkeys(STEPS, 1.0)
    for rule in STEPS:
        needs = [(estimate(rule, config, w, base).seconds, times) for w, times in jobs_of(rule, config)]
        if jobs := sum(times for _, times in needs):
            means[rule] = sum(seconds * times for seconds, times in needs) / jobs * threads_of(rule, config)
    return means


def disk_mb(config: Config, base: str | Path = ".") -> dict[str, float]:
    """Estimate the disk space that the results take, MB by kind; the user's own files are read in place, not counted.

    Parameters
    ----------
    config, base
        As :func:`plan_run`.
    """
    simulated = imported = tables = associations = studies = published = temporary = 0.0
    for name, cohort in config.cohorts.items():
        size = cohort_size(cohort, base)
        n, m = size.people, size.variants
        if cohort.simulate is not None:
            simulated += n * m / 4 + 35 * m + size.table_bytes
        if cohort.is_imported:
            imported += n * m * IMPORTED_BYTES + 35 * m
        tables += m * 55 + n * (60 + 16 * cohort.chunks) + size.table_bytes
        if has_structure(config, name):
            tables += n * 8 * (cohort.structure["pcs"] + 4)
            tables += min(PRUNED_SHARE * m, PRUNED_MOST) * 8 * (cohort.structure["pcs"] + 4)
        for study in config.studies_of(name):
            binary = study.has_cases
            studies += n * (8 * (columns_of(study) + 3) + (80 if "deepnull" in study.arms else 0)) + 2.5e6
            studies += n * 8 * OFFSETS * len(study.arms) * study.is_whole_genome
            associations += m * ((40 if binary else 12) + 27 * len(study.arms))
            published += m * len(study.arms) * (46 if binary else 37)
        associations += m * 20 * len(config.batches(name))
        # those of all batches may be there at a time
        temporary += sum(
            temporary_bytes(job_of("fit_blocks", config, wildcards, base))
            for wildcards, _ in jobs_of("fit_blocks", config)
            if wildcards["cohort"] == name
        )
    kinds = {
        "simulated genotypes and tables": simulated,
        "PLINK 2 filesets imported from VCF": imported,
        "tables of the cohort (variants, people, quality control, structure)": tables,
        "people, predictions and figures of the studies": studies,
        "parts of the whole-genome regression (temporary)": temporary,
        "association tables": associations,
        "summary statistics": published,
    }
    return {kind: mega(value) for kind, value in kinds.items() if value}


def plan_text(config: Config, base: str | Path = ".") -> str:
    """Return the plan of a run as text: cohorts, rules, sums and disk space; parameters as :func:`plan_run`."""
    lines = []
    for name, cohort in config.cohorts.items():
        size = cohort_size(cohort, base)
        batches = config.batches(name)
        lines.append(
            f"cohort {name}: {size.people:,} people, {size.variants:,} variants"
            f"{' (simulated)' if cohort.simulate else ' (by the length of the first rows)' * cohort.is_imported}; "
            f"{len(config.studies_of(name))} studies in {len(batches)} batch{'es' if len(batches) > 1 else ''}, "
            f"{cohort.chunks} chunks"
        )
    rows = plan_run(config, base)
    lines += ["", *_table(rows), ""]
    largest = max(rows, key=lambda r: r.mb)
    lines += [
        f"Memory: the largest job ({largest.rule}) asks for {largest.mb:,} MB; jobs that run side by side add up.",
        f"Time: {duration(sum(r.core_seconds for r in rows))} on one core; on a cluster, where jobs run side by side, "
        f"at least {duration(sum(r.seconds for r in rows))} (the longest job of each rule, one after the other).",
    ]
    disk = disk_mb(config, base)
    lines.append(f"Disk: {sum(disk.values()) / 1e3:,.2f} GB of results:")
    lines += [f"  {value / 1e3:>9,.2f} GB  {kind}" for kind, value in disk.items()]
    lines.append(
        f"Memory is what a job asks for ({SNAKEMAKE_MB} MB of it for Snakemake's own processes); time is a guess for "
        "one idle core, good to a factor of two or three. People who are not in the sample table, and variants that "
        "fail quality control, count here as if they stayed."
    )
    return "\n".join(lines) + "\n"


def _table(rows: list[Row]) -> list[str]:
    """Return the lines of the table of rules, with their sum."""
    wide = max(len(r.rule) for r in rows)
    head = (
        f"{'rule':<{wide}}  {'jobs':>7}  {'threads':>7}  {'MB per job':>10}  {'time per job':>12}  {'core-hours':>10}"
    )
    lines = [head, "-" * len(head)]
    for r in rows:
        hours = r.core_seconds / 3600
        line = f"{r.rule:<{wide}}  {r.jobs:>7,}  {r.threads:>7}  {r.mb:>10,}  {duration(r.seconds):>12}  {hours:>10.2f}"
        lines.append(line)
    jobs, hours = sum(r.jobs for r in rows), sum(r.core_seconds for r in rows) / 3600
    most = max(r.mb for r in rows)
    lines += ["-" * len(head), f"{'all':<{wide}}  {jobs:>7,}  {'':>7}  {most:>10,}  {'':>12}  {hours:>10.2f}"]
    return lines

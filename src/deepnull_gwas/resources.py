"""What each step needs: memory and time, known from the headers of the genotype files before anything has run.

One formula a rule, used by the workflow for what it asks the scheduler for, by the first line of each log, and by ``deepnull-gwas plan``.
The terms are the arrays that a step holds, the constants are measured (benchmarks/resources.py; docs/resources.md has the comparison).
Light imports only: the workflow reads this each time that it is parsed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepnull_gwas.config import Cohort, Config, Study
from deepnull_gwas.deepnull.recipe import FEW_PEOPLE, FOLDS_OF_FEW, FOLDS_OF_MANY
from deepnull_gwas.genotypes.formats import extent, format_of
from deepnull_gwas.logs import SNAKEMAKE_MB
from deepnull_gwas.simulate.lengths import LENGTH_MB

#: Up to so many people components come from the whole relationship matrix (as in cohort.pca).
EXACT_PEOPLE = 5_000
#: Share of the variants that is left after pruning, and the most that are, as a guess on the high side.
PRUNED_SHARE, PRUNED_MOST = 0.2, 250_000
#: What may be held of genotypes that are read through a memory map: a little over what `genotypes.bed` gives back.
MAPPED_MB = 80.0
#: Columns that a categorical covariate counts for: its groups are not known before the sample table is read.
COLUMNS_OF_CATEGORICAL = 4
#: Share of variants that are rare where there are no genotypes yet.
RARE_GUESS = 0.5
#: The limit of time is so many times the estimate, and minutes more: machines differ, and a job that is killed is lost.
TIME_MARGIN, TIME_LEAST = 3, 20


@dataclass(frozen=True)
class Size:
    """How large a cohort is.

    Attributes
    ----------
    people, variants
        Numbers in the genotype files.
    table_bytes
        Size of the sample table on disk.
    largest_chromosome
        Most variants on one chromosome (simulated cohorts), or in one fileset.
    text_bytes
        Bytes of long alleles and IDs (:class:`~deepnull_gwas.genotypes.files.Extent`).
    """

    people: int
    variants: int
    table_bytes: int = 0
    largest_chromosome: int = 0
    text_bytes: int = 0


@functools.cache
def _of_files(filesets: tuple[str, ...], samples: str | None, base: str) -> Size:
    found = extent(filesets, base)
    table = Path(base, samples).stat().st_size if samples and Path(base, samples).is_file() else 0
    return Size(found.people, sum(found.variants), table, max(found.variants), found.text_bytes)


def cohort_size(cohort: Cohort, base: str | Path = ".") -> Size:
    """Read from the headers how large a cohort is; seconds at most.

    Parameters
    ----------
    cohort
        The cohort; for a simulated one its settings say it.
    base
        Folder to which its paths refer.

    Raises
    ------
    InputError
        When a file of its genotypes is not there.
    """
    if cohort.simulate is None:
        return _of_files(cohort.filesets, cohort.samples, str(base))
    settings = cohort.simulate
    lengths = [LENGTH_MB[str(name)] for name in settings["chromosomes"]]
    largest = math.ceil(settings["variants"] * max(lengths) / sum(lengths))
    width = 60 + 20 * len(settings["phenotypes"])
    return Size(settings["people"], settings["variants"], width * settings["people"], largest)


@functools.cache
def _rare_of_files(filesets: tuple[str, ...], people: int, base: str) -> float:
    share = format_of(filesets[0]).rare_share(filesets, people, base)
    return RARE_GUESS if share is None else share


def rare_share(cohort: Cohort, base: str | Path = ".") -> float:
    """Estimate the share of variants that fewer than one in sixteen people carries, from a few rows of the genotypes; milliseconds.

    Parameters
    ----------
    cohort
        The cohort; for a simulated one, or where no genotypes are there yet, a guess is given.
    base
        Folder to which its paths refer.
    """
    if cohort.simulate is not None:
        return RARE_GUESS
    return _rare_of_files(cohort.filesets, cohort_size(cohort, base).people, str(base))


@dataclass(frozen=True)
class Job:
    """One job of a rule: what its estimate depends on."""

    config: Config
    cohort: Cohort | None = None
    size: Size = Size(0, 0)
    studies: tuple[Study, ...] = ()
    threads: int = 1
    base: str = "."

    @property
    def chunk(self) -> int:
        """Variants of a chunk."""
        return -(-self.size.variants // self.cohort.chunks)

    @property
    def pruned(self) -> int:
        """Variants left after pruning, at most."""
        return int(min(PRUNED_SHARE * self.size.variants, PRUNED_MOST))

    @property
    def covariates(self) -> int:
        """Columns of covariates of all studies of the job."""
        return sum(columns_of(s) for s in self.studies)

    @property
    def width(self) -> int:
        """Columns of the design of a batch: a basis for each study, phenotype and prediction, and what binary traits need."""
        total = 0
        for study in self.studies:
            p = columns_of(study) + 1
            total += p + 2 if study.trait == "quantitative" else p + len(study.arms) * (p + 3)
        return total

    @property
    def arms(self) -> int:
        """Arms of all studies of the job."""
        return sum(len(s.arms) for s in self.studies)


def columns_of(study: Study) -> int:
    """Give the columns of a study's covariates as encoded, components among them; an upper guess for categorical ones."""
    categorical = len(study.categorical_covariates)
    return len(study.covariates) - categorical + COLUMNS_OF_CATEGORICAL * categorical + study.pcs


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to need: memory in MB (never less than measured), time in seconds on one idle core of 2020 or later."""

    mb: float
    seconds: float


@dataclass(frozen=True)
class Step:
    """How a rule's jobs are counted, and what one needs.

    Attributes
    ----------
    per
        What there is one job for; see :func:`jobs_of`.
    estimate
        Job -> Estimate.
    threads
        Threads of a job, or the section of the config that has them under ``threads``.
    optional
        Whether only a target of its own runs it, not `all`.
    """

    per: str
    estimate: Callable[[Job], Estimate]
    threads: int | str = 1
    optional: bool = False


def _mega(value: float) -> float:
    return value / 1e6


# --- one formula a rule ------------------------------------------------------
# `n` people, `m` variants of the cohort; the first number is Python with the libraries, and what numba needs to compile; the rest bytes of what is
# held for each person and variant, measured.


def _mapped(job: Job) -> float:
    return min(MAPPED_MB, _mega(job.size.people * job.size.variants / 4))


def _simulate_genotypes(job: Job) -> Estimate:
    n, m, largest = job.size.people, job.size.variants, job.size.largest_chromosome
    # haplotypes of one chromosome and genotypes made of them; its tree sequence
    return Estimate(250 + _mega(3.3 * n * largest + 3000 * largest + 3700 * n), 3 + 3e-8 * n * m + 3e-4 * m)


def _simulate_phenotypes(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    phenotypes = len(job.cohort.simulate["phenotypes"])
    # 1,500 variants of everybody in double precision, three times over, for the ancestry
    return Estimate(
        400 + _mega((36_000 + 100 * phenotypes) * n + 600 * m), 3 + 2e-9 * n * m + 1.5e-4 * n + 1e-5 * n * phenotypes
    )


def _index_cohort(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    held = 230 * m + 4 * job.size.text_bytes + 1000 * n + 8 * job.size.table_bytes
    return Estimate(280 + _mega(held), 2 + 4e-6 * m + 1e-5 * n)


def _screen_cohort(job: Job) -> Estimate:
    n = job.size.people
    return Estimate(150 + _mega(1000 * n + 5 * job.size.table_bytes), 1 + 2e-6 * n * max(len(job.studies), 1))


def _assemble_study(job: Job) -> Estimate:
    n, p = job.size.people, job.covariates
    return Estimate(165 + _mega((1300 + 45 * p) * n + 5 * job.size.table_bytes), 1 + 1e-5 * n)


def _count_genotypes(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    return Estimate(310 + _mapped(job) + _mega(150 * n + 100 * m), 2 + 4e-6 * job.chunk + 1e-9 * n * job.chunk)


def _filter_cohort(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # blocks of genotypes that are counted again, beside those that are mapped
    blocks = 2 * _mapped(job)
    held = 850 * m + 2 * job.size.text_bytes + 1200 * n
    return Estimate(350 + blocks + _mega(held), 2 + 5e-6 * m + 1e-9 * n * m)


def _plot_qc(job: Job) -> Estimate:
    return Estimate(215 + _mega(310 * job.size.variants + 700 * job.size.people), 3 + 1e-6 * job.size.variants)


def _prune_variants(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # bit planes of a window of dense variants, beside a block of them
    held = min(940, 0.375 * m) * n + 200 * m + 0.5 * job.size.text_bytes
    return Estimate(340 + 220 + _mega(held), 3 + 3e-9 * n * m + 3e-6 * m)


def _work(job: Job) -> float:
    """Give the work space that the config grants kinship and components, MB."""
    return float(job.cohort.structure["memory_mb"])


def _estimate_kinship(job: Job) -> Estimate:
    n, m = job.size.people, job.pruned
    if job.cohort.structure["relatives"] not in ("exclude", "keep"):
        return Estimate(330 + _mega(700 * n), 3 + 1e-5 * n)  # pairs are read from a table
    rows = min(_work(job), _mega(16 * n * math.ceil(m / 64)))
    # strangers are out after the first 16,384 variants
    return Estimate(
        330 + 1.2 * rows + _mapped(job) + _mega(2500 * n), 3 + n * n / 2 * min(m, 24_576) / 4e10 / job.threads
    )


def _compute_pcs(job: Job) -> Estimate:
    n, m, k = job.size.people, job.pruned, int(job.cohort.structure["pcs"])
    if n <= EXACT_PEOPLE:
        # the relationship matrix and its decomposition
        held, seconds = _mega(20 * n * n), n * n * m / 4e10 + 1.2e-10 * n**3
    else:
        # the basis of 60 passes at most, and its images
        width = -(-(k + 4) // 8) * 8
        held, seconds = 100 + min(_work(job), _mega(60 * width * 16 * n)) * 1.05, 13 * n * m * 3e-9
        # where nothing stands out, passes are many, and each is made orthogonal to all before
        seconds += 6e-5 * n
    return Estimate(
        400 + held + _mapped(job) + _mega(45 * n * (k + 12) + (200 + 16 * k) * m), 3 + seconds / job.threads
    )


def _check_stratification(job: Job) -> Estimate:
    n, m = job.size.people, job.pruned
    p = max((columns_of(s) for s in job.studies), default=0)
    return Estimate(330 + _mapped(job) + _mega(150 * n * (p + 10) + 50 * m), 3 + len(job.studies) * n * m * 3e-9)


def _plot_structure(job: Job) -> Estimate:
    n = job.size.people
    # 200 MB for the points of ten components at 300 dpi, whose pictures a PDF holds until it is finished
    return Estimate(430 + _mega(1100 * n + 60 * n * len(job.studies) + 300 * job.pruned), 6 + 1e-5 * n)


def _is_light(job: Job) -> bool:
    """Say whether only linear models are fitted: no torch, no trees."""
    deepnull = job.config.deepnull
    return not deepnull["compare"] and all((s.model or deepnull["model"]) == "linear" for s in job.studies)


def _train_folds(job: Job) -> Estimate:
    n, p = job.size.people, job.covariates
    if _is_light(job):
        return Estimate(190 + _mega((60 * p + 800) * n), 3 + 3e-5 * n)
    # on a GPU the other models of all folds wait for the networks
    folds = job.config.deepnull["folds"] or (FOLDS_OF_FEW if n < FEW_PEOPLE else FOLDS_OF_MANY)
    waiting = folds * 16 * n * (p + 10) if job.config.deepnull["device"] == "cuda" else 0
    # curves of each covariate and up to 200 products, twice over
    return Estimate(580 + _mega(18 * n * (12 * p + 210) + waiting), 12 + 1.2e-3 * folds * n)


def _plot_deepnull(job: Job) -> Estimate:
    return Estimate(180, 3)


def _predict_phenotype(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # not measured: room for the variants that may enter, and the blocks in which they are read
    held = (1000 + 100 * job.covariates) * n + 500 * m + 3 * job.size.text_bytes
    return Estimate(2000 + _mapped(job) + _mega(held), 20 + 1e-8 * n * m / job.threads)


def _list_passed(job: Job) -> Estimate:
    return Estimate(250 + _mega(300 * job.size.variants), 1 + 1e-6 * job.size.variants)


def _export_study(job: Job) -> Estimate:
    return Estimate(250 + _mega((800 + 60 * job.covariates) * job.size.people), 1 + 2e-5 * job.size.people)


def _refined(job: Job, p: int) -> float:
    """Return the seconds that one variant of a binary study with ``p`` columns takes beyond its score test, on average over variants."""
    n, a = job.size.people, job.config.association
    rare, exact = rare_share(job.cohort, job.base), bool(a["exact"])
    # all people, or the carriers of a rare variant; without single precision always all people
    if a["refine_by"] == "spa":
        common, carried = 1e-7 * n, 3e-4 + 2e-9 * n
    elif a["firth_form"] == "approximate":
        common, carried = 1.2e-7 * n, 3e-4 + 2e-9 * n
    else:
        common, carried = 1e-3 + 4e-9 * n * (p + 1) ** 2, 1e-3 + 5e-9 * n
    carried = common if exact else carried
    likelihood = 1.5e-8 * n * (3 if exact else 1)
    if a["refine_by"] != "spa" and a["firth"] == "never":
        carried = common = likelihood
    elif a["refine_by"] != "spa" and a["firth"] == "fallback":
        # few copies among cases or controls: the rare ones, and of few people nearly all (a quarter of the alleles, half of them in cases)
        common = likelihood
        rare = max(rare, min(1.0, 4.0 * a["firth_mac"] / n))
    share = 1.0 if a["missing_genotypes"] == "drop" else min(float(a["refine_below"]), 1.0)
    return share * (rare * carried + (1.0 - rare) * common)


def _associate(job: Job) -> Estimate:
    n, m = job.size.people, job.chunk
    block = job.config.association["variants_per_block"]
    double = 2 if job.config.association["exact"] else 1
    drop = 3 if job.config.association["missing_genotypes"] == "drop" else 1
    binary = [(columns_of(s) + 1, len(s.arms)) for s in job.studies if s.trait == "binary"]
    arms = sum(k for _, k in binary)
    # inputs and null models in double precision, the columns of the design laid out for the kernels, results that wait to be written;
    # of binary studies the expansion around the null model, and what is made of one variant
    held = 24 * n * job.covariates + (5 + 4 * double * drop) * n * job.width + (300 + 40 * arms + 60 * bool(arms)) * n
    waiting = 2 * 16 * block * 60 * job.arms + job.threads * block * (n / 2 + 8 * job.width)
    # once all blocks are written, the check by the second implementation: the covariates of one study and a few arrays of their size
    check = 8 * n * (5 * max((columns_of(s) for s in job.studies), default=0) + 10)
    rate = 2.5e-11 * n * job.width + 2e-9 * n * arms + 1e-6 * job.arms
    rate += sum(k * _refined(job, p) for p, k in binary)
    # penalised null models and expansions
    setup = sum(k * n * p * p * (1e-9 + 3e-10 * p) for p, k in binary)
    text = 150 * job.size.variants + 2 * job.size.text_bytes
    return Estimate(400 + _mega(held + max(waiting, check) + text), 6 + setup + m * rate / job.threads)


def _merge_sumstats(job: Job) -> Estimate:
    # rows as they are turned into text, at most 131,072 at a time (results.sumstats); a chunk; p of all variants, for lambda
    held = 900 * min(job.chunk, 1 << 17) + 160 * job.chunk + 32 * job.size.variants
    held += 4 * job.size.text_bytes * job.chunk / max(job.size.variants, 1)
    return Estimate(240 + _mega(held), 2 + 1.2e-5 * job.size.variants)


def _plot_sumstats(job: Job) -> Estimate:
    # place and p of both arms, and what thins the points that are drawn
    return Estimate(255 + _mega(105 * job.size.variants), 4 + 2.5e-6 * job.size.variants)


def _compare_arms(job: Job) -> Estimate:
    return Estimate(280 + _mega(100 * job.size.variants), 3 + 3e-6 * job.size.variants)


def _small(job: Job) -> Estimate:
    return Estimate(255, 3)


def _summarise_run(job: Job) -> Estimate:
    # what each publication has summed up
    return Estimate(220 + 0.02 * job.arms, 2 + 0.01 * job.arms)


def _verify_batch(job: Job) -> Estimate:
    n, m, p = job.size.people, job.size.variants, max((columns_of(s) for s in job.studies), default=0)
    tested = job.config.verify["variants"] * sum(
        len(s.arms) * (1 if s.trait == "quantitative" else 8 * p) for s in job.studies
    )
    scan = _associate(job)
    return Estimate(
        scan.mb + 100 + _mega(400 * m + 4 * job.size.text_bytes + 60 * n * (p + 3)),
        6 + tested * n * p * 4e-10 + 4e-7 * m * job.arms,
    )


def _measure_validity(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    analyses = sum(len(s.arms) for s in job.studies)
    return Estimate(350 + _mega(8000 * n + 40 * m * analyses + 500 * m), 5 + 2e-6 * m * analyses + 6e-7 * n * m)


def _record_run(job: Job) -> Estimate:
    jobs = sum(times for rule in STEPS for _, times in jobs_of(rule, job.config))
    # genotypes are read once for their checksums, at some hundred MB a second
    read = sum(
        size.people * size.variants / 4
        for size in (cohort_size(c, job.base) for c in job.config.cohorts.values() if c.simulate is None)
    )
    return Estimate(150 + 0.02 * jobs, 3 + read / 3e8 + 0.002 * jobs)


STEPS: dict[str, Step] = {
    "simulate_genotypes": Step("simulated cohort", _simulate_genotypes),
    "simulate_phenotypes": Step("simulated cohort", _simulate_phenotypes),
    "index_cohort": Step("cohort", _index_cohort),
    "screen_cohort": Step("cohort", _screen_cohort),
    "preflight_cohort": Step("cohort", _screen_cohort),
    "count_genotypes": Step("chunk", _count_genotypes),
    "filter_cohort": Step("cohort", _filter_cohort),
    "plot_qc": Step("cohort", _plot_qc),
    "prune_variants": Step("cohort with structure", _prune_variants),
    "estimate_kinship": Step("cohort with structure", _estimate_kinship, threads=2),
    "compute_pcs": Step("cohort with components", _compute_pcs, threads=2),
    "check_stratification": Step("cohort with components", _check_stratification),
    "plot_structure": Step("cohort with components", _plot_structure),
    "assemble_study": Step("study", _assemble_study),
    "train_folds": Step("deepnull study", _train_folds),
    "plot_deepnull": Step("deepnull study", _plot_deepnull),
    "predict_phenotype": Step("predicted study", _predict_phenotype, threads="scores"),
    "plot_prediction": Step("cohort with predicted studies", _small),
    "list_passed": Step("cohort", _list_passed, optional=True),
    "export_study": Step("deepnull study", _export_study, optional=True),
    "associate": Step("batch and chunk", _associate, threads="association"),
    "merge_sumstats": Step("study and arm", _merge_sumstats),
    "plot_sumstats": Step("study", _plot_sumstats),
    "compare_arms": Step("study with both arms", _compare_arms),
    "compare_batch": Step("batch with both arms", _small),
    "summarise_run": Step("run", _summarise_run),
    "record_run": Step("run", _record_run),
    "check_status": Step("run", _small),
    "measure_validity": Step("simulated cohort", _measure_validity, optional=True),
    "verify_batch": Step("batch", _verify_batch, optional=True),
}


# --- jobs --------------------------------------------------------------------


def job_of(rule: str, config: Config, wildcards: Mapping[str, str], base: str | Path = ".") -> Job:
    """Give what a job's estimate depends on.

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
    return Job(config, cohort, cohort_size(cohort, base), tuple(studies), threads, str(base))


def threads_of(rule: str, config: Config) -> int:
    """Give the threads of a rule's jobs."""
    threads = STEPS[rule].threads
    return int(getattr(config, threads)["threads"]) if isinstance(threads, str) else threads


def estimate(rule: str, config: Config, wildcards: Mapping[str, str], base: str | Path = ".") -> Estimate:
    """Estimate what one job needs; parameters as :func:`job_of`."""
    return STEPS[rule].estimate(job_of(rule, config, wildcards, base))


def memory_mb(need: Estimate, attempt: int = 1) -> int:
    """Give the memory to ask for: the estimate and Snakemake's own processes, in whole 100 MB, doubled at each attempt."""
    return (math.ceil(need.mb / 100) * 100 + SNAKEMAKE_MB) * 2 ** (attempt - 1)


def limit_minutes(need: Estimate, attempt: int = 1) -> int:
    """Give the limit of time to ask for: several times the estimate, doubled at each attempt."""
    return math.ceil(TIME_LEAST + TIME_MARGIN * need.seconds / 60) * 2 ** (attempt - 1)


def has_structure(config: Config, cohort: str) -> bool:
    """Say whether anything of a cohort needs its relatives: every study does, if only to leave out copies of a person."""
    return bool(config.studies_of(cohort))


def _is_predicted(config: Config, study: Study) -> bool:
    """Say whether a study's phenotype is predicted with scores."""
    return "deepnull" in study.arms and config.scores["method"] != "none"


def jobs_of(rule: str, config: Config) -> Iterator[tuple[dict[str, str], int]]:
    """Go through the jobs that a whole run has of a rule.

    Yields
    ------
    (wildcards, how many jobs have them and differ in their chunk or arm only)
    """
    per = STEPS[rule].per
    if per == "run":
        yield {}, 1
        return
    for name, cohort in config.cohorts.items():
        studies = config.studies_of(name)
        if per in ("cohort", "chunk"):
            yield {"cohort": name}, cohort.chunks if per == "chunk" else 1
        elif per == "simulated cohort":
            if cohort.simulate is not None:
                yield {"cohort": name}, 1
        elif per == "cohort with structure":
            if has_structure(config, name):
                yield {"cohort": name}, 1
        elif per == "cohort with components":
            if any(s.pcs for s in studies):
                yield {"cohort": name}, 1
        elif per == "cohort with predicted studies":
            if any(_is_predicted(config, s) for s in studies):
                yield {"cohort": name}, 1
        elif per.startswith("batch"):
            for batch, members in config.batches(name).items():
                if per == "batch and chunk":
                    yield {"cohort": name, "batch": batch}, cohort.chunks
                elif per == "batch" or any(len(s.arms) == 2 for s in members):
                    yield {"cohort": name, "batch": batch}, 1
        else:
            for study in studies:
                times = {
                    "study": 1,
                    "study and arm": len(study.arms),
                    "deepnull study": int("deepnull" in study.arms),
                    "study with both arms": int(len(study.arms) == 2),
                    "predicted study": int(_is_predicted(config, study)),
                }[per]
                if times:
                    yield {"cohort": name, "study": study.name}, times


@dataclass(frozen=True)
class Row:
    """One rule in the plan: ``mb`` and ``seconds`` are those of its largest job, ``core_seconds`` the sum over its jobs."""

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


def disk_mb(config: Config, base: str | Path = ".") -> dict[str, float]:
    """Estimate the disk space that the results take, MB by kind; the user's own files are not counted (they are read in place).

    Parameters
    ----------
    config, base
        As :func:`plan_run`.
    """
    simulated = tables = associations = studies = published = 0.0
    for name, cohort in config.cohorts.items():
        size = cohort_size(cohort, base)
        n, m = size.people, size.variants
        if cohort.simulate is not None:
            simulated += n * m / 4 + 35 * m + size.table_bytes
        tables += m * 55 + n * (60 + 16 * cohort.chunks) + size.table_bytes
        if has_structure(config, name):
            tables += n * 8 * (cohort.structure["pcs"] + 4)
            tables += min(PRUNED_SHARE * m, PRUNED_MOST) * 8 * (cohort.structure["pcs"] + 4)
        for study in config.studies_of(name):
            binary = study.trait == "binary"
            studies += n * (8 * (columns_of(study) + 3) + (80 if "deepnull" in study.arms else 0)) + 2.5e6
            associations += m * ((40 if binary else 12) + 27 * len(study.arms))
            published += m * len(study.arms) * (46 if binary else 37)
        associations += m * 20 * len(config.batches(name))
    kinds = {
        "simulated genotypes and tables": simulated,
        "tables of the cohort (variants, people, quality control, structure)": tables,
        "people, predictions and figures of the studies": studies,
        "association tables": associations,
        "summary statistics": published,
    }
    return {kind: _mega(value) for kind, value in kinds.items() if value}


def plan_text(config: Config, base: str | Path = ".") -> str:
    """Write the plan of a run for people: the cohorts, one line a rule, the sums, the disk space; parameters as :func:`plan_run`."""
    from deepnull_gwas.logs import duration

    lines = []
    for name, cohort in config.cohorts.items():
        size = cohort_size(cohort, base)
        batches = config.batches(name)
        lines.append(
            f"cohort {name}: {size.people:,} people, {size.variants:,} variants{' (simulated)' if cohort.simulate else ''}; "
            f"{len(config.studies_of(name))} studies in {len(batches)} batch{'es' if len(batches) > 1 else ''}, {cohort.chunks} chunks"
        )
    rows = plan_run(config, base)
    wide = max(len(r.rule) for r in rows)
    head = f"{'rule':<{wide}}  {'jobs':>7}  {'threads':>7}  {'MB a job':>9}  {'time a job':>10}  {'core-hours':>10}"
    lines += ["", head, "-" * len(head)]
    lines += [
        f"{r.rule:<{wide}}  {r.jobs:>7,}  {r.threads:>7}  {r.mb:>9,}  {duration(r.seconds):>10}  {r.core_seconds / 3600:>10.2f}"
        for r in rows
    ]
    largest = max(rows, key=lambda r: r.mb)
    lines += [
        "-" * len(head),
        f"{'all':<{wide}}  {sum(r.jobs for r in rows):>7,}  {'':>7}  {largest.mb:>9,}  {'':>10}  {sum(r.core_seconds for r in rows) / 3600:>10.2f}",
        "",
        f"Memory: the largest job ({largest.rule}) asks for {largest.mb:,} MB; jobs that run side by side add up.",
        f"Time: {duration(sum(r.core_seconds for r in rows))} on one core; on a cluster, where jobs run side by side, at least "
        f"{duration(sum(r.seconds for r in rows))} (the longest job of each rule, one after the other).",
    ]
    disk = disk_mb(config, base)
    lines.append(f"Disk: {sum(disk.values()) / 1e3:,.2f} GB of results:")
    lines += [f"  {value / 1e3:>9,.2f} GB  {kind}" for kind, value in disk.items()]
    lines.append(
        f"Memory is what a job asks for ({SNAKEMAKE_MB} MB of it for Snakemake's own processes); time is a guess for one idle core, good to a factor of two or three. "
        "People who are not in the sample table, and variants that fail quality control, count here as if they stayed."
    )
    return "\n".join(lines) + "\n"

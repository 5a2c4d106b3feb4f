"""Memory and time of the whole-genome regression: one formula per rule (see :mod:`.of_cohorts`)."""

from __future__ import annotations

from deepnull_gwas.resources.jobs import Estimate, Job, columns_of, mega
from deepnull_gwas.resources.of_cohorts import decoded, mapped

#: Kinds of predictors of a study and arm, by the number of passes (whole_genome.blocks).
KINDS = {1: 7, 2: 4}
#: Chromosomes that take part, and one more for offsets that leave out none.
CHROMOSOMES, OFFSETS = 22, 23


def _regressed(job: Job) -> int:
    """Return how many variants enter the regression, at most."""
    return int(min(job.size.variants, job.config.whole_genome["maximum_variants"]))


def _arms(job: Job) -> int:
    """Return the arms of all studies of the job whose model is the whole-genome regression."""
    return sum(len(s.arms) for s in job.studies if s.is_whole_genome)


def temporary_bytes(job: Job) -> float:
    """Return the bytes of the temporary files of all parts of a batch: sums by chromosome, and of a first pass."""
    settings, n, arms, parts = job.config.whole_genome, job.size.people, _arms(job), job.config.parts(job.cohort.name)
    # a chromosome may be divided between two parts
    predicted = 8.0 * n * (CHROMOSOMES + parts - 1) * KINDS[settings["passes"]] * arms
    # what a first pass explains, its effects and its products
    first = 4.0 * settings["folds"] * arms * (n * parts + 3 * _regressed(job))
    return predicted + (first if settings["passes"] == 2 else 0.0)


def fit_blocks(job: Job) -> Estimate:
    settings, n, arms = job.config.whole_genome, job.size.people, _arms(job)
    size, folds, kinds = settings["block_size"], settings["folds"], KINDS[settings["passes"]]
    variants = -(-_regressed(job) // job.config.parts(job.cohort.name))
    studies = [s for s in job.studies if s.is_whole_genome]
    # covariates; residuals of each fold's training set, laid out for the products; what the blocks explain
    held = 24 * n * sum(columns_of(s) + 2 for s in studies) + 32 * n * folds * arms + 16 * n * arms * kinds
    # a block of whole numbers, its products fold by fold, and codes and sums of some people at a time
    block = 2 * n * size + size * size * (4 * folds + 40) + 8 * min(n, 4096) * (size + 2 * folds * arms)
    # products of the block with itself are made once, and for people of other studies from those who differ; then
    # regressions in each fold, which do not depend on the number of people, and what they predict
    products = (2.6e-9 + 7e-12 * size) * n * (1 + 0.1 * (len(studies) - 1))
    fits = 3.5e-6 * folds + folds / 10 * arms * (3e-10 * n + 4e-6)
    seconds = variants * (products + fits) * kinds / KINDS[2] + decoded(job, variants, calls=True)
    return Estimate(275 + mapped(job) + mega(held + job.threads * block), 3 + seconds / job.threads)


def refit_blocks(job: Job) -> Estimate:
    first = fit_blocks(job)
    # what all blocks explain of one arm, summed over the parts, and what they leave
    return Estimate(first.mb + mega(24 * job.size.people * job.config.whole_genome["folds"]), 1.5 * first.seconds)


def stack_blocks(job: Job) -> Estimate:
    settings, n = job.config.whole_genome, job.size.people
    kinds, binary = KINDS[settings["passes"]], any(s.has_cases for s in job.studies)
    # sums of one arm, those of the training set of one fold, and offsets of both arms
    held = 32.0 * n * CHROMOSOMES * kinds + 8 * n * OFFSETS * _arms(job) + 24 * n * (job.covariates + 3)
    seconds = _arms(job) * settings["folds"] * n * CHROMOSOMES * kinds * (1e-7 if binary else 2e-8)
    return Estimate(210 + mega(held), 3 + seconds)


def export_offsets(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # tables of text with a column per chromosome, and what they are made of
    return Estimate(300 + mega((1500 + 60 * job.covariates) * n + 60 * m), 2 + 1e-4 * n * _arms(job) + 1e-6 * m)

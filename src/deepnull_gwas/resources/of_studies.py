"""Memory and time of the steps that are about studies and batches: one formula per rule (see :mod:`.of_cohorts`)."""

from __future__ import annotations

from deepnull_gwas.deepnull.recipe import FEW_PEOPLE, FOLDS_OF_FEW, FOLDS_OF_MANY
from deepnull_gwas.genotypes.files import dosages_at_once
from deepnull_gwas.resources.jobs import Estimate, Job, columns_of, mega
from deepnull_gwas.resources.of_cohorts import decoded, mapped
from deepnull_gwas.resources.size import rare_share

#: Chromosomes on which a scan is at a time where each has null models of its own (association.chunk.PLACES_HELD).
PLACES_AT_A_TIME = 4

#: Length of the genome, base pairs.
GENOME = 3.1e9


def _is_light(job: Job) -> bool:
    """Return whether only linear models are fitted: no torch, no trees."""
    deepnull = job.config.deepnull
    return not deepnull["compare"] and all((s.model or deepnull["model"]) == "linear" for s in job.studies)


def train_folds(job: Job) -> Estimate:
    n, p = job.size.people, job.covariates
    if _is_light(job):
        return Estimate(190 + mega((60 * p + 800) * n), 3 + 3e-5 * n)
    # on a GPU the other models of all folds wait for the networks
    folds = job.config.deepnull["folds"] or (FOLDS_OF_FEW if n < FEW_PEOPLE else FOLDS_OF_MANY)
    waiting = folds * 16 * n * (p + 10) if job.config.deepnull["device"] == "cuda" else 0
    # curves of each covariate and up to 200 products, twice over; the Gaussian processes' features and their sums; the
    # search of their hyperparameters takes as long with few people as with many
    return Estimate(950 + mega(18 * n * (12 * p + 210) + waiting), 12 + folds * (4 + 0.2 * p + 1.4e-3 * n))


def plot_deepnull(job: Job) -> Estimate:
    return Estimate(180, 3)


def score_study(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # not measured: room for the variants that may enter, and the blocks in which they are read
    held = (1000 + 100 * job.covariates) * n + 500 * m + 3 * job.size.text_bytes
    return Estimate(2000 + mapped(job) + mega(held), 20 + (1e-8 * n * m + decoded(job, m)) / job.threads)


def list_passed(job: Job) -> Estimate:
    return Estimate(250 + mega(300 * job.size.variants), 1 + 1e-6 * job.size.variants)


def export_study(job: Job) -> Estimate:
    return Estimate(250 + mega((800 + 60 * job.covariates) * job.size.people), 1 + 2e-5 * job.size.people)


def _refined(job: Job, p: int) -> float:
    """Return the mean seconds per variant that a binary study with ``p`` columns takes beyond its score test."""
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
        # few copies among cases or controls: the rare ones, and of few people nearly all (a quarter of the alleles,
        # half of them in cases)
        common = likelihood
        rare = max(rare, min(1.0, 4.0 * a["firth_mac"] / n))
    share = 1.0 if a["missing_genotypes"] == "drop" else min(float(a["refine_below"]), 1.0)
    return share * (rare * carried + (1.0 - rare) * common)


def associate(job: Job) -> Estimate:
    n, m = job.size.people, job.chunk
    block = job.config.association["variants_per_block"]
    double = 2 if job.config.association["exact"] else 1
    drop = 3 if job.config.association["missing_genotypes"] == "drop" else 1
    binary = [(columns_of(s) + 1, len(s.arms)) for s in job.studies if s.has_cases]
    arms = sum(k for _, k in binary)
    # inputs and null models in double precision, the columns of the design laid out for the kernels, results that wait
    # to be written; of binary studies the expansion around the null model, and what is computed for one variant
    held = (5 + 4 * double * drop) * n * job.width + (300 + 40 * arms + 60 * bool(arms)) * n
    # what the genome predicts is another on each chromosome: so are the null models, of which some are held at a time
    by_chromosome = any(s.is_whole_genome for s in job.studies)
    held = 24 * n * job.covariates + held * (PLACES_AT_A_TIME if by_chromosome else 1)
    # packed calls and a copy; dosages of two bytes, and a copy where haploid people have odd ones
    block = dosages_at_once(n, block) if job.size.is_decoded else block
    of_genotypes = 4.5 * n if job.size.is_decoded else n / 2
    waiting = 2 * 16 * block * 60 * job.arms + job.threads * block * (of_genotypes + 8 * job.width)
    if job.size.is_decoded:
        # buffers of each thread, what readers know of variants, and what is left behind where blocks are decoded
        # (measured at 20,000 and 200,000 people)
        held += job.threads * (2e7 + 10 * n) + 120 * job.size.variants + 450 * n
    # once all blocks are written, the check by the second implementation: the covariates of one study and a few arrays
    # of their size
    check = 8 * n * (5 * max((columns_of(s) for s in job.studies), default=0) + 10)
    rate = 2.5e-11 * n * job.width + 2e-9 * n * arms + 1e-6 * job.arms
    rate += 2e-9 * n * sum(len(s.arms) for s in job.studies if job.has_correlated(s))
    rate += sum(k * _refined(job, p) for p, k in binary) + decoded(job, 1)
    # penalised null models and expansions
    setup = sum(k * n * p * p * (1e-9 + 3e-10 * p) for p, k in binary)
    if by_chromosome:
        setup += sum(len(s.arms) * n * (columns_of(s) + 1) ** 2 * 1e-9 for s in job.studies)
        setup *= 1 + 22 / job.cohort.chunks
    text = 150 * job.size.variants + 2 * job.size.text_bytes
    return Estimate(400 + mega(held + max(waiting, check) + text), 6 + setup + m * rate / job.threads)


def merge_sumstats(job: Job) -> Estimate:
    # rows as they are turned into text, at most 131,072 at a time (results.sumstats); a chunk; p of all variants, for
    # lambda
    held = 900 * min(job.chunk, 1 << 17) + 160 * job.chunk + 32 * job.size.variants
    held += 4 * job.size.text_bytes * job.chunk / max(job.size.variants, 1)
    return Estimate(240 + mega(held), 2 + 1.2e-5 * job.size.variants)


def plot_sumstats(job: Job) -> Estimate:
    # place and p of both arms, and what thins the points that are drawn
    return Estimate(255 + mega(105 * job.size.variants), 4 + 2.5e-6 * job.size.variants)


def compare_arms(job: Job) -> Estimate:
    return Estimate(310 + mega(100 * job.size.variants), 3 + 3e-6 * job.size.variants)


def measure_regions(job: Job) -> Estimate:
    n, loci, half = job.size.people, job.config.report["regions"], 1000 * job.config.report["region_kb"]
    # variants in all regions, were they spread evenly over the genome, and at most all of them
    tested = min(job.size.variants, job.size.variants * 2 * half * loci / GENOME)
    # planes of the references and of a block; part of the table of variants
    held = 61 * 3 * n / 8 + 120 * min(job.size.variants, 1 << 20) + 2 * job.size.variants
    seconds = decoded(job, tested) + tested * 61 * n / 64 * 6e-10 + 2e-6 * job.size.variants
    return Estimate(420 + mapped(job) + mega(held), 4 + seconds)


def plot_regions(job: Job) -> Estimate:
    loci = job.config.report["regions"]
    # variants of one region and their correlations as text; at most some ten thousand
    return Estimate(300, 4 + 1.5 * loci)


def small(job: Job) -> Estimate:
    return Estimate(255, 3)


def summarise_run(job: Job) -> Estimate:
    # what each publication has summed up
    return Estimate(220 + 0.02 * job.arms, 2 + 0.01 * job.arms)


def describe_study(job: Job) -> Estimate:
    # place, class and p of all variants, and a copy of one arm that is sorted
    return Estimate(280 + mega(60 * job.size.variants), 2 + 1.2e-6 * job.size.variants)


def build_site(job: Job) -> Estimate:
    # the regions of one study at a time
    return Estimate(300, 2 + 1.5 * len(job.studies))


def verify_batch(job: Job) -> Estimate:
    n, m, p = job.size.people, job.size.variants, max((columns_of(s) for s in job.studies), default=0)
    tested = job.config.verify["variants"] * sum(len(s.arms) * (8 * p if s.has_cases else 1) for s in job.studies)
    scan = associate(job)
    return Estimate(
        scan.mb + 100 + mega(400 * m + 4 * job.size.text_bytes + 60 * n * (p + 3)),
        6 + tested * n * p * 4e-10 + 4e-7 * m * job.arms,
    )


def measure_validity(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    analyses = sum(len(s.arms) for s in job.studies)
    return Estimate(350 + mega(8000 * n + 40 * m * analyses + 500 * m), 5 + 2e-6 * m * analyses + 6e-7 * n * m)

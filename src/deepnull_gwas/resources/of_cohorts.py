"""Memory and time of the steps that are about a cohort: one formula per rule.

``n`` people, ``m`` variants of the cohort. The first number of a formula is Python with the libraries, and what numba
needs to compile; the others are bytes of what is held for each person and variant, measured.
"""

from __future__ import annotations

import math

from deepnull_gwas.resources.jobs import Estimate, Job, columns_of, mega

#: Most people whose components come from the whole relationship matrix (as in cohort.pca).
EXACT_PEOPLE = 5_000
#: What may be held of genotypes that are read through a memory map: a little over what `genotypes.bed` gives back.
MAPPED_MB = 80.0
#: What is held of genotypes that are decoded block by block (`genotypes.dosage_counts`, `genotypes.bgen`).
DECODED_MB = 90.0
#: Seconds that it takes to count a decoded genotype: hard calls, what is missing, sums by sex.
COUNTED_DOSAGE = 5e-9
#: Genotypes of a VCF that are imported in a second.
IMPORTED_PER_SECOND = 5e6


def mapped(job: Job) -> float:
    """Return what is held of genotypes that are read, MB: through a memory map, or a block that is decoded."""
    if job.size.is_decoded:
        # dosages of two bytes, hard calls and buffers of a block; what readers know of each variant
        return DECODED_MB + mega(5 * job.size.people + 120 * job.size.variants)
    return min(MAPPED_MB, mega(job.size.people * job.size.variants / 4))


def simulate_genotypes(job: Job) -> Estimate:
    n, m, largest = job.size.people, job.size.variants, job.size.largest_chromosome
    # haplotypes of one chromosome and genotypes made of them; its tree sequence
    return Estimate(250 + mega(3.3 * n * largest + 3000 * largest + 3700 * n), 3 + 3e-8 * n * m + 3e-4 * m)


def simulate_phenotypes(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    phenotypes = len(job.cohort.simulate["phenotypes"])
    # 1,500 variants of everybody in double precision, three times over, for the ancestry
    return Estimate(
        400 + mega((36_000 + 100 * phenotypes) * n + 600 * m), 3 + 2e-9 * n * m + 1.5e-4 * n + 1e-5 * n * phenotypes
    )


def decoded(job: Job, variants: float, passes: float = 1, calls: bool = False) -> float:
    """Return the seconds in which one core decodes variants; ``calls``: those that stand for structure."""
    return passes * job.size.people * variants / (job.size.calls_rate if calls else job.size.decoding_rate)


def import_vcf(job: Job) -> Estimate:
    n, largest = job.size.people, job.size.largest_chromosome
    # texts of a row, and what PLINK 2's writer knows of each variant
    return Estimate(330 + mega(300 * n + 60 * largest), 5 + n * largest / IMPORTED_PER_SECOND)


def index_cohort(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    held = 230 * m + 4 * job.size.text_bytes + 1000 * n + 8 * job.size.table_bytes
    # the longest chromosome, and alleles as numbers; a pass over the genome's sequence
    reference = bool(job.cohort.reference)
    held += reference * (300e6 + 60 * m)
    return Estimate(280 + mega(held), 2 + 4e-6 * m + 1e-5 * n + reference * (45 + 2e-6 * m))


def screen_cohort(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # in addition to the studies, rows of 500,000 variants, some genotypes, and the index of a .bgen
    held = 160 * min(m, 500_000) + 150 * m * bool(job.cohort.bgen_reference) + 100e6
    studies = preflight_cohort(job)
    return Estimate(330 + mega(held) + studies.mb - 150, 6 + 1e-6 * m + studies.seconds + 1e-5 * n)


def preflight_cohort(job: Job) -> Estimate:
    n = job.size.people
    return Estimate(150 + mega(1000 * n + 5 * job.size.table_bytes), 1 + 2e-6 * n * max(len(job.studies), 1))


def assemble_study(job: Job) -> Estimate:
    n, p = job.size.people, job.covariates
    return Estimate(165 + mega((1300 + 45 * p) * n + 5 * job.size.table_bytes), 1 + 1e-5 * n)


def count_genotypes(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    counted = COUNTED_DOSAGE if job.size.is_decoded else 1e-9
    return Estimate(
        310 + mapped(job) + mega(150 * n + 100 * m),
        2 + 4e-6 * job.chunk + counted * n * job.chunk + decoded(job, job.chunk),
    )


def index_array(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # index and count, one after the other, of everything at once
    held = 330 * m + 4 * job.size.text_bytes + 1200 * n
    return Estimate(
        310 + mapped(job) + mega(held), 4 + 8e-6 * m + 2e-9 * n * m + 2e-5 * n + decoded(job, m, calls=True)
    )


def filter_cohort(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # blocks of genotypes that are counted again, in addition to those that are mapped; decoded ones are counted at once
    blocks = mapped(job) * (1 if job.size.is_decoded else 2)
    held = 850 * m + 2 * job.size.text_bytes + 1200 * n
    # dosages are decoded once more for people's heterozygosity, and once where people are left out
    counted = COUNTED_DOSAGE if job.size.is_decoded else 1e-9
    return Estimate(350 + blocks + mega(held), 2 + 5e-6 * m + counted * n * m + decoded(job, m, 2))


def plot_qc(job: Job) -> Estimate:
    return Estimate(215 + mega(310 * job.size.variants + 700 * job.size.people), 3 + 1e-6 * job.size.variants)


def describe_cohort(job: Job) -> Estimate:
    return Estimate(230 + mega(60 * job.size.variants + 300 * job.size.people), 2 + 2e-7 * job.size.variants)


def prune_variants(job: Job) -> Estimate:
    n, m = job.size.people, job.size.variants
    # bit planes of a window of dense variants, and a block of them
    held = min(940, 0.375 * m) * n + 200 * m + 0.5 * job.size.text_bytes
    return Estimate(340 + 220 + mega(held), 3 + 3e-9 * n * m + 3e-6 * m + decoded(job, m, calls=True))


def _work(job: Job) -> float:
    """Return the work space that the config grants kinship and components, MB."""
    return float(job.cohort.structure["memory_mb"])


def estimate_kinship(job: Job) -> Estimate:
    n, m = job.size.people, job.pruned
    if job.cohort.table_of_relatives:
        return Estimate(330 + mega(700 * n), 3 + 1e-5 * n)  # pairs are read from a table
    rows = min(_work(job), mega(16 * n * math.ceil(m / 64)))
    # strangers are out after the first 16,384 variants
    return Estimate(
        330 + 1.2 * rows + mapped(job) + mega(2500 * n),
        3 + n * n / 2 * min(m, 24_576) / 4e10 / job.threads + decoded(job, m, calls=True),
    )


def compute_pcs(job: Job) -> Estimate:
    n, m, k = job.size.people, job.pruned, int(job.cohort.structure["pcs"])
    if n <= EXACT_PEOPLE:
        # the relationship matrix and its decomposition
        held, seconds = mega(20 * n * n), n * n * m / 4e10 + 1.2e-10 * n**3 + decoded(job, m, calls=True)
    else:
        # the basis of 60 passes at most, and its images
        width = -(-(k + 4) // 8) * 8
        held, seconds = 100 + min(_work(job), mega(60 * width * 16 * n)) * 1.05, 13 * n * m * 3e-9
        # where nothing stands out, passes are many, and each is made orthogonal to all before
        seconds += 6e-5 * n + decoded(job, m, 13, calls=True)
    return Estimate(400 + held + mapped(job) + mega(45 * n * (k + 12) + (200 + 16 * k) * m), 3 + seconds / job.threads)


def adjust_kinship(job: Job) -> Estimate:
    n, m, k = job.size.people, job.pruned, max((s.pcs for s in job.studies), default=0)
    if job.cohort.table_of_relatives or not k or not job.cohort.structure["adjust_kinship"]:
        return Estimate(330 + mega(700 * n), 3 + 1e-5 * n)  # passed on as they are
    rows = min(_work(job), mega(24 * n * math.ceil(m / 64)))
    # as if people were of several ancestries; what is expected of each of their genotypes is computed one by one
    return Estimate(
        330 + 1.5 * rows + mapped(job) + mega(3000 * n + 32 * (k + 1) * m),
        3 + n * (n / 2 * min(m, 24_576) / 4e10 + m * (k + 4) * 2e-9) / job.threads + decoded(job, m, 2, calls=True),
    )


def check_stratification(job: Job) -> Estimate:
    n, m = job.size.people, job.pruned
    p = max((columns_of(s) for s in job.studies), default=0)
    seconds = len(job.studies) * (n * m * 3e-9 + decoded(job, m, calls=True))
    return Estimate(330 + mapped(job) + mega(150 * n * (p + 10) + 50 * m), 3 + seconds)


def plot_structure(job: Job) -> Estimate:
    n = job.size.people
    # 200 MB for the points of ten components at 300 dpi, whose pictures a PDF holds until it is finished
    return Estimate(430 + mega(1100 * n + 60 * n * len(job.studies) + 300 * job.pruned), 6 + 1e-5 * n)

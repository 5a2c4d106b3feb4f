# Products: functions that name what other jobs make, for the inputs of a job, from its wildcards.


def chunks_of(cohort):
    """Return a cohort's chunks."""
    return range(PLAN.cohorts[cohort].chunks)


def counts_of_chunks(suffix):
    """Return the function that names a cohort's count tables of one kind."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/qc/counts/{chunk}.{suffix}"
            for chunk in chunks_of(wildcards.cohort)
        ]

    return files


def pcs_of_study(wildcards):
    """Return the principal components, where the study has any as covariates."""
    if PLAN.study(wildcards.cohort, wildcards.study).pcs:
        return f"<results>/{wildcards.cohort}/structure/pcs.parquet"
    return []


def of_array(name):
    """Return the function that names a file made of the hard calls beside a cohort's genotypes, where it has any."""

    def files(wildcards):
        if PLAN.cohorts[wildcards.cohort].structure_filesets:
            return f"<results>/{wildcards.cohort}/structure/array/{name}"
        return []

    return files


def for_structure(of_array, of_cohort):
    """Return the function that names a file of the hard calls beside a cohort's genotypes, else the cohort's own."""

    def files(wildcards):
        if PLAN.cohorts[wildcards.cohort].structure_filesets:
            return f"<results>/{wildcards.cohort}/structure/array/{of_array}"
        return f"<results>/{wildcards.cohort}/{of_cohort}"

    return files


def has_structure(cohort):
    """Return whether anything of a cohort needs its relatives."""
    return resources.has_structure(PLAN, cohort)


def pcs_for_kinship(wildcards):
    """Return a cohort's principal components, where any of its studies uses them."""
    if any(study.pcs for study in PLAN.studies_of(wildcards.cohort)):
        return f"<results>/{wildcards.cohort}/structure/pcs.parquet"
    return []


def structure_of_cohort(name):
    """Return the function that names a file of a cohort's structure, where anything needs it."""

    def files(wildcards):
        if has_structure(wildcards.cohort):
            return f"<results>/{wildcards.cohort}/structure/{name}"
        return []

    return files


def of_studies(name):
    """Return the function that names one file of each study of a cohort."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/{study.name}/{name}"
            for study in PLAN.studies_of(wildcards.cohort)
        ]

    return files


def accuracies_of_cohort(wildcards):
    """Return the accuracies of a cohort's predicted studies, in the order of the sheet."""
    return [
        f"<results>/{job['cohort']}/{job['study']}/scores/accuracy.json"
        for job, _ in resources.jobs_of("score_study", PLAN)
        if job["cohort"] == wildcards.cohort
    ]


def files_of_batch(name):
    """Return the function that names one file per study of the batch."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/{study.name}/{name}"
            for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        ]

    return files


def predictions_of_batch(wildcards):
    """Return the predictions of the batch's studies that have the deepnull arm."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/deepnull/prediction.parquet"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        if "deepnull" in study.arms
    ]


def published_of_batch(wildcards):
    """Return what is published of the batch's studies, with what was written down about it."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/{arm}/{name}"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        for arm in study.arms
        for name in (
            "sumstats.tsv.gz",
            "sumstats.tsv.gz.tbi",
            "sumstats.tsv.gz-meta.yaml",
            "other_alleles.tsv.gz",
            "untested.tsv.gz",
            "leads.tsv",
        )
    ] + [
        f"<results>/{wildcards.cohort}/{study.name}/deepnull/metrics.json"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        if "deepnull" in study.arms
    ]


def comparisons_of_batch(wildcards):
    """Return the comparisons of the batch's studies that have both arms."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/comparison.json"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        if len(study.arms) == 2
    ]


def chunks_of_study(wildcards):
    """Return the association tables that hold a study, in order."""
    batch = PLAN.study(wildcards.cohort, wildcards.study).batch
    return [
        f"<results>/{wildcards.cohort}/associations/{batch}/{chunk}.parquet"
        for chunk in chunks_of(wildcards.cohort)
    ]


def per_arm(name, prefix=""):
    """Return the function that names one file for each arm of a study, by a prefix and the arm."""

    def files(wildcards):
        return {
            f"{prefix}{arm}": f"<results>/{wildcards.cohort}/{wildcards.study}/{arm}/{name}"
            for arm in PLAN.study(wildcards.cohort, wildcards.study).arms
        }

    return files


def sumstats_of_cohort(wildcards):
    """Return the summary statistics of all studies of a cohort."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/{arm}/sumstats.tsv.gz"
        for s in PLAN.studies_of(wildcards.cohort)
        for arm in s.arms
    ]


def metrics_of_cohort(wildcards):
    """Return the metrics of a cohort's predictions."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/deepnull/metrics.json"
        for s in PLAN.studies_of(wildcards.cohort)
        if "deepnull" in s.arms
    ]


# what quality control of people, pruning, relatives and components go by
genotypes_for_structure = for_structure("genotypes.json", "genotypes.json")
variants_for_structure = for_structure("variants.parquet", "variants.parquet")
qc_variants_for_structure = for_structure("qc_variants.parquet", "qc/variants.parquet")
sumstats_of_arms = per_arm("sumstats.tsv.gz")
index_of_arms = per_arm("sumstats.tsv.gz.tbi", "index_")
leads_of_arms = per_arm("leads.tsv", "leads_")
other_alleles_of_arms = per_arm("other_alleles.tsv.gz", "other_alleles_")
people_of_studies = of_studies("samples.parquet")
# the accounts of who is analysed
accounts_of_studies = of_studies("study.json")

# Of the whole-genome regression: functions that name files and parameters of its jobs, and of those that use what it
# predicts (products.smk, settings.smk).


def genome_studies(wildcards):
    """Return the batch's studies whose model is the whole-genome regression."""
    studies = PLAN.batches(wildcards.cohort)[wildcards.batch]
    return [study for study in studies if study.is_whole_genome]


def files_of_genome(name):
    """Return the function that names one file per study of the batch whose model is the whole-genome regression."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/{study.name}/{name}"
            for study in genome_studies(wildcards)
        ]

    return files


def relatives_of_batch(wildcards):
    """Return the cohort's pairs of relatives, where the model of any of the batch's studies takes them into account."""
    if genome_studies(wildcards):
        return f"<results>/{wildcards.cohort}/structure/relatives.tsv"
    return []


def predictions_of_genome(wildcards):
    """Return the predictions of those of these studies that have the deepnull arm."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/deepnull/prediction.parquet"
        for study in genome_studies(wildcards)
        if "deepnull" in study.arms
    ]


def prediction_of_study(wildcards):
    """Return a study's prediction, where it has the deepnull arm."""
    if "deepnull" in PLAN.study(wildcards.cohort, wildcards.study).arms:
        return f"<results>/{wildcards.cohort}/{wildcards.study}/deepnull/prediction.parquet"
    return []


def parts_of_genome(kind):
    """Return the function that names the predictors of a batch's blocks, of the `first` or `second` pass."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/associations/{wildcards.batch}/genome/{part}.{kind}"
            for part in range(PLAN.parts(wildcards.cohort))
        ]

    return files


def parts_of_study(wildcards):
    """Return the predictors of the blocks of a study's batch, of the last pass."""
    batch = PLAN.study(wildcards.cohort, wildcards.study).batch
    last = "second" if PLAN.whole_genome["passes"] == 2 else "first"
    return parts_of_genome(last)(SimpleNamespace(cohort=wildcards.cohort, batch=batch))


def genomes_of_cohort(wildcards):
    """Return how well the whole-genome regression predicts, of each of a cohort's studies whose model it is."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/genome/genome.json"
        for study in PLAN.studies_of(wildcards.cohort)
        if study.is_whole_genome
    ]


def genome_of_study(wildcards):
    """Return how well the whole-genome regression of a study predicts, where that is its model."""
    if PLAN.study(wildcards.cohort, wildcards.study).is_whole_genome:
        return f"<results>/{wildcards.cohort}/{wildcards.study}/genome/genome.json"
    return []


def arms_of_study(wildcards):
    """Return the arms of a study."""
    return list(PLAN.study(wildcards.cohort, wildcards.study).arms)


def arms_of_genome(wildcards):
    """Return the arms of the batch's studies whose model is the whole-genome regression, in the order of inputs."""
    return [list(study.arms) for study in genome_studies(wildcards)]


def number_of_parts(wildcards):
    """Return the number of jobs over which the blocks of a batch are spread."""
    return PLAN.parts(wildcards.cohort)


def genome_settings(wildcards):
    """Return the settings of the whole-genome regression."""
    # not parts and threads: how the work is cut up changes no number
    settings = {
        k: v for k, v in PLAN.whole_genome.items() if k not in ("parts", "threads")
    }
    build = PLAN.cohorts[wildcards.cohort].genome_build
    return settings | {"genome_build": build, "seed": PLAN.seed}

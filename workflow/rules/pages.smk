# What the rules of regions and of the site are given: files and settings of a study, of a cohort.


def loci_of_study(wildcards):
    """Return the table of a study's loci: that of both arms, or the lead variants of the only one."""
    study = PLAN.study(wildcards.cohort, wildcards.study)
    if study.is_compared:
        return f"<results>/{study.cohort}/{study.name}/comparison.tsv"
    return f"<results>/{study.cohort}/{study.name}/{study.arms[0]}/leads.tsv"


def region_settings(wildcards):
    """Return how many regions there are at most, how wide they are, and the genome build."""
    settings = {k: PLAN.report[k] for k in ("regions", "region_kb")}
    return settings | {"genome_build": PLAN.cohorts[wildcards.cohort].genome_build}


def drawing_settings(wildcards):
    """Return what the figures of regions depend on beyond their data."""
    build = PLAN.cohorts[wildcards.cohort].genome_build
    return {"genome_wide": PLAN.report["genome_wide"], "genome_build": build}


def files_of_page(wildcards):
    """Return the files that a study's page is made from, in addition to the tables of its batch."""
    study = PLAN.study(wildcards.cohort, wildcards.study)
    names = ["study.json", "samples.parquet"]
    names += [f"{arm}/{name}" for arm in study.arms for name in SITE_FILES_OF_ARM]
    names += ["deepnull/metrics.json"] if "deepnull" in study.arms else []
    names += ["comparison.json", "comparison.tsv"] if study.is_compared else []
    names += ["genome/genome.json"] if study.is_whole_genome else []
    return [f"<results>/{wildcards.cohort}/{wildcards.study}/{name}" for name in names]


def entry_of_study(wildcards):
    """Return cohort, study, arms and model of a study."""
    study = PLAN.study(wildcards.cohort, wildcards.study)
    return {
        "cohort": study.cohort,
        "study": study.name,
        "arms": list(study.arms),
        "model": study.association_model,
        "genome_build": PLAN.cohorts[study.cohort].genome_build,
    }


def page_settings(wildcards):
    """Return what is drawn as significant, and how many loci are named."""
    return {
        key: PLAN.report[key]
        for key in ("genome_wide", "suggestive", "top_loci_labelled")
    }


def files_of_structure(wildcards):
    """Return the files of relatives and components that a cohort's page is made from."""
    names = ["relatives.tsv"] if has_structure(wildcards.cohort) else []
    if has_components(wildcards.cohort):
        names += ["eigenvalues.tsv", "pcs.parquet", "stratification.tsv"]
    return [f"<results>/{wildcards.cohort}/structure/{name}" for name in names]


def has_components(cohort):
    """Return whether a cohort has principal components."""
    return any(
        job["cohort"] == cohort for job, _ in resources.jobs_of("compute_pcs", PLAN)
    )


def parts_of_structure(wildcards):
    """Return what there is of a cohort's structure."""
    return {
        "relatives": has_structure(wildcards.cohort),
        "components": has_components(wildcards.cohort),
    }


def digest_of_app(wildcards):
    """Return a digest of the files of the app, which no module imports."""
    digest = hashlib.sha256()
    for name, text in library_sources().items():
        if name.startswith("site/app/"):
            digest.update(f"{name}\n{text}".encode())
    return digest.hexdigest()[:16]

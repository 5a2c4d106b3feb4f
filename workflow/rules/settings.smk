# Settings: the parameters of a job, from its wildcards: as much of the configuration as the job depends on, so that no
# other change runs it again. Parameters with an argument `input` are not among Snakemake's reasons to run a job again.


def simulation_settings(wildcards):
    """Return a cohort's `simulate` settings."""
    return PLAN.cohorts[wildcards.cohort].simulate


def cohort_settings(wildcards):
    """Return what `index_cohort` needs to know of a cohort."""
    return PLAN.cohorts[wildcards.cohort].settings()


def vcf_settings(wildcards):
    """Return the field that a VCF's dosages are made of, and what becomes of rows of several alternative alleles."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return [cohort.vcf_field, cohort.vcf_multiallelic]


def minimum_overlap(wildcards):
    """Return the share of people that two tables of a cohort must have in common."""
    return PLAN.cohorts[wildcards.cohort].minimum_overlap


def number_of_chunks(wildcards):
    """Return the number of chunks of a cohort's variants."""
    return PLAN.cohorts[wildcards.cohort].chunks


def qc_settings(wildcards):
    """Return a cohort's quality-control settings."""
    return PLAN.cohorts[wildcards.cohort].qc


def structure_settings(wildcards):
    """Return a cohort's settings for pruning and principal components."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return cohort.structure | {"genome_build": cohort.genome_build}


def structure_filesets(wildcards):
    """Return the names of the filesets with hard calls for structure, where a cohort has any."""
    return list(PLAN.cohorts[wildcards.cohort].structure_filesets)


def sex_settings(wildcards):
    """Return the column with a cohort's recorded sex, and whether X tells the sex of people without a recorded one."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return {"column": cohort.sex, "infer_sex": cohort.qc["infer_sex"]}


def long_range_ld(wildcards, input):
    """Return the path of the table of regions; with `input`, as only its content is a reason to run the job again."""
    return str(LONG_RANGE_LD)


def long_range_ld_content(wildcards):
    """Return a digest of the table of regions."""
    return hashlib.sha256(LONG_RANGE_LD.read_bytes()).hexdigest()[:16]


def tables_of_cohort(wildcards, input):
    """Return the further tables that a cohort needs, and what they must fit; with `input`, as they may move."""
    return {
        "build": PLAN.cohorts[wildcards.cohort].genome_build,
        "folds": PLAN.deepnull["folds"],
        "pairs": str(pairs_found_elsewhere(wildcards) or "") or None,
        "loadings": str(loadings_of_others(wildcards) or "") or None,
        "fold_file": str(fold_file(wildcards) or "") or None,
        "scores": [str(path) for path in score_files_of_cohort(wildcards)],
        "genes": str(own_genes(wildcards) or "") or None,
    }


def colour_by(wildcards):
    """Return the columns of the sample table that colour the figure of components."""
    return PLAN.cohorts[wildcards.cohort].structure["colour_by"]


def lead_settings(wildcards):
    """Return what makes a lead variant."""
    return {k: PLAN.report[k] for k in ("genome_wide", "lead_window_kb")}


def score_settings(wildcards):
    """Return the settings of the polygenic scores."""
    # not threads: how the work is cut up changes no number
    return {k: v for k, v in PLAN.scores.items() if k != "threads"}


def association_settings(wildcards):
    """Return what the association needs to know in addition to the studies."""
    # not chunks and threads: how the work is cut up changes no number; nor the model: a study knows its own
    others = ("chunks", "threads", "model")
    settings = {k: v for k, v in PLAN.association.items() if k not in others}
    return settings | {"genome_build": PLAN.cohorts[wildcards.cohort].genome_build}


def settings_of_blocks(wildcards):
    """Return the settings of the association, and how many variants make a block."""
    return PLAN.association | association_settings(wildcards)


def deepnull_settings(wildcards):
    """Return the settings of the prediction: those of the config, overridden by the study's own."""
    study = PLAN.study(wildcards.cohort, wildcards.study)
    return PLAN.deepnull | study.deepnull_settings()


def cohort_in_report(wildcards):
    """Return the category of a cohort's results in the report.

    A word precedes the user's name, which might be that of one of Snakemake's own categories.
    """
    alike = [c for c in PLAN.cohorts if c.lower() == wildcards.cohort.lower()]
    number = f" ({alike.index(wildcards.cohort) + 1})" if len(alike) > 1 else ""
    return f"cohort {wildcards.cohort}{number}"


def settings_of_study(wildcards):
    """Return one study's settings, and how relatives are treated."""
    cohort = PLAN.cohorts[wildcards.cohort]
    study = PLAN.study(wildcards.cohort, wildcards.study)
    return study.settings() | {
        "relatives": "keep" if cohort.keeps_relatives(study) else "exclude",
        "cases_first": cohort.structure["cases_first"],
    }


def settings_of_studies(wildcards):
    """Return the settings of all studies of a cohort."""
    return [study.settings() for study in PLAN.studies_of(wildcards.cohort)]


def studies_and_arms(wildcards):
    """Return the settings of all studies of a cohort, and their arms."""
    return [
        study.settings() | {"arms": list(study.arms)}
        for study in PLAN.studies_of(wildcards.cohort)
    ]


def to_screen(wildcards, input):
    """Return all that is screened; with `input`, as a study that is added does not run the screening again."""
    return (
        settings_of_studies(wildcards),
        colour_by(wildcards),
        sex_settings(wildcards),
        tables_of_cohort(wildcards, input),
    )


def studies_of_batch(wildcards):
    """Return names, arms and models of the batch's studies, in the order of its inputs."""
    return [
        {
            "study": study.name,
            "arms": list(study.arms),
            "model": study.association_model,
        }
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
    ]


def run_folders(wildcards, input):
    """Return the folders of benchmarks and of the workflow; with `input`, as they may move."""
    return {"benchmarks": BENCHMARKS, "workflow": HOME}


def publication_info(wildcards):
    """Return what the metadata of the summary statistics contain about cohort and study."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return {
        "cohort": wildcards.cohort,
        "genome_build": cohort.genome_build,
        "date": PLAN.metadata_date,
        "imputation_panel": cohort.imputation_panel,
        "imputation_software": cohort.imputation_software,
    }


def rows_of_status(wildcards):
    """Return cohort, study, batch, arms and model of every study, in the order of the sheet."""
    return [
        {
            "cohort": s.cohort,
            "study": s.name,
            "batch": s.batch,
            "arms": list(s.arms),
            "model": s.association_model,
        }
        for s in STUDIES
    ]

# Settings: the parameters of a job, from its wildcards: as much of the configuration as the job depends on, so that no other change runs it again.


def simulation_settings(wildcards):
    """Give a cohort's `simulate` settings."""
    return PLAN.cohorts[wildcards.cohort].simulate


def cohort_settings(wildcards):
    """Give what `index_cohort` needs to know of a cohort."""
    return PLAN.cohorts[wildcards.cohort].settings()


def number_of_chunks(wildcards):
    """Give the number of chunks of a cohort's variants."""
    return PLAN.cohorts[wildcards.cohort].chunks


def qc_settings(wildcards):
    """Give a cohort's quality-control settings."""
    return PLAN.cohorts[wildcards.cohort].qc


def structure_settings(wildcards):
    """Give a cohort's settings for pruning and principal components."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return cohort.structure | {"genome_build": cohort.genome_build}


def sex_settings(wildcards):
    """Give where a cohort's recorded sex comes from beside the .fam, and whether X tells it where none is recorded."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return {"column": cohort.sex, "infer_sex": cohort.qc["infer_sex"]}


def long_range_ld(wildcards, input):
    """Return the path of the table of regions. As `input` is named, another place of it is no reason to run the job again; its content is."""
    return str(LONG_RANGE_LD)


def long_range_ld_content(wildcards):
    """Return a digest of the table of regions."""
    return hashlib.sha256(LONG_RANGE_LD.read_bytes()).hexdigest()[:16]


def tables_of_cohort(wildcards, input):
    """Return the tables beside the sample table that a cohort's steps will read, and what they have to fit. As `input` is named, another path does not run a rule again."""
    return {
        "build": PLAN.cohorts[wildcards.cohort].genome_build,
        "folds": PLAN.deepnull["folds"],
        "pairs": str(pairs_found_elsewhere(wildcards) or "") or None,
        "loadings": str(loadings_of_others(wildcards) or "") or None,
        "fold_file": str(fold_file(wildcards) or "") or None,
        "scores": [str(path) for path in score_files_of_cohort(wildcards)],
    }


def colour_by(wildcards):
    """Give the columns of the sample table that colour the figure of components."""
    return PLAN.cohorts[wildcards.cohort].structure["colour_by"]


def lead_settings(wildcards):
    """Give what makes a lead variant."""
    return {k: PLAN.report[k] for k in ("genome_wide", "lead_window_kb")}


def score_settings(wildcards):
    """Give the settings of the polygenic scores."""
    # not threads: how the work is cut up changes no number
    return {k: v for k, v in PLAN.scores.items() if k != "threads"}


def association_settings(wildcards):
    """Give what the association needs to know beside the studies."""
    # not chunks and threads: how the work is cut up changes no number
    settings = {
        k: v for k, v in PLAN.association.items() if k not in ("chunks", "threads")
    }
    return settings | {"genome_build": PLAN.cohorts[wildcards.cohort].genome_build}


def settings_of_blocks(wildcards):
    """Give the settings of the association, and how many variants make a block."""
    return PLAN.association | association_settings(wildcards)


def deepnull_settings(wildcards):
    """Give the settings of the prediction, the study's own put over the config's."""
    study = PLAN.study(wildcards.cohort, wildcards.study)
    return PLAN.deepnull | study.deepnull_settings()


def cohort_in_report(wildcards):
    """Give the category of a cohort's results in the report, with a word before the user's name, which might be that of a category of Snakemake's own."""
    alike = [c for c in PLAN.cohorts if c.lower() == wildcards.cohort.lower()]
    number = f" ({alike.index(wildcards.cohort) + 1})" if len(alike) > 1 else ""
    return f"cohort {wildcards.cohort}{number}"


def settings_of_study(wildcards):
    """Give one study's settings, and what becomes of relatives."""
    structure = PLAN.cohorts[wildcards.cohort].structure
    study = PLAN.study(wildcards.cohort, wildcards.study)
    return study.settings() | {
        "relatives": "keep" if structure["relatives"] == "keep" else "exclude",
        "cases_first": structure["cases_first"],
    }


def settings_of_studies(wildcards):
    """Give the settings of all studies of a cohort."""
    return [study.settings() for study in PLAN.studies_of(wildcards.cohort)]


def studies_and_arms(wildcards):
    """Give the settings of all studies of a cohort, and their arms."""
    return [
        study.settings() | {"arms": list(study.arms)}
        for study in PLAN.studies_of(wildcards.cohort)
    ]


def to_screen(wildcards, input):
    """Give the studies of a cohort, the columns that colour its figure, where sex comes from, and other tables. As `input` is named, a change of them does not run the rule again."""
    return (
        settings_of_studies(wildcards),
        colour_by(wildcards),
        sex_settings(wildcards),
        tables_of_cohort(wildcards, input),
    )


def studies_of_batch(wildcards):
    """Give names and arms of the batch's studies, in the order of its inputs."""
    return [
        {"study": study.name, "arms": list(study.arms)}
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
    ]


def run_folders(wildcards, input):
    """Name the folders of benchmarks and of the workflow. As `input` is named, another place of them does not run the rule again."""
    return {"benchmarks": BENCHMARKS, "workflow": HOME}


def publication_info(wildcards):
    """Give what the metadata of the summary statistics say of cohort and study."""
    cohort = PLAN.cohorts[wildcards.cohort]
    return {
        "cohort": wildcards.cohort,
        "genome_build": cohort.genome_build,
        "date": PLAN.metadata_date,
    }


def rows_of_status(wildcards):
    """Give cohort, study, batch and arms of every study, in the order of the sheet."""
    return [
        {
            "cohort": s.cohort,
            "study": s.name,
            "batch": s.batch,
            "arms": list(s.arms),
        }
        for s in STUDIES
    ]

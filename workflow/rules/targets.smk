# Targets: the files of a whole run, for the target rules. Which jobs there are is known to
# deepnull_gwas.resources.jobs_of.

import time
from types import SimpleNamespace

STUDIES = [study for cohort in PLAN.cohorts for study in PLAN.studies_of(cohort)]
# forms of every figure
FIGURES = ("svg", "pdf")
# what the site reads of each arm
SITE_FILES_OF_ARM = ("tests.json", "leads.tsv")
STRUCTURE_FIGURES = ("scree", "pcs", "loadings", "stratification")
# a check is done again each time that it is asked for, whatever the dates of the files say
VERIFY_ASKED = time.time_ns()


def made_by(step, *names):
    """Return files that the jobs of a rule make, from their names with the rule's wildcards in braces."""
    return [
        f"<results>/{name.format(**job)}"
        for job, _ in resources.jobs_of(step, PLAN)
        for name in names
    ]


def drawn_by(step, *figures):
    """Return figures that the jobs of a rule make, in all forms."""
    return made_by(
        step, *[f"{figure}.{kind}" for figure in figures for kind in FIGURES]
    )


def of_arms(name):
    """Return one file for each study and arm of the run."""
    return [
        f"<results>/{s.cohort}/{s.name}/{arm}/{name}" for s in STUDIES for arm in s.arms
    ]


def damaged_files(wildcards):
    """Return the files that a job found damaged and set aside, and that were not made again since.

    See deepnull_gwas.tables.set_aside.
    """
    damaged = []
    for cohort in PLAN.cohorts:
        folders = [Path(), Path("qc"), Path("qc", "counts"), Path("structure")]
        folders.append(Path("structure", "array"))
        folders += [Path("associations", batch) for batch in PLAN.batches(cohort)]
        folders += [
            Path(study.name, part)
            for study in PLAN.studies_of(cohort)
            for part in ("", "deepnull", "baseline", "genome")
        ]
        for folder in folders:
            for aside in sorted(Path(RESULTS, cohort, folder).glob("*.damaged")):
                number = aside.name.split(".")[0]
                # a chunk that the config has no more
                if number.isdigit() and int(number) not in chunks_of(cohort):
                    continue
                if not aside.with_suffix("").exists():
                    damaged.append(f"<results>/{Path(cohort, folder, aside.stem)}")
    return damaged


def validity_pages(wildcards):
    """Return the files of measured calibration and power, one per cohort.

    A config that is not made for it is refused before anything runs.
    """
    # what it imports would slow the start of every run
    from deepnull_gwas.results.validity import simulated_phenotypes

    try:
        for name, cohort in PLAN.cohorts.items():
            studies = studies_and_arms(SimpleNamespace(cohort=name))
            simulated_phenotypes(name, cohort.simulate, studies)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [f"<results>/{name}/validity.md" for name in PLAN.cohorts]


preflight_tables = made_by("preflight_cohort", "{cohort}/preflight.tsv")
preflight_tables += made_by("screen_cohort", "{cohort}/preflight_alleles.tsv")
structure_tables = made_by("adjust_kinship", "{cohort}/structure/relatives.tsv")
structure_figures = drawn_by(
    "plot_structure", *[f"{{cohort}}/structure/{name}" for name in STRUCTURE_FIGURES]
)
# asked for by name: a run whose results are those of an older version has the other files of these jobs already
pages_of_cohorts = made_by("plot_qc", "{cohort}/qc/flow.html")
pages_of_cohorts += made_by("adjust_kinship", "{cohort}/structure/relatives.html")
pages_of_cohorts += made_by("plot_structure", "{cohort}/structure/stratification.html")
pages_of_studies = ["<results>/status.html"]
pages_of_studies += made_by("plot_sumstats", "{cohort}/{study}/leads.html")
pages_of_studies += made_by("compare_arms", "{cohort}/{study}/comparison.html")
pages_of_studies += made_by(
    "compare_batch", "{cohort}/associations/{batch}/comparison.html"
)
all_study_files = made_by("assemble_study", "{cohort}/{study}/study.json")
all_metrics = made_by("train_folds", "{cohort}/{study}/deepnull/metrics.json")
all_predictions = made_by(
    "train_folds",
    "{cohort}/{study}/deepnull/prediction.parquet",
    "{cohort}/{study}/deepnull/metrics.json",
)
all_predictions += made_by("plot_deepnull", "{cohort}/{study}/deepnull/summary.md")
all_predictions += drawn_by("plot_deepnull", "{cohort}/{study}/deepnull/deepnull")
all_genomes = made_by("stack_blocks", "{cohort}/{study}/genome/genome.json")
all_scores = drawn_by("plot_scores", "{cohort}/scores")
all_scores += made_by("plot_scores", "{cohort}/scores.html")
all_exports = made_by("export_study", "{cohort}/{study}/exports/commands.sh")
all_exports += made_by("export_offsets", "{cohort}/{study}/exports/loco")
one_chunk_of_each_batch = made_by(
    "associate", "{cohort}/associations/{batch}/0.parquet"
)
all_sumstats = of_arms("sumstats.tsv.gz")
all_leads = of_arms("leads.tsv")
all_tests = of_arms("tests.json")
all_pages = made_by(
    "describe_study", "{cohort}/{study}/site.js", "{cohort}/{study}/site.json"
)
all_pages += made_by("describe_cohort", "{cohort}/site.js")
all_comparisons = made_by("compare_arms", "{cohort}/{study}/comparison.json")
regions_of_studies = made_by("measure_regions", "{cohort}/{study}/regions.json.gz")
all_regions = regions_of_studies + made_by("plot_regions", "{cohort}/{study}/regional")
all_figures = drawn_by(
    "plot_sumstats", "{cohort}/{study}/qq", "{cohort}/{study}/manhattan"
)
all_figures += drawn_by(
    "compare_arms", "{cohort}/{study}/arms", "{cohort}/{study}/miami"
)
all_figures += drawn_by("compare_batch", "{cohort}/associations/{batch}/comparison")
all_verified = made_by("verify_batch", "{cohort}/associations/{batch}/verified.tsv")

# What all rules share: the library on the path, the validated config, and the functions that name a rule's files and resources.
# No arithmetic on data: the library does that.

import atexit
import functools
import hashlib
import inspect
import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace

# Every file of the library, named one by one: a workflow used as a remote module fetches only what it is asked for.
LIBRARY_FILES = [
    line.strip()
    for line in Path(workflow.source_path("../library.txt")).read_text().splitlines()
    if line.strip()
]
LIBRARY = {
    name: Path(workflow.source_path(f"../../src/deepnull_gwas/{name}"))
    for name in LIBRARY_FILES
}
sys.path.append(str(LIBRARY["__init__.py"].parent.parent))
for schema in ("config", "studies"):
    workflow.source_path(f"../schemas/{schema}.schema.yaml")

from snakemake import __version__ as snakemake_version

from deepnull_gwas import resources
from deepnull_gwas.config import load_config, subject_of
from deepnull_gwas.errors import InputError
from deepnull_gwas.imports import files_behind

try:
    PLAN = load_config(
        config,
        schemas=Path(workflow.source_path("../schemas/config.schema.yaml")).parent,
        files=workflow.configfiles,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

# of a module the files are those of the workflow that uses it
if workflow.is_main_process and Path("config/config.yaml").is_file():
    given_files = [Path(file).resolve() for file in workflow.configfiles]
    if given_files and Path("config/config.yaml").resolve() not in given_files:
        logger.info(
            f"{', '.join(map(str, workflow.configfiles))}: has cohorts, so it stands for itself: config/config.yaml is not read "
            "(config/README.md)"
        )

SCRIPTS = {
    step: Path(workflow.source_path(f"../scripts/{step}.py"))
    for step in resources.STEPS
}
LONG_RANGE_LD = Path(workflow.source_path("../../resources/long_range_ld.tsv"))
# Read here and not in the functions below: those run when everything is parsed, and then, in a module, the folders are those of the workflow
# that uses it.
RESULTS, BENCHMARKS = map(workflow.pathvars.apply, ("<results>", "<benchmarks>"))
# of a hosted module an address, of which git knows nothing
HOME = str(
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent.parent
)
# of this run: what is younger was made by it
STARTED = time.time()
SIMULATED = "|".join([name for name, c in PLAN.cohorts.items() if c.simulate]) or "(?!)"


# Snakemake writes the categories of the report into every caption, as reStructuredText's targets of links: no two may be the same there, where a colon
# ends a name and capitals are small ones. Subcategories are not written.
RUN_IN_REPORT = "state of the run"


wildcard_constraints:
    # by name: a file in the results of a cohort that is not in this config is a file like any other
    cohort="|".join(PLAN.cohorts),
    study=r"(?!(?:qc|structure|associations|simulated)/)[A-Za-z0-9][A-Za-z0-9_-]*",
    batch=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    arm="baseline|deepnull",
    fold=r"\d+",
    chunk=r"\d+",


@functools.cache
def library_sources():
    """Return the source of every file of the library, by name."""
    return {name: path.read_text() for name, path in LIBRARY.items()}


@functools.cache
def code_of(rule):
    """Return a digest of a rule's script and of every library file behind it, so that a job reruns when what it computes with has changed."""
    sources = library_sources()
    script = SCRIPTS[rule].read_text()
    digest = hashlib.sha256(script.encode())
    for name in files_behind(script, sources):
        digest.update(f"{name}\n{sources[name]}".encode())
    return digest.hexdigest()[:16]


# --- files -----------------------------------------------------------------
# The user's own files and all genotypes are `local`: read where they are, also where results go to an object store.


def genotype_files(extension):
    """Give the function that names a cohort's files of one extension, in the order of analysis."""

    def files(wildcards):
        cohort = PLAN.cohorts[wildcards.cohort]
        if cohort.simulate:
            return local(
                [f"<results>/{wildcards.cohort}/simulated/genotypes{extension}"]
            )
        return local([f"{prefix}{extension}" for prefix in cohort.filesets])

    return files


def sample_table(wildcards):
    """Name a cohort's sample table."""
    cohort = PLAN.cohorts[wildcards.cohort]
    if cohort.simulate:
        return f"<results>/{wildcards.cohort}/simulated/samples.tsv"
    return local(cohort.samples)


def chunks_of(cohort):
    """List a cohort's chunks."""
    return range(PLAN.cohorts[cohort].chunks)


def counts_of_chunks(suffix):
    """Give the function that names a cohort's count tables of one kind."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/qc/counts/{chunk}.{suffix}"
            for chunk in chunks_of(wildcards.cohort)
        ]

    return files


def pcs_of_study(wildcards):
    """Name the principal components, where the study has any as covariates."""
    if PLAN.study(wildcards.cohort, wildcards.study).pcs:
        return f"<results>/{wildcards.cohort}/structure/pcs.parquet"
    return []


def has_structure(cohort):
    """Say whether anything of a cohort needs its relatives."""
    return resources.has_structure(PLAN, cohort)


def structure_of_cohort(name):
    """Give the function that names a file of a cohort's structure, where anything needs it."""

    def files(wildcards):
        if has_structure(wildcards.cohort):
            return f"<results>/{wildcards.cohort}/structure/{name}"
        return []

    return files


def pairs_found_elsewhere(wildcards):
    """Name the table of related pairs, where the config gives one."""
    relatives = PLAN.cohorts[wildcards.cohort].structure["relatives"]
    return [] if relatives in ("exclude", "keep") else local(relatives)


def loadings_of_others(wildcards):
    """Name the loadings to project on, where the config gives any."""
    loadings = PLAN.cohorts[wildcards.cohort].structure["loadings"]
    return local(loadings) if loadings else []


def people_of_studies(wildcards):
    """Name the people's tables of all studies of a cohort."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/samples.parquet"
        for s in PLAN.studies_of(wildcards.cohort)
    ]


def accounts_of_studies(wildcards):
    """Name the accounts (study.json) of all studies of a cohort."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/study.json"
        for s in PLAN.studies_of(wildcards.cohort)
    ]


def fold_file(wildcards):
    """Name the user's own table of folds, if there is one."""
    table = PLAN.deepnull["fold_file"]
    return local(table) if table else []


def score_file(wildcards):
    """Name a study's file of weights, if it has one."""
    weights = PLAN.study(wildcards.cohort, wildcards.study).score_file
    return local(weights) if weights else []


def score_files_of_cohort(wildcards):
    """Name the files of weights of a cohort's studies that have one."""
    weights = [s.score_file for s in PLAN.studies_of(wildcards.cohort)]
    files = list(dict.fromkeys(w for w in weights if w))
    return local(files) if files else []


def accuracies_of_cohort(wildcards):
    """Name the accuracies of a cohort's predicted studies, in the order of the sheet."""
    return [
        f"<results>/{s.cohort}/{s.name}/deepnull/prediction_accuracy.json"
        for s in PREDICTED
        if s.cohort == wildcards.cohort
    ]


def files_of_batch(name):
    """Give the function that names one file a study of the batch."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.cohort}/{study.name}/{name}"
            for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        ]

    return files


def predictions_of_batch(wildcards):
    """Name the predictions of the batch's studies that have the deepnull arm."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/deepnull/prediction.parquet"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        if "deepnull" in study.arms
    ]


def published_of_batch(wildcards):
    """Name what is published of the batch's studies, with what was written down about it."""
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
    """Name the comparisons of the batch's studies that have both arms."""
    return [
        f"<results>/{wildcards.cohort}/{study.name}/comparison.json"
        for study in PLAN.batches(wildcards.cohort)[wildcards.batch]
        if len(study.arms) == 2
    ]


def chunks_of_study(wildcards):
    """Name the association tables that hold a study, in order."""
    batch = PLAN.study(wildcards.cohort, wildcards.study).batch
    return [
        f"<results>/{wildcards.cohort}/associations/{batch}/{chunk}.parquet"
        for chunk in chunks_of(wildcards.cohort)
    ]


def per_arm(name):
    """Give the function that names one file for each arm of a study, under the arm's name (with a prefix for tables of leads and of other alleles)."""
    prefix = {"leads.tsv": "leads_", "other_alleles.tsv.gz": "other_alleles_"}.get(
        name, ""
    )

    def files(wildcards):
        return {
            f"{prefix}{arm}": f"<results>/{wildcards.cohort}/{wildcards.study}/{arm}/{name}"
            for arm in PLAN.study(wildcards.cohort, wildcards.study).arms
        }

    return files


def sumstats_of_cohort(wildcards):
    """Name the summary statistics of all studies of a cohort."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/{arm}/sumstats.tsv.gz"
        for s in PLAN.studies_of(wildcards.cohort)
        for arm in s.arms
    ]


def metrics_of_cohort(wildcards):
    """Name the metrics of a cohort's predictions."""
    return [
        f"<results>/{wildcards.cohort}/{s.name}/deepnull/metrics.json"
        for s in PLAN.studies_of(wildcards.cohort)
        if "deepnull" in s.arms
    ]


def validity_pages(wildcards):
    """Name the measured calibration and power of every cohort; refuse a config that is not made for it before anything runs."""
    # what it imports would slow the start of every run
    from deepnull_gwas.results.validity import simulated_phenotypes

    try:
        for name, cohort in PLAN.cohorts.items():
            studies = studies_and_arms(SimpleNamespace(cohort=name))
            simulated_phenotypes(name, cohort.simulate, studies)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [f"<results>/{name}/validity.md" for name in PLAN.cohorts]


# forms of every figure
FIGURES = ("svg", "pdf")
STRUCTURE_FIGURES = ("scree", "pcs", "loadings", "stratification")
sumstats_of_arms = per_arm("sumstats.tsv.gz")
leads_of_arms = per_arm("leads.tsv")
other_alleles_of_arms = per_arm("other_alleles.tsv.gz")
STUDIES = [study for cohort in PLAN.cohorts for study in PLAN.studies_of(cohort)]
BOTH_ARMS = [study for study in STUDIES if len(study.arms) == 2]


def of_arms(name):
    """Name one file for each study and arm of the run."""
    return [
        f"<results>/{s.cohort}/{s.name}/{arm}/{name}" for s in STUDIES for arm in s.arms
    ]


def damaged_files(wildcards):
    """Name the files that a job found damaged and set aside (see deepnull_gwas.tables.set_aside), and that were not made anew since."""
    damaged = []
    for cohort in PLAN.cohorts:
        folders = [Path(), Path("qc"), Path("qc", "counts"), Path("structure")]
        folders += [Path("associations", batch) for batch in PLAN.batches(cohort)]
        folders += [
            Path(study.name, part)
            for study in PLAN.studies_of(cohort)
            for part in ("", "deepnull", "baseline")
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


preflight_tables = [f"<results>/{cohort}/preflight.tsv" for cohort in PLAN.cohorts]
all_sumstats = of_arms("sumstats.tsv.gz")
all_leads = of_arms("leads.tsv")
all_tests = of_arms("tests.json")
all_study_files = [f"<results>/{s.cohort}/{s.name}/study.json" for s in STUDIES]
all_predictions = [
    f"<results>/{s.cohort}/{s.name}/deepnull/{name}"
    for s in STUDIES
    if "deepnull" in s.arms
    for name in ("prediction.parquet", "metrics.json", "deepnull.svg", "deepnull.pdf")
]
PREDICTED = [
    s for s in STUDIES if "deepnull" in s.arms and PLAN.scores["method"] != "none"
]
all_phenotype_predictions = [
    f"<results>/{cohort}/phenotype_prediction.{kind}"
    for cohort in dict.fromkeys(s.cohort for s in PREDICTED)
    for kind in FIGURES
]
all_exports = [
    f"<results>/{s.cohort}/{s.name}/exports/commands.sh"
    for s in STUDIES
    if "deepnull" in s.arms
]
all_comparisons = [f"<results>/{s.cohort}/{s.name}/comparison.json" for s in BOTH_ARMS]
all_figures = [
    f"<results>/{s.cohort}/{s.name}/{figure}.{kind}"
    for s in STUDIES
    for figure in ("qq", "manhattan")
    for kind in FIGURES
]
all_figures += [
    f"<results>/{s.cohort}/{s.name}/{figure}.{kind}"
    for s in BOTH_ARMS
    for figure in ("arms", "miami")
    for kind in FIGURES
]
all_figures += sorted(
    {
        f"<results>/{s.cohort}/associations/{s.batch}/comparison.{kind}"
        for s in BOTH_ARMS
        for kind in FIGURES
    }
)
one_chunk_of_each_batch = [
    f"<results>/{cohort}/associations/{batch}/0.parquet"
    for cohort in PLAN.cohorts
    for batch in PLAN.batches(cohort)
]
all_verified = [
    f"<results>/{cohort}/associations/{batch}/verified.tsv"
    for cohort in PLAN.cohorts
    for batch in PLAN.batches(cohort)
]
# a check is done anew each time that it is asked for, whatever the dates of the files say
VERIFY_ASKED = time.time_ns()
structure_figures = [
    f"<results>/{cohort}/structure/{figure}.{kind}"
    for cohort in PLAN.cohorts
    if any(study.pcs for study in PLAN.studies_of(cohort))
    for figure in STRUCTURE_FIGURES
    for kind in FIGURES
]
structure_tables = [
    f"<results>/{cohort}/structure/relatives.tsv"
    for cohort in PLAN.cohorts
    if has_structure(cohort)
]

# --- settings that a job depends on ----------------------------------------


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
    """Return the path of the table of regions. As `input` is named, another place of it does not run the rule again: its content does."""
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


# --- what lies behind a job -------------------------------------------------
# Snakemake deletes the outputs of a job that it starts, and where the job fails or is killed it still writes down the new parameters and checksums
# of the inputs as if these outputs had been made with them. So when settings or a table change and the job that they concern is killed, the next
# run sees nothing but a missing file between sources and results that are in order, and takes results of the former settings for up to date.
# Therefore every job has a digest of all parameters behind it among its own, and these parameters stand for the user's files too.


def state_of(*named):
    """Give the parameter that stands for the content of the user's own files, from the functions that name them."""

    def state(wildcards):
        files = [name(wildcards) for name in named]
        paths = [[f] if isinstance(f, str) else list(f) for f in files]
        # simulated ones have settings of their own
        return [
            state_of_file(str(path))
            for path in sum(paths, [])
            if not path.startswith("<results>/")
            and Path(RESULTS) not in Path(path).parents
        ]

    return state


@functools.cache
def state_of_file(path):
    """Describe a file: its checksum, or when it was changed if it has more than a megabyte (as Snakemake does); nothing if it is not there."""
    file = Path(path)
    if not file.is_file():
        return None
    about = file.stat()
    if about.st_size > 1_000_000:
        return [about.st_size, about.st_mtime_ns]
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def made_from(*producers):
    """Give the parameter that stands for all settings and code behind a rule's inputs, from the rules that make them."""

    def digest(wildcards):
        wanted = [getattr(wildcards, key, None) for key in ("cohort", "study", "batch")]
        return lineage(producers, *wanted)

    return digest


@functools.cache
def lineage(producers, cohort, study, batch):
    """Digest the parameters of the jobs of some rules that are about a cohort, study or batch (None: of all); those jobs have lineages of their own."""
    parts = [SCRIPTS[producer].read_text() for producer in producers]
    for producer in producers:
        for job in jobs_about(producer).get((cohort, study, batch), ()):
            for name, value in sorted(getattr(rules, producer).params.items()):
                if callable(value):
                    # what depends on more than the wildcards is not among Snakemake's reasons to run a job again either
                    if len(inspect.signature(value).parameters) > 1:
                        continue
                    value = value(SimpleNamespace(**job))
                parts.append((producer, job, name, value))
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def jobs_about(rule):
    """Sort jobs by what they are about (everything, their cohort, each of their studies and its batch)."""
    about = {}
    for job, _ in resources.jobs_of(rule, PLAN):
        places = {(None, None, None)}
        if cohort := job.get("cohort"):
            studies = PLAN.studies_of(cohort)
            if "study" in job:
                studies = [PLAN.study(cohort, job["study"])]
            elif "batch" in job:
                studies = PLAN.batches(cohort)[job["batch"]]
            places.add((cohort, None, None))
            places.update((cohort, study.name, None) for study in studies)
            places.update((cohort, None, study.batch) for study in studies)
        for place in places:
            about.setdefault(place, []).append(job)
    return about


# --- resources: what the library expects of a rule, and attempt --------------


def expected(rule, wildcards):
    """Give what a job is expected to need."""
    return resources.estimate(rule, PLAN, dict(wildcards.items()))


def memory_for(rule):
    """Give the function that asks for a rule's memory (MB), doubled at each attempt."""

    def memory(wildcards, attempt):
        return resources.memory_mb(expected(rule, wildcards), attempt)

    return memory


def minutes_for(rule):
    """Give the function that asks for a rule's time, several times what is expected, doubled at each attempt."""

    def minutes(wildcards, attempt):
        return resources.limit_minutes(expected(rule, wildcards), attempt)

    return minutes


def seconds_for(rule):
    """Give the function that says how long a rule is expected to take, for its log only."""

    def seconds(wildcards):
        return math.ceil(expected(rule, wildcards).seconds)

    return seconds


# --- the last word ----------------------------------------------------------


def last_word(log):
    """Say at the very end of a run what came of it: the summary of all studies, or how far it got."""
    summary = Path(RESULTS, "summary.txt")
    if summary.is_file() and summary.stat().st_mtime >= STARTED:
        words = summary.read_text(encoding="utf-8").rstrip("\n")
    else:
        there = sum(
            Path(RESULTS, s.cohort, s.name, arm, "sumstats.tsv.gz").is_file()
            for s in STUDIES
            for arm in s.arms
        )
        of_all = sum(len(s.arms) for s in STUDIES)
        words = f"Summary statistics of {there} of {of_all} analyses ({len(STUDIES)} studies) are in {RESULTS}; log: {', '.join(log)}"
    # after this hook Snakemake itself goes on: where its log is, the time taken, the error
    atexit.register(print, f"\n{words}", file=sys.stderr, flush=True)

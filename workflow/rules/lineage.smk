# Lineage: what a job was made from, as a digest among its parameters.
# Snakemake deletes the outputs of a job that it starts, and where the job fails or is killed it still records the new
# parameters and checksums of the inputs as if these outputs had been made with them. So when settings or a table change
# and the job that depends on them is killed, the next run sees nothing but a missing file between sources and results
# that are in order, and takes results of the former settings for up to date. Therefore every job has a digest of the
# parameters of all jobs before it among its own, and these parameters stand for the user's files too.

import inspect
import json
from types import SimpleNamespace


def state_of(*named):
    """Return the parameter that stands for the content of the user's own files, from the functions that name them."""

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
    """Return the checksum of a file, or None where there is none.

    Of a file of more than a megabyte: its size and when it was changed, as in Snakemake.
    """
    file = Path(path)
    if not file.is_file():
        return None
    about = file.stat()
    if about.st_size > 1_000_000:
        return [about.st_size, about.st_mtime_ns]
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def made_from(*producers):
    """Return the parameter that stands for the settings and code that made a rule's inputs, from their rules."""

    def digest(wildcards):
        wanted = [getattr(wildcards, key, None) for key in ("cohort", "study", "batch")]
        return lineage(producers, *wanted)

    return digest


@functools.cache
def lineage(producers, cohort, study, batch):
    """Return a digest of the parameters of the jobs of some rules that are about a cohort, study or batch (None: all).

    Those jobs have lineages of their own among their parameters.
    """
    parts = [script_of(producer) for producer in producers]
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
    """Return jobs by what they are about (everything, their cohort, each of their studies and its batch)."""
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

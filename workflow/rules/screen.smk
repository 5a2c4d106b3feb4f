# Screen: what a run says while it runs, one line per finished step, and at its end. Everything that Snakemake says is
# in its log. --verbose, or DEEPNULL_GWAS_SCREEN=snakemake in the environment, brings its own output to the screen.

import atexit
import os

from deepnull_gwas.console import last_words, show_on


def seconds_of_steps():
    """Return what one job of each rule is expected to take, in seconds times threads."""
    try:
        return resources.seconds_of_steps(PLAN)
    except InputError:
        # a file that is not there yet; the run says so itself
        return {}


def shows_steps():
    """Return whether this process runs this workflow for somebody who did not ask for Snakemake's own output."""
    output = workflow.output_settings
    own = str(workflow.main_snakefile) in (
        os.path.join(HOME, "Snakefile"),
        os.path.join(HOME, "workflow", "Snakefile"),
    )
    asked = output.quiet or output.verbose or output.debug_dag or output.dryrun
    others = os.environ.get("DEEPNULL_GWAS_SCREEN") == "snakemake"
    return workflow.is_main_process and own and not asked and not others


def snakemakes_log():
    """Return the log of this run of Snakemake; an empty text where it has none."""
    return next(iter(workflow.logger_manager.get_logfile()), "")


CONSOLE = show_on(logger, seconds_of_steps, snakemakes_log) if shows_steps() else None


def words_at_end(log, since):
    """Return the last words of this run; a summary that was written before `since` is not of it."""
    analyses = [(s.cohort, s.name, arm) for s in STUDIES for arm in s.arms]
    store = workflow.storage_settings.default_storage_prefix or ""
    return last_words(RESULTS, analyses, since, list(log), CONSOLE, store)


# whether a hook has been called
TOLD = []


def last_word(log):
    """Print at the very end of a run what came of it: the summary of all studies, or how far it got; what failed."""
    # after this hook Snakemake itself goes on: where its log is, the time taken, the error
    TOLD.append(True)
    words = words_at_end(log, STARTED)
    atexit.register(print, f"\n{words}", file=sys.stderr, flush=True)


def last_word_without_hook():
    """Print what no hook is called for: a run of everything that finds nothing to do; one that Snakemake broke off."""
    if CONSOLE.pace and not TOLD:
        CONSOLE.take_untold()
        words = words_at_end([snakemakes_log()], STARTED)
        print(f"\n{words}", file=sys.stderr, flush=True)
    # there are none where rules are only looked at (--lint)
    if workflow.dag_settings is None:
        return
    asked = set(workflow.dag_settings.targets or ["all"])
    if CONSOLE.nothing_to_do and asked <= {"all", "report"}:
        print(f"\n{words_at_end([], 0)}", file=sys.stderr, flush=True)


if CONSOLE:
    atexit.register(last_word_without_hook)

"""What a run says on the screen: records of Snakemake in, lines out."""

from __future__ import annotations

import io
import logging
import os
from types import SimpleNamespace

import pytest

from deepnull_gwas.console import end, failures, handler, last_words, show_on
from deepnull_gwas.logs import TOLD_AT_END, log_to


class Snakemake:
    """A logger as Snakemake sets it up, with its words for a run."""

    def __init__(self, seconds: dict[str, float]):
        self.logger = logging.getLogger(f"test_console_{id(self)}")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.screen = io.StringIO()
        usual = logging.StreamHandler(self.screen)
        usual.name = "DefaultStreamHandler"
        self.logger.addHandler(usual)
        self.console = show_on(self.logger, lambda: seconds, lambda: "snakemake.log")

    def say(self, text: str, event: str | None = None, level: int = logging.INFO, **extra: object) -> None:
        self.logger.log(level, text, extra=extra | ({"event": event} if event else {}))

    def start(self, number: int, rule: str, log: str = "", **wildcards: str) -> None:
        self.say("", "job_info", jobid=number, rule_name=rule, log=[log] if log else [], wildcards=wildcards)

    def fail(self, number: int, rule: str, log: str) -> None:
        self.say("", "job_error", logging.ERROR, jobid=number, rule_name=rule, log=[f"{log}"])

    @property
    def lines(self) -> list[str]:
        return self.screen.getvalue().splitlines()


@pytest.fixture
def run(monkeypatch) -> Snakemake:
    # kept from the environment of other tests
    monkeypatch.setenv(TOLD_AT_END, "")
    monkeypatch.delenv(TOLD_AT_END)
    snakemake = Snakemake({"associate": 100.0, "summarise_run": 1.0})
    for text in ("Assuming unrestricted shared filesystem usage.", "Building DAG of jobs...", "Using shell: bash"):
        snakemake.say(text)
    snakemake.say("Provided cores: 2", "resources_info", cores=2)
    snakemake.say("Job stats", "run_info", stats={"associate": 2, "summarise_run": 1, "all": 1, "total": 4})
    return snakemake


def test_one_line_per_finished_step_with_count_elapsed_and_time_left(run):
    run.say("Select jobs to execute...")
    run.start(1, "associate", cohort="demo", batch="main", chunk="0")
    run.start(2, "associate", cohort="demo", batch="main", chunk="1")
    run.say("Finished jobid: 2", "job_finished", job_id=2)
    run.say("1 of 4 steps", "progress", done=1, total=4)
    run.say("Finished jobid: 1", "job_finished", job_id=1)
    run.start(3, "summarise_run")
    run.say("Finished jobid: 3", "job_finished", job_id=3)
    run.start(4, "all")
    run.say("Finished jobid: 4", "job_finished", job_id=4)
    run.say("Complete log(s): x")
    assert run.lines == [
        # two cores, 201 s
        "deepnull-gwas: 3 steps, about 2 min; Snakemake's own words: snakemake.log",
        "     step   elapsed  left",
        "      1/3      0:00  15 s      associate demo/main chunk 1, 0 s",
        "      2/3      0:00  5 s       associate demo/main chunk 0, 0 s",
        "      3/3      0:00            summarise_run, 0 s",
    ]
    # jobs on this machine leave it to the end of the run to tell their errors
    assert os.environ[TOLD_AT_END]


def test_warnings_errors_and_what_is_not_known_stay(run):
    run.say("something new")
    run.say("a warning", level=logging.WARNING)
    run.say("WorkflowError: no such file", "error", logging.ERROR, exception="WorkflowError")
    run.say("WorkflowError:\nAt least one job did not complete successfully.", "error", logging.ERROR)
    run.say("Exiting because a job execution failed. Look below for error messages", level=logging.ERROR)
    assert run.lines[2:] == ["something new", "a warning", "WorkflowError: no such file"]


def test_a_failed_step_is_one_line_and_its_message_comes_at_the_end(run, tmp_path):
    log = tmp_path / "associate.log"
    with pytest.raises(SystemExit), log_to(log, SimpleNamespace(mem_mb=100, estimated_s=1, runtime=1)):
        from deepnull_gwas.errors import InputError

        raise InputError("2 problems in the input:\n  1. g.bed: \x1b[2J truncated\n  2. g.bim: empty")
    run.start(1, "associate", str(log), cohort="demo", batch="main", chunk="0")
    run.say("CalledProcessError in file x\nCommand '.associate.py' returned non-zero exit status 1.", "error", 40)
    run.fail(1, "associate", str(log))
    line = "   FAILED      0:00            associate demo/main chunk 0: Input error: 2 problems in the input: 1. g.bed"
    assert len(run.lines) == 3 and run.lines[2].startswith(line)
    words = last_words(str(tmp_path), [("demo", "s", "baseline")], 0, ["snakemake.log"], run.console)
    assert "FAILED: 1 step\n\n  associate demo/main chunk 0\n    Input error: 2 problems" in words
    assert "      2. g.bim: empty\n" in words and f"    log: {log}\n" in words
    assert "\x1b" not in words and "\x1b" not in run.screen.getvalue()
    assert "Summary statistics of 0 of 1 analyses (1 study) are in" in words


def test_a_step_that_is_tried_again_and_succeeds_has_not_failed(run, tmp_path):
    run.start(1, "associate", cohort="demo", batch="main", chunk="0")
    run.say("Command 'python .snakemake/scripts/tmp.associate.py' died with <Signals.SIGKILL: 9>.", "error", 40)
    run.fail(1, "associate", tmp_path / "none.log")
    assert run.lines[-1].endswith("associate demo/main chunk 0: it was killed (SIGKILL): for lack of memory, say")
    run.say("Trying to restart job 1.")
    assert "again" in run.lines[-1] and not run.console.failures
    run.start(1, "associate", cohort="demo", batch="main", chunk="0")
    run.say("Finished jobid: 1", "job_finished", job_id=1)
    assert run.lines[-1].split()[0] == "1/3" and not run.console.failures


def test_a_fault_of_the_program_shows_the_exception_not_the_traceback(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(KeyError), log_to(log):
        raise KeyError("beta")
    failure = failures.failure_of("a", "a", [str(log)])
    assert failure.first_line == "KeyError: 'beta'"
    assert "Traceback" not in failure.message and not failure.is_expected
    log.write_text("2026-01-01 00:00:00 INFO chunk 3 of 9\n")
    assert failures.failure_of("a", "a", [str(log)]).message.endswith("the last line of its log: chunk 3 of 9")
    log.write_text("x" * 10_000_000 + "\nOut of memory: 3 GB. Grant the rule more\n")
    assert failures.failure_of("a", "a", [str(log)]).message == "Out of memory: 3 GB. Grant the rule more"


def test_who_stops_a_run_sees_no_failures(run, tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(SystemExit), log_to(log):
        raise KeyboardInterrupt
    run.start(1, "associate", str(log), cohort="demo", batch="main", chunk="0")
    run.fail(1, "associate", log)
    assert run.lines[-1].split() == ["stopped", "0:00", "associate", "demo/main", "chunk", "0"]
    run.start(2, "summarise_run")
    run.say("Command 'tmp.summarise_run.py' died with <Signals.SIGINT: 2>.", "error", 40)
    run.fail(2, "summarise_run", tmp_path / "none.log")
    words = last_words(str(tmp_path), [], 0, [], run.console)
    assert "Stopped: associate demo/main chunk 0, summarise_run. The same" in words and "FAILED" not in words


def test_a_traceback_is_in_the_log_only_where_the_run_tells_errors(monkeypatch, tmp_path, capfd):
    for told in (False, True):
        if told:
            monkeypatch.setenv(TOLD_AT_END, "1")
        with pytest.raises(SystemExit if told else ZeroDivisionError), log_to(tmp_path / "a.log"):
            raise ZeroDivisionError("x / 0")
        assert "Traceback" in (tmp_path / "a.log").read_text()
    assert not capfd.readouterr().err


def test_a_failure_that_snakemake_does_not_tell_is_told(run, tmp_path):
    for number, text in enumerate(("Input error: a.parquet: damaged", "2026-01-01 00:00:00 INFO at work")):
        (tmp_path / f"{number}.log").write_text(f"{text}\n")
        run.start(number, "associate", str(tmp_path / f"{number}.log"), cohort="c", batch="b", chunk=f"{number}")
    run.console.take_untold()
    assert [f.message for f in run.console.failures.values()] == ["Input error: a.parquet: damaged"]


def test_long_silence_is_broken(run, monkeypatch):
    run.start(1, "associate", "logs/a.log", cohort="demo", batch="main", chunk="0")
    monkeypatch.setattr(handler, "SILENCE", 0.0)
    run.console.tell_running()
    assert "running" in run.lines[-1] and run.lines[-1].endswith("(for 0 s); logs/a.log says how far it is")


def test_the_end_is_the_summary_and_the_site(tmp_path):
    (tmp_path / "summary.txt").write_text("6 of 6 analyses done.\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").touch()
    words = last_words(str(tmp_path), [], 0, ["a.log"], None)
    assert words == f"6 of 6 analyses done.\n  Snakemake's log: a.log\n\nOpen in a browser: {tmp_path}/site/index.html"
    # of an earlier run
    former = last_words(str(tmp_path), [], 1e12, ["a.log"], None)
    assert "6 of 6" not in former and "browser" not in former
    stored = last_words("results", [("demo", "s", "baseline")], 1e12, [], None, "s3://bucket/gwas/")
    assert stored == "Results are in s3://bucket/gwas/results"
    failed = SimpleNamespace(failures={1: failures.Failure("check_status", "check_status", (), "x", True)}, pace=None)
    assert "FAILED" not in last_words(str(tmp_path), [], 0, [], failed)
    assert end.FAILURES_SHOWN < 10


def test_what_was_verified_is_told(tmp_path):
    folder = tmp_path / "c/associations/main"
    folder.mkdir(parents=True)
    columns = "study", "state", "variants, second implementation", "variants, double precision"
    rows = [("y", "ok", "1000", "256"), ("z", "ok", "205", "256"), ("none", "failed study", "0", "0")]
    lines = ["\t".join([*columns, "largest difference of beta, in se"])]
    lines += ["\t".join([*row, beta]) for row, beta in zip(rows, ("2.5e-06", "1.3e-05", ""), strict=True)]
    (folder / "verified.tsv").write_text("\n".join(lines) + "\n")
    words = last_words(str(tmp_path), [("c", "y", "baseline")], 0, [], None)
    assert words.startswith(
        "Verified: 2 analyses agree with what was published: 1,205 results by a second implementation and 512 in "
        "double precision, beta within 1.3e-05 standard errors; 1 of studies that failed were not looked at\n\n"
    )
    # of an earlier run
    assert "Verified" not in last_words(str(tmp_path), [("c", "y", "baseline")], 1e12, [], None)


def test_another_handler_is_left_alone():
    logger = logging.getLogger("test_console_plain")
    logger.addHandler(logging.NullHandler())
    assert show_on(logger, dict, str) is None
    assert len(logger.handlers) == 1

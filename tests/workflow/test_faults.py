"""What happens on real machines: killed processes, full disks, vanished and damaged files.

Nothing is lost, and the rerun gives the same bytes.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

from workflow_runs import CHUNKS, SHEET, Run, copy_of, digests, small_cohort

pytestmark = pytest.mark.workflow


#: Up to the summary statistics: what can be lost, without the figures.
PUBLISH = ("--", "associations")


def prepare(folder: Path, warm: bool = True) -> Run:
    """Write cohort, sheet and config of the shared runs."""
    small_cohort(folder)
    run = Run(folder, warm=warm)
    run.configure(CHUNKS, SHEET)
    return run


def without_last(published: Run, folder: Path, warm: bool = True) -> Run:
    """Copy a run as it was before its associations."""
    run = copy_of(published, folder, warm)
    shutil.rmtree(run.results / "c/associations")
    for file in run.results.glob("c/*/*/sumstats.tsv.gz*"):
        file.unlink()
    return run


def jobs_of(run: Run, rule: str = "") -> list[int]:
    """Return the process IDs of the run's jobs, or of those of a rule."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            scripts, end = f"{run.folder}/.snakemake/scripts/".encode(), f"{rule}.py".encode()
            if any(w.startswith(scripts) and w.endswith(end) for w in words):
                found.append(int(entry.name))
    return found


def wait_for_job(run: Run, main: subprocess.Popen) -> int | None:
    """Wait until a job runs; None if the run ends before.

    A job lasts as long as its imports at least: many looks, on any machine.
    """
    while main.poll() is None:
        if jobs := jobs_of(run):
            return jobs[0]
        time.sleep(0.05)
    return None


def disturb(run: Run, times: int, seed: int) -> dict[str, int]:
    """Start the run again and again, and kill it, or one of its jobs, at a random moment."""
    chance = random.Random(seed)
    killed = {"main process": 0, "job": 0}
    # from the first job on: before it there is nothing to lose
    while sum(killed.values()) < times:
        with run.started("--cores", "2", "--rerun-incomplete", *PUBLISH) as main:
            wait_for_job(run, main)
            time.sleep(chance.uniform(0.0, 3.0))
            which = chance.choice(sorted(killed))
            if which == "job":
                job = wait_for_job(run, main)
                if job is not None:
                    # it may just have ended by itself
                    with suppress(ProcessLookupError):
                        os.kill(job, signal.SIGKILL)
                        killed["job"] += 1
                main.communicate()
            elif main.poll() is None:
                main.kill()
                killed["main process"] += 1
                # its jobs live on without it, to their end
                main.communicate()
                run.snakemake("--unlock")
            else:
                main.communicate()
        if main.returncode == 0:
            # done before all kills: begin again
            shutil.rmtree(run.results)
    return killed


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(published, tmp_path, times):
    run = prepare(tmp_path, warm=False)
    killed = disturb(run, times, seed=times)
    print(killed)
    while jobs_of(run):
        time.sleep(0.1)
    run.snakemake("--cores", "2", "--rerun-incomplete", *PUBLISH)
    assert digests(run.results) == digests(published.results)
    # nor does anything half-written lie about that the next run would take for whole
    assert not [p for p in run.results.rglob("*.tmp") if not p.name.startswith(".")]


def test_a_job_out_of_memory_is_tried_again_with_more(published, tmp_path):
    run = prepare(tmp_path, warm=False)
    with run.started("--cores", "1", "--retries", "1", "--until", "index_cohort") as main:
        job = wait_for_job(run, main)
        assert job is not None
        # as the kernel does it
        os.kill(job, signal.SIGKILL)
        _, err = main.communicate()
    assert main.returncode == 0, err
    # Snakemake's own words are in its log
    said = max((run.folder / ".snakemake/log").glob("*.log")).read_text()
    granted = [int(m.split("mem_mb=")[1].split(",")[0]) for m in said.splitlines() if "mem_mb=" in m]
    assert len(granted) == 2 and granted[1] > 1.8 * granted[0]
    made, whole = digests(run.results), digests(published.results)
    assert {"c/genotypes.json", "c/variants.parquet", "c/samples.parquet"} <= set(made)
    assert made == {name: whole[name] for name in made}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of a given size."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk and leave a number of bytes free."""
    free = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        file.write(b"\0" * max(0, free.f_bavail * free.f_frsize - leave))
    return disk / "filler"


@pytest.mark.parametrize(
    "target",
    [
        "results/c/associations/main/1.parquet",
        pytest.param("results/c/y/baseline/sumstats.tsv.gz", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_named_and_the_rerun_completes(published, tmp_path, target):
    run = without_last(published, tmp_path / "run")
    with small_disk(tmp_path / "disk", "30m") as disk:
        shutil.copytree(run.results, disk, dirs_exist_ok=True)
        shutil.rmtree(run.results)
        run.results.symlink_to(disk)
        if "sumstats" in target:
            run.snakemake("--cores", "2", "--until", "associate", *PUBLISH)
        filler = fill(disk, 4096)
        done = run.snakemake("--cores", "2", "--", target, check=False)
        assert done.returncode != 0
        assert "No space left" in done.stdout + done.stderr
        assert not (run.folder / target).exists()
        filler.unlink()
        run.snakemake("--cores", "2", "--rerun-incomplete", *PUBLISH)
        assert digests(run.results.resolve()) == digests(published.results)


def test_a_read_only_folder_is_named(tmp_path):
    (tmp_path / "run").mkdir()
    run = prepare(tmp_path / "run")
    with small_disk(tmp_path / "disk", "30m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        run.results.symlink_to(disk)
        done = run.snakemake("--cores", "2", check=False)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        assert "Read-only file system" in said and "results" in said


def test_a_genotype_file_that_vanishes_is_named(published, tmp_path):
    run = without_last(published, tmp_path / "run")
    (run.folder / "g.bed").rename(run.folder / "elsewhere.bed")
    done = run.snakemake("--cores", "2", *PUBLISH, check=False)
    assert done.returncode != 0
    assert "g.bed" in done.stdout + done.stderr
    (run.folder / "elsewhere.bed").rename(run.folder / "g.bed")
    run.snakemake("--cores", "2", *PUBLISH)
    assert digests(run.results) == digests(published.results)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ("settings", "associate"),
        pytest.param("table", "index_cohort", marks=pytest.mark.slow),
        pytest.param("table", "train_folds", marks=pytest.mark.slow),
    ],
)
def test_something_changed_and_the_job_killed(published, tmp_path, changed, rule):
    """Snakemake takes a killed job for done with the new settings and inputs: the next run must not take the former
    results for up to date.
    """
    run = copy_of(published, tmp_path / "run", warm=False)
    if changed == "settings":
        # what the changed settings do not concern is as it was
        fresh = without_last(published, tmp_path / "fresh")
    else:
        (tmp_path / "fresh").mkdir()
        fresh = prepare(tmp_path / "fresh")
    for one in (run, fresh):
        if changed == "settings":
            one.configure(CHUNKS | {"association": CHUNKS["association"] | {"refine_below": 1e-9}}, SHEET)
        else:
            table = pd.read_csv(one.folder / "samples.tsv", sep="\t")
            table.loc[3, "y"] += 1
            table.to_csv(one.folder / "samples.tsv", sep="\t", index=False)
    # all jobs of the rule, so that none of them tells what is behind it
    killed = 0
    with run.started("--cores", "3", *PUBLISH) as main:
        while main.poll() is None:
            for job in jobs_of(run, rule):
                with suppress(ProcessLookupError):
                    os.kill(job, signal.SIGKILL)
                    killed += 1
            time.sleep(0.02)
        main.communicate()
    assert killed
    run.snakemake("--cores", "2", *PUBLISH)
    fresh.snakemake("--cores", "2", *PUBLISH)
    assert digests(run.results) == digests(fresh.results) != digests(published.results)


@pytest.mark.parametrize(
    ("name", "cores", "targets"),
    [
        # two jobs read it at a time: the second may find the file gone
        ("c/qc/variants.parquet", "2", (*PUBLISH, "results/c/qc/qc.svg")),
        # statistics that are there already do not need it
        ("c/y/study.json", "1", (*PUBLISH, "predictions")),
        pytest.param("c/associations/main/1.parquet", "1", (), marks=pytest.mark.slow),
        pytest.param("c/case/deepnull/sumstats.tsv.gz", "2", (), marks=pytest.mark.slow),
    ],
)
def test_a_damaged_file_is_named_and_made_again(published, finished, tmp_path, name, cores, targets):
    run = copy_of(published if targets else finished, tmp_path / "run")
    path = run.results / name
    path.write_bytes(path.read_bytes()[:-40])
    done = run.snakemake("--cores", cores, *targets, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"{path.name}: damaged" in said and f"renamed {path.name}.damaged" in said
    assert "Traceback" not in said
    run.snakemake("--cores", "2", "--rerun-incomplete", *targets)
    made, whole = digests(run.results), digests(finished.results)
    assert set(made) >= set(digests((published if targets else finished).results))
    assert made == {file: whole[file] for file in made}


def test_two_runs_in_one_folder(published, tmp_path):
    run = without_last(published, tmp_path / "run", warm=False)
    with run.started("--cores", "1", *PUBLISH) as first:
        assert wait_for_job(run, first) is not None
        # held where it is until the second has had its say, however fast the one and slow the other
        first.send_signal(signal.SIGSTOP)
        second = run.snakemake("--cores", "1", check=False)
        first.send_signal(signal.SIGCONT)
        out, err = first.communicate()
    assert second.returncode != 0
    assert "cannot be locked" in second.stdout + second.stderr
    assert first.returncode == 0, out + err
    assert digests(run.results) == digests(published.results)


def test_clocks_that_differ(tmp_path):
    """A file server an hour ahead is told as that, before anything is computed on it."""
    run = prepare(tmp_path)
    ahead = time.time() + 3600
    os.utime(run.folder / "samples.tsv", (ahead, ahead))
    done = run.snakemake("--cores", "2", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "clock skew" in said and "samples.tsv" in said

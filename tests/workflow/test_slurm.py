"""The Slurm profile on a cluster of two nodes on this machine (scripts/start-test-slurm.sh): same bytes as a local run,
more memory after a kill.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from workflow_runs import CHUNKS, OF_ONE_RUN, ROOT, SHEET, Run, copy_of, small_cohort

pytestmark = [pytest.mark.workflow, pytest.mark.oracle("sbatch", "slurmctld", "slurmd", "munged")]
START = ROOT / "scripts/start-test-slurm.sh"
PROFILE = ROOT / "profiles/slurm"
# a test cluster answers at once and has no accounting database
HASTE = [
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2", "--latency-wait", "10"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> None:
    """Start the test cluster, unless it runs already, and stop it again."""
    no = pytest.fail if os.environ.get("REQUIRE_ORACLES") else pytest.skip
    if os.geteuid() != 0:
        no("only root can start the test cluster")
    folder = Path(os.environ.get("DEEPNULL_GWAS_SLURM", f"{tempfile.gettempdir()}/deepnull-gwas-slurm"))
    conf = Path("/etc/slurm/slurm.conf")
    if conf.exists() and conf.resolve() != (folder / "slurm.conf").resolve():
        no(f"{conf} is that of another cluster")
    ran = conf.exists() and subprocess.run(["sinfo"], capture_output=True).returncode == 0
    done = subprocess.run(["sh", str(START)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    if not ran:
        subprocess.run(["sh", str(START), "stop"], check=True, capture_output=True)
        assert not conf.is_symlink()


@pytest.fixture
def run(tmp_path) -> Run:
    """Return a folder with a cohort of two chunks and one study."""
    small_cohort(tmp_path)
    run = Run(tmp_path, warm=False)
    run.configure(CHUNKS, SHEET[:1])
    return run


def local_copy(run: Run) -> Run:
    """Return a copy of a run beside it."""
    return copy_of(run, run.folder.with_name(run.folder.name + "_local"))


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of every file under a folder."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in OF_ONE_RUN
    }


def log_of(run: Run) -> str:
    """Return what snakemake wrote to its log in its last run: the numbers of the jobs are not on the screen."""
    return max((run.folder / ".snakemake/log").glob("*.log")).read_text()


def jobs_of(said: str) -> list[dict[str, str]]:
    """Return what Slurm knows of the jobs that snakemake says it has submitted, in that order."""
    jobs = []
    for number in re.findall(r"submitted with SLURM jobid (\d+)", said):
        text = subprocess.run(["scontrol", "show", "job", number], capture_output=True, text=True, check=True).stdout
        jobs.append(dict(re.findall(r"(\w+)=(\S+)", text)))
    return jobs


def test_a_job_killed_for_memory_is_submitted_again_with_more(cluster, published, tmp_path):
    """The training job gets too little at first; it asks for a GPU, which only the second node has (in name)."""
    run = copy_of(published, tmp_path / "run", warm=False)
    made_here = digests(run.results / "c/y/deepnull")
    prediction = "results/c/y/deepnull/prediction.parquet"
    # the job makes its other files again with it
    (run.folder / prediction).unlink()
    done = run.snakemake(
        # 100 MB do not even hold Snakemake's own process, which runs for seconds: Slurm looks once a second
        *("--profile", str(PROFILE), *HASTE, "--set-resources"),
        *("train_folds:mem_mb=100 * 16 ** (attempt - 1)", "train_folds:gpu=1", "--", prediction),
    )
    said = log_of(run)
    # once more, and no failure at the end
    assert " again " in done.stderr and "FAILED:" not in done.stderr
    killed, second = jobs_of(said)
    assert killed["JobState"] == "FAILED", said
    # Slurm's log of a failed job stays, that of the good one goes
    (log,) = (run.folder / "logs/slurm/rule_train_folds").rglob("*.log")
    assert "exceeded memory limit" in log.read_text()
    assert second["JobState"] == "COMPLETED"
    assert "mem=100M" in killed["TRES"] and "mem=1600M" in second["TRES"]
    # the workflow's own functions know the attempt too
    first, again = (int(job["TimeLimit"].split(":")[1]) for job in (killed, second))
    assert first > 20 and again == 2 * first
    for job in (killed, second):
        assert job["BatchHost"] == "node2" and "gpu" in job["TresPerJob"]
    assert digests(run.results / "c/y/deepnull") == made_here


@pytest.mark.slow
def test_slurm_gives_the_bytes_of_a_local_run(cluster, run):
    local = local_copy(run)
    local.snakemake("--cores", "2")
    run.snakemake("--profile", str(PROFILE), *HASTE)
    jobs = jobs_of(log_of(run))
    comments = {job["Comment"].removeprefix("rule_").split("_wildcards")[0] for job in jobs}
    assert {"index_cohort", "count_genotypes", "train_folds", "associate", "summarise_run"} <= comments
    # the check of the exit code is no job of the cluster's
    assert "check_status" not in comments and (run.results / ".status_checked").exists()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert digests(run.results) == digests(local.results)
    assert "Nothing to be done" in run.snakemake("-n", "--profile", str(PROFILE)).stdout


@pytest.mark.slow
def test_chunks_go_as_one_job_array(cluster, run):
    """The chunks are killed for memory the first time, and come again with more: each by itself, or as an array if both
    are seen at once.
    """
    run.snakemake("--cores", "2", "results/c/.screened.tsv")
    local = local_copy(run)
    target = "results/c/qc/variants.parquet"
    run.snakemake(
        *("--profile", str(PROFILE), *HASTE, "--slurm-array-jobs", "count_genotypes"),
        *("--set-resources", "count_genotypes:mem_mb=100 * 15 ** (attempt - 1)", "--", target),
    )
    said = log_of(run)
    arrays = re.findall(r"Submitted array job .* SLURM job ID (\d+)\. .* task IDs are (\d+-\d+)", said)
    assert {tasks for _, tasks in arrays} == {"1-2"}, said
    states = []
    for number in [*(number for number, _ in arrays), *re.findall(r"submitted with SLURM jobid (\d+)", said)]:
        text = subprocess.run(["scontrol", "show", "job", number], capture_output=True, text=True, check=True).stdout
        states += re.findall(r"JobState=(\w+)", text)
    # two that were killed, the same two again, and the rule that puts them together
    assert states == ["FAILED"] * 2 + ["COMPLETED"] * 3, said
    local.snakemake("--cores", "2", target)
    assert digests(run.results) == digests(local.results)

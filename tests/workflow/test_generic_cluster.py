"""The profile for clusters with qsub, on stand-ins for Grid Engine's commands: they run a job, limit its time to live,
and keep accounts of it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from workflow_runs import CONFIG, ROOT, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow
PROFILE = ROOT / "profiles/generic"

# A job is a process group of its own. One that asked for less than the megabytes in MINIMUM is killed at once, as for
# memory.
COMMANDS = {
    "qsub": """
        number=$(( $(ls "$QUEUE"/*.command 2>/dev/null | wc -l) + 1 ))
        echo "$*" >"$QUEUE/$number.command"
        memory=$(echo "$*" | sed -E 's/.*h_vmem=([0-9]+)M.*/\\1/')
        for script; do :; done
        touch "$QUEUE/$number.running"
        (
          code=137
          [ "$memory" -lt "${MINIMUM:-0}" ] || { sh "$script" >"$QUEUE/$number.out" 2>&1; code=$?; }
          printf 'qname        all.q\\nfailed       0\\nexit_status  %s\\n' $code >"$QUEUE/$number.account"
          rm "$QUEUE/$number.running"
        ) >/dev/null 2>&1 &
        echo $number
    """,
    "qstat": '[ "$1" != -j ] || [ -e "$QUEUE/$2.running" ]',
    "qacct": 'cat "$QUEUE/$2.account"',
    "qdel": 'echo "$*" >>"$QUEUE/deleted"',
}


@pytest.fixture
def queue(tmp_path, monkeypatch) -> Path:
    """Put the stand-ins on the path; returns the folder of their queue."""
    folder = tmp_path / "queue"
    folder.mkdir()
    for name, body in COMMANDS.items():
        (folder / name).write_text("#!/bin/sh\n" + body)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("QUEUE", str(folder))
    return folder


def test_jobs_go_through_qsub_and_come_again_with_twice_the_memory(queue, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("cluster", "local")]
    digests = []
    for folder in folders:
        folder.mkdir()
        small_cohort(folder)
        run = Run(folder, warm=False)
        run.configure(CONFIG, SHEET[:1])
        if folder.name == "cluster":
            monkeypatch.setenv("MINIMUM", "1200")
            arguments = ["--profile", str(PROFILE), "--seconds-between-status-checks", "1", "--latency-wait", "5"]
        else:
            arguments = ["--cores", "1"]
        run.snakemake(*arguments, "--", "results/c/samples.parquet")
        digests.append(
            {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in run.results.rglob("*") if p.is_file()}
        )
    assert digests[0] == digests[1] and "variants.parquet" in digests[0]
    # the rule's own estimate: 220 MB and what the small files take in whole 100 MB, and 400 MB for Snakemake; three
    # times some seconds and 20 minutes; doubled
    first, second = [(queue / f"{n}.command").read_text() for n in (1, 2)]
    assert "h_vmem=700M" in first and "h_rt=1260" in first
    assert "h_vmem=1400M" in second and "h_rt=2520" in second
    assert not (queue / "3.command").exists()
    assert "exit_status  137" in (queue / "1.account").read_text()


@pytest.mark.parametrize(
    ("running", "account", "said"),
    [
        (True, None, "running"),
        (False, "failed 0\nexit_status 0\n", "success"),
        (False, "failed 0\nexit_status 1\n", "failed"),
        # killed by the scheduler: "failed" has a number and words, and the exit status may be 0
        (False, "failed       100 : assumedly after job\nexit_status 0\n", "failed"),
        (False, "qname all.q\n", "failed"),
        (False, None, "failed"),
    ],
)
def test_status_command(queue, monkeypatch, running, account, said):
    monkeypatch.setenv("DEEPNULL_GWAS_QACCT_TRIES", "1")
    if running:
        (queue / "7.running").touch()
    if account is not None:
        (queue / "7.account").write_text(account)
    done = subprocess.run([str(PROFILE / "status.sh"), "7"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, said + "\n"), done.stderr

"""The processes that most runs of these tests are forks of do what an interpreter does."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warm import python
from workflow_runs import ROOT

PROGRAM = """
import atexit, os, sys
print(sys.argv[1:], os.environ.get("WANTED"), "PATH" in os.environ, os.getcwd(), __name__, sys.stdin.read(), flush=True)
print("to the error stream", file=sys.stderr)
atexit.register(print, "at the end")
{end}
"""
#: Run by no test on the interpreter itself, see ``Run.warm``.
OTHERS = ("filter_array", "import_vcf", "index_array", "measure_validity", "verify_batch")


@pytest.fixture
def script(tmp_path) -> Path:
    """Return where a job's script would lie."""
    path = tmp_path / ".snakemake/scripts/job.py"
    path.parent.mkdir(parents=True)
    return path


def started(python: str, script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(script), "one", "two words"],
        cwd=script.parent,
        env={"WANTED": "é\nü"},
        input="given",
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "sys.exit('why')", "1 / 0", "os.kill(os.getpid(), 9)"])
def test_a_fork_does_what_the_interpreter_does(script, end):
    script.write_text(PROGRAM.format(end=end))
    done, expected = started(python(), script), started(sys.executable, script)
    # the shell of a job makes 137 of a kill
    assert done.returncode == (137 if expected.returncode == -signal.SIGKILL else expected.returncode)
    assert done.stdout == expected.stdout
    assert done.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]


def test_it_ends_with_the_group_of_who_asked_for_it(script):
    script.write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n")
    with subprocess.Popen([python(), str(script)], stdout=subprocess.PIPE, text=True, process_group=0) as asked:
        job = int(asked.stdout.readline())
        os.killpg(asked.pid, signal.SIGKILL)
    for _ in range(600):
        # who is dead and not yet waited for has no memory
        try:
            if "VmRSS" not in Path(f"/proc/{job}/status").read_text():
                return
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the fork lives on")


@pytest.mark.parametrize("name", OTHERS)
def test_imports_of_a_script_suffice(name):
    tree = ast.parse((ROOT / f"workflow/scripts/{name}.py").read_text())
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(imports) > 1
    subprocess.run([sys.executable, "-c", "\n".join(imports)], check=True)

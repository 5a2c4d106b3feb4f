"""What computed the results: versions of the workflow, of packages, and the machine."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from deepnull_gwas import __version__


def packages() -> dict[str, str]:
    """Return name and version of every installed package."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def source_state(workflow: str | Path) -> dict[str, Any]:
    """Return the version of the workflow: number, git commit, whether files were changed since, digest of the library.

    Commit and changes are None where git knows nothing of the folder.
    """
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    # the workflow's scripts, which a wheel has inside the library, are no part of it
    modules = [p for p in root.rglob("*.py") if "_project" not in p.relative_to(root).parts]
    for path in sorted(modules, key=lambda p: p.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                ["git", "-C", str(workflow), *words], capture_output=True, text=True, timeout=60, check=True
            )
            return done.stdout.strip()
        return None

    # a clone of something else around it does not count
    top = git("rev-parse", "--show-toplevel")
    mine = (
        top is not None
        and Path(workflow).resolve().is_relative_to(Path(top).resolve())
        and git("ls-files", "Snakefile")
    )
    changed = git("status", "--porcelain", "--untracked-files=no") if mine else None
    return {
        "version": __version__,
        "commit": git("rev-parse", "HEAD") if mine else None,
        "changed_since_commit": None if changed is None else bool(changed),
        "library_sha256": digest.hexdigest(),
    }


def host() -> dict[str, Any]:
    """Return what machine this is: name, system, processor, cores, memory in MB."""
    model = platform.processor() or platform.machine()
    memory = None
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                memory = int(line.split()[1]) * 1024 // 10**6
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_mb": memory,
    }

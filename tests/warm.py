"""A Python whose imports lie behind it, for runs of the workflow whose point is what they publish.

A run on a small cohort is some thirty processes, each of which spends most of its second on the same imports. Here one
process per worker of the tests imports once, as ``multiprocessing``'s fork server does, and every Snakemake and every
job is a fork of it: a process of its own, with arguments, environment, folder and descriptors of its own, that runs the
same script. :func:`python` returns a stand-in for the interpreter that asks for such a fork.

What is about processes (killed, limited in memory, on a cluster, in a checkout of its own) and what a user does first
(the demo) runs on the interpreter itself, see ``Run.warm``; so does everything with ``DEEPNULL_GWAS_COLD=1``.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import gc
import importlib
import marshal
import os
import runpy
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
#: Beyond what the scripts of the workflow import: Snakemake, and what is imported where a figure or table is written.
PRELOADED = (
    *("snakemake.cli", "snakemake.script", "snakemake.logging", "pandas_plink._read"),
    *("matplotlib.backends.backend_svg", "matplotlib.backends.backend_pdf", "fontTools.subset"),
)
# no site, no environment: it starts in a hundredth of a second
STAND_IN = """#!{python} -IS
import _socket, marshal, os, struct, sys

if not (sys.argv[1:3] == ["-m", "snakemake"] or "/.snakemake/scripts/" in sys.argv[1]):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
asked = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ), os.getpgrp()))
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect({address!r})
descriptors = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))
server.sendmsg([struct.pack("I", len(asked))], [descriptors])
sent = 0
while sent < len(asked):
    sent += server.send(asked[sent:])
# nothing from a process that was killed
os._exit(int(server.recv(16) or b"137"))
"""


@cache
def python() -> str:
    """Return the path of the stand-in for the interpreter; its server ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    address, stand_in = folder / "socket", folder / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable, address=str(address)))
    stand_in.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    # it ends when this end of its input is closed, however this process ends
    server = subprocess.Popen(
        [sys.executable, __file__, str(address), str(stand_in)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=folder,
    )

    @atexit.register
    def stop() -> None:
        server.stdin.close()
        server.stdout.close()
        server.wait()

    # everything is imported
    if server.stdout.readline() != b"ready\n":
        raise RuntimeError("the server of warm processes did not start; DEEPNULL_GWAS_COLD=1 does without")
    return str(stand_in)


def imports_of_scripts() -> list[str]:
    """List the modules of the library that the scripts of the workflow import."""
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "workflow/scripts").glob("*.py"))]
    found = (node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return sorted({name for name in found if name and name.startswith("deepnull_gwas")})


def serve(address: str, stand_in: str) -> NoReturn:
    """Fork for everybody who asks, until the standard input is closed."""
    for name in (*PRELOADED, *imports_of_scripts()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(128)
        print("ready", flush=True)
        while server in select.select([server, 0], [], [])[0]:
            client, _ = server.accept()
            if os.fork() == 0:
                server.close()
                work(client, stand_in)
            client.close()
            # those that have ended
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    shutil.rmtree(os.path.dirname(address))
    os._exit(0)


def work(client: socket.socket, stand_in: str) -> NoReturn:
    """Become the process that was asked for, and send its exit code."""
    size, descriptors, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as file:
        arguments, folder, environment, group = marshal.loads(file.read(int.from_bytes(size, sys.byteorder)))
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # who ends the group of the stand-in ends this, too
    with contextlib.suppress(OSError):
        os.setpgid(0, group)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = code_of(arguments, folder, stand_in)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    client.send(str(code).encode())
    os._exit(code)


def code_of(arguments: list[str], folder: str, stand_in: str) -> int:
    """Run ``-m snakemake ...`` or a script; returns the exit code."""
    try:
        if arguments[0] == "-m":
            from snakemake.cli import main

            sys.argv, sys.path[0] = arguments[1:], folder
            # what its jobs are started with
            sys.executable = stand_in
            main()
        else:
            sys.argv, sys.path[0] = arguments, os.path.dirname(os.path.abspath(arguments[0]))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(*sys.argv[1:])

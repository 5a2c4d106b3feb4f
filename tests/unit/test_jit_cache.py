"""Compiled code is not used once a file that it was compiled from, through an import, has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deepnull_gwas import jit_cache

LOWER = "from deepnull_gwas.jit import numba\n\n\n@numba.njit(cache=True)\ndef lower(x):\n    return x + {what}\n"
UPPER = """from deepnull_gwas.genotypes.lower import lower
from deepnull_gwas.jit import numba


@numba.njit(cache=True)
def upper(x):
    return 10 * lower(x)
"""
RUN = """
from deepnull_gwas.genotypes.upper import upper
print(upper(1), sum(upper.stats.cache_hits.values()))
"""


def test_a_kernel_of_another_file_that_changes_is_compiled_again(tmp_path):
    package = tmp_path / "deepnull_gwas"
    (package / "genotypes").mkdir(parents=True)
    source = Path(jit_cache.__file__).parent
    for name in ("__init__.py", "jit.py", "jit_cache.py", "imports.py", "genotypes/__init__.py"):
        (package / name).write_text((source / name).read_text())
    (package / "genotypes/upper.py").write_text(UPPER)

    def run(what: int) -> list[int]:
        (package / "genotypes/lower.py").write_text(LOWER.format(what=what))
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", RUN], env=environment, check=True, capture_output=True, text=True, cwd=tmp_path
        )
        return [int(word) for word in done.stdout.split()]

    assert run(1) == [20, 0]
    assert run(1) == [20, 1], "the same code was compiled twice"
    assert run(5) == [60, 0], "old code of the other file was used"


def test_the_digest_is_of_what_is_imported():
    products = str(jit_cache.PACKAGE / "genotypes/products.py")
    rare = str(jit_cache.PACKAGE / "genotypes/rare.py")
    assert jit_cache.digest_of_kernels(products) != jit_cache.digest_of_kernels(rare)
    assert jit_cache.is_of_library(products) and not jit_cache.is_of_library(os.__file__)

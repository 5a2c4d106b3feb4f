"""Vectors of 512 bits where the processor has them and LLVM would not use them; nothing else changes."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys

import pytest

from deepnull_gwas.jit import vendor, wide_features

WITH = {"avx2": True, "avx512f": True, "avx512vl": True, "amx-tile": False}


@pytest.mark.parametrize(
    ("features", "maker", "wide"),
    [
        (WITH, "GenuineIntel", True),
        (WITH, "AuthenticAMD", False),
        (WITH, None, False),
        (WITH | {"avx512f": False}, "GenuineIntel", False),
        ({"avx2": True}, "GenuineIntel", False),
        ({}, "GenuineIntel", False),
    ],
)
def test_only_intel_with_wide_registers_is_told_so(features, maker, wide):
    found = wide_features(features, maker)
    assert (found is not None) == wide
    if wide:
        # what this processor lacks stays off: the name alone would promise it
        assert found == "-amx-tile,+avx2,+avx512f,+avx512vl,-prefer-256-bit"


def test_the_maker_is_read_from_the_system(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: x\n")
    assert vendor(path) == "GenuineIntel"
    path.write_text("processor\t: 0\nCPU implementer\t: 0x41\n")
    assert vendor(path) is None
    assert vendor(tmp_path / "none") is None


#: Says how numba was set up, with the processor's maker and features as given.
REPORT = """
import json, os, sys
from pathlib import Path
import llvmlite.binding as binding
{before}
features = dict(binding.get_host_cpu_features()) | {more}
binding.get_host_cpu_features = lambda: type("F", (dict,), {{"flatten": lambda self: ",".join(
    ("+" if on else "-") + name for name, on in sorted(self.items()))}})(features)
real = open
import builtins
builtins.open = lambda name, *a, **k: real({cpuinfo!r} if name == "/proc/cpuinfo" else name, *a, **k)
import deepnull_gwas.association.chunk
import deepnull_gwas.jit as jit
from numba.core.registry import cpu_target
magic = cpu_target.target_context.codegen().magic_tuple()
print(json.dumps([magic[2], magic[1], os.environ.get("NUMBA_CPU_FEATURES")]))
"""


def report(tmp_path, maker: str, before: str = "", more: dict | None = None, **environment: str) -> list:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"vendor_id\t: {maker}\nflags\t: avx\n")
    code = REPORT.format(cpuinfo=str(cpuinfo), before=before, more=more or {"avx512f": True})
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("before", ["", "import numba"])
def test_numba_is_set_before_anything_is_compiled_and_the_environment_is_left_alone(tmp_path, before):
    features, _, environment = report(tmp_path, "GenuineIntel", before)
    assert "-prefer-256-bit" in features.split(",")
    assert "+avx512f" in features.split(",")
    assert environment is None


def test_other_processors_and_what_a_user_has_set_stay_as_they_are(tmp_path):
    plain = report(tmp_path, "AuthenticAMD")
    assert "prefer-256-bit" not in plain[0]
    assert "prefer-256-bit" not in report(tmp_path, "GenuineIntel", more={"avx512f": False})[0]
    own = "+avx2,+fma"
    assert report(tmp_path, "GenuineIntel", NUMBA_CPU_FEATURES=own)[::2] == [own, own]


COMPILE = """
from deepnull_gwas.jit import numba
from deepnull_gwas.genotypes.products import _dots_6x4
f4, f8, i8 = numba.float32, numba.float64, numba.int64
_dots_6x4.compile((f4[:, ::1], f4[:, ::1], f8[:, ::1], i8, i8))
(text,) = _dots_6x4.inspect_asm().values()
print(text)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86-64 only")
def test_the_product_is_compiled_to_wide_vectors_and_the_cache_keeps_both_apart(tmp_path):
    """For a Sapphire Rapids, whatever this processor is: the code is looked at, and not run."""
    # its features by name: nothing that this processor lacks is switched off
    features = {"avx512f": True, "avx512vl": True, "avx512bw": True, "avx512dq": True, "avx512cd": True}
    wide = wide_features(features, "GenuineIntel")
    narrow = wide.replace("-prefer-256-bit", "+prefer-256-bit")
    registers = {}
    for name, chosen in (("wide", wide), ("narrow", narrow), ("again", wide)):
        environment = os.environ | {
            "NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": chosen,
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
        )
        products = re.findall(r"vfmadd\w+ps\s.*(%[xyz]mm)\d+$", done.stdout, flags=re.M)
        registers[name] = set(products)
        if name == "narrow":
            entries = list((tmp_path / "cache").rglob("*_dots_6x4*.nbc"))
            assert len(entries) == 2, entries
    assert registers["wide"] == {"%zmm"}
    assert registers["narrow"] == {"%ymm"}
    # from the cache it would have no assembly; from the other's it would be wrong
    assert registers["again"] in ({"%zmm"}, set())

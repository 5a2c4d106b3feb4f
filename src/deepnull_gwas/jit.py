"""Numba as the library uses it, set to the whole vector unit of the processor: every module takes it from here.

LLVM compiles for vectors of 256 bits on Intel's processors, though they have registers of 512: on the first of them the
wide ones cost clock speed. For the products of the scan the wide ones are faster all the same (1.17 against 1.69
thousand million genotypes a second with 24 columns on a core of an Emerald Rapids; ``benchmarks/association.py
--vectors``), so the preference is switched off. AMD's processors have no such preference. Numba reads its settings when
it is imported and keeps code for other settings apart in its cache on disk, so this is done before, and nothing else is
touched: not the environment of programs that are started from here, and not what a user has set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import llvmlite.binding

from deepnull_gwas.jit_cache import watch_imports

#: ``fastmath`` of kernels: sums may be reordered (vectorised) and multiplications fused; no assumption on NaN or
#: infinities.
FAST = {"reassoc", "contract", "nsz"}
#: What a user may have set about the processor: it is left as it is.
_SETTINGS = ("NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_ENABLE_AVX", "NUMBA_DISABLE_JIT")


def vendor(cpu_info: str | Path = "/proc/cpuinfo") -> str | None:
    """Return the maker of the processor (``GenuineIntel``, ``AuthenticAMD``); None where the system does not tell."""
    try:
        with open(cpu_info, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("vendor_id"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return None


def wide_features(features: Mapping[str, bool], maker: str | None) -> str | None:
    """Return the processor's features for vectors of 512 bits, as LLVM writes them; None to leave LLVM's choice.

    Parameters
    ----------
    features
        Of this processor, as LLVM finds them.
    maker
        From :func:`vendor`.
    """
    if maker != "GenuineIntel" or not features.get("avx512f", False):
        return None
    there = dict(features) | {"prefer-256-bit": False}
    return ",".join(("+" if on else "-") + name for name, on in sorted(there.items()))


def _features_of_this_processor() -> dict[str, bool]:
    try:
        return dict(llvmlite.binding.get_host_cpu_features())
    except RuntimeError:
        # LLVM does not know how to ask this processor
        return {}


def _import_numba() -> object:
    chosen = wide_features(_features_of_this_processor(), vendor())
    wanted = chosen is not None and not any(name in os.environ for name in _SETTINGS)
    if wanted and "numba" in sys.modules:
        # somebody else imported it: in time still, unless something was compiled
        sys.modules["numba"].config.CPU_FEATURES = chosen
    elif wanted:
        os.environ["NUMBA_CPU_FEATURES"] = chosen
    try:
        import numba

        if wanted:
            # the processor's features are read when the compiler is set up, not when it is imported
            _ = numba.core.registry.cpu_target.target_context
    finally:
        if wanted:
            # a program started from here may run on another machine
            os.environ.pop("NUMBA_CPU_FEATURES", None)
    watch_imports(numba)
    return numba


numba = _import_numba()

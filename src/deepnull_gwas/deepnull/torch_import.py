"""torch, for the modules that train networks; an installation may do without it."""

from __future__ import annotations

from deepnull_gwas.errors import InputError
from deepnull_gwas.packages import NO_TORCH

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise InputError(f"{NO_TORCH[0].upper()}{NO_TORCH[1:]}") from None

__all__ = ["torch"]

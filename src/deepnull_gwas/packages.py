"""Packages that only some analyses need, and that an installation may lack: looked for before a run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from deepnull_gwas.errors import InputError, some

if TYPE_CHECKING:
    from deepnull_gwas.config import Config

#: Models that are trained with torch.
OF_TORCH = ("auto", "network")
NO_TORCH = (
    "networks are trained with torch, which is not installed. Install it: pip install 'deepnull-gwas[network]' (on a "
    "machine without a GPU take the CPU build, 200 MB instead of 3 GB: pip install torch --index-url "
    "https://download.pytorch.org/whl/cpu), or do without networks: deepnull: {model: splines, compare: false} "
    "(or trees, second_order, linear)"
)


def check_packages(config: Config) -> None:
    """Check that what a configuration needs is installed.

    Raises
    ------
    InputError
        When some studies need torch and it is not there.
    """
    if find_spec("torch") is not None:
        return
    every = config.deepnull["recipe"] == "original" or config.deepnull["compare"]
    studies = [
        s.name
        for s in config.studies
        # for the figure that compares them all models are fitted
        if "deepnull" in s.arms and (every or (s.model or config.deepnull["model"]) in OF_TORCH)
    ]
    if studies:
        raise InputError(f"studies {some(studies, 3)}: {NO_TORCH}")

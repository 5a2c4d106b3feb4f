"""Packages that only some analyses need, and that an installation may lack: looked for before a run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from deepnull_gwas.errors import InputError, some

if TYPE_CHECKING:
    from deepnull_gwas.config import Config

#: Models that are trained with torch.
OF_TORCH = ("auto", "network")
#: Others that use a GPU where there is one, through torch, and do without either.
ON_GPU = ("gaussian_process",)
NO_TORCH = (
    "networks are trained with torch, which is not installed. Install it: pip install 'deepnull-gwas[network]' (on a "
    "machine without a GPU take the CPU build, 200 MB instead of 3 GB: pip install torch --index-url "
    "https://download.pytorch.org/whl/cpu), or do without networks: deepnull: {model: splines, compare: false} "
    "(or gaussian_process, trees, second_order, linear)"
)
NO_TORCH_FOR_GPU = (
    "deepnull.device is cuda, and GPUs are used through torch, which is not installed. Install it: pip install "
    "'deepnull-gwas[network]', or set the device to auto or cpu"
)


def check_packages(config: Config) -> None:
    """Check that what a configuration needs is installed.

    Raises
    ------
    InputError
        When some studies, or a GPU that is asked for, need torch and it is not there.
    """
    if find_spec("torch") is not None:
        return
    deepnull = config.deepnull
    # for the figure that compares them all models are fitted
    every = deepnull["recipe"] == "original" or deepnull["compare"]
    models = [(s.name, s.model or deepnull["model"]) for s in config.studies if "deepnull" in s.arms]
    if studies := [name for name, model in models if every or model in OF_TORCH]:
        raise InputError(f"studies {some(studies, 3)}: {NO_TORCH}")
    studies = [name for name, model in models if model in ON_GPU]
    if studies and deepnull["device"] == "cuda":
        raise InputError(f"studies {some(studies, 3)}: {NO_TORCH_FOR_GPU}")

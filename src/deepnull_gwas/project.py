"""Where the files of the workflow are: inside an installed package, or in the checkout that the library belongs to."""

from __future__ import annotations

import functools
import importlib.resources
from pathlib import Path


@functools.cache
def project_folder() -> Path:
    """Return the folder of ``Snakefile``, ``workflow/``, ``config/``, ``resources/``, ``envs/`` and ``profiles/``.

    A wheel holds them in ``_project`` (``setup.py`` puts them there); in a checkout, and in the copy that Snakemake
    makes of a remote module, they lie two folders above the library.
    """
    library = Path(str(importlib.resources.files("deepnull_gwas")))
    packed = library / "_project"
    return packed if packed.is_dir() else library.resolve().parents[1]

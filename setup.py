"""What pyproject.toml cannot say: the workflow's files travel inside the package.

The repository keeps the layout that Snakemake and its workflow catalog expect. In a wheel the same files lie in
``deepnull_gwas/_project`` (``src/deepnull_gwas/project.py`` finds them there), so that an installed package runs
without a checkout. An editable installation uses the checkout.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

#: The workflow but for the library.
PROJECT = ("Snakefile", "workflow", "config", "resources", "envs", "profiles")


class BuildWithWorkflow(build_py):
    """The library, and the files of the workflow in it."""

    def project_files(self) -> Iterator[str]:
        """Yield the files of the workflow, relative to the repository."""
        for name in PROJECT:
            top = Path(name)
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts):
                    yield path.as_posix()

    def _target(self, name: str) -> Path:
        return Path(self.build_lib, "deepnull_gwas", "_project", name)

    def run(self) -> None:
        """Copy library and workflow to the folder that becomes the wheel."""
        super().run()
        if self.editable_mode:
            return
        for name in self.project_files():
            self._target(name).parent.mkdir(parents=True, exist_ok=True)
            # with its mode: a profile has a script
            shutil.copy2(name, self._target(name))

    def get_source_files(self) -> list[str]:
        """Return what a source distribution has to hold."""
        return [*super().get_source_files(), *self.project_files()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that are made."""
        made = [] if self.editable_mode else [str(self._target(name)) for name in self.project_files()]
        return [*super().get_outputs(include_bytecode), *made]


setup(cmdclass={"build_py": BuildWithWorkflow})

"""Paths in a configuration: files that are not there, and names that Snakemake would not take for paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepnull_gwas.config.model import GENES, RELATIVES, Cohort
from deepnull_gwas.config.values import as_dict
from deepnull_gwas.errors import nearest, some
from deepnull_gwas.text import shorten

#: What Snakemake does not take for a part of a path.
_NO_PATH = re.compile(r"\{[^{}]*\}|<[^<>]*>")


def path_from(path: str | None, base: str | Path) -> str | None:
    """Return a path relative to a folder where it lies inside, else as it is.

    So a project that moves as a whole keeps the names of its files, which Snakemake compares to tell whether a job is
    up to date.
    """
    if not path or not Path(path).is_absolute():
        return path
    file = Path(path)
    # the folder may be reached, or named, through links; what is linked from inside it keeps its name there
    for inside, folder in ((file, Path(base).absolute()), (file.parent.resolve() / file.name, Path(base).resolve())):
        if inside.is_relative_to(folder):
            return str(inside.relative_to(folder))
    return path


def paths_from(cohort: Cohort, base: Path) -> Cohort:
    """Return a cohort whose paths inside the folder are relative to it."""
    relatives = cohort.structure["relatives"]
    return replace(
        cohort,
        filesets=tuple(str(path_from(name, base)) for name in cohort.filesets),
        structure_filesets=tuple(str(path_from(name, base)) for name in cohort.structure_filesets),
        bgen_samples=tuple(str(path_from(name, base)) for name in cohort.bgen_samples),
        reference=tuple(str(path_from(name, base)) for name in cohort.reference),
        samples=path_from(cohort.samples, base),
        structure=cohort.structure
        | {
            "relatives": relatives if relatives in RELATIVES else path_from(relatives, base),
            "loadings": path_from(cohort.structure["loadings"], base),
        },
    )


def is_file(path: Path) -> bool:
    """Return whether a path is a file; a path that no file system takes is none."""
    # a name that is too long for the file system is an error to pathlib
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; see :func:`is_file`."""
    try:
        return path.is_dir()
    except OSError:
        return False


def nearest_file(path: Path, of_suffix: bool = False) -> str:
    """Return ``; did you mean 'x'?`` for the closest name in a path's folder (``of_suffix``: same extension)."""
    folder = path.parent
    if not is_folder(folder):
        return f"; the folder {shorten(folder, 300)} does not exist"
    return nearest(path.name, [p.name for p in folder.iterdir() if not of_suffix or p.suffix == path.suffix])


def no_path(where: str, path: Any) -> Iterator[str]:
    """Yield a message where Snakemake would take a part of a path for something else."""
    if isinstance(path, str) and (found := _NO_PATH.search(path)):
        yield (
            f"{where}: '{shorten(path, 300)}' holds {found.group()}, which Snakemake takes for a wildcard or a path "
            "variable; rename the file or folder, or make a link to it"
        )


def check_paths(cohorts: Mapping[str, Cohort], filled: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths that Snakemake would not take for paths."""
    places = [
        (f"config: cohorts.{name}.{key}", path)
        for name, cohort in cohorts.items()
        for key, path in (
            *(("genotypes", name) for name in cohort.filesets),
            *(("structure.genotypes", name) for name in cohort.structure_filesets),
            *(("bgen_sample", name) for name in cohort.bgen_samples),
            *(("reference", name) for name in cohort.reference),
            ("samples", cohort.samples),
            ("structure.relatives", cohort.structure.get("relatives")),
            ("structure.loadings", cohort.structure.get("loadings")),
        )
    ]
    places.append(("config: deepnull.fold_file", as_dict(filled.get("deepnull")).get("fold_file")))
    places.append(("config: report.genes", as_dict(filled.get("report")).get("genes")))
    places += [(f"config: pathvars.{key}", path) for key, path in as_dict(filled.get("pathvars")).items()]
    for where, path in places:
        yield from no_path(where, path)


def check_files(cohorts: Mapping[str, Cohort], filled: Mapping[str, Any], base: Path) -> Iterator[str]:
    """Yield which of the tables that the config names are neither there nor made by the run."""
    results = str(as_dict(filled.get("pathvars")).get("results", "results")).rstrip("/")
    places = [
        (f"config: cohorts.{name}.structure.{key}", cohort.structure.get(key), f"{results}/{name}/structure/{own}")
        for name, cohort in cohorts.items()
        for key, own in (("relatives", "relatives.tsv"), ("loadings", "loadings.parquet"))
    ]
    places.append(("config: deepnull.fold_file", as_dict(filled.get("deepnull")).get("fold_file"), ""))
    places.append(("config: report.genes", as_dict(filled.get("report")).get("genes"), ""))
    for where, path, own in places:
        if not isinstance(path, str) or not path:
            continue
        if path in {"relatives": RELATIVES, "genes": GENES}.get(where.rpartition(".")[2], ()):
            continue
        if str(Path(path)) == own:
            yield (
                f"{where}: {path} is what this run makes for this very cohort; "
                "give a table from elsewhere, or leave the key out"
            )
        elif not is_file(base / path) and not any(str(Path(path)).startswith(f"{results}/{n}/") for n in cohorts):
            others = "" if is_folder((base / path).parent) else f"; this config has the cohorts {some(cohorts)}"
            yield f"{where}: no such file: {shorten(path, 300)}{nearest_file(base / path)}{others}"

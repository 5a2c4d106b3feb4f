"""The site of a run: pages of studies, loci and cohorts put together with the app (rule ``build_site``)."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.genotypes.chromosomes import SSF_CODE
from deepnull_gwas.site.script_files import packed, write_script
from deepnull_gwas.tables import atomic_path, own_file, read_json

logger = logging.getLogger(__name__)

#: The app, next to this file.
APP = Path(__file__).parent / "app"
#: Regions of the strongest loci of a study, where they were measured (:mod:`deepnull_gwas.results.regions`).
REGIONS = "regions.json.gz"
#: What stands for no r2 among the packed ones, which are thousandths.
NO_R2 = 65_535
#: What is shown of the machine: not its name, not the folder.
HOST = ("system", "cpu", "cores", "memory_mb")


def build_site(
    results: str | Path,
    studies: Sequence[Mapping[str, Any]],
    provenance: str | Path,
    out: str | Path,
    out_zip: str | Path,
) -> None:
    """Put the site of a run together: a folder that opens from the disk, and the same as one file to send.

    Parameters
    ----------
    results
        Folder of the results: pages of studies and cohorts are read by their names.
    studies
        cohort, study, arms and model of each study, in the order of the sheet.
    provenance
        provenance.json.
    out, out_zip
        The folder, which is made again as a whole, and the archive. The same inputs give the same bytes.
    """
    results, out = Path(results), Path(out)
    folder = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    rows = []
    for entry in studies:
        cohort, study = entry["cohort"], entry["study"]
        (data / cohort).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / cohort / study / "site.js", data / cohort / f"{study}.js")
        row = read_json(results / cohort / study / "site.json")
        rows.append(row | {"regions": _write_regions(results / cohort / study / REGIONS, data, cohort, study)})
    cohorts = list(dict.fromkeys(entry["cohort"] for entry in studies))
    for cohort in cohorts:
        shutil.copyfile(results / cohort / "site.js", data / f"{cohort}.js")
    record = read_json(provenance)
    write_script("run", _run(record), data / "run.js")
    version = record["analysis"]["software"]["deepnull-gwas"]["version"]
    write_script("index", {"version": version, "cohorts": cohorts, "studies": rows}, data / "index.js")
    for path in sorted(p for p in APP.iterdir() if p.is_file()):
        target = folder / path.name if path.suffix == ".html" else folder / "app" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    _zip(folder, out.name, out_zip)
    shutil.rmtree(out, ignore_errors=True)
    folder.rename(out)
    logger.info("%d studies of %d cohorts: %s", len(rows), len(cohorts), out / "index.html")


def _write_regions(path: Path, data: Path, cohort: str, study: str) -> list[dict[str, Any]]:
    """Write one script per region of a study; return their names and places, strongest first."""
    if not path.exists():
        return []
    with own_file(path, EOFError, gzip.BadGzipFile, zlib.error, ValueError), gzip.open(path, "rt") as file:
        regions = json.load(file)
    listed = []
    for locus in regions["loci"]:
        lead = locus["lead"]
        chromosome = str(locus["chromosome"])
        listed.append(
            {
                "name": locus["name"],
                "code": SSF_CODE.get(chromosome) or int(chromosome),
                "position": locus["position"][lead],
                "id": locus["id"][lead],
            }
        )
        # thousandths of r2, an unsigned number of two bytes each
        r2 = [[NO_R2 if v is None else v for v in row] for row in locus["r2"]]
        page = locus | {"window_kb": regions["window_kb"], "r2": packed(np.array(r2, dtype=np.uint16))}
        folder = data / cohort / study
        folder.mkdir(parents=True, exist_ok=True)
        write_script(f"locus/{cohort}/{study}/{locus['name']}", page, folder / f"{locus['name']}.js")
    return listed


def _run(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of the record of the run."""
    analysis, execution = record["analysis"], record["execution"]
    files = ("path", "bytes", "sha256")
    return {
        "software": analysis["software"],
        "seed": analysis["seed"],
        "config": analysis["config"],
        "studies": analysis["studies"],
        "inputs": [{key: f[key] for key in files} for f in analysis["inputs"]],
        "published": [{key: f[key] for key in files} for f in analysis["published"]],
        "recorded": execution["recorded"],
        "host": {key: execution["host"].get(key) for key in HOST},
        "rules": execution["rules"],
    }


def _zip(folder: Path, name: str, out: str | Path) -> None:
    """Pack a folder under a name; no dates, so that the same files are the same bytes."""
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as file:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            about = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}")
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            file.writestr(about, path.read_bytes(), compresslevel=5)

"""A study for people with another engine.

Phenotype, covariates and DeepNull prediction in the engines' own forms, with the exact command lines.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.engines import COLUMN, commands
from deepnull_gwas.tables import atomic_path, read_json, read_parquet
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

FLOAT = "%.10g"


def column_names(covariates: Sequence[str]) -> dict[str, str]:
    """Return names that every engine takes: letters, digits and ``_``, unique, for ``cov_...`` columns."""
    names: dict[str, str] = {}
    for column in covariates:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column.removeprefix("cov_")).strip("_") or "covariate"
        if base[0].isdigit() or base.upper() in {"FID", "IID", "PHENOTYPE", COLUMN.upper()}:
            base = f"c_{base}"
        name, count = base, 2
        while name in names.values():
            name, count = f"{base}_{count}", count + 1
        names[column] = name
    return names


def write_for_engines(path: Path, table: pd.DataFrame, header: bool = True) -> None:
    """Write a table as other engines read it: tabs, NA, and no quotes.

    Parameters
    ----------
    path
        Where to.
    table
        FID and IID first.
    header
        Whether the first line has the columns' names.
    """
    with atomic_path(path) as temporary:
        # no engine knows quotes: an ID with one in it stands as it is
        table.to_csv(
            temporary, sep="\t", index=False, header=header, na_rep="NA", float_format=FLOAT, lineterminator="\n",
            quoting=csv.QUOTE_NONE, quotechar=None,
        )  # fmt: skip


def export_study(
    samples: str | Path,
    study: str | Path,
    prediction: str | Path,
    genotypes: Mapping[str, Any],
    passed_variants: str | Path,
    out: str | Path,
    structure: Sequence[str] = (),
) -> None:
    """Write the files of a study, and ``commands.sh``.

    Parameters
    ----------
    samples, study, prediction
        samples.parquet, study.json and prediction.parquet of the study.
    genotypes
        genotypes.json of the cohort: names and format of its filesets.
    passed_variants
        variants.txt of the cohort: IDs of the variants that pass quality control (only named in the commands).
    out
        Folder: ``phenotype.txt`` and ``covariates.txt`` (FID, IID, header; phenotype 0/1 for binary traits; what enters
        the association is the covariate ``deepnull_covariate``), ``saige.txt`` (both in one table), ``gcta.phen`` and
        ``gcta.qcovar`` (no header), ``people.txt`` (FID IID).
    structure
        Names of the filesets of ``structure.genotypes``, from which first steps are then told to take hard calls.
    """
    info, people = read_json(study), read_parquet(samples)
    values = read_parquet(prediction)
    out = Path(out)
    failed = info["status"] != "ok" or not len(values)
    names = column_names([c for c in people.columns if c.startswith("cov_")])
    if failed:
        people = people.iloc[:0]
        values = values.iloc[:0]
    elif list(values["sample_index"]) != list(people["sample_index"]):
        raise ValueError(f"{prediction}: other people than {samples}")
    ids = pd.DataFrame({"FID": people["fid"], "IID": people["iid"]})
    covariates = pd.concat([ids, people[list(names)].rename(columns=names)], axis=1)
    # a constant would be refused by the engines
    useful = failed or bool(np.ptp(values[COLUMN].to_numpy()) > 0)
    if useful:
        covariates[COLUMN] = values[COLUMN].to_numpy()
    binary = trait_of(info["trait"]).has_cases
    phenotype = ids.assign(PHENOTYPE=people["phenotype"].astype(int) if binary else people["phenotype"])
    tables = {
        "phenotype.txt": (phenotype, True),
        "covariates.txt": (covariates, True),
        "saige.txt": (phenotype.merge(covariates, on=["FID", "IID"]), True),
        "gcta.phen": (phenotype, False),
        "gcta.qcovar": (covariates, False),
        "people.txt": (ids, False),
    }
    for name, (table, header) in tables.items():
        write_for_engines(out / name, table, header)
    exported = [*names.values(), *([COLUMN] if useful else [])]
    with atomic_path(out / "commands.sh") as temporary:
        temporary.write_text(
            commands(info, exported, genotypes, passed_variants, out, failed, structure),
            encoding="utf-8",
        )


def list_passed(variants: str | Path, qc: str | Path, out: str | Path) -> None:
    """Write the IDs of the variants that pass quality control, one per line.

    Parameters
    ----------
    variants, qc
        variants.parquet of the cohort and of its quality control.
    out
        passed.txt.
    """
    table = read_parquet(variants, columns=["index", "id"])
    good = read_parquet(qc, columns=["index", "passed"])
    ids = table["id"][table["index"].isin(good["index"][good["passed"].astype(bool)])]
    if ids.duplicated().any():
        logger.warning(
            "%d IDs are there more than once: engines that select by ID take all variants of an ID",
            int(ids.duplicated().sum()),
        )
    with atomic_path(out) as temporary:
        temporary.write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")

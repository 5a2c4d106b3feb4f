"""The metadata of published summary statistics: what the GWAS Catalog's standard asks for, and what it does not.

The standard: https://github.com/EBISPOT/gwas-summary-statistics-standard (schema/metadata.py).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deepnull_gwas import RELEASED, __version__
from deepnull_gwas.results.ssf import FORMAT, TABLES_VERSION, significant
from deepnull_gwas.results.sumstats import OTHER_ALLELES
from deepnull_gwas.tables import atomic_path
from deepnull_gwas.traits import trait_of

#: What the column ``info`` is, by the definition that the association tables name.
INFO_DEFINITIONS = {
    "impute": "IMPUTE information of genotype probabilities, of the people of this study",
    "mach_r2": "MaCH r2 of dosages (observed variance over that expected in Hardy-Weinberg equilibrium), of the people "
    "of this study; values above 1 are written as 1",
}


def metadata_of(
    about: Mapping[str, Any], arm: str, state: Mapping[str, Any], given: Mapping[str, Any], written: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metadata of a study and arm but for the name and checksum of the file.

    Parameters
    ----------
    about
        study.json.
    arm
        ``baseline`` or ``deepnull``.
    state
        What became of the arm: status, reason, notes, covariates that were dropped.
    given
        ``cohort``, ``genome_build``, ``date``, ``imputation_panel``, ``imputation_software``, ``genotypes`` (see
        :func:`deepnull_gwas.association.chunk.origin_of`), ``genome`` (content of genome.json, or None).
    written
        ``other_alleles`` and ``examples_of_other_alleles``; ``lowest``, the least minor allele frequency.
    """
    covariates = [c["name"] for c in about.get("covariates", [])]
    covariates = [c for c in covariates if c not in state["dropped_covariates"]]
    if arm == "deepnull":
        covariates.append("deepnull_covariate (DeepNull prediction, out of fold, beyond its linear part)")
    binary = trait_of(about["trait"]).has_cases
    sample: dict[str, Any] = {"sample_size": about["n"], "case_control_study": binary}
    if binary:
        sample |= {"case_count": about["cases"], "control_count": about["controls"]}
    lowest = float(significant(np.array([written["lowest"]]))[0]) if np.isfinite(written["lowest"]) else None
    metadata = {
        "date_metadata_last_modified": datetime.date.fromisoformat(given.get("date") or RELEASED),
        "trait_description": [about["phenotype"]],
        "genome_assembly": given["genome_build"],
        "coordinate_system": "1-based",
        "imputation_panel": given.get("imputation_panel"),
        "imputation_software": given.get("imputation_software"),
        "samples": [sample],
        "data_file_name": None,
        "file_type": FORMAT,
        "data_file_md5sum": None,
        "analysis_software": f"deepnull-gwas {__version__}",
        "adjusted_covariates": covariates,
        "minor_allele_freq_lower_limit": lowest,
        "is_harmonised": False,
        "is_sorted": True,
        # beyond the standard's fields
        "deepnull_gwas": _own(about, arm, state, given, written),
    }
    named = ("data_file_name", "data_file_md5sum")
    return {key: value for key, value in metadata.items() if value is not None or key in named}


def _own(
    about: Mapping[str, Any], arm: str, state: Mapping[str, Any], given: Mapping[str, Any], written: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the standard does not ask for; parameters as in :func:`metadata_of`."""
    binary = trait_of(about["trait"]).has_cases
    own = {
        "tables_version": TABLES_VERSION,
        "cohort": given["cohort"],
        "study": about["study"],
        "arm": arm,
        "trait": about["trait"],
        "transform": about["transform"],
        "effect": "log odds ratio per copy of the effect allele" if binary else "per copy of the effect allele",
        "status": state["status"],
        "reason": state["reason"],
        "notes": list(state.get("notes", [])),
    }
    if genome := given.get("genome"):
        found = genome["arms"][arm]
        own["model"] = {
            "name": "whole_genome",
            "what": "tests condition on what all chromosomes but the variant's own predict of the phenotype",
            **{key: found.get(key) for key in ("used", "method", "reason", "r2_genome", "r2_covariates", "r2_both")},
        }
    if definition := given["genotypes"]["information"]:
        own["info"] = INFO_DEFINITIONS[definition]
    if written["other_alleles"]:
        own["other_alleles"] = {
            "why": "tested variants with alleles that GWAS-SSF does not know",
            "variants": written["other_alleles"],
            "data_file_name": OTHER_ALLELES,
            "examples": list(written["examples_of_other_alleles"]),
        }
    return own


def write_metadata(file: Path, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of a published file as YAML, with its name and checksum."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(file, "rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    whole = {**metadata, "data_file_name": file.name, "data_file_md5sum": digest.hexdigest()}
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), encoding="utf-8")

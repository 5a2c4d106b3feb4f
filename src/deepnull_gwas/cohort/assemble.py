"""From a cohort to a study: who is analysed, their phenotype as analysed, and their encoded covariates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.covariates import (
    ONLY_DEEPNULL,
    Selection,
    code_phenotype,
    column,
    encode,
    read_people,
    select_people,
    transform,
)
from deepnull_gwas.cohort.families import unrelated_set
from deepnull_gwas.cohort.losses import losses
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.tables import Column, read_json, read_metadata, read_parquet, write_json, write_parquet
from deepnull_gwas.traits import Trait, trait_of

logger = logging.getLogger(__name__)

STAGE = "assemble_study"
SAMPLES = [
    Column("sample_index", "int64", "number of the person in the genotype files, from 0; ascending"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "person's ID"),
    Column("phenotype", "float64", "as analysed: transformed; binary: 1 case, 0 control"),
]
#: People beyond the number of covariate columns that a study needs: fewer leave no degrees of freedom worth the name.
SPARE_PEOPLE = 10
#: What relatives among the people analysed do where no mixed model takes their likeness into account.
INFLATED = (
    "{pairs} pairs of relatives (kinship above {kinship}) are analysed together (relatives: keep), and there is no "
    "mixed model: standard errors are too small and tests inflated (measured: lambda 1.16 to 1.27 with 1,450 pairs "
    "of siblings); take relatives: exclude, association_model: whole_genome, or an engine with a mixed model "
    "(snakemake exports)"
)
#: The same where the model does.
ACCOUNTED_FOR = (
    "{pairs} pairs of relatives (kinship above {kinship}) are analysed together: the model whole_genome takes their "
    "likeness into account"
)


@dataclass(frozen=True)
class CohortFiles:
    """Files of a cohort from which a study is assembled.

    Attributes
    ----------
    samples
        samples.parquet of the cohort.
    qc_samples
        qc/samples.parquet.
    pcs
        structure/pcs.parquet; needed where the study has components among its covariates.
    relatives, families
        structure/relatives.tsv and families.parquet; without families nobody is left out for their relatives.
    genotypes
        genotypes.json, which tells how many variants need people's sex.
    """

    samples: str | Path
    qc_samples: str | Path
    pcs: str | Path | None = None
    relatives: str | Path | None = None
    families: str | Path | None = None
    genotypes: str | Path | None = None


def assemble_study(
    files: CohortFiles, study: dict[str, Any], out_samples: str | Path, out_study: str | Path
) -> dict[str, Any]:
    """Decide who is analysed in a study; write their phenotype and covariates, with an account of everybody left out.

    The order is: in the sample table, passes quality control, phenotype present, included by the expression, covariates
    complete (those that only feed the prediction too: both arms have the same people), principal components there,
    related to nobody who stays. The phenotype is transformed after that, among the people analysed.

    Parameters
    ----------
    files
        Files of the cohort.
    study
        Settings of the study. With ``relatives: exclude`` a maximal unrelated set of its people stays (of a binary
        trait cases first, with ``cases_first``); with ``keep``, only copies of a person are left out. ``model`` is
        there where it is not ``linear``, and is then written into study.json.
    out_samples, out_study
        samples.parquet (no missing values; zero rows when the study fails) and study.json of the study.

    Returns
    -------
    What is written into study.json.

    Raises
    ------
    InputError
        When the study does not fit the sample table (``preflight_cohort`` says so earlier). What lies in the data of
        the people left, such as no cases, is no error here: it is written as the study's status.
    """
    frame, _ = read_people(files.samples, [study])
    report: dict[str, Any] = {
        "study": study["study"],
        "cohort": study["cohort"],
        "phenotype": study["phenotype"],
        "trait": study["trait"],
        "transform": study["transform"],
        **({"model": study["model"]} if "model" in study else {}),
        "status": "ok",
        "stage": "",
        "reason": "",
        "n": 0,
        "cases": None,
        "controls": None,
        "accounting": [],
        "covariates": [],
        "deepnull_covariates": [],
        "dropped_covariates": [],
        "notes": [],
    }
    try:
        people = _assemble(frame, files, study, report)
        if files.genotypes:
            report["notes"] += _notes_on_sex(frame, people, read_json(files.genotypes), trait_of(study["trait"]))
    except StudyFailure as failure:
        logger.warning("study %s fails: %s", study["study"], failure.reason)
        report |= {"status": "failed", "stage": failure.stage, "reason": failure.reason}
        people = pd.DataFrame(
            {
                "sample_index": np.zeros(0, np.int64),
                "fid": np.zeros(0, object),
                "iid": np.zeros(0, object),
                "phenotype": np.zeros(0),
            }
        )
    for step in report["accounting"]:
        logger.info("%s: %s people (-%s)", step["step"], f"{step['people']:,}", f"{step['removed']:,}")
    for dropped in report["dropped_covariates"]:
        logger.warning("covariate %s is dropped: %s", dropped["name"], dropped["reason"])
    for note in report["notes"]:
        logger.warning("study %s: %s", study["study"], note)
    numeric = [Column(c, "float64", "covariate") for c in people.columns[len(SAMPLES) :]]
    write_parquet(people, out_samples, [*SAMPLES, *numeric])
    write_json(report, out_study)
    return report


def _assemble(frame: pd.DataFrame, files: CohortFiles, study: dict[str, Any], report: dict[str, Any]) -> pd.DataFrame:
    """Return the people analysed and fill the report, which holds what is known when a StudyFailure is raised."""
    trait = trait_of(study["trait"])
    known = read_parquet(files.qc_samples, columns=["sample_index", "sex"]).set_index("sample_index")["sex"]
    # with what X tells of it, where so configured
    frame["recorded_sex"] = known.reindex(frame["sample_index"]).to_numpy(dtype=np.int8)
    phenotype = code_phenotype(_in_table(frame, study["phenotype"]), study)
    qc = read_parquet(files.qc_samples, columns=["sample_index", "passed", "filter"])
    passed = _by_sample(qc["sample_index"].to_numpy()[qc["passed"].to_numpy(dtype=bool)], frame)
    selection = select_people(frame, study, phenotype, passed)
    components = pd.DataFrame()
    if study["pcs"]:
        if not files.pcs:
            raise InputError(f"study '{study['study']}' uses {study['pcs']} principal components, but none are given")
        names = [f"PC{i}" for i in range(1, study["pcs"] + 1)]
        table = read_parquet(files.pcs).set_index("sample_index")
        if absent := [n for n in names if n not in table.columns]:
            report["accounting"] = selection.accounting
            raise StudyFailure(
                STAGE,
                f"{study['pcs']} principal components are asked for, but {absent[0]} could not be computed in this "
                "cohort",
            )
        components = table[names].reindex(frame["sample_index"])
        selection.step("principal components present", components.notna().all(axis=1).to_numpy())
    if files.families:
        report["notes"] += _leave_out_relatives(selection, frame, files, study, phenotype)
    keep = selection.keep
    y = phenotype[keep]
    cases, controls = trait.cases_and_controls(y)
    report |= {"accounting": selection.accounting, "n": len(y), "cases": cases, "controls": controls}
    if not len(y):
        last = next(s for s in selection.accounting if not s["people"])
        raise StudyFailure(
            STAGE, f"nobody is left to analyse after the step '{last['step']}'; {_who_went(selection, qc['filter'])}"
        )
    people = frame[keep].reset_index(drop=True)
    encoded = encode(people, study["covariates"], study["categorical_covariates"])
    columns = dict(encoded.columns)
    for name in components.columns:
        columns[f"cov_{name}"] = components[name].to_numpy(dtype=np.float64)[keep]
        encoded.covariates.append({"name": name, "columns": [f"cov_{name}"], "kind": "pc"})
    only = encode(people, study["deepnull_only"], study["categorical_covariates"], ONLY_DEEPNULL)
    report |= {
        "covariates": encoded.covariates,
        "deepnull_covariates": only.covariates,
        "dropped_covariates": encoded.dropped + only.dropped,
    }
    if len(y) <= len(columns) + SPARE_PEOPLE:
        raise StudyFailure(
            STAGE,
            f"{len(y)} people are too few for {len(columns)} covariate columns; more than "
            f"{len(columns) + SPARE_PEOPLE} are needed; " + _who_went(selection, qc["filter"]),
        )
    if trait.has_cases and not (cases and controls):
        absent_group = "controls" if cases else "cases"
        raise StudyFailure(
            STAGE, f"no {absent_group} among the {len(y)} people left to analyse; {_who_went(selection, qc['filter'])}"
        )
    if not trait.has_cases:
        if np.ptp(y) == 0:
            raise StudyFailure(STAGE, f"the phenotype is constant ({y[0]:g}) among the {len(y)} people left to analyse")
        try:
            y = transform(y, study["transform"])
        except InputError as error:
            raise StudyFailure(STAGE, f"transform {study['transform']}: {error}") from None
    own = {"sample_index": people["sample_index"], "fid": people["fid"], "iid": people["iid"], "phenotype": y}
    return pd.DataFrame(own | columns | only.columns).sort_values("sample_index", kind="stable", ignore_index=True)


def _leave_out_relatives(
    selection: Selection, frame: pd.DataFrame, files: CohortFiles, study: dict[str, Any], phenotype: np.ndarray
) -> list[str]:
    """Leave out copies of a person and, where configured, relatives of people who stay; return notes on those kept."""
    table = read_parquet(files.families, columns=["sample_index", "duplicate_of"])
    copies = table["sample_index"].to_numpy()[(table["duplicate_of"] != "").to_numpy()]
    selection.step("no copy of a person's sample", ~_by_sample(copies, frame))
    if not files.relatives:
        return []
    threshold = (read_metadata(files.families) or {}).get("kinship", float("nan"))
    here = np.flatnonzero(selection.keep)
    place = pd.Series(np.arange(len(here)), index=frame["sample_index"].to_numpy()[here])
    pairs = pd.read_csv(files.relatives, sep="\t", usecols=["sample_index_1", "sample_index_2"])
    pairs = pairs[pairs["sample_index_1"].isin(place.index) & pairs["sample_index_2"].isin(place.index)]
    first, second = (place.loc[pairs[f"sample_index_{side}"]].to_numpy() for side in (1, 2))
    if study["relatives"] != "exclude":
        logger.info("%s pairs of relatives stay (relatives: keep)", f"{len(pairs):,}")
        note = ACCOUNTED_FOR if study.get("model") == "whole_genome" else INFLATED
        return [note.format(pairs=f"{len(pairs):,}", kinship=f"{threshold:.4g}")] if len(pairs) else []
    cases_first = trait_of(study["trait"]).has_cases and study["cases_first"]
    priority = phenotype[here] if cases_first else None
    unrelated = np.ones(len(frame), dtype=bool)
    unrelated[here] = unrelated_set(len(here), first, second, priority)
    selection.step(f"unrelated (kinship at most {threshold:.4g})", unrelated)
    return []


def _notes_on_sex(
    frame: pd.DataFrame, people: pd.DataFrame, genotypes: Mapping[str, Any], trait: Trait
) -> Iterator[str]:
    """Yield what an unknown sex does to the tests on X and Y (see ``StudyDesign.fails_for_want_of_sex``)."""
    where = " and ".join(
        f"{c} ({count:,} variants)" for c in "XY" if (count := genotypes.get(f"variants_on_{c.lower()}", 0))
    )
    sex = frame.set_index("sample_index")["recorded_sex"].loc[people["sample_index"]].to_numpy()
    unknown = int((sex == 0).sum())
    if not where or not unknown:
        return
    need = people.shape[1] - len(SAMPLES) + 1 + 3
    groups = len(np.unique(people["phenotype"][sex > 0])) if trait.has_cases else 2
    if (sex > 0).sum() <= need or groups < 2:
        yield (
            f"{where} not tested: the sex of {unknown:,} of {len(sex):,} people is not known (reason sex_unknown); "
            "name the column of the sample table that has it as `sex` of the cohort, or set qc.infer_sex"
        )
    else:
        yield f"{unknown:,} of {len(sex):,} people are left out on {where}: their sex is not known"


def _in_table(frame: pd.DataFrame, name: str) -> pd.Series:
    try:
        return column(frame, name)
    except KeyError:
        raise InputError(f"the sample table has no column '{name}'") from None


def _by_sample(index: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    return np.isin(frame["sample_index"].to_numpy(), index)


def _who_went(selection: Selection, filters: pd.Series) -> str:
    """Return which steps left people out, and which filters of quality control did."""
    parts = []
    for step in selection.accounting:
        if step["removed"]:
            found = losses(filters) if step["step"].endswith("quality control") else ""
            parts.append(f"'{step['step']}' {step['removed']:,}" + (f" (by {found})" if found else ""))
    total = selection.accounting[0]["people"]
    return f"of {total:,} people in the genotypes, these steps left out: {', '.join(parts) or 'nobody'}"

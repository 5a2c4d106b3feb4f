"""LOCO offsets in the forms that other engines take, with the command lines: step 1 here, step 2 there.

regenie reads a list of files (``--pred``) and from each one row per chromosome. For a quantitative trait it takes the
prediction from a phenotype that it has regressed on the covariates and divided by its residual standard deviation, so
that the file is on that scale; for a binary one it is an offset on the logit scale. Any engine of linear regression
takes the phenotype less the offset, one column per chromosome (PLINK 2); one of logistic regression that knows no
offset takes it as one more covariate. BOLT-LMM, SAIGE and GCTA fit predictions of their own and take none.

Source: regenie 4, ``Data::write_predictions``, ``blup_read_chr`` and ``residualize_phenotypes``.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.engines import COLUMN, Script
from deepnull_gwas.deepnull.exports import FLOAT, column_names, write_for_engines
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.tables import atomic_path, read_json, read_parquet
from deepnull_gwas.traits import trait_of
from deepnull_gwas.whole_genome.offsets import read_offsets

logger = logging.getLogger(__name__)

ARMS: tuple[str, ...] = ("baseline", "deepnull")
#: First word of a .loco file
CORNER = "FID_IID"
#: Rows of a .loco file and columns of the tables; the last holds the offset of everything that is no autosome
CHROMOSOMES: tuple[str, ...] = (*AUTOSOMES, "X")
#: Its number in a .loco file
X_NUMBER = 23
#: What PLINK 2 calls everything that is no autosome
OTHERS = "X,Y,XY,PAR1,PAR2,MT"


def chromosome_offsets(
    offsets: Mapping[tuple[str, str, str], np.ndarray], arm: str, people: int
) -> dict[str, np.ndarray] | None:
    """Return an arm's offset of each of :data:`CHROMOSOMES`, or None where it has none at all.

    Parameters
    ----------
    offsets
        (arm, class of chromosomes, chromosome) -> float64[people], as of :func:`read_offsets`; a key that is absent
        stands for no offset, which other engines know as 0.
    arm
        ``baseline`` or ``deepnull``.
    people
        Number of people.
    """
    keys = {c: (arm, "autosome", c) for c in AUTOSOMES} | {"X": (arm, "X", "X")}
    if not any(key in offsets for key in keys.values()):
        return None
    return {c: offsets[key] if key in offsets else np.zeros(people) for c, key in keys.items()}


def regenie_scale(y: np.ndarray, offset: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return an offset as regenie takes it from a quantitative phenotype.

    Parameters
    ----------
    y, offset
        float64[n], in the same unit.
    covariates
        float64[n, c], without intercept.

    Returns
    -------
    float64[n]: the offset with intercept and covariates taken out, in residual standard deviations of the phenotype
    (n less the number of independent columns, intercept among them, in the denominator). The covariates are taken out
    because regenie does so with the phenotype and the variant, but not with the prediction: its residual variance is
    then the one of a regression with all of them.
    """
    columns = np.column_stack([np.ones(len(y)), (covariates - covariates.mean(axis=0)) / _spread(covariates)])
    both = np.column_stack([y, offset])
    coefficients, _, rank, _ = np.linalg.lstsq(columns, both, rcond=1e-7)
    left = both - columns @ coefficients
    return left[:, 1] / np.sqrt(left[:, 0] @ left[:, 0] / (len(y) - rank))


def _spread(columns: np.ndarray) -> np.ndarray:
    """Return standard deviations, 1 for a constant."""
    sd = columns.std(axis=0)
    return np.where(sd > 0, sd, 1.0)


def write_loco(path: str | Path, people: Sequence[str], offsets: Mapping[str, np.ndarray]) -> None:
    """Write a .loco file of regenie: people in columns, one row for each of 23 chromosomes.

    Parameters
    ----------
    path
        The file.
    people
        FID and IID of each person, joined by ``_``.
    offsets
        Chromosome -> float64[n], for all of :data:`CHROMOSOMES`.

    Raises
    ------
    InputError
        Where two people have the same joined ID, which regenie could not tell apart.
    """
    twice = pd.Index(people).duplicated()
    if twice.any():
        raise InputError(
            f"{path}: two people are {people[int(np.argmax(twice))]} once FID and IID are joined by _, as regenie "
            "does: it could not tell them apart. Give them other IDs"
        )
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(" ".join([CORNER, *people]) + "\n")
        for number, chromosome in enumerate(CHROMOSOMES, start=1):
            file.write(" ".join([str(number), *(FLOAT % value for value in offsets[chromosome])]) + "\n")


def read_loco(path: str | Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read a .loco file, by the rules of regenie.

    Returns
    -------
    The people (FID_IID), and chromosome (``1`` ... ``22``, ``X``) -> float64[n]; ``NA`` becomes NaN.

    Raises
    ------
    InputError
        Where regenie would refuse the file: another first word, a row that is not the next chromosome or has another
        number of values than the first line has people, a person twice, a value that is no number.
    """
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    if not lines or not lines[0] or lines[0][0] != CORNER:
        raise InputError(f"{path}, line 1: the first word is not {CORNER}")
    people = lines[0][1:]
    if len(set(people)) < len(people):
        raise InputError(f"{path}, line 1: a person is there twice")
    if len(lines) != X_NUMBER + 1:
        raise InputError(f"{path}: {len(lines) - 1} rows of chromosomes; there must be {X_NUMBER}")
    offsets: dict[str, np.ndarray] = {}
    for number, words in enumerate(lines[1:], start=1):
        if not words or words[0] not in {str(number)} | ({"X"} if number == X_NUMBER else set()):
            raise InputError(f"{path}, line {number + 1}: begins with {words[:1]}, not with chromosome {number}")
        if len(words) != len(people) + 1:
            raise InputError(f"{path}, line {number + 1}: {len(words) - 1} values for {len(people)} people")
        try:
            values = np.array([np.nan if word == "NA" else float(word) for word in words[1:]])
        except ValueError as error:
            raise InputError(f"{path}, line {number + 1}: {error}") from error
        offsets[CHROMOSOMES[number - 1]] = values
    return people, offsets


def read_list(path: str | Path) -> dict[str, str]:
    """Read the list that regenie's ``--pred`` takes: phenotype -> file; a line has two words, no phenotype is there
    twice.
    """
    files: dict[str, str] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if len(words) != 2:
            raise InputError(f"{path}, line {number}: {len(words)} words; there must be two, phenotype and file")
        if words[0] in files:
            raise InputError(f"{path}, line {number}: phenotype {words[0]} is there twice")
        files[words[0]] = words[1]
    return files


@dataclass(frozen=True)
class ArmExport:
    """One arm of a study whose offsets are exported.

    Attributes
    ----------
    arm
        ``baseline`` or ``deepnull``.
    covariates
        Names of its exported covariates.
    """

    arm: str
    covariates: tuple[str, ...]


def export_offsets(
    samples: str | Path,
    study: str | Path,
    prediction: str | Path | None,
    offsets: str | Path,
    genotypes: Mapping[str, Any],
    variants: str | Path,
    passed_variants: str | Path,
    out: str | Path,
) -> None:
    """Write the offsets of a study for other engines, and ``commands.sh``.

    Parameters
    ----------
    samples, study, prediction
        samples.parquet, study.json and prediction.parquet of the study (None: no arm ``deepnull``).
    offsets
        offsets.parquet of the study; an arm without offsets is not exported, and the commands say so.
    genotypes, variants, passed_variants
        genotypes.json (read), variants.parquet and the list of passed variants of the cohort, for the commands.
    out
        Folder: ``phenotype.txt`` and ``covariates.txt`` (FID, IID, header; phenotype 0/1 for binary traits),
        ``people.txt`` (FID IID), and for each arm ``{arm}.loco`` and ``{arm}_pred.list`` (regenie), and
        ``{arm}_phenotypes.txt`` (quantitative: FID, IID, phenotype less the offset in CHR1 ... CHR22, CHRX) or
        ``{arm}_covariates.txt`` (binary: the covariates, then the offset in LOCO1 ... LOCO22, LOCOX).
    """
    info, people, out = read_json(study), read_parquet(samples), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    ids = pd.DataFrame({"FID": people["fid"], "IID": people["iid"]})
    names = column_names([c for c in people.columns if c.startswith("cov_")])
    covariates = {arm: people[list(names)].rename(columns=names) for arm in ARMS}
    d = _deepnull_covariate(prediction, people)
    y, binary = people["phenotype"].to_numpy(dtype=np.float64), trait_of(info["trait"]).has_cases
    if d is not None:
        covariates["deepnull"] = covariates["deepnull"].assign(**{COLUMN: d})
    write_for_engines(out / "people.txt", ids, header=False)
    write_for_engines(out / "covariates.txt", pd.concat([ids, covariates["deepnull"]], axis=1))
    write_for_engines(out / "phenotype.txt", ids.assign(PHENOTYPE=people["phenotype"].astype(int) if binary else y))
    stored, exports = read_offsets(offsets), []
    for arm in ARMS:
        found = chromosome_offsets(stored, arm, len(people))
        if found is not None:
            _write_arm(out, arm, ids, y, covariates[arm], found, binary)
            exports.append(ArmExport(arm, tuple(covariates[arm].columns)))
    places = read_parquet(variants, columns=["chromosome", "file"]).drop_duplicates()
    where = list(zip(places["file"], places["chromosome"], strict=True))
    with atomic_path(out / "commands.sh") as temporary:
        temporary.write_text(commands(info, exports, genotypes, where, passed_variants, out), encoding="utf-8")


def _deepnull_covariate(prediction: str | Path | None, people: pd.DataFrame) -> np.ndarray | None:
    """Return the DeepNull covariate of a study's people; None without one, or a constant, which engines refuse."""
    if prediction is None:
        return None
    values = read_parquet(prediction)
    if not len(values):  # the arm has failed
        return None
    if list(values["sample_index"]) != list(people["sample_index"]):
        raise ValueError(f"{prediction}: other people than the study's")
    d = values[COLUMN].to_numpy(dtype=np.float64)
    return d if np.ptp(d) > 0 else None


def _write_arm(
    out: Path,
    arm: str,
    ids: pd.DataFrame,
    y: np.ndarray,
    covariates: pd.DataFrame,
    offsets: Mapping[str, np.ndarray],
    binary: bool,
) -> None:
    """Write the files of an arm."""
    matrix = covariates.to_numpy(dtype=np.float64)
    regenie = offsets if binary else {c: regenie_scale(y, values, matrix) for c, values in offsets.items()}
    write_loco(out / f"{arm}.loco", [f"{f}_{i}" for f, i in zip(ids["FID"], ids["IID"], strict=True)], regenie)
    with atomic_path(out / f"{arm}_pred.list") as temporary:
        temporary.write_text(f"PHENOTYPE {out / f'{arm}.loco'}\n", encoding="utf-8")
    if binary:
        columns = pd.DataFrame({f"LOCO{c}": values for c, values in offsets.items()})
        write_for_engines(out / f"{arm}_covariates.txt", pd.concat([ids, covariates, columns], axis=1))
    else:
        columns = pd.DataFrame({f"CHR{c}": y - values for c, values in offsets.items()})
        write_for_engines(out / f"{arm}_phenotypes.txt", pd.concat([ids, columns], axis=1))


def commands(
    info: Mapping[str, Any],
    arms: Sequence[ArmExport],
    genotypes: Mapping[str, Any],
    places: Sequence[tuple[int, str]],
    passed_variants: str | Path,
    folder: str | Path,
) -> str:
    """Return the command lines by which other engines test with these offsets, as a shell script to copy from.

    Parameters
    ----------
    info
        study.json.
    arms
        What was exported.
    genotypes
        genotypes.json.
    places
        Number of the fileset and chromosome, each pair that has variants once.
    passed_variants
        List of the variants that pass quality control.
    folder
        Of the exported tables and offsets.
    """
    phenotype = " ".join(str(info["phenotype"]).split())
    title = (
        f"# Study {info['study']} of cohort {info['cohort']}: phenotype {phenotype}, {info['n']} people, "
        f"{info['trait']}.\n"
    )
    if not arms:
        return title + "# No arm has offsets (genome.json says why): test by linear or logistic regression.\n"
    form = format_of(genotypes["filesets"][0])
    prefixes = [f"./{f}" if f.startswith("-") else f for f in map(form.prefix, genotypes["filesets"])]
    script = Script(info, (), form, prefixes, genotypes, shlex.quote(str(passed_variants)))
    lines = [
        "#!/bin/sh",
        title.rstrip(),
        "# Step 1 (whole-genome regression that leaves a chromosome out) was done by this workflow; these are step 2.",
        f"# Run where the workflow was run. The effect allele of this workflow is {form.effect_allele}.",
        "# Neither engine models relatives, or a variance that differs by ancestry, beyond the offset: with either,",
        "# prefer the workflow's own test.",
        "# BOLT-LMM, SAIGE and GCTA fit predictions of their own and cannot be given any.",
        "set -eu",
        f"LOCO={shlex.quote(str(folder))}",
        "",
    ]
    for export in arms:
        lines += [*_regenie(script, export, str(folder)), *_plink2(script, export, places)]
    return "\n".join(lines) + "\n"


def _regenie(script: Script, export: ArmExport, folder: str) -> list[str]:
    trait = " --bt --firth --approx --pThresh 0.01 --firth-se" if script.binary else " --qt"
    calls = script.options("regenie") if script.reads("regenie") else script.of_calls("regenie")
    out = f"loco_{export.arm}_{script.out()}"
    listed = ",".join(export.covariates)
    tables = f' --covarFile "$LOCO"/covariates.txt --covarColList {listed}' if listed else ""
    lines = [
        f"## regenie, arm {export.arm}; check that ALLELE1 is {script.form.effect_allele}",
        *script.looped(
            f'regenie --step 2 {calls} --extract {script.variants} --keep "$LOCO"/people.txt \\',
            f'  --phenoFile "$LOCO"/phenotype.txt{tables}{trait} \\',
            f'  --pred "$LOCO"/{export.arm}_pred.list --bsize 400 --out {out}',
        ),
        "",
    ]
    if folder.split() != [folder]:
        lines.insert(1, "# It reads no path with a blank: write one without into the list, and copy the .loco there")
    return lines


def _plink2(script: Script, export: ArmExport, places: Sequence[tuple[int, str]]) -> list[str]:
    if script.binary:
        tables = [
            '  --pheno "$LOCO"/phenotype.txt --pheno-name PHENOTYPE --1 \\',
            f'  --covar "$LOCO"/{export.arm}_covariates.txt '
            f'--covar-name {",".join([*export.covariates, ""])}"LOCO$3" --covar-variance-standardize \\',
        ]
        why = "the offset is one more covariate, whose coefficient it estimates (near 1)"
    else:
        listed = ",".join(export.covariates)
        tables = [f'  --pheno "$LOCO"/{export.arm}_phenotypes.txt --pheno-name "CHR$3" \\']
        if listed:
            tables.append(f'  --covar "$LOCO"/covariates.txt --covar-name {listed} --covar-variance-standardize \\')
        why = "the phenotype is what the offset of the chromosome leaves of it"
    intercept = "" if script.binary or export.covariates else " allow-no-covars"
    firth = " no-firth" if script.binary else ""
    name = f"glm_{export.arm}"
    lines = [
        f"## PLINK 2, arm {export.arm}: {why}",
        f"{name}() {{  # fileset, chromosomes, column",
        f'  prefix=$1; plink2 {script.options("plink2")} --chr "$2" --extract {script.variants} \\',
        '  --keep "$LOCO"/people.txt --no-psam-pheno \\',
        *tables,
        f"  --vif 1000000 --max-corr 1 --nonfounders --glm omit-ref hide-covar{firth}{intercept} \\",
        f'  --out "loco_{export.arm}_$(basename -- "$prefix")_$3"',
        "}",
    ]
    calls: dict[str, None] = {}
    for file, chromosome in places:
        autosome = chromosome in AUTOSOMES
        what = f"{chromosome} {chromosome}" if autosome else f"{OTHERS} X"
        calls[f"{name} {shlex.quote(script.prefixes[file])} {what}"] = None
    return [*lines, *calls, ""]

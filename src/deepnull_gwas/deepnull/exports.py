"""A study for people with another engine.

Phenotype, covariates and DeepNull prediction in the engines' own forms, with the exact command lines.
"""

from __future__ import annotations

import csv
import logging
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.tables import atomic_path, read_json, read_parquet
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

COLUMN = "deepnull_covariate"
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


def export_study(
    samples: str | Path,
    study: str | Path,
    prediction: str | Path,
    filesets: Sequence[str],
    passed_variants: str | Path,
    out: str | Path,
) -> None:
    """Write the files of a study, and ``commands.sh``.

    Parameters
    ----------
    samples, study, prediction
        samples.parquet, study.json and prediction.parquet of the study.
    filesets
        PLINK prefixes of the cohort.
    passed_variants
        variants.txt of the cohort: IDs of the variants that pass quality control (only named in the commands).
    out
        Folder: ``phenotype.txt`` and ``covariates.txt`` (FID, IID, header; phenotype 0/1 for binary traits; what enters
        the association is the covariate ``deepnull_covariate``), ``saige.txt`` (both in one table), ``gcta.phen`` and
        ``gcta.qcovar`` (no header), ``people.txt`` (FID IID).
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
        with atomic_path(out / name) as temporary:
            # no engine knows quotes: an ID with one in it stands as it is
            table.to_csv(
                temporary, sep="\t", index=False, header=header, na_rep="NA", float_format=FLOAT, lineterminator="\n",
                quoting=csv.QUOTE_NONE, quotechar=None,
            )  # fmt: skip
    with atomic_path(out / "commands.sh") as temporary:
        temporary.write_text(
            commands(info, [*names.values(), *([COLUMN] if useful else [])], filesets, passed_variants, out, failed),
            encoding="utf-8",
        )


def list_passed(variants: str | Path, qc: str | Path, out: str | Path) -> None:
    """Write the IDs of the variants that pass quality control, one a line.

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


def commands(
    info: Mapping[str, Any],
    covariates: Sequence[str],
    filesets: Sequence[str],
    variants: str | Path,
    folder: str | Path,
    failed: bool = False,
) -> str:
    """Return the command lines of the engines as a shell script to copy from."""
    binary = trait_of(info["trait"]).has_cases
    # whatever a phenotype is called, it stays within its comment
    phenotype = " ".join(str(info["phenotype"]).split())
    title = (
        f"# Study {info['study']} of cohort {info['cohort']}: phenotype {phenotype}, {info['n']} people, "
        f"{info['trait']}.\n"
    )
    if failed:
        return title + f"# Failed at {info['stage'] or 'train_folds'}; there is nothing to export.\n"
    many = len(filesets) > 1
    # a name that begins with a dash is an option to any engine
    form = format_of(filesets[0])
    filesets = [f"./{f}" if f.startswith("-") else f for f in map(form.prefix, filesets)]
    prefix = shlex.quote(filesets[0])
    each = " ".join(shlex.quote(f) for f in filesets)
    loop = f"for prefix in {each}; do\n  " if many else ""
    one, name = ('"$prefix"', 'deepnull_"$(basename -- "$prefix")"') if many else (prefix, "deepnull")
    done = "\ndone" if many else ""
    listed, spaced = ",".join(covariates), " ".join(covariates)
    extract = shlex.quote(str(variants))
    where = "merged" if many else prefix
    plink2, saige = (form.engine_options(one)[engine] for engine in ("plink2", "saige"))
    # what is merged is a PLINK 1 fileset, whatever it was before
    whole = (format_of("merged") if many else form).engine_options(where)
    regenie, bolt, saige_null, gcta = (whole[engine] for engine in ("regenie", "bolt", "saige_null", "gcta"))
    lines = [
        "#!/bin/sh",
        title.rstrip(),
        "# Run where the workflow was run. The effect allele of this workflow is A1 of the .bim; each block says what "
        "its engine reports.",
        f"# The covariate {COLUMN} is what the out-of-fold prediction adds to the linear model"
        + (" (a logit)." if binary else ".")
        + " Leave it out for the baseline."
        if COLUMN in covariates
        else f"# Nothing but the linear model helps to predict this phenotype: there is no covariate {COLUMN}, and the "
        "arms are equal.",
        "# Never fit it again in the same people: it must be the prediction of people whom the model has not seen.",
        "set -eu",
        f"EXPORTS={shlex.quote(str(folder))}",
        "",
        "## PLINK 2: A1 is what BETA counts; with omit-ref it is ALT, which for a .bed is A1 of the .bim.",
        "# The prediction may be all but a sum of the linear covariates: --vif and --max-corr keep PLINK from "
        "refusing it.",
        f'{loop}plink2 {plink2} --extract {extract} --keep "$EXPORTS"/people.txt \\',
        f'  --pheno "$EXPORTS"/phenotype.txt --pheno-name PHENOTYPE{" --1" if binary else ""} \\',
        f'  --covar "$EXPORTS"/covariates.txt --covar-name {listed} --covar-variance-standardize \\',
        f"  --vif 1000000 --max-corr 1 --nonfounders --glm omit-ref hide-covar{' no-firth' if binary else ''} --out "
        f"{name}{done}",
        "",
    ]
    if many:
        lines += [
            "## The engines below: regenie, BOLT-LMM, SAIGE and GCTA want all autosomes in one fileset for their "
            "first step: merge them with plink2 "
            "--pmerge-list",
            "# plink2 --pmerge-list filesets.txt bfile --make-bed --out merged",
            "",
        ]
    trait = " --bt --firth --approx --pThresh 0.01 --firth-se" if binary else ""
    step1 = " --bt" if binary else ""
    lines += [
        "## regenie: BETA counts ALLELE1, which for a .bed is A1 of the .bim with --ref-first left out (check "
        "ALLELE1).",
        f'regenie --step 1 {regenie} --extract {extract} --keep "$EXPORTS"/people.txt \\',
        f'  --phenoFile "$EXPORTS"/phenotype.txt --covarFile "$EXPORTS"/covariates.txt --covarColList {listed}{step1} '
        f"\\",
        "  --bsize 1000 --lowmem --lowmem-prefix tmp_regenie --out step1",
        f'regenie --step 2 {regenie} --extract {extract} --keep "$EXPORTS"/people.txt \\',
        f'  --phenoFile "$EXPORTS"/phenotype.txt --covarFile "$EXPORTS"/covariates.txt --covarColList {listed}{trait} '
        f"\\",
        "  --pred step1_pred.list --bsize 400 --out deepnull",
        "",
        "## BOLT-LMM: BETA counts ALLELE1. Quantitative traits"
        + ("; this one is binary: use regenie or SAIGE." if binary else "."),
    ]
    if not binary:
        quantitative = " ".join(f"--qCovarCol={c}" for c in covariates)
        lines += [
            f'bolt {bolt} --phenoFile="$EXPORTS"/phenotype.txt --phenoCol=PHENOTYPE '
            f'--covarFile="$EXPORTS"/covariates.txt {quantitative} \\',
            "  --lmm --LDscoresUseChip --maxModelSnps=2000000 --statsFile=deepnull.bolt.txt",
        ]
    lines += [
        "",
        "## SAIGE: BETA counts Allele2 (with --AlleleOrder=alt-first, A1 of the .bim).",
        f'step1_fitNULLGLMM.R {saige_null} --phenoFile="$EXPORTS"/saige.txt --phenoCol=PHENOTYPE '
        f"--sampleIDColinphenoFile=IID \\",
        f"  --covarColList={listed} --traitType={'binary' if binary else 'quantitative'} --LOCO=TRUE "
        f"--outputPrefix=step1",
        f"{loop}step2_SPAtests.R {saige} \\",
        f"  --GMMATmodelFile=step1.rda --varianceRatioFile=step1.varianceRatio.txt "
        f"--SAIGEOutputFile={name}.saige.txt{done}",
        "",
        "## fastGWA (GCTA): BETA counts A1 of the .bim. First a sparse relationship matrix, once a cohort.",
        f"gcta64 {gcta} --extract {extract} --make-grm --out grm && gcta64 --grm grm --make-bK-sparse 0.05 "
        f"--out sparse",
        f"gcta64 {gcta} --extract {extract} --grm-sparse sparse --fastGWA-mlm{'-binary' if binary else ''} \\",
        '  --pheno "$EXPORTS"/gcta.phen --qcovar "$EXPORTS"/gcta.qcovar --out deepnull',
        "",
        f"# covariates: {spaced}",
    ]
    return "\n".join(lines) + "\n"

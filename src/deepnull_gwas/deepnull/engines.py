"""The command lines by which other engines analyse an exported study, as a shell script to copy from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepnull_gwas.genotypes.files import Format
from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.traits import trait_of

#: The covariate of the arm deepnull.
COLUMN = "deepnull_covariate"
#: Prefix of the PLINK 1 fileset that is made, in the folder of the commands, for engines that want hard calls.
CALLS = "hard_calls"
#: Prefix of the one that is made of ``structure.genotypes`` for the first steps.
STRUCTURE = "structure_calls"
#: Name of a fileset within a loop.
_BASENAME = '"$(basename -- "$prefix")"'


@dataclass(frozen=True)
class Script:
    """What the command lines depend on.

    Attributes
    ----------
    info
        study.json.
    covariates
        Names of the exported columns.
    form
        Format of the genotypes.
    prefixes
        Prefixes of the filesets; one that begins with a dash would be an option to any engine, so none does.
    settings
        genotypes.json, of which the formats take what they need.
    variants
        Path of the list of variants, quoted.
    structure
        Names of the filesets with hard calls for structure, where the cohort has any.
    """

    info: Mapping[str, Any]
    covariates: Sequence[str]
    form: Format
    prefixes: Sequence[str]
    settings: Mapping[str, Any]
    variants: str
    structure: Sequence[str] = ()

    @property
    def binary(self) -> bool:
        """Whether the trait is one of cases and controls."""
        return trait_of(self.info["trait"]).has_cases

    @property
    def many(self) -> bool:
        """Whether there is more than one fileset, so that what takes one goes through them in a loop."""
        return len(self.prefixes) > 1

    @property
    def hard_called(self) -> bool:
        """Whether the genotypes are a PLINK 1 fileset, which every engine reads."""
        return self.form is format_of(CALLS)

    def reads(self, engine: str) -> bool:
        """Return whether an engine reads the format as it is."""
        return engine in self.form.engine_options("", self.settings)

    def options(self, engine: str) -> str:
        """Return the options by which an engine takes one fileset, within a loop where there are several."""
        return self.form.engine_options(self.prefix, self.settings)[engine]

    @property
    def prefix(self) -> str:
        """The prefix of one fileset as a shell knows it."""
        return '"$prefix"' if self.many else shlex.quote(self.prefixes[0])

    def of_calls(self, engine: str) -> str:
        """Return the options by which an engine takes hard calls of the whole genome: one PLINK 1 fileset."""
        if not self.hard_called:
            return format_of(CALLS).engine_options(CALLS)[engine]
        return format_of("merged").engine_options("merged" if self.many else shlex.quote(self.prefixes[0]))[engine]

    def of_first(self, engine: str) -> str:
        """Return the options by which the first step of an engine takes hard calls of the whole genome."""
        return format_of(STRUCTURE).engine_options(STRUCTURE)[engine] if self.structure else self.of_calls(engine)

    @property
    def extract(self) -> str:
        """The option by which a first step takes the variants that passed; those for structure were chosen before."""
        return "" if self.structure else f"--extract {self.variants} "

    def looped(self, *lines: str) -> list[str]:
        """Return lines in a loop over the filesets, where there are several."""
        return _looped(self.prefixes, *lines)

    def out(self) -> str:
        """Return the prefix of the files of one fileset's results."""
        return f"deepnull_{_BASENAME}" if self.many else "deepnull"


def _looped(prefixes: Sequence[str], *lines: str) -> list[str]:
    if len(prefixes) == 1:
        return list(lines)
    each = " ".join(shlex.quote(f) for f in prefixes)
    return [f"for prefix in {each}; do\n  {lines[0]}", *lines[1:], "done"]


def _prefixes(form: Format, names: Sequence[str]) -> list[str]:
    """Return the prefixes of filesets, none of which an engine takes for an option."""
    return [f"./{f}" if f.startswith("-") else f for f in map(form.prefix, names)]


def commands(
    info: Mapping[str, Any],
    covariates: Sequence[str],
    genotypes: Mapping[str, Any],
    variants: str | Path,
    folder: str | Path,
    failed: bool = False,
    structure: Sequence[str] = (),
) -> str:
    """Return the command lines of the engines as a shell script to copy from.

    Parameters
    ----------
    info
        study.json.
    covariates
        Names of the exported columns.
    genotypes
        genotypes.json: names of the filesets, and of a .bgen which allele is the reference.
    variants
        passed.txt of the cohort.
    folder
        Of the exported tables.
    failed
        Whether there is nothing to export.
    structure
        Names of the filesets of ``structure.genotypes``.
    """
    # whatever a phenotype is called, it stays within its comment
    phenotype = " ".join(str(info["phenotype"]).split())
    title = (
        f"# Study {info['study']} of cohort {info['cohort']}: phenotype {phenotype}, {info['n']} people, "
        f"{info['trait']}.\n"
    )
    if failed:
        return title + f"# Failed at {info['stage'] or 'train_folds'}; there is nothing to export.\n"
    form = format_of(genotypes["filesets"][0])
    prefixes = _prefixes(form, genotypes["filesets"])
    script = Script(info, covariates, form, prefixes, genotypes, shlex.quote(str(variants)), structure)
    lines = [
        *_head(script, title, folder),
        *_plink2(script),
        *_one_fileset(script),
        *_regenie(script),
        *_bolt(script),
        *_saige(script),
        *_gcta(script),
        f"# covariates: {' '.join(covariates)}",
    ]
    return "\n".join(lines) + "\n"


def _head(script: Script, title: str, folder: str | Path) -> list[str]:
    """Return what stands before the commands."""
    effect = (
        f"# Run where the workflow was run. The effect allele of this workflow is {script.form.effect_allele}; each "
    )
    about = (
        f"# The covariate {COLUMN} is what the out-of-fold prediction adds to the linear model"
        + (" (a logit)." if script.binary else ".")
        + " Leave it out for the baseline."
        if COLUMN in script.covariates
        else f"# Nothing but the linear model helps to predict this phenotype: there is no covariate {COLUMN}, and the "
        "arms are equal."
    )
    return [
        "#!/bin/sh",
        title.rstrip(),
        f"{effect}block says what its engine reports.",
        about,
        "# Never fit it again in the same people: it must be the prediction of people whom the model has not seen.",
        "set -eu",
        f"EXPORTS={shlex.quote(str(folder))}",
        "",
    ]


def _plink2(script: Script) -> list[str]:
    why = "for a .bed is A1 of the .bim" if script.hard_called else f"here is {script.form.effect_allele}"
    return [
        f"## PLINK 2: A1 is what BETA counts; with omit-ref it is ALT, which {why}.",
        "# The prediction may be all but a sum of the linear covariates: --vif and --max-corr keep PLINK from "
        "refusing it.",
        *script.looped(
            f'plink2 {script.options("plink2")} --extract {script.variants} --keep "$EXPORTS"/people.txt \\',
            f'  --pheno "$EXPORTS"/phenotype.txt --pheno-name PHENOTYPE{" --1" if script.binary else ""} \\',
            f'  --covar "$EXPORTS"/covariates.txt --covar-name {",".join(script.covariates)} '
            "--covar-variance-standardize \\",
            f"  --vif 1000000 --max-corr 1 --nonfounders --glm omit-ref hide-covar"
            f"{' no-firth' if script.binary else ''} --out {script.out()}",
        ),
        "",
    ]


def _one_fileset(script: Script) -> list[str]:
    """Return how the one PLINK 1 fileset is made that first steps want."""
    if script.structure:
        return [*_make_structure(script), *([] if script.hard_called else _make_calls(script))]
    if not script.hard_called:
        return _make_calls(script)
    if not script.many:
        return []
    return [
        "## The engines below: regenie, BOLT-LMM, SAIGE and GCTA want all autosomes in one fileset for their "
        "first step: merge them with plink2 "
        "--pmerge-list",
        "# plink2 --pmerge-list filesets.txt bfile --make-bed --out merged",
        "",
    ]


def _make_structure(script: Script) -> list[str]:
    """Return how the hard calls for structure become the one fileset of common variants that first steps want."""
    form = format_of(script.structure[0])
    prefixes = _prefixes(form, script.structure)
    many = len(prefixes) > 1
    prefix = '"$prefix"' if many else shlex.quote(prefixes[0])
    lines = [
        "## The first steps of regenie, BOLT-LMM, SAIGE and GCTA take the hard calls that the cohort has for structure "
        "(structure.genotypes):",
        "# common autosomal variants of the people analysed (FID and IID have to be those of the exported tables).",
        *_looped(
            prefixes,
            f'plink2 {form.engine_options(prefix)["plink2"]} --autosome --keep "$EXPORTS"/people.txt --maf 0.01 '
            f"--geno 0.02 --make-bed --out {f'{STRUCTURE}_{_BASENAME}' if many else STRUCTURE}",
        ),
    ]
    return [*lines, *(_merge(prefixes, STRUCTURE) if many else []), ""]


def _merge(prefixes: Sequence[str], out: str) -> list[str]:
    """Return how the filesets that a loop made become one."""
    names = " ".join(shlex.quote(f"{out}_{Path(p).name}") for p in prefixes)
    return [
        f"printf '%s\\n' {names} > filesets.txt",
        f"plink2 --pmerge-list filesets.txt bfile --make-bed --out {out}",
    ]


def _make_calls(script: Script) -> list[str]:
    """Return how hard calls are made of dosages: A1 of the .bim is then the effect allele, as in this workflow."""
    about = [
        "## The first steps of regenie, BOLT-LMM and SAIGE, and all of GCTA, take hard calls of common variants of the "
        "whole genome,",
        f"# up to about a million: best the genotyping array's fileset, in the place of {CALLS}; else hard calls of "
        "these genotypes:",
    ]
    if script.structure:
        about = [
            "## fastGWA tests hard calls (SAIGE too, where it does not read the format): those of the genotypes tested:"
        ]
    lines = [
        *about,
        *script.looped(
            f"plink2 {script.options('plink2')} --extract {script.variants} --maf 0.01 --max-alleles 2 --make-bed "
            f"--out {f'{CALLS}_{_BASENAME}' if script.many else CALLS}"
        ),
    ]
    return [*lines, *(_merge(script.prefixes, CALLS) if script.many else []), ""]


def _regenie(script: Script) -> list[str]:
    tables = '--phenoFile "$EXPORTS"/phenotype.txt --covarFile "$EXPORTS"/covariates.txt'
    listed = ",".join(script.covariates)
    trait = " --bt --firth --approx --pThresh 0.01 --firth-se" if script.binary else ""
    people = '--keep "$EXPORTS"/people.txt \\'
    keep = f"--extract {script.variants} {people}"
    first = f"regenie --step 1 {script.of_first('regenie')} {script.extract}{people}"
    calls = script.of_calls("regenie") if script.hard_called else script.options("regenie")
    second = [
        f"regenie --step 2 {calls} {keep}",
        f"  {tables} --covarColList {listed}{trait} \\",
        f"  --pred step1_pred.list --bsize 400 --out {'deepnull' if script.hard_called else script.out()}",
    ]
    said = (
        "for a .bed is A1 of the .bim with --ref-first left out (check ALLELE1)."
        if script.hard_called
        else f"here is {script.form.effect_allele} (check ALLELE1)."
    )
    return [
        f"## regenie: BETA counts ALLELE1, which {said}",
        first,
        f"  {tables} --covarColList {listed}{' --bt' if script.binary else ''} \\",
        "  --bsize 1000 --lowmem --lowmem-prefix tmp_regenie --out step1",
        *(second if script.hard_called else script.looped(*second)),
        "",
    ]


def _bolt(script: Script) -> list[str]:
    lines = [
        "## BOLT-LMM: BETA counts ALLELE1. Quantitative traits"
        + ("; this one is binary: use regenie or SAIGE." if script.binary else "."),
    ]
    if not script.binary:
        quantitative = " ".join(f"--qCovarCol={c}" for c in script.covariates)
        if script.structure:
            lines += [
                "# It tests the variants that its model is made of, and in addition those of a .bgen: --bgenFile, "
                "--sampleFile and --statsFileBgenSnps (check ALLELE1 there)."
            ]
        elif not script.hard_called:
            lines += ["# It reads the hard calls; dosages only of VCF, BGEN and its own files."]
        lines += [
            f'bolt {script.of_first("bolt")} --phenoFile="$EXPORTS"/phenotype.txt --phenoCol=PHENOTYPE '
            f'--covarFile="$EXPORTS"/covariates.txt {quantitative} \\',
            "  --lmm --LDscoresUseChip --maxModelSnps=2000000 --statsFile=deepnull.bolt.txt",
        ]
    return [*lines, ""]


def _saige(script: Script) -> list[str]:
    trait, reads = "binary" if script.binary else "quantitative", script.reads("saige")
    out = f"{script.out()}.saige.txt" if reads else "deepnull.saige.txt"
    step2 = [
        f"step2_SPAtests.R {script.options('saige') if reads else script.of_calls('saige')} \\",
        f"  --GMMATmodelFile=step1.rda --varianceRatioFile=step1.varianceRatio.txt --SAIGEOutputFile={out}",
    ]
    if "saige.samples" in step2[0]:
        # one ID per line, no header; a .sample has two
        sample = script.form.sample_in_shell(script.prefix, script.settings)
        step2 = [f"awk 'NR > 2 {{print $2}}' {sample} > saige.samples", *step2]
    order = (
        "with this --AlleleOrder, the effect allele"
        if script.form.name == "bgen"
        else ("with --AlleleOrder=alt-first, A1 of the .bim")
    )
    return [
        f"## SAIGE: BETA counts Allele2 ({order}).",
        f'step1_fitNULLGLMM.R {script.of_first("saige_null")} --phenoFile="$EXPORTS"/saige.txt --phenoCol=PHENOTYPE '
        f"--sampleIDColinphenoFile=IID \\",
        f"  --covarColList={','.join(script.covariates)} --traitType={trait} --LOCO=TRUE --outputPrefix=step1",
        *(script.looped(*step2) if reads else step2),
        "",
    ]


def _gcta(script: Script) -> list[str]:
    calls = script.of_calls("gcta")
    return [
        "## fastGWA (GCTA): BETA counts A1 of the .bim. First a sparse relationship matrix, once a cohort.",
        f"gcta64 {script.of_first('gcta')} {script.extract}--make-grm --out grm && "
        "gcta64 --grm grm --make-bK-sparse 0.05 --out sparse",
        f"gcta64 {calls} --extract {script.variants} --grm-sparse sparse "
        f"--fastGWA-mlm{'-binary' if script.binary else ''} \\",
        '  --pheno "$EXPORTS"/gcta.phen --qcovar "$EXPORTS"/gcta.qcovar --out deepnull',
        "",
    ]

"""The configuration and the studies sheet that are proposed, as text with the reasons."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from deepnull_gwas.cohort.text_table import MISSING
from deepnull_gwas.config import RESERVED_STUDIES
from deepnull_gwas.genotypes.chromosomes import ORDER
from deepnull_gwas.propose.columns import Role
from deepnull_gwas.propose.genotypes import Found
from deepnull_gwas.propose.samples import Samples

#: What stands where the user has to decide: no value of any key, so that nothing runs before.
OPEN = "FILL_IN"
#: Path of the sheet, relative to the folder of the run.
SHEET = "config/studies.tsv"
#: More phenotypes than this are listed, but not switched on.
MOST_STUDIES = 100
#: Variants of one job of the scan.
PER_CHUNK = 500_000
#: Columns of the sheet.
COLUMNS = (
    *("study", "cohort", "phenotype", "trait", "covariates", "categorical_covariates", "transform"),
    *("case_value", "control_value", "pcs"),
)
#: Names of covariates that are heritable themselves.
_HERITABLE = re.compile(
    r"(?:^|[^a-z])(?:bmi|weight|height|waist|smok\w*|cigarette\w*|alcohol|education|ldl|hdl|lipid\w*|cholesterol)"
    r"(?=$|[^a-z])",
    re.IGNORECASE,
)
_WIDTH = 110


@dataclass
class Choices:
    """What the user says, or leaves open (None).

    Attributes
    ----------
    cohort
        Its name.
    genotypes, samples
        Paths as the configuration names them.
    build, bgen_reference
        As in the configuration.
    """

    cohort: str
    genotypes: str
    samples: str
    build: str | None = None
    bgen_reference: str | None = None


def config_text(found: Found, samples: Samples, choices: Choices) -> str:
    """Return the configuration with comments that say what was seen, and why it is suggested."""
    lines = [
        *_comment(
            "Configuration of deepnull-gwas, written by `deepnull-gwas init` from what it saw in your files. Read it "
            f"through: each suggestion says why it is there. A line with {OPEN} is for you to complete; nothing runs "
            "before. A key that is left out has its default; an unknown key is an error."
        ),
        "#",
        "#   deepnull-gwas check    who would be analysed, and what is wrong, in seconds",
        "#   deepnull-gwas plan     memory, time and disk space",
        "#   deepnull-gwas run",
        "",
        "# Root of all randomness; the same seed gives the same bytes.",
        "seed: 1",
        "# The studies: one row per phenotype.",
        f"studies: {SHEET}",
        "",
        "cohorts:",
        f"  {_scalar(choices.cohort)}:",
        *(f"    {line}" if line else "" for line in _cohort(found, samples, choices)),
        "",
        *_settings(found, samples),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _cohort(found: Found, samples: Samples, choices: Choices) -> Iterator[str]:
    """Yield the lines of the cohort."""
    seen = f", {_ranges(found.chromosomes)}" if found.chromosomes else ""
    about = "about " if found.form == "vcf" else ""
    several = f" in {len(found.filesets)} files" if len(found.filesets) > 1 else ""
    yield from _comment(
        f"{found.title}{several}: {len(found.people):,} people, {about}{found.variants:,} variants{seen}."
    )
    for note in found.notes:
        yield from _comment(_sentence(note))
    yield f"genotypes: {_scalar(choices.genotypes)}"
    yield from _alleles(found, choices)
    yield from _build(found, choices)
    yield from _comment(
        f"{samples.rows:,} rows; column {samples.sample_id} has the IDs of {samples.common:,} of the "
        f"{len(found.people):,} people with genotypes."
    )
    for note in samples.notes:
        yield from _comment(_sentence(note))
    yield f"samples: {_scalar(choices.samples)}"
    yield f"sample_id: {_scalar(samples.sample_id)}"
    if samples.family_id:
        yield f"family_id: {_scalar(samples.family_id)}"
    if samples.sex_note:
        yield from _comment(f"Recorded sex, needed for X and Y: {samples.sex_note}.")
    if samples.sex:
        yield f"sex: {_scalar(samples.sex)}"
    elif (found.people["sex"] == 0).all():
        yield from _comment(
            "Nobody's sex is recorded in the genotype files, and no column of the table can serve: variants on X and Y "
            "will not be tested. Name the column that has it as `sex` (1/2 or M/F)."
        )
    if samples.missing:
        for value, why in samples.missing.items():
            yield from _comment(f"Taken for a missing value: {value}, {why}. Remove it from the list if it is a value.")
        yield f"missing_values: [{', '.join(map(_quoted, [*MISSING, *samples.missing]))}]"


def _alleles(found: Found, choices: Choices) -> Iterator[str]:
    """Yield the lines that say what genotypes are made of, for formats that leave it open."""
    if found.form == "bgen":
        yield from _comment(
            "Which of the two alleles in the .bgen is the reference; the other one is the effect allele. A wrong word "
            "swaps them, and the sign of every effect. UK Biobank and most imputation servers have the reference "
            f"first, plink2 writes it last. Seen: {allele_evidence(found)}. `reference`, a FASTA of the genome, would "
            "prove it."
        )
        yield f"bgen_reference: {choices.bgen_reference or OPEN}   # first or last"
        yield "# reference: GRCh38.fa.gz"
    if found.form == "vcf":
        declared = ", ".join(found.fields) or "none that can be used"
        yield from _comment(
            f"The field that genotypes are made of: DS or HDS (dosages), GP (probabilities), GT (hard calls). The head "
            f"of the file declares {declared}; the first of these is suggested."
        )
        yield f"vcf_field: {found.fields[0] if found.fields else OPEN}"
    if found.has_dosages:
        yield "# imputation_panel: TOPMed r3            # these two go into the metadata of the summary statistics"
        yield "# imputation_software: minimac4 4.1.6"


def _build(found: Found, choices: Choices) -> Iterator[str]:
    """Yield the lines of the genome build."""
    yield from _comment(f"Build of the positions. It has no default: a wrong one goes unseen. {build_evidence(found)}")
    yield f"genome_build: {choices.build or OPEN}   # GRCh37 or GRCh38"


def build_evidence(found: Found) -> str:
    """Return what was seen of the genome build, and what it speaks for."""
    suggested = found.evidence.suggestion()
    end = f"This speaks for {suggested}." if suggested else "This does not settle it: ask where the data come from."
    if found.evidence.fits_none():
        end = "That is another build, such as NCBI36 (hg18): lift the positions over first."
    return f"Seen: {'; '.join(found.evidence.words())}. {end}"


def allele_evidence(found: Found) -> str:
    """Return what was seen of the order of alleles in a .bgen, and what it speaks for."""
    rarer, looked = found.second_rarer
    said = f"the second allele is the rarer one at {rarer:,} of {looked:,} variants"
    if looked >= 50 and not 0.35 < rarer / looked < 0.65:
        return f"{said}, as it mostly is where the reference is {'first' if 2 * rarer > looked else 'last'}"
    return f"{said}, which tells nothing"


def _settings(found: Found, samples: Samples) -> Iterator[str]:
    """Yield the lines of the other sections: what is often changed, and why it is as it is here."""
    preset = "imputed" if found.is_imputed else "array"
    why = "dosages" if found.has_dosages else f"hard calls of {found.variants:,} variants"
    other = "array" if found.is_imputed else "imputed"
    yield from _comment(
        f"Filters of people and variants. {why[0].upper()}{why[1:]}: the preset for {preset} genotypes; or {other}, or "
        "none. Single filters go beside it, such as maf: 0.001."
    )
    yield f"qc: {{preset: {preset}}}"
    yield ""
    components = samples.named("component")
    if components:
        yield from _comment(
            f"Principal components are computed in any case, for figures. The studies use those of your table "
            f"({_list([c.name for c in components])}), with pcs 0 in the sheet; take them out of `covariates` there "
            "and set pcs to 10 to use the computed ones."
        )
    else:
        yield from _comment("Principal components, computed here, enter each study as covariates (`pcs` of the sheet).")
    yield "structure:"
    yield "  pcs: 10"
    if labels := samples.named("labels"):
        yield f"  colour_by: [{', '.join(_quoted(label.name) for label in labels)}]   # in the figure of components"
    yield from ("  " + line for line in _comment(
        "null: one of each pair of relatives is left out with the model linear, and relatives stay with whole_genome. "
        "Or the path of a table of related pairs (.kin0)."
    ))  # fmt: skip
    yield "  relatives: null"
    yield ""
    yield from _comment(
        "Tests given nothing but covariates (linear), or also what all other chromosomes predict of the phenotype "
        "(whole_genome): more power for polygenic traits, and relatives stay."
    )
    yield "association:"
    yield "  model: linear"
    chunks = max(4, -(-found.variants // PER_CHUNK))
    yield f"  chunks: {chunks}   # jobs over which the variants are spread"
    heritable = [r.name for r in samples.named("covariate", "groups") if _HERITABLE.search(r.name)]
    if heritable:
        yield ""
        yield from _comment(
            "These covariates are heritable themselves: adjusting for them, in either arm, can bias effects (collider "
            "bias). They are kept, and log and metrics.json warn."
        )
        yield "deepnull:"
        yield f"  heritable_covariates: [{', '.join(map(_quoted, heritable))}]"


def sheet_text(samples: Samples, cohort: str) -> tuple[str, list[str], list[Role]]:
    """Return the studies sheet, the studies in it that are complete, and the phenotypes that the user has to decide
    about, which stand in the sheet behind a ``#``."""
    covariates = [r.name for r in samples.named("sex", "covariate", "groups", "component")]
    groups = [r.name for r in samples.named("groups")]
    pcs = 0 if samples.named("component") else ""
    text = io.StringIO()
    for line in (
        "# One row per phenotype, written by `deepnull-gwas init`; columns are separated by tabs, lists by commas.",
        "# A row that begins with # is left out: complete it and remove the # to analyse that phenotype.",
    ):
        text.write(line + "\n")
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    names: list[str] = []
    complete, undecided = [], []
    for role in samples.named("phenotype"):
        names.append(_study_name(role.name, names))
        ready = role.trait is not None and len(complete) < MOST_STUDIES
        if role.trait is None:
            undecided.append(role)
        elif ready:
            complete.append(names[-1])
        trait = role.trait or "binary"
        cases = [role.case_value or "", role.control_value or ""] if role.trait else [OPEN, OPEN]
        row = [names[-1], cohort, role.name, trait, _cell(covariates), _cell(groups), role.transform, *cases, pcs]
        table.writerow([row[0] if ready else f"#{row[0]}", *row[1:]])
    return text.getvalue(), complete, undecided


def _study_name(phenotype: str, taken: Sequence[str]) -> str:
    """Return the name of a study for a phenotype: letters, digits, ``_`` and ``-``, unlike all others."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", phenotype).strip("_-") or "study"
    name = f"{name}_" if name in RESERVED_STUDIES else name
    names = {t.lower() for t in taken}
    return next(n for n in [name, *(f"{name}_{i}" for i in range(2, len(names) + 3))] if n.lower() not in names)


def cohort_name(genotypes: str) -> str:
    """Return a name for a cohort from the path of its genotypes.

    Examples
    --------
    >>> cohort_name("data/ukb_c{chromosome}_v3.bgen"), cohort_name("my cohort")
    ('ukb_v3', 'my_cohort')
    """
    name = genotypes.rpartition("/")[2]
    name = re.sub(r"\.(bed|pgen|bgen|bcf|vcf(\.b?gz)?)$", "", name)
    name = re.sub(r"[_.-]?(chr|chrom|c)?\{chromosome\}", "", name)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "cohort"


def _cell(names: Sequence[str]) -> str:
    """Return a list of names for a cell of the sheet."""
    return ",".join(f"`{name}`" if "," in name else name for name in names)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 5 else f"{names[0]} to {names[-1]}"


def _ranges(chromosomes: Sequence[str]) -> str:
    """Return names of chromosomes with runs of numbers drawn together.

    Examples
    --------
    >>> _ranges(["1", "2", "3", "5", "X"]), _ranges(["22"])
    ('chromosomes 1-3, 5, X', 'chromosome 22')
    """
    runs: list[list[str]] = []
    for name in sorted(chromosomes, key=ORDER.__getitem__):
        if runs and name.isdigit() and runs[-1][-1].isdigit() and int(name) == int(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    said = ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"chromosome{'s' if len(chromosomes) > 1 else ''} {said}"


def _comment(text: str) -> Iterator[str]:
    """Yield the lines of a comment."""
    # what comes from a file stays a comment
    text = "".join(c if c.isprintable() else "?" for c in text)
    yield from (f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _scalar(text: str) -> str:
    """Return a text as YAML writes it."""
    return yaml.safe_dump({"k": text}, allow_unicode=True, width=10**9)[3:].rstrip("\n")


def _quoted(text: str) -> str:
    """Return a text in quotes, as it stands in a list of YAML."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).rstrip("\n")

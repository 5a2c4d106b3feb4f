"""What a configuration is once it is read: cohorts, studies and settings, as plain frozen dataclasses."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.genotypes.files import HARD_CALL_THRESHOLD
from deepnull_gwas.genotypes.formats import files_of, format_of
from deepnull_gwas.traits import trait_of

#: Words of ``structure.relatives`` that are no path; without any (None) it depends on a study's model.
RELATIVES = ("exclude", "keep")
#: Words of ``report.genes`` that are no path.
GENES = ("auto", "none")
#: Folders that the workflow itself makes in results/{cohort}.
RESERVED_STUDIES = ("qc", "structure", "associations", "simulated", "genotypes", "imported")


@dataclass(frozen=True)
class Cohort:
    """One set of people: read from ``filesets`` and ``samples``, or simulated; defaults are filled from the schema.

    Attributes
    ----------
    filesets
        Names of the genotype filesets in numeric order of the chromosomes; empty for a simulated cohort.
    structure_filesets
        Names of the filesets with hard calls of the same people, for structure; empty where ``filesets`` serve.
    bgen_reference
        ``first`` or ``last``: which allele of a .bgen is the reference; None for other formats.
    bgen_samples
        Of a .bgen the .sample of each of ``filesets``; empty where it has the name of the .bgen.
    reference
        Files that tell the alleles of the reference genome: FASTA, or tables of variants.
    hard_call_threshold
        How far from a whole number a dosage may be to be a hard call (.bgen, VCF).
    vcf_field, vcf_multiallelic
        The field of a VCF that dosages are made of, None for other formats; what becomes of rows of several
        alternative alleles.
    imputation_panel, imputation_software
        What the genotypes were imputed from, and by what: for the metadata of the summary statistics.
    samples
        Path of the sample table; None for a simulated cohort.
    missing_values
        Texts that stand for a missing value in the sample table.
    minimum_overlap
        Share of the people of the smaller side (genotypes or sample table) who have to be in both.
    qc, structure
        The global settings, overridden by the cohort's own.
    chunks
        Number of chunks of the variants.
    simulate
        Settings of the simulation, defaults filled, or None.
    """

    name: str
    genome_build: str
    chunks: int
    qc: dict[str, Any]
    structure: dict[str, Any]
    filesets: tuple[str, ...]
    samples: str | None
    sample_id: str
    family_id: str | None
    sex: str | None
    missing_values: tuple[str, ...]
    minimum_overlap: float
    simulate: dict[str, Any] | None
    structure_filesets: tuple[str, ...] = ()
    bgen_reference: str | None = None
    bgen_samples: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    hard_call_threshold: float = HARD_CALL_THRESHOLD
    vcf_field: str | None = None
    vcf_multiallelic: str = "refuse"
    imputation_panel: str | None = None
    imputation_software: str | None = None

    def settings(self) -> dict[str, Any]:
        """Return what ingestion depends on, as plain JSON values."""
        return {
            "cohort": self.name,
            "genome_build": self.genome_build,
            "sample_id": self.sample_id,
            "family_id": self.family_id,
            "sex": self.sex,
            "missing_values": list(self.missing_values),
            "minimum_overlap": self.minimum_overlap,
            # of no other format does anything depend on them
            **({"bgen_reference": self.bgen_reference} if self.bgen_reference else {}),
            **({"bgen_samples": list(self.bgen_samples)} if self.bgen_samples else {}),
            **({"hard_call_threshold": self.hard_call_threshold} if self.bgen_reference or self.vcf_field else {}),
        }

    @property
    def table_of_relatives(self) -> str | None:
        """Path of the table of related pairs that the configuration gives, if it gives one."""
        relatives = self.structure["relatives"]
        return None if relatives is None or relatives in RELATIVES else relatives

    def keeps_relatives(self, study: Study) -> bool:
        """Return whether relatives among the people of a study are analysed together."""
        relatives = self.structure["relatives"]
        return relatives == "keep" if relatives in RELATIVES else study.is_whole_genome

    @property
    def is_imported(self) -> bool:
        """Whether the genotypes are imported to PLINK 2 filesets, one for each of ``filesets``."""
        return bool(self.filesets) and format_of(self.filesets[0]).is_imported


@dataclass(frozen=True)
class Study:
    """One row of the studies sheet, with defaults filled (see :func:`deepnull_gwas.config.study_of`).

    Attributes
    ----------
    association_model
        ``linear`` or ``whole_genome``.
    deepnull_only
        Covariates that feed the prediction and are not in the association: those that ``deepnull_covariates``, or
        ``deepnull.covariates`` of the config, names beyond ``covariates``; none without the arm deepnull.
    """

    name: str
    cohort: str
    phenotype: str
    trait: str
    covariates: tuple[str, ...]
    categorical_covariates: tuple[str, ...]
    transform: str
    case_value: str | None
    control_value: str | None
    batch: str
    include: str | None
    pcs: int
    arms: tuple[str, ...]
    model: str | None
    association_model: str
    deepnull_covariates: tuple[str, ...] | None
    score_file: str | None
    deepnull_only: tuple[str, ...]

    @property
    def has_cases(self) -> bool:
        """Whether the phenotype is one of cases and controls."""
        return trait_of(self.trait).has_cases

    @property
    def is_compared(self) -> bool:
        """Whether the study has both arms, so that they are compared."""
        return len(self.arms) == 2

    @property
    def is_whole_genome(self) -> bool:
        """Whether the tests condition on a prediction from the rest of the genome."""
        return self.association_model == "whole_genome"

    def deepnull_settings(self) -> dict[str, Any]:
        """Return the study's own settings of the prediction, which override the ``deepnull`` section of the config."""
        own: dict[str, Any] = {}
        if self.model is not None:
            own["model"] = self.model
        if self.deepnull_covariates is not None:
            own["covariates"] = list(self.deepnull_covariates)
        return own

    def settings(self) -> dict[str, Any]:
        """Return what the study's own steps depend on, as plain JSON values (neither its batch nor its arms)."""
        return {
            "study": self.name,
            "cohort": self.cohort,
            "phenotype": self.phenotype,
            "trait": self.trait,
            "covariates": list(self.covariates),
            "categorical_covariates": list(self.categorical_covariates),
            "transform": self.transform,
            "case_value": self.case_value,
            "control_value": self.control_value,
            "include": self.include,
            "pcs": self.pcs,
            "deepnull_only": list(self.deepnull_only),
            # the other model is what a study has that says nothing
            **({"model": self.association_model} if self.is_whole_genome else {}),
        }


@dataclass(frozen=True)
class Config:
    """The whole configuration.

    Attributes
    ----------
    cohorts
        The cohorts that some study uses, by name.
    studies
        All studies, in the order of the sheet.
    deepnull, association, whole_genome, scores, report, verify
        Settings by key, defaults filled.
    metadata_date
        Day (ISO) that the metadata of the published files name; None, that of the workflow's release.
    """

    seed: int
    cohorts: dict[str, Cohort]
    studies: list[Study]
    deepnull: dict[str, Any]
    association: dict[str, Any]
    whole_genome: dict[str, Any]
    report: dict[str, Any]
    scores: dict[str, Any]
    qc: dict[str, Any]
    structure: dict[str, Any]
    verify: dict[str, Any]
    metadata_date: str | None

    def studies_of(self, cohort: str) -> list[Study]:
        """List a cohort's studies in the order of the sheet."""
        return [s for s in self.studies if s.cohort == cohort]

    def batches(self, cohort: str) -> dict[str, list[Study]]:
        """Return a cohort's studies by batch, both in the order of the sheet."""
        batches: dict[str, list[Study]] = {}
        for study in self.studies_of(cohort):
            batches.setdefault(study.batch, []).append(study)
        return batches

    def parts(self, cohort: str) -> int:
        """Return the number of jobs over which the blocks of a cohort's whole-genome regression are spread."""
        return self.whole_genome["parts"] or self.cohorts[cohort].chunks

    def study(self, cohort: str, name: str) -> Study:
        """Return one study.

        Raises
        ------
        InputError
            When the sheet has no such study in that cohort.
        """
        if (cohort, name) not in self._by_name:
            names = [s.name for s in self.studies_of(cohort)]
            raise InputError(
                f"the studies sheet has no study '{name}' in cohort '{cohort}', it has: {some(names, 10)}"
                f"{nearest(name, names)}"
            )
        return self._by_name[cohort, name]

    @property
    def gene_table(self) -> str | None:
        """Path of the table of genes that the configuration gives, if it gives one."""
        genes = self.report["genes"]
        return None if genes in GENES else genes

    def shipped_genes(self, cohort: str) -> str | None:
        """Return the genome build whose shipped table of genes serves a cohort; None where none does."""
        own = self.cohorts[cohort]
        return own.genome_build if self.report["genes"] == "auto" and own.simulate is None else None

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, str], Study]:
        return {(s.cohort, s.name): s for s in self.studies}


def input_files(config: Config) -> list[str]:
    """List the files that a configuration reads, as it names them.

    These are genotypes, sample tables, tables of relatives, loadings, folds, genes and weights of scores.
    """
    files: list[str] = []
    for cohort in config.cohorts.values():
        files += [*files_of([*cohort.filesets, *cohort.structure_filesets]), *cohort.bgen_samples, *cohort.reference]
        files += [cohort.samples] if cohort.samples else []
        files += [cohort.table_of_relatives] if cohort.table_of_relatives else []
        files += [cohort.structure["loadings"]] if cohort.structure["loadings"] else []
    files += [config.deepnull["fold_file"]] if config.deepnull["fold_file"] else []
    files += [table] if (table := config.gene_table) else []
    files += [s.score_file for s in config.studies if s.score_file]
    return list(dict.fromkeys(files))


def published_files(config: Config) -> list[str]:
    """List what a run publishes, relative to the folder of results."""
    return [
        f"{s.cohort}/{s.name}/{arm}/{name}"
        for s in config.studies
        for arm in s.arms
        for name in ("sumstats.tsv.gz", "other_alleles.tsv.gz", "untested.tsv.gz", "leads.tsv")
    ]


def folders_of(config: Config) -> dict[str, dict[str, list[str]]]:
    """Return the studies and the batches of each cohort whose results belong to a run."""
    return {
        name: {"studies": [s.name for s in config.studies_of(name)], "batches": list(config.batches(name))}
        for name in config.cohorts
    }


def subject_of(config: Config) -> dict[str, Any]:
    """Return what the record of a run takes from its configuration: seed, inputs, published files, folders."""
    return {
        "seed": config.seed,
        "inputs": input_files(config),
        "published": published_files(config),
        "folders": folders_of(config),
    }

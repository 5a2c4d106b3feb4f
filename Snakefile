"""deepnull-gwas: genome-wide association studies with and without DeepNull. Start at README.md and config/README.md."""

from snakemake.utils import min_version

min_version("9.8")


if "cohorts" not in config:

    # a config given with --configfile, or by a module, stands for itself: it is not merged with the demo
    configfile: "config/config.yaml"


pathvars:
    # `benchmarks/` next to this file holds the comparisons with other tools
    benchmarks="logs/benchmarks",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/paths.smk"
include: "workflow/rules/products.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/screen.smk"
include: "workflow/rules/settings.smk"
include: "workflow/rules/genes.smk"
include: "workflow/rules/pages.smk"
include: "workflow/rules/genome_files.smk"
include: "workflow/rules/lineage.smk"
include: "workflow/rules/needs.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/array.smk"
include: "workflow/rules/qc.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/components.smk"
include: "workflow/rules/deepnull.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/genome.smk"
include: "workflow/rules/association.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/regions.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/verify.smk"
include: "workflow/rules/validity.smk"
include: "workflow/rules/provenance.smk"
include: "workflow/rules/site.smk"


rule preflight:
    """Check configuration, studies, sample tables and genotype files against each other, in seconds."""
    input:
        preflight_tables,


rule qc:
    """Quality control and population structure of every cohort."""
    input:
        preflight_tables,
        expand("<results>/{cohort}/qc/flow.tsv", cohort=PLAN.cohorts),
        expand("<results>/{cohort}/qc/qc.{kind}", cohort=PLAN.cohorts, kind=FIGURES),
        structure_tables,
        structure_figures,
        pages_of_cohorts,


rule predictions:
    """DeepNull predictions only, for people who run the association with another engine."""
    input:
        preflight_tables,
        all_predictions,


rule exports:
    """Files and commands for other engines (regenie, BOLT-LMM, SAIGE, PLINK 2, fastGWA): the arm deepnull, offsets."""
    input:
        all_exports,


rule associations:
    """Summary statistics of every study and arm."""
    input:
        preflight_tables,
        all_sumstats,


rule verify:
    """Check what was published: second implementation, double precision, checksums. Runs whenever it is asked for."""
    input:
        all_verified,


rule validity:
    """Calibration and power on simulated cohorts, compared with an oracle that knows the covariate effects.

    Run it with --configfile config/validity/config.yaml.
    """
    input:
        validity_pages,


rule scores:
    """How well phenotypes are predicted from covariates and a polygenic score, with and without DeepNull."""
    input:
        preflight_tables,
        all_scores,


rule phenotype_prediction:
    """The same as `scores`, under its former name."""
    input:
        rules.scores.input,


rule report:
    """Summary statistics, figures, tables and captions, without the check of the exit code."""
    input:
        rules.qc.input,
        rules.predictions.input,
        rules.associations.input,
        rules.scores.input,
        all_regions,
        all_figures,
        pages_of_studies,
        "<results>/status.tsv",
        # what nothing may need any more, and still belongs to the results
        damaged_files,


rule all:
    """Everything: summary statistics, figures and tables of every study in its arms, and the state of the run."""
    default_target: True
    input:
        rules.report.input,
        rules.record_run.output,
        rules.build_site.output,
        rules.check_status.output,


onsuccess:
    last_word(log)


onerror:
    last_word(log)

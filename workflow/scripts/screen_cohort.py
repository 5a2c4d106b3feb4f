"""Check the studies of a cohort before the first long job."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.preflight import preflight_cohort
    from deepnull_gwas.scores.other_tables import problems_of_tables

    studies, colour_by, sex, tables = snakemake.params.to_screen
    problems = problems_of_tables(snakemake.input.samples, **tables)
    preflight_cohort(
        snakemake.input.samples, studies, snakemake.output[0], colour_by, snakemake.input.genotypes, sex, problems
    )

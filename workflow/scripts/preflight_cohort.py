"""Check the studies of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.preflight import preflight_cohort
    from deepnull_gwas.scores.other_tables import problems_of_tables

    problems = problems_of_tables(snakemake.input.samples, **snakemake.params.tables)
    preflight_cohort(
        snakemake.input.samples,
        snakemake.params.studies,
        snakemake.output.preflight,
        snakemake.params.colour_by,
        snakemake.input.genotypes,
        snakemake.params.sex,
        problems,
    )

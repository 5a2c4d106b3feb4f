"""Check the studies of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.preflight import preflight_cohort

    preflight_cohort(
        snakemake.input.samples,
        snakemake.params.studies,
        snakemake.output.preflight,
        snakemake.params.colour_by,
        snakemake.input.genotypes,
        snakemake.params.sex,
    )

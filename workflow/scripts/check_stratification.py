"""Measure the stratification of all studies of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.stratification import check_studies

    check_studies(
        snakemake.input.genotypes,
        snakemake.input.pruned,
        snakemake.input.pcs,
        snakemake.input.studies,
        snakemake.output[0],
    )

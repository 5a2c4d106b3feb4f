"""Fail if a study failed."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.results.status import check_status

    check_status(snakemake.input.status, snakemake.output[0])

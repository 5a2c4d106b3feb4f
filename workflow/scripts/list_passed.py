"""List the IDs of the variants that pass quality control."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.deepnull.exports import list_passed

    list_passed(snakemake.input.variants, snakemake.input.qc, snakemake.output[0])

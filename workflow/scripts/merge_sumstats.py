"""Publish the summary statistics of a study and arm."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.results.sumstats import merge_sumstats

    merge_sumstats(
        snakemake.input.chunks,
        snakemake.wildcards.study,
        snakemake.wildcards.arm,
        snakemake.input.study,
        snakemake.output.sumstats,
        snakemake.output.metadata,
        snakemake.output.untested,
        snakemake.params.info,
    )

"""Count the genotypes of a chunk."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.counts import count_chunk

    count_chunk(
        snakemake.input.genotypes,
        snakemake.input.variants,
        snakemake.input.samples,
        int(snakemake.wildcards.chunk),
        snakemake.output.variants,
        snakemake.output.samples,
    )

"""Index a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.index import index_cohort

    index_cohort(
        [path.removesuffix(".bed") for path in snakemake.input.bed],
        snakemake.input.table,
        snakemake.params.settings,
        snakemake.params.chunks,
        snakemake.output.genotypes,
        snakemake.output.variants,
        snakemake.output.samples,
    )

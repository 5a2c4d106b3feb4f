"""Index a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.index import index_cohort
    from deepnull_gwas.genotypes.formats import filesets_among

    index_cohort(
        filesets_among(snakemake.input.genotypes),
        snakemake.input.table,
        snakemake.params.settings,
        snakemake.params.chunks,
        snakemake.output.genotypes,
        snakemake.output.variants,
        snakemake.output.samples,
        snakemake.input.reference,
    )

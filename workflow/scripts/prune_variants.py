"""Choose variants in low linkage disequilibrium."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.pruning import prune_variants

    prune_variants(
        snakemake.input.genotypes,
        snakemake.input.variants,
        snakemake.input.qc_variants,
        snakemake.input.qc_samples,
        snakemake.params.long_range_ld,
        snakemake.params.settings,
        snakemake.output.pruned,
        snakemake.threads,
    )

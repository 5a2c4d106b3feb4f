"""Find relatives and families."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.relatives import estimate_kinship

    estimate_kinship(
        snakemake.input.genotypes,
        snakemake.input.pruned,
        snakemake.input.qc_samples,
        snakemake.params.settings,
        snakemake.output.relatives,
        snakemake.output.families,
        snakemake.threads,
        pairs=snakemake.input.pairs or None,
    )

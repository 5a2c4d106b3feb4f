"""Compute principal components."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.pca import compute_or_project_pcs

    compute_or_project_pcs(
        snakemake.input.genotypes,
        snakemake.input.pruned,
        snakemake.input.qc_samples,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.pcs,
        snakemake.output.eigenvalues,
        snakemake.output.loadings,
        snakemake.threads,
        families=snakemake.input.families,
        relatives=snakemake.input.relatives,
        variants=snakemake.input.variants,
        loadings=snakemake.input.loadings or None,
    )

"""Compute principal components."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.pca import PcaInputs, PcaOutputs, compute_or_project_pcs

    compute_or_project_pcs(
        PcaInputs(**{name: path or None for name, path in snakemake.input.items()}),
        snakemake.params.settings,
        snakemake.params.seed,
        PcaOutputs(**dict(snakemake.output.items())),
        snakemake.threads,
    )

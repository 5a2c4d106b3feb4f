"""Fit the models that predict each fold."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.deepnull.steps import train_folds

    train_folds(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.input.folds,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.predictions,
        snakemake.output.metrics,
        snakemake.output.models,
    )

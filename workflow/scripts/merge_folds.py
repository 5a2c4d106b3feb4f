"""Collect the out-of-fold predictions."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.deepnull.steps import merge_folds

    merge_folds(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.input.folds,
        snakemake.input.predictions,
        snakemake.input.metrics,
        snakemake.input.models,
        snakemake.params.settings,
        snakemake.output.prediction,
        snakemake.output.metrics,
    )

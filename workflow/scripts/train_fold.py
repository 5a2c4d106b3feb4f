"""Train the model that predicts one fold."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.deepnull.steps import train_fold

    train_fold(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.input.folds,
        int(snakemake.wildcards.fold),
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.prediction,
        snakemake.output.metrics,
        snakemake.output.model,
    )

"""Draw training curves and accuracy."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.deepnull import plot_deepnull

    plot_deepnull(snakemake.input.metrics, snakemake.input.by_fold, snakemake.output[0])

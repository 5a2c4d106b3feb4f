"""Tell and draw how well the phenotypes of a cohort are predicted."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.prediction.steps import collect_accuracies
    from deepnull_gwas.report.prediction import plot_prediction

    collect_accuracies(snakemake.input, snakemake.output.table)
    plot_prediction(snakemake.input, snakemake.output.figure)

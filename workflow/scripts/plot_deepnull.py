"""Draw training curves and accuracy, and write the same as text."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.deepnull.readable import write_summary
    from deepnull_gwas.report.deepnull import plot_deepnull

    files = snakemake.input
    plot_deepnull(files.metrics, files.by_fold, files.study, snakemake.output[0])
    write_summary(files.metrics, files.study, snakemake.output.text)

"""Draw the eigenvalues."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.structure import plot_scree

    plot_scree(snakemake.input.eigenvalues, snakemake.output[0])

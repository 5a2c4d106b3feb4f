"""Draw the first two components."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.structure import plot_pcs

    plot_pcs(snakemake.input.pcs, snakemake.input.eigenvalues, snakemake.output[0])

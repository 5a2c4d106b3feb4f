"""Draw the distributions behind the filters."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.qc import plot_qc

    plot_qc(
        snakemake.input.variants,
        snakemake.input.samples,
        snakemake.input.flow,
        snakemake.params.settings,
        snakemake.output[0],
    )

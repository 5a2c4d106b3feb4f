"""Draw the Miami plot of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.miami import plot_miami

    plot_miami(
        snakemake.input.baseline,
        snakemake.input.deepnull,
        snakemake.input.loci,
        snakemake.input.study,
        snakemake.params.settings,
        snakemake.output[0],
    )

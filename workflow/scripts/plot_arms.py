"""Draw the arms against each other."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.arms import plot_arms

    plot_arms(
        snakemake.input.baseline,
        snakemake.input.deepnull,
        snakemake.input.study,
        snakemake.input.summary,
        snakemake.params.settings,
        snakemake.output[0],
    )

"""Draw the Manhattan plot of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.manhattan import plot_manhattan

    arms = [arm for arm in ("baseline", "deepnull") if arm in snakemake.input.keys()]
    plot_manhattan(
        {arm: snakemake.input[arm] for arm in arms},
        {arm: snakemake.input[f"leads_{arm}"] for arm in arms},
        snakemake.input.study,
        snakemake.params.settings,
        snakemake.output[0],
    )

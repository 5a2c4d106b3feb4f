"""Draw the QQ plot and the Manhattan plot of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.manhattan import plot_manhattan
    from deepnull_gwas.report.qq import plot_qq

    arms = [arm for arm in ("baseline", "deepnull") if arm in snakemake.input.keys()]
    sumstats = {arm: snakemake.input[arm] for arm in arms}
    leads = {arm: snakemake.input[f"leads_{arm}"] for arm in arms}
    plot_qq(sumstats, snakemake.input.study, snakemake.output.qq)
    plot_manhattan(sumstats, leads, snakemake.input.study, snakemake.params.settings, snakemake.output.manhattan)

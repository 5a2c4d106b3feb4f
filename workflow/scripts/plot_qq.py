"""Draw the QQ plot of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.report.qq import plot_qq

    sumstats = {arm: snakemake.input[arm] for arm in ("baseline", "deepnull") if arm in snakemake.input.keys()}
    plot_qq(sumstats, snakemake.input.study, snakemake.output[0])

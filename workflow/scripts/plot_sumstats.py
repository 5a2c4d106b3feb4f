"""Draw the QQ plot and the Manhattan plot of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.manhattan import plot_manhattan
    from deepnull_gwas.report.qq import plot_qq
    from deepnull_gwas.report.tables import write_table_page
    from deepnull_gwas.results.sumstats import points_of

    arms = [arm for arm in ("baseline", "deepnull") if arm in snakemake.input.keys()]
    # read once for both figures
    points = {arm: points_of(snakemake.input[arm]) for arm in arms}
    leads = {arm: snakemake.input[f"leads_{arm}"] for arm in arms}
    plot_qq(points, snakemake.input.study, snakemake.output.qq)
    plot_manhattan(points, leads, snakemake.input.study, snakemake.params.settings, snakemake.output.manhattan)
    write_table_page(leads, snakemake.output.table, f"Lead variants: {snakemake.wildcards.study}")

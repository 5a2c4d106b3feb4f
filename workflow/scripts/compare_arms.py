"""Compare the arms of a study, and draw them."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.arms import plot_arms
    from deepnull_gwas.report.miami import plot_miami
    from deepnull_gwas.report.tables import write_table_page
    from deepnull_gwas.results.compare import compare_arms

    files, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    points = compare_arms(
        {"baseline": files.baseline, "deepnull": files.deepnull},
        {"baseline": files.leads_baseline, "deepnull": files.leads_deepnull},
        files.metrics,
        files.genome or None,
        settings["lead_window_kb"],
        out.summary,
        out.loci,
        files.genes or snakemake.params.genes,
    )
    arms = points["baseline"], points["deepnull"]
    plot_arms(*arms, files.study, out.summary, settings, out.scatter)
    plot_miami(*arms, out.loci, files.study, settings, out.miami)
    write_table_page({"": out.loci}, out.table, f"Loci of both arms: {snakemake.wildcards.study}")

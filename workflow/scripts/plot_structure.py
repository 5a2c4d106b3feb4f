"""Draw the population structure of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.structure import plot_loadings, plot_pcs, plot_scree, plot_stratification
    from deepnull_gwas.report.tables import write_table_page

    plot_scree(snakemake.input.eigenvalues, snakemake.output.scree)
    plot_pcs(
        snakemake.input.pcs,
        snakemake.input.eigenvalues,
        snakemake.input.samples,
        snakemake.params.settings["colour_by"],
        snakemake.output.pcs,
    )
    plot_loadings(snakemake.input.loadings, snakemake.output.loadings)
    plot_stratification(
        snakemake.input.pcs,
        snakemake.input.stratification,
        snakemake.input.people,
        snakemake.input.studies,
        snakemake.output.stratification,
    )
    write_table_page({"": snakemake.input.stratification}, snakemake.output.table, "Stratification")

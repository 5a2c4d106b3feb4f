"""Draw the distributions behind the filters."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.qc import plot_qc
    from deepnull_gwas.report.tables import write_table_page

    plot_qc(
        snakemake.input.variants,
        snakemake.input.samples,
        snakemake.input.flow,
        snakemake.params.settings,
        snakemake.output[0],
    )
    write_table_page({"": snakemake.input.flow}, snakemake.output.table, "Who and what passed quality control")

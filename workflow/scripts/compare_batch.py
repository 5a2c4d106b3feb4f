"""Compare the arms of all studies of a batch."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.batch import plot_batch
    from deepnull_gwas.report.tables import write_table_page
    from deepnull_gwas.results.compare import compare_batch

    compare_batch(snakemake.input.comparisons, snakemake.output.table)
    plot_batch(snakemake.output.table, snakemake.input.studies, snakemake.output.figure)
    write_table_page({"": snakemake.output.table}, snakemake.output.page, "Baseline against DeepNull")

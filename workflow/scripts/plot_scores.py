"""Report and draw how well the phenotypes of a cohort are predicted."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.scores import plot_scores
    from deepnull_gwas.report.tables import write_table_page
    from deepnull_gwas.scores.steps import collect_accuracies

    collect_accuracies(snakemake.input, snakemake.output.table)
    plot_scores(snakemake.input, snakemake.output.figure)
    write_table_page({"": snakemake.output.table}, snakemake.output.page, "Phenotype prediction")

"""List the state of all studies."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.tables import write_table_page
    from deepnull_gwas.results.status import summarise_run

    summarise_run(
        Path(snakemake.output.status).parent,
        snakemake.params.studies,
        snakemake.output.status,
        snakemake.output.summary,
    )
    write_table_page({"": snakemake.output.status}, snakemake.output.table, "State of all studies")

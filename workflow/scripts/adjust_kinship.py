"""Find relatives beyond ancestry."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.adjust import KinshipFiles, adjust_kinship
    from deepnull_gwas.report.tables import write_table_page

    adjust_kinship(
        KinshipFiles(**{name: path or None for name, path in snakemake.input.items()}),
        snakemake.params.settings,
        snakemake.output.relatives,
        snakemake.output.families,
        snakemake.threads,
    )
    write_table_page({"": snakemake.output.relatives}, snakemake.output.table, "Related pairs")

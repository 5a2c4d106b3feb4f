"""Settle who is analysed in a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.assemble import CohortFiles, assemble_study

    files = CohortFiles(**{name: path or None for name, path in snakemake.input.items()})
    assemble_study(files, snakemake.params.settings, snakemake.output.samples, snakemake.output.study)

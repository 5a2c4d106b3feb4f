"""Settle who is analysed in a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.assemble import assemble_study

    assemble_study(
        snakemake.input.samples,
        snakemake.input.qc_samples,
        snakemake.input.pcs or None,
        snakemake.params.settings,
        snakemake.output.samples,
        snakemake.output.study,
        relatives=snakemake.input.relatives or None,
        families=snakemake.input.families or None,
        genotypes=snakemake.input.genotypes,
    )

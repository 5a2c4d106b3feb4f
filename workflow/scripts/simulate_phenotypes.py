"""Simulate the sample table of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.genotypes.formats import filesets_among
    from deepnull_gwas.simulate.phenotypes import simulate_phenotypes

    simulate_phenotypes(
        *filesets_among(snakemake.input.genotypes),
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.table,
        snakemake.output.truth,
        snakemake.output.shares,
    )

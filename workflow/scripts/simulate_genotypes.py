"""Simulate the genotypes of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.genotypes.formats import filesets_among
    from deepnull_gwas.simulate.genotypes import simulate_genotypes

    simulate_genotypes(snakemake.params.settings, snakemake.params.seed, *filesets_among(snakemake.output.genotypes))

"""Simulate the genotypes of a cohort."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.simulate.genotypes import simulate_genotypes

    simulate_genotypes(snakemake.params.settings, snakemake.params.seed, Path(snakemake.output.bed).with_suffix(""))

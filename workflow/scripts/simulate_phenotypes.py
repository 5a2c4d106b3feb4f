"""Simulate the sample table of a cohort."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.simulate.phenotypes import simulate_phenotypes

    simulate_phenotypes(
        Path(snakemake.input.bed).with_suffix(""),
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.table,
        snakemake.output.truth,
        snakemake.output.shares,
    )

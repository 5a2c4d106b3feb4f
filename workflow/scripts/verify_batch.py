"""Check what was published of a batch."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.results.verify_batch import verify_batch

    verify_batch(
        Path(snakemake.input.genotypes).parent,
        snakemake.wildcards.batch,
        snakemake.params.studies,
        snakemake.params.association,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output[0],
    )

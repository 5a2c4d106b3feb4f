"""Export a study for other engines."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.deepnull.exports import export_study
    from deepnull_gwas.tables import read_json

    export_study(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.input.prediction,
        read_json(snakemake.input.genotypes),
        snakemake.input.variants,
        Path(snakemake.output.commands).parent,
        snakemake.params.structure,
    )

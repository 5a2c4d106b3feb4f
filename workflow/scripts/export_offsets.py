"""Export the offsets of a study for other engines."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.tables import read_json
    from deepnull_gwas.whole_genome.exports import export_offsets

    export_offsets(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.input.prediction or None,
        snakemake.input.offsets,
        read_json(snakemake.input.genotypes),
        snakemake.input.variants,
        snakemake.input.passed,
        snakemake.output.folder,
    )

"""Weigh what all blocks predict, and leave out one chromosome after the other."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.whole_genome.inputs import StudyPaths
    from deepnull_gwas.whole_genome.study import stack_study

    files, out = snakemake.input, snakemake.output
    stack_study(
        StudyPaths(files.study, files.samples, files.prediction or None, tuple(snakemake.params.arms)),
        files.parts,
        files.relatives,
        out.offsets,
        out.genome,
    )

"""Predict the phenotypes of a batch from the blocks of a part of the genome."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.whole_genome.part import CohortPaths, StudyPaths, fit_part

    files, params = snakemake.input, snakemake.params
    studies = StudyPaths.of_batch(files.studies, files.people, files.predictions, params.arms)
    cohort = CohortPaths(files.genotypes, files.variants, files.qc_variants, files.families, files.relatives)
    part = int(snakemake.wildcards.part)
    fit_part(cohort, studies, part, params.parts, params.settings, snakemake.output[0], snakemake.threads)

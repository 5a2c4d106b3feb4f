"""Predict a study's phenotype from covariates and a polygenic score."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.scores.candidates import CohortFiles
    from deepnull_gwas.scores.steps import Published, StudyFiles, score_study, tell_of_weights

    files, out = snakemake.input, snakemake.output
    score_study(
        StudyFiles(files.samples, files.study, files.folds, files.prediction, files.inner, files.families or None),
        CohortFiles(files.genotypes, files.variants, files.qc_variants),
        snakemake.params.settings,
        snakemake.params.seed,
        Published(out.accuracy, out.table, out.people),
        score_file=files.score_file or None,
        threads=snakemake.threads,
    )

# outside the block: on the console too
tell_of_weights(out.accuracy, f"{snakemake.wildcards.cohort}/{snakemake.wildcards.study}")

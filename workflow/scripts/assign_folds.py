"""Part the people of a study into folds."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.deepnull.steps import assign_study_folds

    assign_study_folds(
        snakemake.input.samples,
        snakemake.input.study,
        snakemake.params.folds,
        snakemake.params.seed,
        snakemake.output.folds,
        families=snakemake.input.families or None,
        fold_file=snakemake.input.fold_file or None,
    )

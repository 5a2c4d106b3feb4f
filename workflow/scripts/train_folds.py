"""Cross-fit the prediction of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.deepnull.fold_steps import assign_study_folds
    from deepnull_gwas.deepnull.steps import FoldFiles, merge_folds, train_folds

    files, out, settings, seed = snakemake.input, snakemake.output, snakemake.params.settings, snakemake.params.seed
    study = (files.samples, files.study)
    families, fold_file = files.families or None, files.fold_file or None
    original = settings.get("recipe") == "original"
    assign_study_folds(*study, settings["folds"], seed, out.folds, families, fold_file, original)
    trained = FoldFiles(out.by_model, out.by_fold, out.models, out.inner)
    train_folds(*study, out.folds, settings, seed, trained)
    merge_folds(*study, out.folds, trained, settings, out.prediction, out.metrics)

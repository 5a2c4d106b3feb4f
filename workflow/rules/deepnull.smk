# DeepNull: the phenotype predicted from the covariates, out of fold.
# Needs: the assembled study.
# Makes: <results>/{cohort}/{study}/deepnull/: folds, models and predictions of all folds, prediction.parquet,
# metrics.json.


rule train_folds:
    """Split a study's people into folds, fit models that predict each fold unseen, and join the predictions."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        families=structure_of_cohort("families.parquet"),
        fold_file=fold_file,
    output:
        folds="<results>/{cohort}/{study}/deepnull/folds.parquet",
        by_model="<results>/{cohort}/{study}/deepnull/by_model.parquet",
        by_fold="<results>/{cohort}/{study}/deepnull/by_fold.json",
        models="<results>/{cohort}/{study}/deepnull/models.npz",
        inner="<results>/{cohort}/{study}/deepnull/inner.parquet",
        prediction="<results>/{cohort}/{study}/deepnull/prediction.parquet",
        metrics="<results>/{cohort}/{study}/deepnull/metrics.json",
    log:
        "<logs>/train_folds/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/train_folds/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("train_folds"),
        runtime=minutes_for("train_folds"),
        estimated_s=seconds_for("train_folds"),
    params:
        settings=deepnull_settings,
        seed=PLAN.seed,
        code=code_of("train_folds"),
        given=state_of(fold_file),
        lineage=made_from("adjust_kinship", "assemble_study"),
    script:
        "../scripts/train_folds.py"


rule list_passed:
    """List the IDs of the variants that pass quality control, for other engines."""
    input:
        variants="<results>/{cohort}/variants.parquet",
        qc="<results>/{cohort}/qc/variants.parquet",
    output:
        "<results>/{cohort}/qc/passed.txt",
    log:
        "<logs>/list_passed/{cohort}.log",
    benchmark:
        "<benchmarks>/list_passed/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("list_passed"),
        runtime=minutes_for("list_passed"),
        estimated_s=seconds_for("list_passed"),
    params:
        code=code_of("list_passed"),
        lineage=made_from("index_cohort", "filter_cohort"),
    script:
        "../scripts/list_passed.py"


rule export_study:
    """Write phenotype, covariates and prediction for regenie, BOLT-LMM, SAIGE, PLINK 2 and fastGWA, with commands."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        prediction="<results>/{cohort}/{study}/deepnull/prediction.parquet",
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/qc/passed.txt",
    output:
        phenotype="<results>/{cohort}/{study}/exports/phenotype.txt",
        covariates="<results>/{cohort}/{study}/exports/covariates.txt",
        people="<results>/{cohort}/{study}/exports/people.txt",
        saige="<results>/{cohort}/{study}/exports/saige.txt",
        gcta_phenotype="<results>/{cohort}/{study}/exports/gcta.phen",
        gcta_covariates="<results>/{cohort}/{study}/exports/gcta.qcovar",
        commands="<results>/{cohort}/{study}/exports/commands.sh",
    log:
        "<logs>/export_study/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/export_study/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("export_study"),
        runtime=minutes_for("export_study"),
        estimated_s=seconds_for("export_study"),
    params:
        structure=structure_filesets,
        code=code_of("export_study"),
        lineage=made_from(
            "index_cohort", "assemble_study", "train_folds", "list_passed"
        ),
    script:
        "../scripts/export_study.py"


rule plot_deepnull:
    """Draw the training curves and the accuracy of the prediction against the linear model; write the same as text."""
    input:
        metrics="<results>/{cohort}/{study}/deepnull/metrics.json",
        by_fold="<results>/{cohort}/{study}/deepnull/by_fold.json",
        study="<results>/{cohort}/{study}/study.json",
    output:
        report(
            "<results>/{cohort}/{study}/deepnull/deepnull.svg",
            caption="../report/deepnull.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "7 DeepNull prediction"},
        ),
        pdf="<results>/{cohort}/{study}/deepnull/deepnull.pdf",
        text="<results>/{cohort}/{study}/deepnull/summary.md",
    log:
        "<logs>/plot_deepnull/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/plot_deepnull/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_deepnull"),
        runtime=minutes_for("plot_deepnull"),
        estimated_s=seconds_for("plot_deepnull"),
    params:
        code=code_of("plot_deepnull"),
        lineage=made_from("assemble_study", "train_folds"),
    script:
        "../scripts/plot_deepnull.py"

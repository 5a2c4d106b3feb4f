# DeepNull: the phenotype predicted from the covariates, out of fold.
# Needs: the assembled study.
# Makes: <results>/{cohort}/{study}/deepnull/: folds, one model and prediction a fold, prediction.parquet, metrics.json.


rule assign_folds:
    """Part the people of a study into folds."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        families=structure_of_cohort("families.parquet"),
        fold_file=fold_file,
    output:
        folds="<results>/{cohort}/{study}/deepnull/folds.parquet",
    log:
        "<logs>/assign_folds/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/assign_folds/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_samples,
        runtime=runtime_minutes(10),
    params:
        folds=PLAN.deepnull["folds"],
        seed=PLAN.seed,
        code=code_of("cohort/families.py", "deepnull/folds.py", "deepnull/steps.py"),
    script:
        "../scripts/assign_folds.py"


rule train_folds:
    """Fit the models that predict each fold's people, without ever seeing them. One job for all folds."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        folds="<results>/{cohort}/{study}/deepnull/folds.parquet",
    output:
        predictions=folds_as_output("parquet"),
        metrics=folds_as_output("json"),
        models=folds_as_output("npz"),
    log:
        "<logs>/train_folds/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/train_folds/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_to_train,
        runtime=runtime_minutes(240),
    params:
        settings=deepnull_settings,
        seed=PLAN.seed,
        code=code_of("deepnull"),
    script:
        "../scripts/train_folds.py"


rule merge_folds:
    """Put the out-of-fold predictions together, measure them against each model, and show what they are made of."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        folds="<results>/{cohort}/{study}/deepnull/folds.parquet",
        predictions=of_folds("parquet"),
        metrics=of_folds("json"),
        models=of_folds("npz"),
    output:
        prediction="<results>/{cohort}/{study}/deepnull/prediction.parquet",
        metrics="<results>/{cohort}/{study}/deepnull/metrics.json",
    log:
        "<logs>/merge_folds/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/merge_folds/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_to_train,
        runtime=runtime_minutes(30),
    params:
        settings=deepnull_settings,
        code=code_of("deepnull"),
    script:
        "../scripts/merge_folds.py"


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
        mem_mb=memory_of_variants,
        runtime=runtime_minutes(30),
    params:
        code=code_of("deepnull/exports.py"),
    script:
        "../scripts/list_passed.py"


rule export_study:
    """Write phenotype, covariates and prediction for regenie, BOLT-LMM, SAIGE, PLINK 2 and fastGWA, with the command lines."""
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
        mem_mb=memory_of_samples,
        runtime=runtime_minutes(30),
    params:
        code=code_of("deepnull/exports.py"),
    script:
        "../scripts/export_study.py"


rule plot_deepnull:
    """Draw the training curves and the accuracy of the prediction against the linear model."""
    input:
        metrics="<results>/{cohort}/{study}/deepnull/metrics.json",
        folds=of_folds("json"),
    output:
        report(
            "<results>/{cohort}/{study}/deepnull/deepnull.svg",
            caption="../report/deepnull.rst",
            category="{cohort}: {study}",
            labels={"what": "DeepNull prediction"},
        ),
    log:
        "<logs>/plot_deepnull/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/plot_deepnull/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=runtime_minutes(10),
    params:
        code=code_of("report"),
    script:
        "../scripts/plot_deepnull.py"

# Prediction of phenotypes from covariates and a polygenic score, with and without DeepNull.
# Needs: the study's DeepNull prediction with its nested predictions, the cohort's genotypes and their quality control.
# Makes: <results>/{cohort}/{study}/deepnull/prediction_accuracy.json and .tsv, phenotype_predictions.parquet;
# <results>/{cohort}/phenotype_prediction.tsv, .svg and .pdf.


rule predict_phenotype:
    """Predict a study's phenotype out of fold from covariates and a polygenic score, with and without DeepNull."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        folds="<results>/{cohort}/{study}/deepnull/folds.parquet",
        prediction="<results>/{cohort}/{study}/deepnull/prediction.parquet",
        inner="<results>/{cohort}/{study}/deepnull/inner.parquet",
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        qc_variants="<results>/{cohort}/qc/variants.parquet",
        families=structure_of_cohort("families.parquet"),
        score_file=score_file,
    output:
        accuracy="<results>/{cohort}/{study}/deepnull/prediction_accuracy.json",
        table=report(
            "<results>/{cohort}/{study}/deepnull/prediction_accuracy.tsv",
            caption="../report/prediction.rst",
            category=cohort_in_report,
            subcategory="{study}",
            labels={"what": "phenotype prediction"},
        ),
        people="<results>/{cohort}/{study}/deepnull/phenotype_predictions.parquet",
    log:
        "<logs>/predict_phenotype/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/predict_phenotype/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: PLAN.scores["threads"]
    resources:
        mem_mb=memory_for("predict_phenotype"),
        runtime=minutes_for("predict_phenotype"),
        estimated_s=seconds_for("predict_phenotype"),
    params:
        settings=score_settings,
        seed=PLAN.seed,
        code=code_of("predict_phenotype"),
        given=state_of(score_file),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "estimate_kinship",
            "assemble_study",
            "train_folds",
        ),
    script:
        "../scripts/predict_phenotype.py"


rule plot_prediction:
    """Report and draw how well a cohort's phenotypes are predicted, with and without DeepNull and a polygenic score."""
    input:
        accuracies_of_cohort,
    output:
        table=report(
            "<results>/{cohort}/phenotype_prediction.tsv",
            caption="../report/prediction.rst",
            category=cohort_in_report,
            subcategory="all studies",
            labels={"what": "phenotype prediction, linear against DeepNull: table"},
        ),
        figure=report(
            "<results>/{cohort}/phenotype_prediction.svg",
            caption="../report/prediction.rst",
            category=cohort_in_report,
            subcategory="all studies",
            labels={"what": "phenotype prediction, linear against DeepNull"},
        ),
        pdf="<results>/{cohort}/phenotype_prediction.pdf",
    log:
        "<logs>/plot_prediction/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_prediction/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_prediction"),
        runtime=minutes_for("plot_prediction"),
        estimated_s=seconds_for("plot_prediction"),
    params:
        code=code_of("plot_prediction"),
        lineage=made_from("predict_phenotype"),
    script:
        "../scripts/plot_prediction.py"

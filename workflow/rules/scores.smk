# Prediction of phenotypes from covariates and a polygenic score, with and without DeepNull.
# Needs: the study's DeepNull prediction with its nested predictions, the cohort's genotypes and their quality control.
# Makes: <results>/{cohort}/{study}/scores/accuracy.json, accuracy.tsv and people.parquet;
# <results>/{cohort}/scores.tsv, .svg and .pdf.


rule score_study:
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
        accuracy="<results>/{cohort}/{study}/scores/accuracy.json",
        table="<results>/{cohort}/{study}/scores/accuracy.tsv",
        people="<results>/{cohort}/{study}/scores/people.parquet",
    log:
        "<logs>/score_study/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/score_study/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: PLAN.scores["threads"]
    resources:
        mem_mb=memory_for("score_study"),
        runtime=minutes_for("score_study"),
        estimated_s=seconds_for("score_study"),
    params:
        settings=score_settings,
        seed=PLAN.seed,
        code=code_of("score_study"),
        given=state_of(score_file),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "adjust_kinship",
            "assemble_study",
            "train_folds",
        ),
    script:
        "../scripts/score_study.py"


rule plot_scores:
    """Report and draw how well a cohort's phenotypes are predicted, with and without DeepNull and a polygenic score."""
    input:
        accuracies_of_cohort,
    output:
        table="<results>/{cohort}/scores.tsv",
        page=report(
            "<results>/{cohort}/scores.html",
            caption="../report/scores.rst",
            category=cohort_in_report,
            subcategory="studies compared",
            labels={"what": "4 phenotype prediction: table"},
        ),
        figure=report(
            "<results>/{cohort}/scores.svg",
            caption="../report/scores.rst",
            category=cohort_in_report,
            subcategory="studies compared",
            labels={"what": "3 phenotype prediction"},
        ),
        pdf="<results>/{cohort}/scores.pdf",
    log:
        "<logs>/plot_scores/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_scores/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_scores"),
        runtime=minutes_for("plot_scores"),
        estimated_s=seconds_for("plot_scores"),
    params:
        code=code_of("plot_scores"),
        lineage=made_from("score_study"),
    script:
        "../scripts/plot_scores.py"

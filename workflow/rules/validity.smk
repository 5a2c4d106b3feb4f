# Validity: calibration and power where the truth is known.
# Needs: a simulated cohort whose phenotypes are each analysed in both arms and with the true covariate effect
# (config/validity/config.yaml).
# Makes: <results>/{cohort}/validity.{md,json,svg,pdf}: type I error and lambda without genetic effects, power with
# them, for baseline, DeepNull and oracle.


rule measure_validity:
    """Measure type I error, inflation and power on a simulated cohort: both arms, and the true covariate effect."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        truth="<results>/{cohort}/simulated/truth.tsv",
        shares="<results>/{cohort}/simulated/truth.json",
        sumstats=sumstats_of_cohort,
        metrics=metrics_of_cohort,
        genomes=genomes_of_cohort,
    output:
        measured="<results>/{cohort}/validity.json",
        points="<results>/{cohort}/validity.npz",
        page=report(
            "<results>/{cohort}/validity.md",
            caption="../report/validity.rst",
            category=cohort_in_report,
            subcategory="calibration and power",
            labels={"what": "calibration and power: tables"},
        ),
        figure=report(
            "<results>/{cohort}/validity.svg",
            caption="../report/validity.rst",
            category=cohort_in_report,
            subcategory="calibration and power",
            labels={"what": "calibration and power"},
        ),
        pdf="<results>/{cohort}/validity.pdf",
    log:
        "<logs>/measure_validity/{cohort}.log",
    benchmark:
        "<benchmarks>/measure_validity/{cohort}.tsv"
    wildcard_constraints:
        cohort=SIMULATED,
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("measure_validity"),
        runtime=minutes_for("measure_validity"),
        estimated_s=seconds_for("measure_validity"),
    params:
        simulate=simulation_settings,
        studies=studies_and_arms,
        settings=lead_settings,
        code=code_of("measure_validity"),
        lineage=made_from(
            "simulate_phenotypes",
            "index_cohort",
            "train_folds",
            "stack_blocks",
            "merge_sumstats",
        ),
    script:
        "../scripts/measure_validity.py"

# The state of the run.
# Needs: everything that the studies made.
# Makes: <results>/status.tsv, and the exit code: a failed study lets all others finish, then fails the run.


# reads one small table: not worth a job on a cluster
localrules:
    check_status,


rule summarise_run:
    """List every study and arm with its state, people, calibration and loci."""
    input:
        studies=all_study_files,
        chunks=one_chunk_of_each_batch,
        genomes=all_genomes,
        tests=all_tests,
        comparisons=all_comparisons,
        metrics=all_metrics,
    output:
        status="<results>/status.tsv",
        table=report(
            "<results>/status.html",
            caption="../report/status.rst",
            category=RUN_IN_REPORT,
            labels={"what": "1 state of all studies"},
        ),
        summary="<results>/summary.txt",
    log:
        "<logs>/summarise_run.log",
    benchmark:
        "<benchmarks>/summarise_run.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("summarise_run"),
        runtime=minutes_for("summarise_run"),
        estimated_s=seconds_for("summarise_run"),
    params:
        studies=rows_of_status,
        code=code_of("summarise_run"),
        lineage=made_from(
            "assemble_study",
            "train_folds",
            "stack_blocks",
            "merge_sumstats",
            "associate",
            "compare_arms",
        ),
    script:
        "../scripts/summarise_run.py"


rule check_status:
    """Fail the run if a study failed, after all others are done."""
    input:
        status="<results>/status.tsv",
    output:
        "<results>/.status_checked",
    log:
        "<logs>/check_status.log",
    benchmark:
        "<benchmarks>/check_status.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("check_status"),
        runtime=minutes_for("check_status"),
        estimated_s=seconds_for("check_status"),
    params:
        code=code_of("check_status"),
        lineage=made_from("summarise_run"),
    script:
        "../scripts/check_status.py"

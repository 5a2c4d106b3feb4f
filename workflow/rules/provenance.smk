# Provenance.
# Needs: a finished run.
# Makes: <results>/provenance.json and provenance.html: configuration, studies, checksums, software, parameters,
# machine, time and memory.


rule record_run:
    """Record where the results came from, so that the run can be repeated.

    Checksums of inputs are computed once, and kept.
    """
    input:
        preflight=preflight_tables,
        sumstats=all_sumstats,
        other_alleles=of_arms("other_alleles.tsv.gz"),
        untested=of_arms("untested.tsv.gz"),
        leads=all_leads,
        predictions=all_predictions,
        structure=structure_figures,
        figures=all_figures,
        status="<results>/status.tsv",
    output:
        record="<results>/provenance.json",
        page=report(
            "<results>/provenance.html",
            caption="../report/provenance.rst",
            category=RUN_IN_REPORT,
            labels={"what": "2 where the results came from"},
        ),
    log:
        "<logs>/record_run.log",
    benchmark:
        "<benchmarks>/record_run.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("record_run"),
        runtime=minutes_for("record_run"),
        estimated_s=seconds_for("record_run"),
    params:
        given=config,
        subject=subject_of(PLAN),
        folders=run_folders,
        snakemake=snakemake_version,
        code=code_of("record_run"),
        lineage=made_from(
            "screen_cohort",
            "preflight_cohort",
            "plot_structure",
            "train_folds",
            "plot_deepnull",
            "merge_sumstats",
            "plot_sumstats",
            "compare_arms",
            "compare_batch",
            "summarise_run",
        ),
    script:
        "../scripts/record_run.py"

# The site: an interactive report that opens from the disk.
# Needs: the results of studies and cohorts, and the record of the run.
# Makes: <results>/site/index.html and what it loads, and the same as one file to send, <results>/site.zip.


rule describe_study:
    """Write what the site shows of a study: p-values thinned and binned, loci, calibration, the prediction, people."""
    input:
        files=files_of_page,
        chunks=chunks_of_study,
    output:
        page="<results>/{cohort}/{study}/site.js",
        row="<results>/{cohort}/{study}/site.json",
    log:
        "<logs>/describe_study/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/describe_study/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("describe_study"),
        runtime=minutes_for("describe_study"),
        estimated_s=seconds_for("describe_study"),
    params:
        entry=entry_of_study,
        settings=page_settings,
        code=code_of("describe_study"),
        lineage=made_from(
            "assemble_study",
            "train_folds",
            "stack_blocks",
            "associate",
            "merge_sumstats",
            "compare_arms",
        ),
    script:
        "../scripts/describe_study.py"


rule describe_cohort:
    """Write what the site shows of a cohort: flow of people and variants, distributions, structure; counts only."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        flow="<results>/{cohort}/qc/flow.tsv",
        variants="<results>/{cohort}/qc/variants.parquet",
        samples="<results>/{cohort}/qc/samples.parquet",
        structure=files_of_structure,
    output:
        page="<results>/{cohort}/site.js",
    log:
        "<logs>/describe_cohort/{cohort}.log",
    benchmark:
        "<benchmarks>/describe_cohort/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("describe_cohort"),
        runtime=minutes_for("describe_cohort"),
        estimated_s=seconds_for("describe_cohort"),
    params:
        qc=qc_settings,
        structure=parts_of_structure,
        code=code_of("describe_cohort"),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "adjust_kinship",
            "compute_pcs",
            "check_stratification",
        ),
    script:
        "../scripts/describe_cohort.py"


rule build_site:
    """Put the site together, as a folder that opens from the disk and as one file to send.

    Same results, same bytes, but for times and memory of the run's steps.
    """
    input:
        pages=all_pages,
        regions=regions_of_studies,
        provenance="<results>/provenance.json",
    output:
        site=directory("<results>/site"),
        archive="<results>/site.zip",
    log:
        "<logs>/build_site.log",
    benchmark:
        "<benchmarks>/build_site.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("build_site"),
        runtime=minutes_for("build_site"),
        estimated_s=seconds_for("build_site"),
    params:
        studies=rows_of_status,
        app=digest_of_app,
        code=code_of("build_site"),
        lineage=made_from(
            "measure_regions", "describe_study", "describe_cohort", "record_run"
        ),
    script:
        "../scripts/build_site.py"

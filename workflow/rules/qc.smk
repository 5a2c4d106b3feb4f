# Quality control.
# Needs: the indexed cohort.
# Makes: <results>/{cohort}/qc/: counts, measures and verdicts per variant and person, and the account of every filter.


rule count_genotypes:
    """Count the genotypes of a chunk of variants, by variant and by person, in one pass over the packed bytes."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/samples.parquet",
        screened="<results>/{cohort}/.screened.tsv",
    output:
        variants="<results>/{cohort}/qc/counts/{chunk}.parquet",
        samples="<results>/{cohort}/qc/counts/{chunk}.samples.parquet",
    log:
        "<logs>/count_genotypes/{cohort}/{chunk}.log",
    benchmark:
        "<benchmarks>/count_genotypes/{cohort}/{chunk}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("count_genotypes"),
        runtime=minutes_for("count_genotypes"),
        estimated_s=seconds_for("count_genotypes"),
    params:
        code=code_of("count_genotypes"),
        lineage=made_from("index_cohort", "screen_cohort"),
    script:
        "../scripts/count_genotypes.py"


rule filter_cohort:
    """Turn counts into measures, apply the filters, and count what each removed."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/samples.parquet",
        variant_counts=counts_of_chunks("parquet"),
        sample_counts=counts_of_chunks("samples.parquet"),
        array_samples=of_array("qc_samples.parquet"),
        array_flow=of_array("flow.tsv"),
        array_sex=of_array("inferred_sex.tsv"),
    output:
        variants="<results>/{cohort}/qc/variants.parquet",
        samples="<results>/{cohort}/qc/samples.parquet",
        flow="<results>/{cohort}/qc/flow.tsv",
        inferred_sex="<results>/{cohort}/qc/inferred_sex.tsv",
    log:
        "<logs>/filter_cohort/{cohort}.log",
    benchmark:
        "<benchmarks>/filter_cohort/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("filter_cohort"),
        runtime=minutes_for("filter_cohort"),
        estimated_s=seconds_for("filter_cohort"),
    params:
        settings=qc_settings,
        code=code_of("filter_cohort"),
        lineage=made_from("index_cohort", "count_genotypes", "filter_array"),
    script:
        "../scripts/filter_cohort.py"


rule plot_qc:
    """Draw the distributions behind the filters, with their cut-offs."""
    input:
        variants="<results>/{cohort}/qc/variants.parquet",
        samples="<results>/{cohort}/qc/samples.parquet",
        flow="<results>/{cohort}/qc/flow.tsv",
    output:
        report(
            "<results>/{cohort}/qc/qc.svg",
            caption="../report/qc.rst",
            category=cohort_in_report,
            subcategory="quality control",
            labels={"what": "2 distributions behind the filters"},
        ),
        table=report(
            "<results>/{cohort}/qc/flow.html",
            caption="../report/flow.rst",
            category=cohort_in_report,
            subcategory="quality control",
            labels={"what": "1 who and what passed"},
        ),
        pdf="<results>/{cohort}/qc/qc.pdf",
    log:
        "<logs>/plot_qc/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_qc/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_qc"),
        runtime=minutes_for("plot_qc"),
        estimated_s=seconds_for("plot_qc"),
    params:
        settings=qc_settings,
        code=code_of("plot_qc"),
        lineage=made_from("filter_cohort"),
    script:
        "../scripts/plot_qc.py"

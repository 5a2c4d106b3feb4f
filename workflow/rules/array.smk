# Hard calls of the same people beside imputed genotypes (`structure.genotypes`), where a cohort has them.
# Needs: the indexed cohort.
# Makes: <results>/{cohort}/structure/array/: index, counts and verdicts, which quality control of people, pruning,
# relatives and components go by.


rule index_array:
    """Check the hard calls, match their people with the cohort's by ID, and count them."""
    input:
        array=array_files,
        genotypes="<results>/{cohort}/genotypes.json",
        samples="<results>/{cohort}/samples.parquet",
        screened="<results>/{cohort}/.screened.tsv",
    output:
        genotypes="<results>/{cohort}/structure/array/genotypes.json",
        variants="<results>/{cohort}/structure/array/variants.parquet",
        samples="<results>/{cohort}/structure/array/samples.parquet",
        variant_counts="<results>/{cohort}/structure/array/counts.parquet",
        sample_counts="<results>/{cohort}/structure/array/counts.samples.parquet",
    log:
        "<logs>/index_array/{cohort}.log",
    benchmark:
        "<benchmarks>/index_array/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("index_array"),
        runtime=minutes_for("index_array"),
        estimated_s=seconds_for("index_array"),
    params:
        minimum_overlap=minimum_overlap,
        code=code_of("index_array"),
        given=state_of(array_files),
        lineage=made_from("index_cohort", "screen_cohort"),
    script:
        "../scripts/index_array.py"


rule filter_array:
    """Apply the filters to the hard calls: its verdicts of people are those of the cohort."""
    input:
        genotypes="<results>/{cohort}/structure/array/genotypes.json",
        variants="<results>/{cohort}/structure/array/variants.parquet",
        samples="<results>/{cohort}/structure/array/samples.parquet",
        variant_counts=["<results>/{cohort}/structure/array/counts.parquet"],
        sample_counts=["<results>/{cohort}/structure/array/counts.samples.parquet"],
    output:
        variants="<results>/{cohort}/structure/array/qc_variants.parquet",
        samples="<results>/{cohort}/structure/array/qc_samples.parquet",
        flow="<results>/{cohort}/structure/array/flow.tsv",
        inferred_sex="<results>/{cohort}/structure/array/inferred_sex.tsv",
    log:
        "<logs>/filter_array/{cohort}.log",
    benchmark:
        "<benchmarks>/filter_array/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("filter_array"),
        runtime=minutes_for("filter_array"),
        estimated_s=seconds_for("filter_array"),
    params:
        settings=qc_settings,
        code=code_of("filter_array"),
        lineage=made_from("index_array"),
    script:
        "../scripts/filter_array.py"

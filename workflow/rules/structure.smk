# Pruning and relatives.
# Needs: the indexed cohort and its quality control.
# Makes: <results>/{cohort}/structure/: pruned variants, relatives and families (in king/: by KING-robust kinship).


rule prune_variants:
    """Choose common autosomal variants in low linkage disequilibrium, outside the long-range regions."""
    input:
        genotypes=genotypes_for_structure,
        variants=variants_for_structure,
        qc_variants=qc_variants_for_structure,
        qc_samples="<results>/{cohort}/qc/samples.parquet",
    output:
        pruned="<results>/{cohort}/structure/pruned.parquet",
    log:
        "<logs>/prune_variants/{cohort}.log",
    benchmark:
        "<benchmarks>/prune_variants/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("prune_variants"),
        runtime=minutes_for("prune_variants"),
        estimated_s=seconds_for("prune_variants"),
    params:
        settings=structure_settings,
        long_range_ld=long_range_ld,
        regions=long_range_ld_content,
        code=code_of("prune_variants"),
        lineage=made_from(
            "index_cohort", "index_array", "filter_array", "filter_cohort"
        ),
    script:
        "../scripts/prune_variants.py"


rule estimate_kinship:
    """Find relatives and duplicates, cluster them into families, and choose unrelated people."""
    input:
        genotypes=genotypes_for_structure,
        pruned="<results>/{cohort}/structure/pruned.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
        pairs=pairs_found_elsewhere,
    output:
        relatives="<results>/{cohort}/structure/king/relatives.tsv",
        families="<results>/{cohort}/structure/king/families.parquet",
    log:
        "<logs>/estimate_kinship/{cohort}.log",
    benchmark:
        "<benchmarks>/estimate_kinship/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 2
    resources:
        mem_mb=memory_for("estimate_kinship"),
        runtime=minutes_for("estimate_kinship"),
        estimated_s=seconds_for("estimate_kinship"),
    params:
        settings=structure_settings,
        code=code_of("estimate_kinship"),
        given=state_of(pairs_found_elsewhere),
        lineage=made_from(
            "index_cohort", "index_array", "filter_cohort", "prune_variants"
        ),
    script:
        "../scripts/estimate_kinship.py"


rule adjust_kinship:
    """Find relatives beyond ancestry where people are of several; else pass on those that KING-robust finds."""
    input:
        genotypes=genotypes_for_structure,
        pruned="<results>/{cohort}/structure/pruned.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
        relatives="<results>/{cohort}/structure/king/relatives.tsv",
        families="<results>/{cohort}/structure/king/families.parquet",
        pcs=pcs_for_kinship,
    output:
        relatives="<results>/{cohort}/structure/relatives.tsv",
        table=report(
            "<results>/{cohort}/structure/relatives.html",
            caption="../report/relatives.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "1 related pairs"},
        ),
        families="<results>/{cohort}/structure/families.parquet",
    log:
        "<logs>/adjust_kinship/{cohort}.log",
    benchmark:
        "<benchmarks>/adjust_kinship/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 2
    resources:
        mem_mb=memory_for("adjust_kinship"),
        runtime=minutes_for("adjust_kinship"),
        estimated_s=seconds_for("adjust_kinship"),
    params:
        settings=structure_settings,
        code=code_of("adjust_kinship"),
        lineage=made_from(
            "index_cohort",
            "index_array",
            "filter_cohort",
            "prune_variants",
            "estimate_kinship",
            "compute_pcs",
        ),
    script:
        "../scripts/adjust_kinship.py"

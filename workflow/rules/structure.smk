# Population structure.
# Needs: the indexed cohort and its quality control.
# Makes: <results>/{cohort}/structure/: pruned variants, principal components, eigenvalues, loadings, figures.


rule prune_variants:
    """Choose common autosomal variants in low linkage disequilibrium, outside the long-range regions."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        qc_variants="<results>/{cohort}/qc/variants.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
        long_range_ld=LONG_RANGE_LD,
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
        mem_mb=memory_of_variants,
        runtime=runtime_minutes(240),
    params:
        settings=structure_settings,
        code=code_of("genotypes", "cohort/pruning.py"),
    script:
        "../scripts/prune_variants.py"


rule compute_pcs:
    """Compute the principal components of the people who passed, from the pruned variants."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        pruned="<results>/{cohort}/structure/pruned.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
    output:
        pcs="<results>/{cohort}/structure/pcs.parquet",
        eigenvalues="<results>/{cohort}/structure/eigenvalues.tsv",
        loadings="<results>/{cohort}/structure/loadings.parquet",
    log:
        "<logs>/compute_pcs/{cohort}.log",
    benchmark:
        "<benchmarks>/compute_pcs/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 2
    resources:
        mem_mb=memory_of_pca,
        runtime=runtime_minutes(240),
    params:
        settings=structure_settings,
        seed=PLAN.seed,
        code=code_of("genotypes", "cohort/pca.py", "cohort/counts.py"),
    script:
        "../scripts/compute_pcs.py"


rule plot_scree:
    """Draw the variance that each component explains."""
    input:
        eigenvalues="<results>/{cohort}/structure/eigenvalues.tsv",
    output:
        report(
            "<results>/{cohort}/structure/scree.svg",
            caption="../report/scree.rst",
            category="{cohort}: cohort",
            labels={"what": "scree plot"},
        ),
    log:
        "<logs>/plot_scree/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_scree/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=runtime_minutes(10),
    params:
        code=code_of("report"),
    script:
        "../scripts/plot_scree.py"


rule plot_pcs:
    """Draw the first two components."""
    input:
        pcs="<results>/{cohort}/structure/pcs.parquet",
        eigenvalues="<results>/{cohort}/structure/eigenvalues.tsv",
    output:
        report(
            "<results>/{cohort}/structure/pcs.svg",
            caption="../report/pcs.rst",
            category="{cohort}: cohort",
            labels={"what": "principal components"},
        ),
    log:
        "<logs>/plot_pcs/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_pcs/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_samples,
        runtime=runtime_minutes(10),
    params:
        code=code_of("report"),
    script:
        "../scripts/plot_pcs.py"

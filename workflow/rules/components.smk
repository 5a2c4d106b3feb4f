# Principal components.
# Needs: the indexed cohort, its quality control, pruned variants, relatives and families.
# Makes: <results>/{cohort}/structure/: components, eigenvalues, loadings, the check of stratification, figures.


rule compute_pcs:
    """Compute principal components from the pruned variants of unrelated people, and project their relatives."""
    input:
        genotypes=genotypes_for_structure,
        variants=variants_for_structure,
        pruned="<results>/{cohort}/structure/pruned.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
        families="<results>/{cohort}/structure/king/families.parquet",
        relatives="<results>/{cohort}/structure/king/relatives.tsv",
        loadings=loadings_of_others,
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
        mem_mb=memory_for("compute_pcs"),
        runtime=minutes_for("compute_pcs"),
        estimated_s=seconds_for("compute_pcs"),
    params:
        settings=structure_settings,
        seed=PLAN.seed,
        code=code_of("compute_pcs"),
        given=state_of(loadings_of_others),
        lineage=made_from(
            "index_cohort",
            "index_array",
            "filter_cohort",
            "estimate_kinship",
            "prune_variants",
        ),
    script:
        "../scripts/compute_pcs.py"


rule check_stratification:
    """Measure how much of each phenotype is population structure, and the inflation that the components remove."""
    input:
        genotypes=genotypes_for_structure,
        pruned="<results>/{cohort}/structure/pruned.parquet",
        pcs="<results>/{cohort}/structure/pcs.parquet",
        studies=people_of_studies,
    output:
        "<results>/{cohort}/structure/stratification.tsv",
    log:
        "<logs>/check_stratification/{cohort}.log",
    benchmark:
        "<benchmarks>/check_stratification/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("check_stratification"),
        runtime=minutes_for("check_stratification"),
        estimated_s=seconds_for("check_stratification"),
    params:
        code=code_of("check_stratification"),
        lineage=made_from(
            "index_cohort",
            "index_array",
            "prune_variants",
            "compute_pcs",
            "assemble_study",
        ),
    script:
        "../scripts/check_stratification.py"


rule plot_structure:
    """Draw eigenvalues, components, loadings along the genome, and components against phenotypes."""
    input:
        samples="<results>/{cohort}/samples.parquet",
        pcs="<results>/{cohort}/structure/pcs.parquet",
        eigenvalues="<results>/{cohort}/structure/eigenvalues.tsv",
        loadings="<results>/{cohort}/structure/loadings.parquet",
        stratification="<results>/{cohort}/structure/stratification.tsv",
        people=people_of_studies,
        studies=accounts_of_studies,
    output:
        scree=report(
            "<results>/{cohort}/structure/scree.svg",
            caption="../report/scree.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "2 scree plot"},
        ),
        pcs=report(
            "<results>/{cohort}/structure/pcs.svg",
            caption="../report/pcs.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "3 principal components"},
        ),
        loadings=report(
            "<results>/{cohort}/structure/loadings.svg",
            caption="../report/loadings.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "4 loadings along the genome"},
        ),
        stratification=report(
            "<results>/{cohort}/structure/stratification.svg",
            caption="../report/stratification.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "5 stratification of all studies"},
        ),
        table=report(
            "<results>/{cohort}/structure/stratification.html",
            caption="../report/stratification.rst",
            category=cohort_in_report,
            subcategory="structure",
            labels={"what": "6 stratification: table"},
        ),
        pdfs=expand(
            "<results>/{{cohort}}/structure/{figure}.pdf", figure=STRUCTURE_FIGURES
        ),
    log:
        "<logs>/plot_structure/{cohort}.log",
    benchmark:
        "<benchmarks>/plot_structure/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_structure"),
        runtime=minutes_for("plot_structure"),
        estimated_s=seconds_for("plot_structure"),
    params:
        settings=structure_settings,
        code=code_of("plot_structure"),
        lineage=made_from(
            "index_cohort", "compute_pcs", "check_stratification", "assemble_study"
        ),
    script:
        "../scripts/plot_structure.py"

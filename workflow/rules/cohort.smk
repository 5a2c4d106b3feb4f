# Ingestion: from the user's files to indexed tables, and from a cohort to the people of a study.
# Needs: genotype files and a sample table (the user's, or simulated).
# Makes: <results>/{cohort}/imported/ (of VCF), <results>/{cohort}/{genotypes.json,variants.parquet,samples.parquet,
# .screened.tsv,preflight_alleles.tsv,preflight.tsv} and <results>/{cohort}/{study}/{samples.parquet,study.json}.


rule import_vcf:
    """Import a VCF or BCF, once, to the PLINK 2 fileset that stands for it in all further jobs."""
    input:
        vcf=vcf_file,
    output:
        # `local` as in paths.smk: genotypes are read in place
        genotypes=local(imported_genotypes("{cohort}", ["{fileset}"])),
    log:
        "<logs>/import_vcf/{cohort}/{fileset}.log",
    benchmark:
        "<benchmarks>/import_vcf/{cohort}/{fileset}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("import_vcf"),
        runtime=minutes_for("import_vcf"),
        estimated_s=seconds_for("import_vcf"),
    params:
        settings=vcf_settings,
        code=code_of("import_vcf"),
        given=state_of(vcf_file),
    script:
        "../scripts/import_vcf.py"


rule index_cohort:
    """Check the genotype files, join the sample table by ID, and lay out the chunks of variants."""
    input:
        genotypes=genotype_files,
        table=sample_table,
        reference=reference_files,
    output:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/samples.parquet",
    log:
        "<logs>/index_cohort/{cohort}.log",
    benchmark:
        "<benchmarks>/index_cohort/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("index_cohort"),
        runtime=minutes_for("index_cohort"),
        estimated_s=seconds_for("index_cohort"),
    params:
        settings=cohort_settings,
        chunks=number_of_chunks,
        code=code_of("index_cohort"),
        given=state_of(genotype_files, sample_table, reference_files),
        lineage=made_from("import_vcf", "simulate_genotypes", "simulate_phenotypes"),
    script:
        "../scripts/index_cohort.py"


rule screen_cohort:
    """Check all studies of a cohort against its sample table, and effect alleles by a few variants, before long jobs.

    Studies added later do not repeat it: see preflight_cohort.
    """
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/samples.parquet",
        array=array_files,
    output:
        screened="<results>/{cohort}/.screened.tsv",
        alleles="<results>/{cohort}/preflight_alleles.tsv",
    log:
        "<logs>/screen_cohort/{cohort}.log",
    benchmark:
        "<benchmarks>/screen_cohort/{cohort}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("screen_cohort"),
        runtime=minutes_for("screen_cohort"),
        estimated_s=seconds_for("screen_cohort"),
    params:
        to_screen=to_screen,
        given=state_of(array_files),
        lineage=made_from("index_cohort"),
    script:
        "../scripts/screen_cohort.py"


rule preflight_cohort:
    """Check the studies of a cohort against its sample table, as often as they change: who is in, who is out, and why.

    It is the first of the jobs that are ready to run.
    """
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        samples="<results>/{cohort}/samples.parquet",
        screened="<results>/{cohort}/.screened.tsv",
        pairs=pairs_found_elsewhere,
        loadings=loadings_of_others,
        folds=fold_file,
        scores=score_files_of_cohort,
        genes=own_genes,
    output:
        preflight="<results>/{cohort}/preflight.tsv",
    log:
        "<logs>/preflight_cohort/{cohort}.log",
    benchmark:
        "<benchmarks>/preflight_cohort/{cohort}.tsv"
    priority: 100
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("preflight_cohort"),
        runtime=minutes_for("preflight_cohort"),
        estimated_s=seconds_for("preflight_cohort"),
    params:
        studies=settings_of_studies,
        colour_by=colour_by,
        sex=sex_settings,
        tables=tables_of_cohort,
        code=code_of("preflight_cohort"),
        given=state_of(
            pairs_found_elsewhere,
            loadings_of_others,
            fold_file,
            score_files_of_cohort,
            own_genes,
        ),
        lineage=made_from("index_cohort", "screen_cohort"),
    script:
        "../scripts/preflight_cohort.py"


rule assemble_study:
    """Decide who is analysed in a study, transform the phenotype, encode the covariates; account for every drop."""
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        samples="<results>/{cohort}/samples.parquet",
        qc_samples="<results>/{cohort}/qc/samples.parquet",
        pcs=pcs_of_study,
        relatives=structure_of_cohort("relatives.tsv"),
        families=structure_of_cohort("families.parquet"),
    output:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
    log:
        "<logs>/assemble_study/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/assemble_study/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("assemble_study"),
        runtime=minutes_for("assemble_study"),
        estimated_s=seconds_for("assemble_study"),
    params:
        settings=settings_of_study,
        code=code_of("assemble_study"),
        lineage=made_from(
            "index_cohort", "filter_cohort", "adjust_kinship", "compute_pcs"
        ),
    script:
        "../scripts/assemble_study.py"

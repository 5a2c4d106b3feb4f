# Results of a study.
# Needs: the association tables of its batch.
# Makes: <results>/{cohort}/{study}/{arm}/: GWAS-SSF summary statistics and lead variants; figures and the comparison of
# the arms.


rule merge_sumstats:
    """Publish a study's summary statistics in the GWAS Catalog's standard (GWAS-SSF), and list the lead variants.

    The file is compressed and indexed. Tested variants with alleles that the standard does not know go to a file of
    their own.
    """
    input:
        chunks=chunks_of_study,
        study="<results>/{cohort}/{study}/study.json",
        genome=genome_of_study,
        genes=own_genes,
    output:
        sumstats="<results>/{cohort}/{study}/{arm}/sumstats.tsv.gz",
        index="<results>/{cohort}/{study}/{arm}/sumstats.tsv.gz.tbi",
        metadata="<results>/{cohort}/{study}/{arm}/sumstats.tsv.gz-meta.yaml",
        other_alleles="<results>/{cohort}/{study}/{arm}/other_alleles.tsv.gz",
        untested="<results>/{cohort}/{study}/{arm}/untested.tsv.gz",
        tests="<results>/{cohort}/{study}/{arm}/tests.json",
        leads="<results>/{cohort}/{study}/{arm}/leads.tsv",
    log:
        "<logs>/merge_sumstats/{cohort}/{study}/{arm}.log",
    benchmark:
        "<benchmarks>/merge_sumstats/{cohort}/{study}/{arm}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("merge_sumstats"),
        runtime=minutes_for("merge_sumstats"),
        estimated_s=seconds_for("merge_sumstats"),
    params:
        info=publication_info,
        settings=lead_settings,
        genes=shipped_genes,
        shipped=shipped_genes_content,
        given=state_of(own_genes),
        code=code_of("merge_sumstats"),
        lineage=made_from("assemble_study", "stack_blocks", "associate"),
    script:
        "../scripts/merge_sumstats.py"


rule plot_sumstats:
    """Draw the QQ plot (observed against expected p-values) and the Manhattan plot of a study's arms."""
    input:
        unpack(sumstats_of_arms),
        unpack(other_alleles_of_arms),
        unpack(leads_of_arms),
        study="<results>/{cohort}/{study}/study.json",
    output:
        qq=report(
            "<results>/{cohort}/{study}/qq.svg",
            caption="../report/qq.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "1 QQ plot"},
        ),
        manhattan=report(
            "<results>/{cohort}/{study}/manhattan.svg",
            caption="../report/manhattan.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "2 Manhattan plot"},
        ),
        table=report(
            "<results>/{cohort}/{study}/leads.html",
            caption="../report/leads.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "3 lead variants"},
        ),
        qq_pdf="<results>/{cohort}/{study}/qq.pdf",
        manhattan_pdf="<results>/{cohort}/{study}/manhattan.pdf",
    log:
        "<logs>/plot_sumstats/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/plot_sumstats/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_sumstats"),
        runtime=minutes_for("plot_sumstats"),
        estimated_s=seconds_for("plot_sumstats"),
    params:
        settings=PLAN.report,
        code=code_of("plot_sumstats"),
        lineage=made_from("assemble_study", "merge_sumstats"),
    script:
        "../scripts/plot_sumstats.py"


rule compare_arms:
    """Report and draw the gain by DeepNull: loci, chi-square at lead variants, variance explained by the covariates."""
    input:
        unpack(sumstats_of_arms),
        unpack(other_alleles_of_arms),
        unpack(leads_of_arms),
        study="<results>/{cohort}/{study}/study.json",
        metrics="<results>/{cohort}/{study}/deepnull/metrics.json",
        genome=genome_of_study,
        genes=own_genes,
    output:
        summary="<results>/{cohort}/{study}/comparison.json",
        loci="<results>/{cohort}/{study}/comparison.tsv",
        table=report(
            "<results>/{cohort}/{study}/comparison.html",
            caption="../report/comparison.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "5 loci of both arms"},
        ),
        scatter=report(
            "<results>/{cohort}/{study}/arms.svg",
            caption="../report/arms.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "6 baseline against DeepNull"},
        ),
        miami=report(
            "<results>/{cohort}/{study}/miami.svg",
            caption="../report/miami.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "4 Miami plot"},
        ),
        scatter_pdf="<results>/{cohort}/{study}/arms.pdf",
        miami_pdf="<results>/{cohort}/{study}/miami.pdf",
    log:
        "<logs>/compare_arms/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/compare_arms/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("compare_arms"),
        runtime=minutes_for("compare_arms"),
        estimated_s=seconds_for("compare_arms"),
    params:
        settings=PLAN.report,
        genes=shipped_genes,
        shipped=shipped_genes_content,
        given=state_of(own_genes),
        code=code_of("compare_arms"),
        lineage=made_from(
            "assemble_study", "train_folds", "stack_blocks", "merge_sumstats"
        ),
    script:
        "../scripts/compare_arms.py"


rule compare_batch:
    """Report what DeepNull gained in each study of a batch, in one table and one figure."""
    input:
        comparisons=comparisons_of_batch,
        studies=files_of_batch("study.json"),
    output:
        table="<results>/{cohort}/associations/{batch}/comparison.tsv",
        page=report(
            "<results>/{cohort}/associations/{batch}/comparison.html",
            caption="../report/batch.rst",
            category=cohort_in_report,
            subcategory="studies compared",
            labels={"what": "2 baseline against DeepNull, batch {batch}: table"},
        ),
        figure=report(
            "<results>/{cohort}/associations/{batch}/comparison.svg",
            caption="../report/batch.rst",
            category=cohort_in_report,
            subcategory="studies compared",
            labels={"what": "1 baseline against DeepNull, batch {batch}"},
        ),
        pdf="<results>/{cohort}/associations/{batch}/comparison.pdf",
    log:
        "<logs>/compare_batch/{cohort}/{batch}.log",
    benchmark:
        "<benchmarks>/compare_batch/{cohort}/{batch}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("compare_batch"),
        runtime=minutes_for("compare_batch"),
        estimated_s=seconds_for("compare_batch"),
    params:
        code=code_of("compare_batch"),
        lineage=made_from("assemble_study", "compare_arms"),
    script:
        "../scripts/compare_batch.py"

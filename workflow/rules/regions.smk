# Regions of a study's strongest loci.
# Needs: its summary statistics and lead variants, the cohort's genotypes and their quality control.
# Makes: <results>/{cohort}/{study}/: regions.json.gz; regional/, a figure of each.


rule measure_regions:
    """Collect what a regional plot shows of each of the strongest loci: both arms, correlations, genes."""
    input:
        unpack(sumstats_of_arms),
        # read beside the summary statistics
        unpack(index_of_arms),
        unpack(other_alleles_of_arms),
        loci=loci_of_study,
        people="<results>/{cohort}/{study}/samples.parquet",
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/qc/samples.parquet",
        qc_variants="<results>/{cohort}/qc/variants.parquet",
        genes=own_genes,
    output:
        "<results>/{cohort}/{study}/regions.json.gz",
    log:
        "<logs>/measure_regions/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/measure_regions/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("measure_regions"),
        runtime=minutes_for("measure_regions"),
        estimated_s=seconds_for("measure_regions"),
    params:
        settings=region_settings,
        genes=shipped_genes,
        shipped=shipped_genes_content,
        given=state_of(own_genes),
        code=code_of("measure_regions"),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "assemble_study",
            "merge_sumstats",
            "compare_arms",
        ),
    script:
        "../scripts/measure_regions.py"


rule plot_regions:
    """Draw the regions of a study's strongest loci: p-values of both arms, correlations with the lead, genes."""
    input:
        regions="<results>/{cohort}/{study}/regions.json.gz",
        study="<results>/{cohort}/{study}/study.json",
    output:
        folder=report(
            directory("<results>/{cohort}/{study}/regional"),
            patterns=["regional_{locus}.svg"],
            caption="../report/regional.rst",
            category=cohort_in_report,
            subcategory="study {study}",
            labels={"what": "8 region {locus}"},
        ),
    log:
        "<logs>/plot_regions/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/plot_regions/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("plot_regions"),
        runtime=minutes_for("plot_regions"),
        estimated_s=seconds_for("plot_regions"),
    params:
        settings=drawing_settings,
        code=code_of("plot_regions"),
        lineage=made_from("assemble_study", "measure_regions"),
    script:
        "../scripts/plot_regions.py"

# The check of what was published.
# Needs: the summary statistics of all studies, and what they were made of.
# Makes: <results>/{cohort}/associations/{batch}/verified.tsv: what was recomputed, and the largest differences. Fails
# where anything differs.


rule verify_batch:
    """Test random variants and the leads again, by a second implementation and in double precision.

    The results are compared with what was published. Runs whenever it is asked for.
    """
    input:
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        samples="<results>/{cohort}/qc/samples.parquet",
        qc_variants="<results>/{cohort}/qc/variants.parquet",
        studies=files_of_batch("study.json"),
        people=files_of_batch("samples.parquet"),
        predictions=predictions_of_batch,
        offsets=files_of_genome("genome/offsets.parquet"),
        genomes=files_of_genome("genome/genome.json"),
        relatives=relatives_of_batch,
        published=published_of_batch,
    output:
        "<results>/{cohort}/associations/{batch}/verified.tsv",
    log:
        "<logs>/verify_batch/{cohort}/{batch}.log",
    benchmark:
        "<benchmarks>/verify_batch/{cohort}/{batch}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("verify_batch"),
        runtime=minutes_for("verify_batch"),
        estimated_s=seconds_for("verify_batch"),
    params:
        studies=studies_of_batch,
        association=settings_of_blocks,
        settings=PLAN.verify,
        seed=PLAN.seed,
        asked=VERIFY_ASKED,
        code=code_of("verify_batch"),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "adjust_kinship",
            "assemble_study",
            "train_folds",
            "stack_blocks",
            "merge_sumstats",
        ),
    script:
        "../scripts/verify_batch.py"

# Association.
# Needs: the indexed cohort, its quality control, the studies of a batch and their predictions.
# Makes: <results>/{cohort}/associations/{batch}/{chunk}.parquet: one row per variant, all studies of the batch, both
# arms.


rule associate:
    """Test a chunk of variants for all studies of a batch, in both arms, in one pass over the genotypes."""
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
    output:
        "<results>/{cohort}/associations/{batch}/{chunk}.parquet",
    log:
        "<logs>/associate/{cohort}/{batch}/{chunk}.log",
    benchmark:
        "<benchmarks>/associate/{cohort}/{batch}/{chunk}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: PLAN.association["threads"]
    resources:
        mem_mb=memory_for("associate"),
        runtime=minutes_for("associate"),
        estimated_s=seconds_for("associate"),
    params:
        studies=studies_of_batch,
        settings=association_settings,
        code=code_of("associate"),
        lineage=made_from(
            "index_cohort",
            "filter_cohort",
            "adjust_kinship",
            "assemble_study",
            "train_folds",
            "stack_blocks",
        ),
    script:
        "../scripts/associate.py"

# The whole-genome regression, for the studies whose model it is.
# Needs: the genotypes that stand for structure, families, the studies of a batch and their predictions.
# Makes: <results>/{cohort}/associations/{batch}/genome/{part}.{first,second} (temporary) and
# <results>/{cohort}/{study}/genome/: what the rest of the genome predicts of each person, chromosome by chromosome, and
# how well; <results>/{cohort}/{study}/exports/loco: the same as other engines take it.


rule fit_blocks:
    """Predict the phenotypes of a batch, out of fold, from each block of a part of the genome."""
    input:
        genotypes=genotypes_for_structure,
        variants=variants_for_structure,
        qc_variants=qc_variants_for_structure,
        families="<results>/{cohort}/structure/families.parquet",
        relatives="<results>/{cohort}/structure/relatives.tsv",
        studies=files_of_genome("study.json"),
        people=files_of_genome("samples.parquet"),
        predictions=predictions_of_genome,
    output:
        temp("<results>/{cohort}/associations/{batch}/genome/{part}.first"),
    log:
        "<logs>/fit_blocks/{cohort}/{batch}/{part}.log",
    benchmark:
        "<benchmarks>/fit_blocks/{cohort}/{batch}/{part}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: PLAN.whole_genome["threads"]
    resources:
        mem_mb=memory_for("fit_blocks"),
        runtime=minutes_for("fit_blocks"),
        estimated_s=seconds_for("fit_blocks"),
    params:
        arms=arms_of_genome,
        parts=number_of_parts,
        settings=genome_settings,
        code=code_of("fit_blocks"),
        lineage=made_from(
            "index_cohort",
            "index_array",
            "filter_array",
            "filter_cohort",
            "adjust_kinship",
            "assemble_study",
            "train_folds",
        ),
    script:
        "../scripts/fit_blocks.py"


rule refit_blocks:
    """Fit each block of a part of the genome again, to what all other blocks leave of the phenotypes."""
    input:
        genotypes=genotypes_for_structure,
        variants=variants_for_structure,
        qc_variants=qc_variants_for_structure,
        families="<results>/{cohort}/structure/families.parquet",
        relatives="<results>/{cohort}/structure/relatives.tsv",
        studies=files_of_genome("study.json"),
        people=files_of_genome("samples.parquet"),
        predictions=predictions_of_genome,
        first=parts_of_genome("first"),
    output:
        temp("<results>/{cohort}/associations/{batch}/genome/{part}.second"),
    log:
        "<logs>/refit_blocks/{cohort}/{batch}/{part}.log",
    benchmark:
        "<benchmarks>/refit_blocks/{cohort}/{batch}/{part}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: PLAN.whole_genome["threads"]
    resources:
        mem_mb=memory_for("refit_blocks"),
        runtime=minutes_for("refit_blocks"),
        estimated_s=seconds_for("refit_blocks"),
    params:
        arms=arms_of_genome,
        parts=number_of_parts,
        settings=genome_settings,
        code=code_of("refit_blocks"),
        lineage=made_from(
            "index_cohort",
            "index_array",
            "filter_array",
            "filter_cohort",
            "adjust_kinship",
            "assemble_study",
            "train_folds",
            "fit_blocks",
        ),
    script:
        "../scripts/refit_blocks.py"


rule stack_blocks:
    """Weigh what the blocks predict, out of fold, and leave out one chromosome after the other."""
    input:
        parts=parts_of_study,
        study="<results>/{cohort}/{study}/study.json",
        samples="<results>/{cohort}/{study}/samples.parquet",
        prediction=prediction_of_study,
        relatives="<results>/{cohort}/structure/relatives.tsv",
    output:
        offsets="<results>/{cohort}/{study}/genome/offsets.parquet",
        genome="<results>/{cohort}/{study}/genome/genome.json",
    log:
        "<logs>/stack_blocks/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/stack_blocks/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("stack_blocks"),
        runtime=minutes_for("stack_blocks"),
        estimated_s=seconds_for("stack_blocks"),
    params:
        arms=arms_of_study,
        code=code_of("stack_blocks"),
        lineage=made_from(
            "adjust_kinship",
            "assemble_study",
            "train_folds",
            "fit_blocks",
            "refit_blocks",
        ),
    script:
        "../scripts/stack_blocks.py"


rule export_offsets:
    """Write what the whole-genome regression predicts as regenie and PLINK 2 take it, with commands."""
    input:
        samples="<results>/{cohort}/{study}/samples.parquet",
        study="<results>/{cohort}/{study}/study.json",
        prediction=prediction_of_study,
        offsets="<results>/{cohort}/{study}/genome/offsets.parquet",
        genotypes="<results>/{cohort}/genotypes.json",
        variants="<results>/{cohort}/variants.parquet",
        passed="<results>/{cohort}/qc/passed.txt",
    output:
        folder=directory("<results>/{cohort}/{study}/exports/loco"),
    log:
        "<logs>/export_offsets/{cohort}/{study}.log",
    benchmark:
        "<benchmarks>/export_offsets/{cohort}/{study}.tsv"
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("export_offsets"),
        runtime=minutes_for("export_offsets"),
        estimated_s=seconds_for("export_offsets"),
    params:
        code=code_of("export_offsets"),
        lineage=made_from(
            "index_cohort",
            "assemble_study",
            "train_folds",
            "stack_blocks",
            "list_passed",
        ),
    script:
        "../scripts/export_offsets.py"

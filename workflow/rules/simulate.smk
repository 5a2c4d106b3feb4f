# Simulated cohorts.
# Needs: the `simulate` settings of a cohort.
# Makes: <results>/{cohort}/simulated/: a PLINK fileset, the sample table, and the truth behind the phenotypes.


rule simulate_genotypes:
    """Simulate a structured population with families by msprime and write it as a PLINK fileset."""
    output:
        # `local` as in paths.smk: genotypes are read in place
        genotypes=local(simulated_genotypes("{cohort}")),
    log:
        "<logs>/simulate_genotypes/{cohort}.log",
    benchmark:
        "<benchmarks>/simulate_genotypes/{cohort}.tsv"
    wildcard_constraints:
        cohort=SIMULATED,
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("simulate_genotypes"),
        runtime=minutes_for("simulate_genotypes"),
        estimated_s=seconds_for("simulate_genotypes"),
    params:
        settings=simulation_settings,
        seed=PLAN.seed,
        code=code_of("simulate_genotypes"),
    script:
        "../scripts/simulate_genotypes.py"


rule simulate_phenotypes:
    """Simulate covariates and phenotypes with known effects on the simulated genotypes."""
    input:
        genotypes=local(simulated_genotypes("{cohort}")),
    output:
        table="<results>/{cohort}/simulated/samples.tsv",
        truth="<results>/{cohort}/simulated/truth.tsv",
        shares="<results>/{cohort}/simulated/truth.json",
    log:
        "<logs>/simulate_phenotypes/{cohort}.log",
    benchmark:
        "<benchmarks>/simulate_phenotypes/{cohort}.tsv"
    wildcard_constraints:
        cohort=SIMULATED,
    conda:
        "../../envs/deepnull-gwas.yaml"
    threads: 1
    resources:
        mem_mb=memory_for("simulate_phenotypes"),
        runtime=minutes_for("simulate_phenotypes"),
        estimated_s=seconds_for("simulate_phenotypes"),
    params:
        settings=simulation_settings,
        seed=PLAN.seed,
        code=code_of("simulate_phenotypes"),
        lineage=made_from("simulate_genotypes"),
    script:
        "../scripts/simulate_phenotypes.py"

"""Collect what is shown of the regions of a study's strongest loci."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.results.regions import CohortTables, StudyResults, measure_regions

    files = snakemake.input
    arms = [arm for arm in ("baseline", "deepnull") if arm in files.keys()]
    measure_regions(
        CohortTables(files.genotypes, files.variants, files.samples, files.qc_variants),
        StudyResults(files.people, {arm: files[arm] for arm in arms}, files.loci),
        snakemake.params.settings,
        files.genes or snakemake.params.genes,
        snakemake.output[0],
    )

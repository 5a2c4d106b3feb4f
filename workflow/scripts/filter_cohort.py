"""Apply the filters of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.qc import filter_cohort

    filter_cohort(
        snakemake.input.genotypes,
        snakemake.input.variants,
        snakemake.input.samples,
        snakemake.input.variant_counts,
        snakemake.input.sample_counts,
        snakemake.params.settings,
        snakemake.output.variants,
        snakemake.output.samples,
        snakemake.output.flow,
        snakemake.output.inferred_sex,
    )

"""Write what the site shows of a cohort."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.site.cohort import describe_cohort

    describe_cohort(
        Path(snakemake.output.page).parent,
        snakemake.wildcards.cohort,
        snakemake.params.qc,
        snakemake.params.structure,
        snakemake.output.page,
    )

"""Apply the filters of a cohort."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.qc import QcInputs, QcOutputs, filter_cohort

    filter_cohort(
        QcInputs(**dict(snakemake.input.items())),
        snakemake.params.settings,
        QcOutputs(**dict(snakemake.output.items())),
    )

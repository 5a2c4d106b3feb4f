"""Apply the filters to the hard calls beside a cohort's genotypes."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.qc import QcInputs, QcOutputs, filter_cohort

    filter_cohort(
        QcInputs(**dict(snakemake.input.items())),
        snakemake.params.settings,
        QcOutputs(**dict(snakemake.output.items())),
    )

"""Index and count the hard calls beside a cohort's genotypes."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.array import ArrayOutputs, index_array
    from deepnull_gwas.genotypes.formats import filesets_among

    index_array(
        filesets_among(snakemake.input.array),
        snakemake.input.genotypes,
        snakemake.input.samples,
        snakemake.params.minimum_overlap,
        ArrayOutputs(**dict(snakemake.output.items())),
    )

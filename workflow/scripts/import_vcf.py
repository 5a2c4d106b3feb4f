"""Import a VCF."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.genotypes.vcf import import_vcf

    import_vcf(snakemake.input.vcf, snakemake.output.genotypes[0].removesuffix(".pgen"), *snakemake.params.settings)

"""Draw the regions of a study's strongest loci."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.regional import plot_regions

    files = snakemake.input
    plot_regions(files.regions, files.study, snakemake.params.settings, snakemake.output.folder)

"""List lead variants."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.results.loci import find_leads

    settings = snakemake.params.settings
    find_leads(snakemake.input.sumstats, settings["genome_wide"], settings["lead_window_kb"], snakemake.output.leads)

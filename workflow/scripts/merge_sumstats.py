"""Publish the summary statistics of a study and arm, and list its lead variants."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.results.loci import find_leads
    from deepnull_gwas.results.publish import merge_sumstats
    from deepnull_gwas.tables import read_json, write_json

    out, settings = snakemake.output, snakemake.params.settings
    counts = merge_sumstats(
        snakemake.input.chunks,
        snakemake.wildcards.study,
        snakemake.wildcards.arm,
        snakemake.input.study,
        out.sumstats,
        out.metadata,
        out.untested,
        {**snakemake.params.info, "genome": read_json(genome) if (genome := snakemake.input.genome) else None},
    )
    genes = snakemake.input.genes or snakemake.params.genes
    tests = find_leads(out.sumstats, settings["genome_wide"], settings["lead_window_kb"], out.leads, genes)
    write_json(counts | tests, out.tests)

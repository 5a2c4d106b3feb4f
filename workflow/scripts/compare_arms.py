"""Compare the arms of a study."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0]):
    from deepnull_gwas.results.compare import compare_arms

    compare_arms(
        snakemake.input.baseline,
        snakemake.input.deepnull,
        snakemake.input.leads_baseline,
        snakemake.input.leads_deepnull,
        snakemake.input.metrics,
        snakemake.params.settings["lead_window_kb"],
        snakemake.output.summary,
        snakemake.output.loci,
    )

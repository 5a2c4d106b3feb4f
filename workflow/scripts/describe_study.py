"""Write what the site shows of a study."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.site.study import describe_study

    describe_study(
        Path(snakemake.output.page).parent,
        snakemake.input.chunks,
        snakemake.params.entry,
        snakemake.params.settings,
        snakemake.output.page,
        snakemake.output.row,
    )

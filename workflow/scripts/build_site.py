"""Put the site of a run together."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.site.build import build_site

    build_site(
        Path(snakemake.output.site).parent,
        snakemake.params.studies,
        snakemake.input.provenance,
        snakemake.output.site,
        snakemake.output.archive,
    )

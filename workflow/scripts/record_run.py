"""Write down where the results came from."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.provenance import RunFolders, record_run

    results, logs = Path(snakemake.output.record).parent, Path(snakemake.log[0]).parent
    record_run(
        snakemake.params.given,
        snakemake.params.subject,
        RunFolders(str(results), str(logs), **snakemake.params.folders),
        snakemake.params.snakemake,
        snakemake.output.record,
        snakemake.output.page,
    )

"""Test a chunk of variants for a batch."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.association.chunk import associate_chunk

    predictions = iter(snakemake.input.predictions)
    studies = [
        (study, people, next(predictions) if "deepnull" in entry["arms"] else None, entry["arms"])
        for study, people, entry in zip(
            snakemake.input.studies, snakemake.input.people, snakemake.params.studies, strict=True
        )
    ]
    associate_chunk(
        snakemake.input.genotypes,
        {name: snakemake.input[name] for name in ("variants", "samples", "qc_variants")},
        studies,
        int(snakemake.wildcards.chunk),
        snakemake.params.settings,
        snakemake.output[0],
        snakemake.threads,
    )

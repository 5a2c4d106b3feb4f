"""Test a chunk of variants for a batch."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.association.chunk import associate_chunk

    files = snakemake.input
    predictions, offsets = iter(files.predictions), iter(files.offsets)
    studies = []
    for study, people, entry in zip(files.studies, files.people, snakemake.params.studies, strict=True):
        prediction = next(predictions) if "deepnull" in entry["arms"] else None
        genome = (next(offsets), files.relatives) if entry["model"] == "whole_genome" else ()
        studies.append((study, people, prediction, entry["arms"], *genome))
    associate_chunk(
        files.genotypes,
        {name: files[name] for name in ("variants", "samples", "qc_variants")},
        studies,
        int(snakemake.wildcards.chunk),
        snakemake.params.settings,
        snakemake.output[0],
        snakemake.threads,
    )

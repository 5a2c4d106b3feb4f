"""Measure calibration and power on a simulated cohort."""

from pathlib import Path

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.report.validity import plot_validity
    from deepnull_gwas.results.validity import measure_validity, simulated_phenotypes
    from deepnull_gwas.results.validity_page import write_validity

    out, params = snakemake.output, snakemake.params
    phenotypes = simulated_phenotypes(snakemake.wildcards.cohort, params.simulate, params.studies)
    measure_validity(
        Path(snakemake.input.genotypes).parent,
        phenotypes,
        out.measured,
        out.points,
        params.settings["genome_wide"],
        snakemake.input.genomes,
    )
    plot_validity(out.points, out.figure)
    write_validity(out.measured, Path(out.figure).name, out.page)

"""Check the studies of a cohort, and its effect alleles, before the first long job."""

from deepnull_gwas.logs import log_to

with log_to(snakemake.log[0], snakemake.resources):
    from deepnull_gwas.cohort.alleles import check_alleles
    from deepnull_gwas.cohort.preflight import preflight_cohort
    from deepnull_gwas.genotypes.formats import filesets_among
    from deepnull_gwas.scores.other_tables import problems_of_tables

    studies, colour_by, sex, tables = snakemake.params.to_screen
    files = snakemake.input
    problems = problems_of_tables(files.samples, **tables)
    preflight_cohort(files.samples, studies, snakemake.output.screened, colour_by, files.genotypes, sex, problems)
    array = filesets_among(files.array)
    check_alleles(files.genotypes, files.variants, files.samples, snakemake.output.alleles, array)

# Paths: functions that name the user's own files for the inputs of a job, from its wildcards (what other jobs make:
# products.smk). The user's own files and all genotypes are `local`: read where they are, also where results go to an
# object store.


def simulated_genotypes(cohort):
    """Return all files of the genotypes of a simulated cohort."""
    return files_of([f"<results>/{cohort}/simulated/genotypes"])


def imported_genotypes(cohort, filesets):
    """Return all files of the PLINK 2 filesets that stand for some VCF of a cohort, by their numbers."""
    return files_of(
        [f"<results>/{cohort}/imported/{number}.pgen" for number in filesets]
    )


def vcf_file(wildcards):
    """Return the VCF of a job of `import_vcf`; of a cohort as a whole, all of them."""
    filesets = PLAN.cohorts[wildcards.cohort].filesets
    number = getattr(wildcards, "fileset", None)
    return local(list(filesets) if number is None else filesets[int(number)])


def genotype_files(wildcards):
    """Return all files of a cohort's genotypes, fileset by fileset in the order of analysis."""
    cohort = PLAN.cohorts[wildcards.cohort]
    if cohort.simulate:
        return local(simulated_genotypes(wildcards.cohort))
    if cohort.is_imported:
        numbers = range(len(cohort.filesets))
        return local(imported_genotypes(wildcards.cohort, numbers))
    files = [*files_of(cohort.filesets), *cohort.bgen_samples]
    return local(list(dict.fromkeys(files)))


def reference_files(wildcards):
    """Return the files that tell the alleles of the reference genome, where the config gives any."""
    return local(list(PLAN.cohorts[wildcards.cohort].reference))


def array_files(wildcards):
    """Return all files of the hard calls beside a cohort's genotypes, where it has any."""
    return local(files_of(PLAN.cohorts[wildcards.cohort].structure_filesets))


def sample_table(wildcards):
    """Return a cohort's sample table."""
    cohort = PLAN.cohorts[wildcards.cohort]
    if cohort.simulate:
        return f"<results>/{wildcards.cohort}/simulated/samples.tsv"
    return local(cohort.samples)


def pairs_found_elsewhere(wildcards):
    """Return the table of related pairs, where the config gives one."""
    table = PLAN.cohorts[wildcards.cohort].table_of_relatives
    return local(table) if table else []


def loadings_of_others(wildcards):
    """Return the loadings to project on, where the config gives any."""
    loadings = PLAN.cohorts[wildcards.cohort].structure["loadings"]
    return local(loadings) if loadings else []


def fold_file(wildcards):
    """Return the user's own table of folds, if there is one."""
    table = PLAN.deepnull["fold_file"]
    return local(table) if table else []


def score_file(wildcards):
    """Return a study's file of weights, if it has one."""
    weights = PLAN.study(wildcards.cohort, wildcards.study).score_file
    return local(weights) if weights else []


def score_files_of_cohort(wildcards):
    """Return the files of weights of a cohort's studies that have one."""
    weights = [s.score_file for s in PLAN.studies_of(wildcards.cohort)]
    files = list(dict.fromkeys(w for w in weights if w))
    return local(files) if files else []

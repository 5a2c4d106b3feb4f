# Genes: the tables after which a cohort's loci are named, for the inputs and parameters of a job, from its wildcards.


def own_genes(wildcards):
    """Return the user's own table of genes, where a cohort's loci are named after one."""
    simulated = PLAN.cohorts[wildcards.cohort].simulate is not None
    return local(PLAN.gene_table) if PLAN.gene_table and not simulated else []


def shipped_genes(wildcards, input):
    """Return the path of the shipped table of genes; with `input`, as only its content is a reason to run again."""
    build = PLAN.shipped_genes(wildcards.cohort)
    return str(GENES[build]) if build else None


def shipped_genes_content(wildcards):
    """Return a digest of the shipped table of genes."""
    return digest_of_genes(PLAN.shipped_genes(wildcards.cohort))


@functools.cache
def digest_of_genes(build):
    """Return a digest of the shipped table of a genome build, or None where there is no build."""
    return build and hashlib.sha256(GENES[build].read_bytes()).hexdigest()[:16]

"""The files of a cohort: who and what is in it, quality control, structure."""

from __future__ import annotations

from deepnull_gwas.cohort.counts import IMPUTED_COUNTS, IMPUTED_PERSON_COUNTS, PERSON_COUNTS, VARIANT_COUNTS
from deepnull_gwas.cohort.families import ADJUSTED, FAMILIES, RELATIVES
from deepnull_gwas.cohort.index import SAMPLES, VARIANTS
from deepnull_gwas.cohort.pca import FLAGS, LOADINGS
from deepnull_gwas.cohort.projection import PEOPLE
from deepnull_gwas.cohort.pruning import PRUNED
from deepnull_gwas.cohort.qc_dosages import IMPUTED_VARIANTS
from deepnull_gwas.cohort.qc_measures import QC_SAMPLES, QC_VARIANTS
from deepnull_gwas.dictionary.files import Field, File, columns
from deepnull_gwas.dictionary.texts import IMPUTED
from deepnull_gwas.genotypes.bgen_index import INDEX

_DOSAGES = {column.name for column in IMPUTED_COUNTS} - {column.name for column in VARIANT_COUNTS}
_CALLS = {column.name for column in VARIANT_COUNTS} - {column.name for column in IMPUTED_COUNTS}


def _when(fields: tuple[Field, ...], when: str) -> tuple[Field, ...]:
    return tuple(Field(f.name, f.type, f.doc, when) for f in fields)


_FLOW = (
    Field("step", "str", "the filter; the first row is what came in"),
    Field("unit", "str", "people or variants"),
    Field("before", "int64", "how many there were"),
    Field("removed", "int64", "how many the filter removed"),
    Field("after", "int64", "how many are left"),
    Field("rule", "str", "the filter in words, with its threshold"),
)
_PREFLIGHT = (
    Field("study", "str", "the study"),
    Field("phenotype", "str", "its column of the sample table"),
    Field("trait", "str", "quantitative or binary"),
    Field("people_in_genotypes", "int64", "people in the genotype files"),
    Field("people_in_sample_table", "int64", "of these, people in the sample table"),
    Field("with_phenotype", "int64", "of these, people with a phenotype"),
    Field("included", "int64", "of these, people whom the study's `include` selects"),
    Field("with_all_covariates", "int64", "of these, people with all covariates"),
    Field("cases", "int64", "of these, cases; NA for a quantitative trait"),
    Field("controls", "int64", "of these, controls; NA for a quantitative trait"),
    Field("out", "str", "how many people each step leaves out, with examples"),
    Field("warnings", "str", "what looks wrong, and what to do"),
)
_INDEX = (
    Field("format", "str", "bed, pgen or bgen"),
    Field("filesets", "list", "the filesets, in order of analysis"),
    Field("other_is_reference", "list", "per fileset whether the other allele is that of the reference genome"),
    Field("samples", "int64", "people in the genotype files"),
    Field("variants", "int64", "variants in the genotype files"),
    Field("genome_build", "str", "GRCh37 or GRCh38"),
    Field("chunk_boundaries", "list", "indices of the first variant of each chunk, and the number of variants"),
    Field("duplicate_ids", "int64", "variants whose ID another variant has"),
    Field("duplicate_positions", "int64", "variants whose position and alleles another variant has"),
    Field("autosomal_variants", "int64", "variants on autosomes"),
    Field("variants_on_x", "int64", "variants on X outside the pseudo-autosomal regions"),
    Field("variants_on_y", "int64", "variants on Y"),
)
_OPTIONAL_INDEX = (
    Field("{other}", "object", "further facts about the files that the reader of their format needs", "some formats"),
)
_COMPONENTS = Field("PC{k}", "float64", "principal component")
_INFERRED = (
    Field("sample_index", "int64", "number of the person in the genotype files"),
    Field("fid", "str", "family ID"),
    Field("iid", "str", "individual ID"),
    Field("x_f", "float64", "F on X: near 1 in males, near 0 in females"),
    Field("inferred_sex", "int8", "1 male, 2 female"),
    Field("used_sex", "int8", "the sex that the analysis goes by"),
)
_COUNTS = columns(
    VARIANT_COUNTS[0],
    _when(columns([c for c in VARIANT_COUNTS if c.name in _CALLS and c.name != "index"]), "hard calls"),
    [f for f in columns(VARIANT_COUNTS[1:]) if f.name not in _CALLS],
    _when(columns([c for c in IMPUTED_COUNTS if c.name in _DOSAGES]), IMPUTED),
)
_PERSON_COUNTS = columns(PERSON_COUNTS, _when(columns(IMPUTED_PERSON_COUNTS[len(PERSON_COUNTS) :]), IMPUTED))
_QC_VARIANTS = columns(QC_VARIANTS, _when(columns(IMPUTED_VARIANTS), IMPUTED))
_TRUTH = (
    Field("phenotype", "str", "the simulated phenotype"),
    Field("id", "str", "the causal variant"),
    Field("chromosome", "str", "its chromosome"),
    Field("position", "int64", "its position in bp, 1-based"),
    Field("effect_allele", "str", "the allele that the effect is of"),
    Field("other_allele", "str", "the other allele"),
    Field("beta", "float64", "effect per copy, in units of the phenotype (binary: of the liability)"),
    Field("variance_explained", "float64", "share of the variance of the phenotype (binary: of the liability)"),
)
_RELATIVES = columns(RELATIVES, _when(columns(ADJUSTED), "people of several ancestries"))

COHORTS = (
    File("{cohort}/genotypes.json", "what the genotype files hold", fields=(*_INDEX, *_OPTIONAL_INDEX)),
    File("{cohort}/variants.parquet", "all variants, in order of analysis", "a variant", columns(VARIANTS)),
    File(
        "{cohort}/samples.parquet",
        "all people of the genotype files, joined with the sample table by ID",
        "a person of the genotype files, in their order",
        columns(SAMPLES, Field("{column}", "any", "a column of the sample table", "as the sample table has them")),
    ),
    File(
        "{cohort}/preflight.tsv",
        "who would be analysed, and what looks wrong, before any long job",
        "a study",
        _PREFLIGHT,
    ),
    File("{cohort}/.screened.tsv", "the same as preflight.tsv, from the sample table alone", "a study", _PREFLIGHT),
    File(
        "{cohort}/preflight_alleles.tsv",
        "some variants with the frequency of the effect allele, to compare with a source that is known to be right",
        "a variant",
        (
            Field("chromosome", "str", "its chromosome"),
            Field("position", "int64", "1-based position in bp"),
            Field("id", "str", "its ID in the genotype files"),
            Field("effect_allele", "str", "the allele that betas refer to"),
            Field("other_allele", "str", "the other allele"),
            Field("effect_allele_frequency", "float64", "among all people of the genotype files"),
            Field(
                "frequency_in_hard_calls",
                "float64",
                "the same in the hard calls",
                "hard calls beside imputed genotypes",
            ),
            Field("correlation", "float64", "of dosages with hard calls", "hard calls beside imputed genotypes"),
        ),
    ),
    File("{cohort}/qc/counts/{chunk}.parquet", "counts of a chunk's genotypes", "a variant", _COUNTS),
    File("{cohort}/qc/counts/{chunk}.samples.parquet", "counts of a chunk's genotypes", "a person", _PERSON_COUNTS),
    File("{cohort}/qc/flow.tsv", "whom and what each filter removed", "a filter, in their order", _FLOW),
    File(
        "{cohort}/qc/variants.parquet",
        "measures of each variant, and the filter that it failed",
        "a variant",
        _QC_VARIANTS,
    ),
    File(
        "{cohort}/qc/samples.parquet", "measures of each person, and the filter failed", "a person", columns(QC_SAMPLES)
    ),
    File("{cohort}/qc/inferred_sex.tsv", "people whose sex was taken from X", "a person", _INFERRED),
    File("{cohort}/qc/passed.txt", "IDs of the variants that passed", when="target `exports`"),
    File("{cohort}/qc/flow.html", "flow.tsv as a page, for Snakemake's report"),
    File("{cohort}/structure/relatives.html", "relatives.tsv as a page, for Snakemake's report"),
    File(
        "{cohort}/structure/stratification.html",
        "stratification.tsv as a page, for Snakemake's report",
        when="a study has `pcs`",
    ),
    File("{cohort}/qc/qc.{kind}", "figure: distributions of the measures, with the thresholds"),
    File("{cohort}/structure/pruned.parquet", "variants in low linkage disequilibrium", "a variant", columns(PRUNED)),
    File(
        "{cohort}/structure/king/relatives.tsv", "the same before ancestry is looked at", "a pair", columns(RELATIVES)
    ),
    File("{cohort}/structure/king/families.parquet", "the same of families", "a person that passed", columns(FAMILIES)),
    File("{cohort}/structure/relatives.tsv", "pairs of relatives and duplicates", "a pair", _RELATIVES),
    File("{cohort}/structure/families.parquet", "clusters of relatives", "a person that passed", columns(FAMILIES)),
    File(
        "{cohort}/structure/pcs.parquet",
        "principal components",
        "a person that passed",
        columns(PEOPLE, _COMPONENTS, FLAGS),
        "a study has `pcs`",
    ),
    File(
        "{cohort}/structure/loadings.parquet",
        "loadings of the variants; `structure.loadings` of another cohort reads them",
        "a variant",
        columns(PRUNED, LOADINGS[1:], Field("PC{k}", "float64", "loading on this component")),
        "a study has `pcs`",
    ),
    File(
        "{cohort}/structure/eigenvalues.tsv",
        "eigenvalues of the relationship matrix",
        "a component",
        (
            Field("component", "int64", "its number, from 1"),
            Field("eigenvalue", "float64", "its eigenvalue"),
            Field("variance_explained", "float64", "its share of the sum of all eigenvalues"),
        ),
        "a study has `pcs`",
    ),
    File(
        "{cohort}/structure/stratification.tsv",
        "how much of each phenotype is population structure",
        "a study",
        (
            Field("study", "str", "the study"),
            Field("n", "int64", "people analysed"),
            Field("pcs_used", "int64", "components among its covariates"),
            Field("pcs_computed", "int64", "components there are"),
            Field("variants", "int64", "pruned variants that lambda is of"),
            Field(
                "r2_covariates",
                "float64",
                "share of the phenotype's variance that the covariates explain without components",
            ),
            Field("r2_pcs", "float64", "what the components add"),
            Field("lambda_without_pcs", "float64", "inflation of a linear test without components"),
            Field("lambda_with_pcs", "float64", "with those that the study uses"),
            Field("lambda_with_all", "float64", "with all that were computed"),
            Field("strongest_pc", "str", "the component that explains most of the phenotype"),
            Field("r2_strongest_pc", "float64", "what it explains"),
        ),
        "a study has `pcs`",
    ),
    *(
        File(f"{{cohort}}/structure/{name}.{{kind}}", f"figure: {about}", when="a study has `pcs`")
        for name, about in {
            "scree": "eigenvalues",
            "pcs": "people on the components",
            "loadings": "loadings along the genome",
            "stratification": "inflation with and without components",
        }.items()
    ),
    File(
        "{cohort}/structure/array/**",
        "the same files for the hard calls beside imputed genotypes",
        when="`structure.genotypes`",
    ),
    File("{cohort}/site.js", "the cohort's page in the site"),
    File(
        "{cohort}/genotypes/{file}.parquet",
        "where each variant of a .bgen begins",
        "a variant of the file",
        columns(INDEX),
        "genotypes in BGEN",
    ),
    File("{cohort}/imported/**", "the PLINK 2 filesets that stand for VCF files", when="genotypes in VCF"),
    File(
        "{cohort}/simulated/genotypes.{extension}", "simulated genotypes, a PLINK 1 fileset", when="simulated cohorts"
    ),
    File(
        "{cohort}/simulated/samples.tsv",
        "simulated covariates and phenotypes",
        "a person",
        (
            Field("FID", "str", "family ID"),
            Field("IID", "str", "individual ID"),
            Field("{column}", "any", "a covariate or phenotype; NA where missing"),
        ),
        "simulated cohorts",
    ),
    File(
        "{cohort}/simulated/truth.tsv",
        "the causal variants",
        "a causal variant of a phenotype",
        _TRUTH,
        "simulated cohorts",
    ),
    File(
        "{cohort}/simulated/truth.json",
        "how phenotypes were composed",
        fields=(
            Field("seed", "int64", "seed of the cohort"),
            Field("people", "object", "people in the genotypes, the table, and both"),
            Field(
                "phenotypes",
                "object",
                "phenotype -> shares of its variance, and the best R2 or AUC that covariates can reach",
            ),
        ),
        when="simulated cohorts",
    ),
    File("{cohort}/validity.**", "measured calibration and power (docs/validity.md)", when="target `validity`"),
)

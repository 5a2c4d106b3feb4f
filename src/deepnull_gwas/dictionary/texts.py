"""Types and meanings of the columns that several published tables have."""

from deepnull_gwas.results.ssf import INFORMATION

#: Column of a published table -> type and meaning.
TEXTS: dict[str, tuple[str, str]] = {
    "chromosome": ("int64", "number of the chromosome as in GWAS-SSF: 23 X, 24 Y, 25 MT"),
    "base_pair_location": ("int64", "position in bp, 1-based"),
    "effect_allele": (
        "str",
        "the allele that beta refers to: A1 of a .bim, ALT of a .pgen or VCF, of a .bgen as configured",
    ),
    "other_allele": ("str", "the other allele"),
    "beta": ("float64", "effect per copy of the effect allele; binary traits: log odds ratio"),
    "standard_error": ("float64", "standard error of beta"),
    "effect_allele_frequency": ("float64", "among the study's people with a call"),
    "neg_log_10_p_value": ("float64", "-log10 of the p-value, also below the smallest double; 1e-17 stands for p = 1"),
    "variant_id": ("str", "the ID with `_` for characters that GWAS-SSF does not allow"),
    "rsid": ("str", "the ID where it is one of dbSNP; #NA"),
    "ref_allele": ("str", "OA: the other allele is that of the reference genome; #NA: not known"),
    INFORMATION: ("float64", "how well the variant is imputed among the study's people, 0 to 1"),
    "n": ("int64", "people with a call"),
    "n_cases": ("int64", "cases with a call"),
    "effect_allele_frequency_cases": ("float64", "frequency of the effect allele among cases"),
    "effect_allele_frequency_controls": ("float64", "frequency of the effect allele among controls"),
    "method": ("str", "the test: linear, score, logistic, firth, firth_approximate, spa"),
    "original_id": ("str", "the ID as it stands in the genotype files"),
    "reason": ("str", "why the variant was not tested: see docs/method.md"),
    "locus_start": ("int64", "first hit of the locus, bp"),
    "locus_end": ("int64", "last hit of the locus, bp"),
    "hits": ("int64", "variants past the threshold that the lead represents"),
    "nearest_gene": ("str", "nearest gene, protein-coding where biotypes are known; NA without a table of genes"),
    "gene_distance": ("int64", "distance to its nearer end in bp; 0 inside"),
    "genes": ("str", "all genes that the locus overlaps, separated by commas"),
    "verdict": ("str", "shared: past the threshold in both arms; gained: with DeepNull only; lost: without only"),
}

#: When a file, column or key is there.
BINARY, IMPUTED, WHOLE_GENOME = "binary traits", "imputed genotypes", "model `whole_genome`"
BOTH, DEEPNULL, SCORES = "studies with both arms", "studies with the arm deepnull", "studies with `scores`"

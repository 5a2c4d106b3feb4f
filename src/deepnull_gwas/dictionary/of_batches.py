"""The files of all studies of a batch or of a cohort: tests, comparison of the arms, scores."""

from __future__ import annotations

from deepnull_gwas.association.chunk import VARIANT_COLUMNS
from deepnull_gwas.dictionary.files import Field, File, columns, described
from deepnull_gwas.dictionary.texts import BINARY, BOTH, IMPUTED, SCORES, TEXTS, WHOLE_GENOME
from deepnull_gwas.results.compare import BATCH_COLUMNS, GENOME_COLUMNS

_TEXTS: dict[str, tuple[str, str]] = {
    "study": ("str", "the study"),
    "status": ("str", "ok, or failed"),
    "explained_measure": ("str", "the measure of the next two: r2; binary traits: r2_mcfadden"),
    "explained_linear": ("float64", "what the linear model of the covariates explains, out of fold"),
    "explained_deepnull": ("float64", "what DeepNull explains, out of fold"),
    "auc_linear": ("float64", "area under the ROC curve of the linear model, out of fold; binary traits"),
    "auc_deepnull": ("float64", "the same of DeepNull"),
    "mean_chi2_at_loci_baseline": ("float64", "mean chi-square at the leads of either arm, without DeepNull"),
    "mean_chi2_at_loci_deepnull": ("float64", "the same with DeepNull"),
    "chi2_ratio": ("float64", "with DeepNull / without"),
    "chi2_ratio_expected": ("float64", "the ratio that the R2 lead one to expect; quantitative traits"),
    "effective_sample_size_gained_fraction": ("float64", "chi2_ratio less 1"),
    "lambda_gc_baseline": ("float64", "genomic inflation without DeepNull, of variants tested in both arms"),
    "lambda_gc_deepnull": ("float64", "the same with DeepNull"),
    "loci_shared": ("int64", "loci past the threshold in both arms"),
    "loci_gained": ("int64", "with DeepNull only"),
    "loci_lost": ("int64", "without DeepNull only"),
}
#: Columns of every table of accuracies.
ACCURACY = (
    Field("measure", "str", "r2; binary: auc, r2_nagelkerke"),
    Field("model", "str", "linear, deepnull, linear_score, deepnull_score, or a difference of two"),
    Field("estimate", "float64", "the measure, out of fold"),
    Field("low", "float64", "2.5 % quantile of its bootstrap"),
    Field("high", "float64", "97.5 % quantile"),
)

BATCHES = (
    File(
        "{cohort}/associations/{batch}/{chunk}.parquet",
        "all tests of a batch on a chunk of the variants, in order of analysis",
        "a variant",
        columns(
            described(
                VARIANT_COLUMNS,
                {
                    "index": ("int64", "index of the variant in variants.parquet"),
                    "chromosome": ("str", "1 to 22, X, Y, MT, XY"),
                    "position": ("int64", "1-based position in bp"),
                    "id": ("str", "identifier in the genotype files"),
                    "effect_allele": TEXTS["effect_allele"],
                    "other_allele": TEXTS["other_allele"],
                },
            ),
            Field("{study}.n", "int32", "people with a call"),
            Field("{study}.eaf", "float64", "frequency of the effect allele"),
            Field("{study}.n_cases", "int32", "cases with a call", BINARY),
            Field("{study}.eaf_cases", "float64", "frequency of the effect allele among cases", BINARY),
            Field("{study}.eaf_controls", "float64", "the same among controls", BINARY),
            Field("{study}.info", "float64", "how well it is imputed", IMPUTED),
            Field("{study}.{arm}.beta", "float64", "effect per copy of the effect allele; log odds ratio"),
            Field("{study}.{arm}.se", "float64", "its standard error"),
            Field("{study}.{arm}.neg_log10_p", "float64", "-log10 of the p-value"),
            Field("{study}.{arm}.method", "category", TEXTS["method"][1]),
            Field("{study}.{arm}.reason", "category", "why it was not tested; empty where it was"),
        ),
    ),
    File(
        "{cohort}/associations/{batch}/comparison.tsv",
        "what DeepNull gained in each study of a batch",
        "a study with both arms",
        columns(
            described(BATCH_COLUMNS, _TEXTS),
            Field("model", "str", "linear or whole_genome", WHOLE_GENOME),
            *(
                Field(name, "float64", "share explained out of fold in this arm", WHOLE_GENOME)
                for name in GENOME_COLUMNS
            ),
        ),
        BOTH,
    ),
    File("{cohort}/associations/{batch}/comparison.{kind}", "figure: the same", when=BOTH),
    File(
        "{cohort}/associations/{batch}/verified.tsv",
        "what the second implementation found",
        "a study and arm",
        (Field("{column}", "any", "results compared, and the largest differences"),),
        "target `verify`",
    ),
    File(
        "{cohort}/scores.tsv",
        "accuracy of all studies with scores",
        "a model, or a difference of two, of a study",
        columns(
            Field("study", "str", "the study"),
            Field("trait", "str", "quantitative or binary"),
            Field("status", "str", "ok, or failed"),
            Field("n", "int64", "people"),
            Field("score", "str", "how the score was made: clump, or file"),
            ACCURACY,
            Field("reason", "str", "why there is no estimate; NA"),
        ),
        SCORES,
    ),
    File(
        "{cohort}/associations/{batch}/comparison.html", "comparison.tsv as a page, for Snakemake's report", when=BOTH
    ),
    File("{cohort}/scores.html", "scores.tsv as a page, for Snakemake's report", when=SCORES),
    File("{cohort}/scores.{kind}", "figure: the same", when=SCORES),
)

"""The files of a study: people, predictions, summary statistics, comparison of the arms, scores."""

from __future__ import annotations

from deepnull_gwas.cohort.assemble import SAMPLES
from deepnull_gwas.deepnull.fold_steps import FOLDS
from deepnull_gwas.deepnull.steps import BY_MODEL, INNER, PREDICTION
from deepnull_gwas.dictionary.files import Field, File, columns, described
from deepnull_gwas.dictionary.of_batches import ACCURACY
from deepnull_gwas.dictionary.texts import BINARY, BOTH, DEEPNULL, IMPUTED, SCORES, TEXTS, WHOLE_GENOME
from deepnull_gwas.genes.nearest import GENE_COLUMNS
from deepnull_gwas.results.compare import KEY
from deepnull_gwas.results.loci import LEADS
from deepnull_gwas.results.ssf import BINARY_COLUMNS, COLUMNS, INFORMATION, UNTESTED
from deepnull_gwas.scores.steps import PEOPLE
from deepnull_gwas.whole_genome.offsets import OFFSETS


def _optional(names: tuple[str, ...], when: str) -> tuple[Field, ...]:
    return tuple(Field(f.name, f.type, f.doc, when) for f in described(names, TEXTS))


_SUMSTATS = columns(
    described(COLUMNS[:-1], TEXTS),
    _optional((INFORMATION,), IMPUTED),
    described(COLUMNS[-1:], TEXTS),
    _optional(BINARY_COLUMNS, BINARY),
    described(("method", "original_id"), TEXTS),
)
_LEADS = columns(described(LEADS, TEXTS), _optional((INFORMATION,), IMPUTED), described(GENE_COLUMNS, TEXTS))
_COMPARISON = columns(
    described((*KEY, "verdict"), TEXTS),
    _optional((INFORMATION,), IMPUTED),
    described(("locus_start", "locus_end", *GENE_COLUMNS, "n"), TEXTS),
    (
        Field(f"{name}_{arm}", TEXTS[name][0], f"{TEXTS[name][1]}; arm {arm}")
        for arm in ("baseline", "deepnull")
        for name in ("beta", "standard_error", "neg_log_10_p_value")
    ),
)
_MEASURES = "quantitative: r2, correlation; binary: log_loss, auc, r2_mcfadden"
_STUDY = (
    Field("study", "str", "the study"),
    Field("cohort", "str", "its cohort"),
    Field("phenotype", "str", "its column of the sample table"),
    Field("trait", "str", "quantitative or binary"),
    Field("transform", "str", "what was done to the phenotype"),
    Field("status", "str", "ok, or failed"),
    Field("stage", "str", "where it failed; empty"),
    Field("reason", "str", "why it failed; empty"),
    Field("n", "int64", "people analysed"),
    Field("cases", "int64", "cases among them; null for a quantitative trait"),
    Field("controls", "int64", "controls among them; null for a quantitative trait"),
    Field("accounting[].step", "str", "who stays: each step from all people to those analysed"),
    Field("accounting[].people", "int64", "people left after it"),
    Field("accounting[].removed", "int64", "people that it left out"),
    Field("accounting[].examples", "list", "IDs of some of them"),
    Field("covariates", "object", "each covariate: name, encoded columns, numeric or categorical, groups"),
    Field("model", "str", "whole_genome", WHOLE_GENOME),
    Field("deepnull_covariates", "list", "covariates of the prediction only"),
    Field("dropped_covariates", "list", "columns that are combinations of others"),
    Field("notes", "list", "what has to be known before the results are used"),
)
_METRICS = (
    Field("study", "str", "the study"),
    Field("trait", "str", "quantitative or binary"),
    Field("status", "str", "ok, or failed"),
    Field("stage", "str", "where it failed", "failed"),
    Field("reason", "str", "why it failed", "failed"),
    Field("n", "int64", "people analysed"),
    Field("model", "str", "the model as configured"),
    Field("deepnull", "object", f"accuracy of the prediction, out of fold: {_MEASURES}"),
    Field("linear", "object", "the same of the linear model of the covariates"),
    Field("models", "object", "the same of each model by itself", "a model of several"),
    Field("folds[].fold", "int64", "number of the fold, from 0"),
    Field("folds[].{key}", "object", "accuracy, weights, people, seed and settings chosen in this fold"),
    Field("covariates", "list", "encoded covariates of the prediction"),
    Field("constant_covariates", "list", "those that do not vary"),
    Field("warnings", "list", "what to know of the prediction"),
    Field("recipe", "object", "settings of the networks"),
    Field("calibration", "object", "people, mean prediction and mean phenotype in tenths of the prediction"),
    Field("dependence.covariates[].name", "str", "a covariate"),
    Field(
        "dependence.covariates[].{key}", "object", "its values, and the mean prediction where everybody had that value"
    ),
    Field(
        "dependence.interaction",
        "object",
        "the strongest interaction of two covariates: names, values, prediction, variance, share",
        "two covariates or more",
    ),
    Field("{other}", "object", "facts that only some models have", "some models"),
)
_COMPARED = (
    Field("tables_version", "int64", "version of the columns of all published tables"),
    Field("study", "str", "the study"),
    Field("prediction", "object", "status of the prediction, its accuracy and that of the linear model"),
    Field("variants", "int64", "variants tested in both arms"),
    Field("lambda_gc", "object", "genomic inflation of each arm"),
    Field("loci", "object", "loci shared, gained and lost"),
    Field("mean_chi2_at_loci", "object", "mean chi-square of each arm at the leads of either"),
    Field("chi2_ratio", "float64", "with DeepNull / without; null without loci"),
    Field("effective_sample_size_gained", "float64", "chi2_ratio less 1"),
    Field("chi2_ratio_expected", "float64", "the ratio that the R2 lead one to expect", "quantitative traits"),
    Field("r2_gained", "float64", "R2 of DeepNull less that of the linear model", "quantitative traits"),
    Field("r2_mcfadden_gained", "float64", "the same, McFadden's R2", BINARY),
    Field("auc_gained", "float64", "area under the ROC curve: DeepNull less linear", BINARY),
    Field("model", "str", "whole_genome", WHOLE_GENOME),
    Field("genome", "object", "what the genome explains, by arm", WHOLE_GENOME),
)
_ACCURACY_JSON = (
    *(
        Field(name, kind, about)
        for name, kind, about in (
            ("study", "str", "the study"),
            ("cohort", "str", "its cohort"),
            ("trait", "str", "quantitative or binary"),
            ("status", "str", "ok, or failed"),
            ("n", "int64", "people"),
            ("folds", "int64", "folds"),
            ("units", "int64", "clusters of relatives, of which the bootstrap draws"),
            ("warnings", "list", "what to know"),
        )
    ),
    Field("cases", "int64", "cases", BINARY),
    Field("controls", "int64", "controls", BINARY),
    Field("score", "object", "how the polygenic score was made: method, thresholds, variants in each fold"),
    Field("not_estimated", "list", "what could not be estimated, and why"),
    Field("measures", "object", "measure -> models and differences -> estimate, low, high"),
    Field("{other}", "object", "why it failed; facts about a file of weights", "some studies"),
)
_TESTS = (
    Field("tested", "int64", "variants tested"),
    Field("other_alleles", "int64", "of these, variants whose alleles GWAS-SSF does not know"),
    Field("examples_of_other_alleles", "list", "some of their alleles"),
    Field("untested", "object", "reason -> variants not tested"),
    Field("lambda_gc", "float64", "genomic inflation"),
    Field("loci", "int64", "loci past the genome-wide threshold"),
    Field("{other}", "object", "quantiles, counts of badly imputed variants", "some studies"),
)
#: Of each locus of regions.json.gz; lists have one entry per tested variant of the region.
_REGION = (
    ("name", "str", "chr<chromosome>_<position of the lead variant>: the name of its figure"),
    ("chromosome", "int64", "as in the summary statistics: X 23, Y 24, MT 25"),
    ("lead", "int64", "the lead variant: its place in the lists, from 0"),
    ("start", "int64", "first base pair of the region"),
    ("stop", "int64", "last base pair of the region"),
    ("verdict", "str", "shared, gained, lost; single in a study with one arm"),
    ("nearest_gene", "str", "as in leads.tsv"),
    ("gene_distance", "int64", "as in leads.tsv"),
    ("position", "list", "base pairs, ascending"),
    ("id", "list", "ID in the genotype files"),
    ("effect_allele", "list", "the allele that beta refers to"),
    ("other_allele", "list", "the other"),
    ("frequency", "list", "of the effect allele"),
    ("n", "list", "people with a genotype"),
    ("arms", "object", "arm -> lists neg_log_10_p, beta, se; null where the arm did not test the variant"),
    ("references", "list", "the lead and the next strongest variants, at most 60: their places in the lists"),
    ("genes", "object", "genes that overlap the region: symbol, start, end, strand, biotype"),
    ("r2", "list", "a list for each reference: squared correlation with every variant in thousandths; null: not known"),
)
_REGIONS = (
    Field("format", "int64", "version of this file"),
    Field("window_kb", "float64", "half width of a region in kb"),
    *(Field(f"loci[].{name}", kind, doc, "studies with loci") for name, kind, doc in _REGION),
    Field("loci", "list", "the strongest loci, the strongest first; empty", "studies without loci"),
)
_FOLDED = "by models that never saw the person's fold"

STUDIES = (
    File("{cohort}/{study}/study.json", "who is analysed, who is not and why; covariates; notes", fields=_STUDY),
    File(
        "{cohort}/{study}/samples.parquet",
        "exactly the people analysed, in both arms",
        "a person analysed",
        columns(
            SAMPLES, Field("cov_{covariate}", "float64", "covariate as it enters the models: encoded, not standardised")
        ),
    ),
    File(
        "{cohort}/{study}/{arm}/sumstats.tsv.gz",
        "summary statistics (GWAS-SSF; docs/summary_statistics.md)",
        "a tested variant",
        _SUMSTATS,
    ),
    File("{cohort}/{study}/{arm}/sumstats.tsv.gz.tbi", "its tabix index"),
    File("{cohort}/{study}/{arm}/sumstats.tsv.gz-meta.yaml", "its metadata, as GWAS-SSF defines them"),
    File(
        "{cohort}/{study}/{arm}/other_alleles.tsv.gz",
        "tested variants whose alleles GWAS-SSF does not know",
        "a tested variant",
        _SUMSTATS,
    ),
    File(
        "{cohort}/{study}/{arm}/untested.tsv.gz",
        "variants that were not tested",
        "a variant",
        columns(described(UNTESTED[:-1], TEXTS), _optional((INFORMATION,), IMPUTED), described(UNTESTED[-1:], TEXTS)),
    ),
    File("{cohort}/{study}/{arm}/leads.tsv", "lead variants", "a locus past the genome-wide threshold", _LEADS),
    File("{cohort}/{study}/{arm}/tests.json", "counts of the tests, inflation", fields=_TESTS),
    File("{cohort}/{study}/leads.html", "leads.tsv of both arms as a page, for Snakemake's report"),
    File("{cohort}/{study}/comparison.html", "comparison.tsv as a page, for Snakemake's report", when=BOTH),
    File("{cohort}/{study}/comparison.json", "what DeepNull gained", fields=_COMPARED, when=BOTH),
    File(
        "{cohort}/{study}/comparison.tsv", "loci of both arms side by side", "a locus of either arm", _COMPARISON, BOTH
    ),
    *(
        File(f"{{cohort}}/{{study}}/{name}.{{kind}}", f"figure: {about}", when=when)
        for name, about, when in (
            ("qq", "observed against expected p-values", ""),
            ("manhattan", "p-values along the genome", ""),
            ("arms", "p-values with DeepNull against without", BOTH),
            ("miami", "both arms along the genome", BOTH),
            ("deepnull/deepnull", "what the prediction learned", DEEPNULL),
        )
    ),
    File(
        "{cohort}/{study}/regions.json.gz",
        "both arms, correlations and genes around the strongest loci: what regional plots show",
        fields=_REGIONS,
    ),
    File(
        "{cohort}/{study}/regional/**",
        "figures: regional plots of the strongest loci, regional_<locus>.svg and .pdf; figures.tsv lists them",
    ),
    File("{cohort}/{study}/deepnull/folds.parquet", "folds", "a person analysed", columns(FOLDS), DEEPNULL),
    File(
        "{cohort}/{study}/deepnull/prediction.parquet",
        f"the out-of-fold prediction, {_FOLDED}, and what of it enters the association",
        "a person analysed",
        columns(PREDICTION),
        DEEPNULL,
    ),
    File(
        "{cohort}/{study}/deepnull/by_model.parquet",
        "the same by each model",
        "a person analysed",
        columns(
            BY_MODEL[:2],
            BY_MODEL[2:],
            Field("by_{model}", "float64", "prediction of one model by itself", "a model of several"),
        ),
        DEEPNULL,
    ),
    File(
        "{cohort}/{study}/deepnull/inner.parquet",
        "the covariate by models that have seen neither the person nor one more fold, for scores",
        "a person analysed",
        columns(INNER, Field("inner_{fold}", "float64", "the covariate without this fold too; NaN in the fold itself")),
        DEEPNULL,
    ),
    File(
        "{cohort}/{study}/deepnull/metrics.json",
        "how well the phenotype is predicted, and from what",
        fields=_METRICS,
        when=DEEPNULL,
    ),
    File("{cohort}/{study}/deepnull/summary.md", "metrics.json as a page of text", when=DEEPNULL),
    File(
        "{cohort}/{study}/deepnull/by_fold.json",
        "the fit of each fold",
        fields=(Field("{key}", "object", "as in metrics.json, with the course of training"),),
        when=DEEPNULL,
    ),
    File(
        "{cohort}/{study}/deepnull/models.npz",
        "the fitted models; `deepnull-gwas predict --apply` reads them",
        when=DEEPNULL,
    ),
    File(
        "{cohort}/{study}/genome/offsets.parquet",
        "what all chromosomes but one predict of each person",
        "a person analysed",
        columns(
            OFFSETS,
            Field("fold", "int32", "fold of the person", when="relatives in different folds"),
            Field(
                "{arm}.{chromosome}",
                "float64",
                "offset of the tests on this chromosome, in units of the phenotype (binary: logits)",
            ),
        ),
        WHOLE_GENOME,
    ),
    File(
        "{cohort}/{study}/genome/genome.json",
        "how the whole-genome regression came about, and what it explains",
        fields=(
            Field("format", "int64", "version of the file"),
            Field("arms", "object", "arm -> status, method, R2, relatives"),
        ),
        when=WHOLE_GENOME,
    ),
    File(
        "{cohort}/{study}/scores/accuracy.tsv",
        "how well covariates and a polygenic score predict the phenotype",
        "a model or a difference of two",
        columns(
            Field("study", "str", "the study"),
            Field("trait", "str", "quantitative or binary"),
            Field("n", "int64", "people"),
            ACCURACY,
        ),
        SCORES,
    ),
    File(
        "{cohort}/{study}/scores/accuracy.json",
        "the same, with how the score was made",
        fields=_ACCURACY_JSON,
        when=SCORES,
    ),
    File(
        "{cohort}/{study}/scores/people.parquet", "scores and predictions", "a person analysed", columns(PEOPLE), SCORES
    ),
    File(
        "{cohort}/{study}/exports/**", "phenotype, covariates and commands for other engines", when="target `exports`"
    ),
    File("{cohort}/{study}/site.js", "the study's page in the site"),
    File(
        "{cohort}/{study}/site.json",
        "the study's row in the index of the site",
        fields=(Field("{key}", "object", "what the index shows"),),
    ),
)

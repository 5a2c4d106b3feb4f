"""The files of a run: the state of all studies, where they came from, the site."""

from __future__ import annotations

from deepnull_gwas.dictionary.files import Field, File
from deepnull_gwas.results.status import GENOME_COLUMNS

_STATUS = (
    Field("cohort", "str", "the cohort"),
    Field("study", "str", "the study"),
    Field("arm", "str", "baseline or deepnull"),
    Field("trait", "str", "quantitative or binary"),
    Field("status", "str", "ok, or failed"),
    Field("stage", "str", "the rule at which it failed; empty"),
    Field("reason", "str", "why it failed, and what to do; empty"),
    Field("n", "int64", "people analysed"),
    Field("cases", "int64", "cases among them; NA for a quantitative trait"),
    Field("variants", "int64", "variants tested"),
    Field("variants_with_other_alleles", "int64", "of these, in other_alleles.tsv.gz"),
    Field("lambda_gc", "float64", "genomic inflation"),
    Field("loci", "int64", "loci past the genome-wide threshold"),
    *(
        Field(name, kind, about, "a study has the model `whole_genome`")
        for name, kind, about in zip(
            GENOME_COLUMNS,
            ("str", "str", "float64", "float64", "float64"),
            (
                "model of the study: linear or whole_genome",
                "how the offset came about: linear, logistic, logistic_fallback, none",
                "share that the genome explains of what the covariates leave, out of fold",
                "share that the covariates explain, out of fold",
                "share that both explain, out of fold",
            ),
            strict=True,
        )
    ),
    Field("notes", "str", "what has to be known before the results are used; empty"),
)
_PROVENANCE = (
    Field("format", "str", "format of this file"),
    Field(
        "analysis",
        "object",
        "software, seed, configuration, studies, checksums of inputs and results, jobs with parameters",
    ),
    Field(
        "execution",
        "object",
        "when and where it was run: host, time and memory of each rule, start and end of each job",
    ),
)

RUNS = (
    File("status.tsv", "the state of all studies", "a study and arm, in the order of the sheet", _STATUS),
    File("status.html", "the same as a page, for Snakemake's report"),
    File("summary.txt", "the same as one screen, with which a run ends"),
    File("provenance.json", "where the results came from", fields=_PROVENANCE),
    File("provenance.html", "the same for people"),
    File(".status_checked", "mark: no study failed"),
    File(
        ".checksums.json",
        "checksums of files, so that each is read once",
        fields=(Field("{file}", "object", "size, date, checksum"),),
    ),
    File("site/**", "the interactive report; open site/index.html"),
    File("site.zip", "the same as one file to send"),
    File("report.html", "Snakemake's report", when="snakemake --report"),
)

"""What is wrong in a configuration or a sheet, all at once and by its name."""

from __future__ import annotations

import pytest

from config_cases import ROW, SIMULATED, problems
from deepnull_gwas.config import load_config

#: A cohort of files, which are not there.
OWN = {"samples": "s.tsv", "genome_build": "GRCh38"}


@pytest.mark.parametrize(
    ("config", "part"),
    [
        (
            {"qc": {"maff": 0.1}},
            "config: qc.maff: unknown key; allowed: preset, variant_call_rate_first, sample_call_rate, "
            "variant_call_rate, maf, mac, hwe_p, sex_check, sex_f_female, sex_f_male, infer_sex, heterozygosity_f, "
            "heterozygosity_sd, duplicate_variants, duplicate_ids; did you mean 'maf'?",
        ),
        ({"deepnul": {}}, "config: deepnul: unknown key; allowed: seed, studies"),
        ({"qc": {"maf": 0.7}}, "config: qc.maf: found 0.7, expected at most 0.5"),
        ({"qc": {"maf": "small"}}, 'config: qc.maf: found "small", expected a number'),
        ({"qc": 5}, "config: qc: found 5, expected a mapping of keys to values"),
        ({"deepnull": {"folds": 2}}, "config: deepnull.folds: found 2, expected at least 3"),
        ({"deepnull": {"folds": True}}, "config: deepnull.folds: found true, expected a whole number"),
        ({"deepnull": {"recipe": {"hidden": []}}}, "config: deepnull.recipe.hidden: is empty"),
        (
            {"association": {"missing_genotypes": "dropp"}},
            "found \"dropp\", allowed: impute_mean, drop; did you mean 'drop'?",
        ),
        ({"report": {"genome_wide": 0}}, "config: report.genome_wide: found 0, expected more than 0"),
        ({"cohorts": {"c": SIMULATED, "a b": SIMULATED}}, 'config: cohorts: found "a b"; a name has letters'),
        ({"cohorts": {"site": SIMULATED}}, "config: cohorts.site: 'site' is a folder of the workflow's own"),
        ({"studies": "studis.tsv"}, "config: studies: no such file: studis.tsv; did you mean 'studies.tsv'?"),
        ({"cohorts": {}}, "config: cohorts: is empty"),
    ],
)  # fmt: skip
def test_keys(load, config, part):
    found = problems(load, **config)
    assert any(part in p for p in found), found


def test_missing_sections():
    first = [p.split(", and it is needed")[0] for p in problems(load_config, {})]
    assert first == ["config: studies: missing", "config: cohorts: missing"]


@pytest.mark.parametrize(
    ("cohort", "part"),
    [
        ({"genome_build": "GRCh38"}, "has neither 'genotypes' nor 'simulate'"),
        (SIMULATED | {"genotypes": "x"}, "has both 'genotypes' and 'simulate'"),
        (SIMULATED | {"samples": "x"}, "config: cohorts.c.samples: a simulated cohort makes its own sample table"),
        ({"simulate": SIMULATED["simulate"]}, "config: cohorts.c.genome_build: missing, and it is needed"),
        (SIMULATED | {"genome_build": "hg19"}, 'config: cohorts.c.genome_build: found "hg19", allowed: GRCh37, GRCh38'),
        ({"genotypes": "x", "genome_build": "GRCh38"}, "config: cohorts.c.samples: missing, and it is needed"),
        (
            {"genotypes": "x", "samples": "no.tsv", "genome_build": "GRCh38"},
            "config: cohorts.c.samples: no such file: no.tsv",
        ),
        (
            {"genotypes": "x{chrom}", "samples": "no.tsv", "genome_build": "GRCh38"},
            "unknown placeholder {chrom} in 'x{chrom}', allowed: {chromosome}",
        ),
        (SIMULATED | {"qc": {"maff": 1}}, "config: cohorts.c.qc.maff: unknown key"),
        (
            {
                "genome_build": "GRCh38",
                "simulate": {"people": 50, "sibling_pairs": 40, "phenotypes": {"y": {"trait": "binary"}}},
            },
            "70 pairs of relatives need 140 people, but people is 50",
        ),
        (
            {
                "genome_build": "GRCh38",
                "simulate": {"phenotypes": {"y": {"trait": "binary", "heritability": 0.8, "covariate_variance": 0.4}}},
            },
            "their sum may not exceed 1",
        ),
        (
            {"genome_build": "GRCh38", "simulate": {"phenotypes": {"age": {"trait": "binary"}}}},
            "this name is a column of every simulated",
        ),
        (
            OWN | {"genotypes": "x.bgen"},
            "config: cohorts.c.bgen_reference: missing, and it is needed for x.bgen: 'first'",
        ),
        (OWN | {"genotypes": "x.bgen", "bgen_reference": "ref"}, 'bgen_reference: found "ref", allowed: first, last'),
        (
            OWN | {"genotypes": "x.pgen", "bgen_reference": "last"},
            "bgen_reference: only a .bgen leaves open which allele is the reference, but the genotypes are x.pgen",
        ),
        (SIMULATED | {"bgen_reference": "last"}, "reference, but the cohort has no 'genotypes'; remove it"),
        (OWN | {"genotypes": "x", "vcf_field": "DS"}, "vcf_field: only a VCF or BCF has fields to choose from"),
        (OWN | {"genotypes": "x.pgen", "hard_call_threshold": 0.1}, "a .pgen holds hard calls of its own"),
        (OWN | {"genotypes": "x.bgen", "bgen_reference": "last", "hard_call_threshold": 0.5}, "hard_call_threshold"),
        (
            OWN | {"genotypes": "x.pgen", "bgen_sample": "x.sample"},
            "config: cohorts.c.bgen_sample: only a .bgen has a .sample, but the genotypes are x.pgen; remove it",
        ),
        (
            OWN | {"genotypes": "x.bgen", "bgen_reference": "last", "bgen_sample": "y_{chromosome}.sample"},
            "bgen_sample: 'y_{chromosome}.sample' holds {chromosome}, and 'genotypes' does not: name the one .sample",
        ),
        (
            OWN | {"genotypes": "x.bgen", "bgen_reference": "last", "bgen_sample": "y_{chrom}.sample"},
            "config: cohorts.c.bgen_sample: unknown placeholder {chrom}",
        ),
        (
            OWN | {"genotypes": "x.bgen", "bgen_reference": "last", "bgen_sample": "y.sample"},
            "config: cohorts.c.bgen_sample: no such file: y.sample",
        ),
        (OWN | {"genotypes": "x", "reference": "no.fa"}, "config: cohorts.c.reference: no such file: no.fa"),
        (OWN | {"genotypes": "x", "reference": "x.bed"}, "reference: x.bed is neither a FASTA nor a table of variants"),
        (OWN | {"genotypes": "x", "reference": "{chr}.fa"}, "cohorts.c.reference: unknown placeholder {chr}"),
        (OWN | {"genotypes": "x", "reference": "g{chromosome}.fa"}, "'g{chromosome}.fa' matches no chromosome"),
        (SIMULATED | {"reference": "x.fa"}, "reference: goes with 'genotypes', and the cohort has no 'genotypes'"),
        (OWN | {"genotypes": "x", "vcf_multiallelic": "split"}, "vcf_multiallelic: for a VCF or BCF only"),
        (OWN | {"genotypes": "x.pgen"}, "config: cohorts.c.genotypes: no such file: x.pgen"),
        (OWN | {"genotypes": "x.pgen"}, "config: cohorts.c.genotypes: no such file: x.pvar"),
        (
            OWN | {"genotypes": "x.pgen", "structure": {"genotypes": "y.bgen"}},
            "config: cohorts.c.structure.genotypes: y.bgen holds imputed genotypes",
        ),
        (
            OWN | {"genotypes": "x.pgen", "structure": {"genotypes": "y"}},
            "config: cohorts.c.structure.genotypes: no such file: y.bed",
        ),
        (
            SIMULATED | {"structure": {"genotypes": "y"}},
            "structure.genotypes: goes with 'genotypes' of the same people",
        ),
        (OWN | {"genotypes": "x", "structure": {"genotypes": "x"}}, "structure.genotypes: the same as 'genotypes'"),
    ],
)
def test_cohorts(load, cohort, part):
    found = problems(load, cohort=cohort)
    assert any(part in p for p in found), found


def test_a_forgotten_extension(load, tmp_path):
    for name in ("x.pgen", "chr1.bgen", "s.tsv"):
        (tmp_path / name).touch()
    found = problems(load, cohort=OWN | {"genotypes": "x"})
    assert found == ["config: cohorts.c.genotypes: no such file: x.bed; there is x.pgen: name its extension"]
    found = problems(load, cohort=OWN | {"genotypes": "chr{chromosome}"})
    assert "there are files .bgen: write 'chr{chromosome}.bgen'" in found[0]


def test_genotypes_for_structure_are_those_of_one_cohort(load):
    found = problems(load, structure={"genotypes": "y"})
    assert found == ["config: structure.genotypes: are those of one cohort; move this key to cohorts.NAME.structure"]


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"cohort": "d"}, "studies.tsv: row 2, column cohort: unknown cohort 'd', the config has: c"),
        (
            {"trait": "quantitativ"},
            "row 2, column trait: found \"quantitativ\", allowed: quantitative, binary; did you mean 'quantitative'?",
        ),
        ({"study": "a/b"}, 'row 2, column study: found "a/b"; a name has'),
        ({"study": "qc"}, "row 2, column study: 'qc' is a folder of the workflow's own"),
        ({"phenotype": ""}, "row 2, column phenotype: missing, and it is needed"),
        (
            {"categorical_covariates": "agee"},
            "'agee' is not among the covariates (age); list it in both columns; did you mean 'age'?",
        ),
        ({"covariates": "age,age"}, "'age' is listed 2 times"),
        ({"covariates": "y"}, "'y' is the phenotype itself"),
        (
            {"trait": "binary", "transform": "log"},
            "row 2, column transform: found 'log', but a binary trait cannot be transformed",
        ),
        ({"transform": "inverse"}, 'row 2, column transform: found "inverse", allowed: none, rank_inverse_normal, log'),
        ({"trait": "binary", "case_value": "x"}, "give both case_value and control_value"),
        ({"trait": "binary", "case_value": "x", "control_value": "x"}, "are both 'x'"),
        ({"case_value": "1", "control_value": "0"}, "a quantitative trait has no cases"),
        ({"include": "age >> 3"}, "row 2, column include: include 'age >> 3': at character 6"),
        ({"pcs": "ten"}, 'row 2, column pcs: found "ten", expected a whole number or nothing'),
        ({"pcs": "20"}, "found 20, but only 10 are computed in cohort 'c'; set structure.pcs to at least 20"),
        ({"covariates": "age,PC1"}, "'PC1' would be there twice"),
        ({"covariates": "", "pcs": "0"}, "the arm deepnull needs at least one covariate"),
        (
            {"arms": "baseline,deepnul"},
            "row 2, column arms: found \"deepnul\", allowed: baseline, deepnull; did you mean 'deepnull'?",
        ),
        ({"covariate": "x"}, "studies.tsv: unknown column 'covariate'"),
        ({"covariate": "x"}, "did you mean 'covariates'?"),
    ],
)
def test_rows(load, row, part):
    found = problems(load, ROW | row)
    assert any(part in p for p in found), found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty; expected a header and one row per study, with study, cohort, phenotype, trait"),
        ("study\tcohort\tphenotype\ttrait\n", "has a header but no study"),
        ("study\tcohort\tphenotype\n", "column 'trait' is missing"),
        ("study\tstudy\tcohort\tphenotype\ttrait\n", "column 'study' is there 2 times"),
        ("study cohort phenotype trait\n", "separated by blanks; save the sheet with tabs"),
        ("study\tcohort\tphenotype\ttrait\na\tc\ty\tbinary\tmore\n", "row 2: 5 cells, but the header has 4"),
        (b"study\tcohort\tphenotype\ttrait\n\xe9\tc\ty\tbinary\n", "row 2: not UTF-8 text"),
    ],
)
def test_sheets(tmp_path, text, part):
    (tmp_path / "studies.tsv").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = problems(load_config, {"studies": "studies.tsv", "cohorts": {"c": SIMULATED}}, tmp_path)
    assert any(part in p for p in found), found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "study;cohort;phenotype;trait\na;c;y;binary\n",
            "its columns are separated by semicolons; save the sheet with tabs",
        ),
        ("sep=;\nstudy;cohort;phenotype;trait\na;c;y;binary\n", "its columns are separated by semicolons"),
        ("study,cohort,phenotype,trait\na,c,y,binary,x\n", "row 2: 5 cells, but the header has 4"),
        ("# a\n\nstudy,cohort,phenotype,trait\na,c,y,odd\n", "row 4, column trait: found"),
        ('study,cohort,phenotype,trait\n"a,c,y,binary\n', "row 2: a quote"),
    ],
)
@pytest.mark.parametrize("name", ["studies.csv", "studies.tsv"])
def test_sheets_of_spreadsheets(tmp_path, text, part, name):
    (tmp_path / name).write_text(text)
    (found,) = problems(load_config, {"studies": name, "cohorts": {"c": SIMULATED}}, tmp_path)
    assert part in found


def test_everything_that_is_wrong_comes_at_once(load):
    cohort = {"genotypes": "x", "samples": "no.tsv", "genome_build": "GRCh39"}
    found = problems(load, ROW, ROW | {"trait": "?"}, cohort=cohort, qc={"x": 1})
    for part in (
        "qc.x: unknown",
        "x.bed",
        "x.bim",
        "x.fam",
        "no.tsv",
        "GRCh39",
        "row 3, column trait",
        "row 3, column study: study 's'",
    ):
        assert any(part in p for p in found), (part, found)

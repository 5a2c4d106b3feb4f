"""Bad input, one test each: a clear message before any long job, and nothing written.

What the config names is checked when the workflow is parsed (`load_config`); what the files hold in the first job of a
cohort
(`index_cohort`); what the studies need of the sample table in the second (`preflight_cohort`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepnull_gwas.config import load_config
from deepnull_gwas.errors import InputError, InputErrors


def index_fails(small, *parts: str, **changes) -> None:
    with pytest.raises(InputError) as error:
        small.index(**changes)
    for part in parts:
        assert part in str(error.value)
    assert small.written() == []


def preflight_fails(small, study: dict, *parts: str) -> None:
    small.index()
    before = small.written()
    with pytest.raises(InputError) as error:
        small.preflight(small.study(**study))
    for part in ("study s: ", *parts):
        assert part in str(error.value)
    assert small.written() == before


def config_fails(folder: Path, config: dict, *parts: str, rows: tuple[str, ...] = ("s",)) -> None:
    sheet = "study\tcohort\tphenotype\ttrait\n" + "".join(f"{name}\tc\theight\tquantitative\n" for name in rows)
    (folder / "studies.tsv").write_text(sheet)
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputErrors) as error:
        load_config({"studies": "studies.tsv"} | config, folder)
    for part in parts:
        assert part in str(error.value)
    assert sorted(folder.rglob("*")) == before


def cohort(genotypes: str) -> dict:
    return {"cohorts": {"c": {"genotypes": genotypes, "samples": "samples.tsv", "genome_build": "GRCh38"}}}


def test_bed_truncated(small):
    bed = Path(f"{small.prefix}.bed")
    bed.write_bytes(bed.read_bytes()[:-5])
    index_fails(small, str(bed), "118 bytes, expected 123 for 12 variants (.bim) and 40 people (.fam)", "truncated")


def test_bed_individual_major(small):
    bed = Path(f"{small.prefix}.bed")
    bed.write_bytes(b"\x6c\x1b\x00" + bed.read_bytes()[3:])
    index_fails(small, str(bed), "individual-major .bed (third byte 00); rewrite it variant-major")


def test_bed_that_is_something_else(small):
    bed = Path(f"{small.prefix}.bed")
    bed.write_bytes(b"PK" + bed.read_bytes()[2:])
    index_fails(small, str(bed), "not a PLINK 1 .bed (it starts with 504b, expected 6c1b)")


def test_bed_and_bim_of_different_lengths(small):
    bim = Path(f"{small.prefix}.bim")
    bim.write_text("".join(bim.read_text().splitlines(keepends=True)[:-2]))
    index_fails(small, f"{small.prefix}.bed", "it holds 12 variants of 40 people, but the .bim lists 10")


def test_filesets_with_other_people(small):
    prefixes = [small.prefix, f"{small.prefix}_2"]
    small.write_fileset(prefixes[1], "2")
    fam = Path(f"{prefixes[1]}.fam")
    fam.write_text(fam.read_text().replace("F003\t0003", "F003\tx"))
    index_fails(
        small, f"{fam}: row 4 is 'F003 x', but 'F003 0003' in {prefixes[0]}.fam (1 rows differ)", prefixes=prefixes
    )


def test_no_id_in_common(small):
    small.write_table(small.table.assign(IID=range(40)))  # leading zeros lost
    index_fails(
        small,
        f"{small.samples}: not one ID in common with {small.prefix}.fam: "
        "the table has 0, 1, 2, the genotypes 0000, 0001, 0002",
        "leading zeros",
    )


def test_duplicated_ids_in_the_sample_table(small):
    table = small.table
    table.loc[3, "IID"] = "0001"
    small.write_table(table)
    index_fails(
        small, f"{small.samples}: 1 IDs (IID) are there more than once: 0001 (rows 3, 5); keep one row per person"
    )


def test_duplicated_ids_in_the_fam(small):
    fam = Path(f"{small.prefix}.fam")
    fam.write_text(fam.read_text().replace("F003\t0003", "F001\t0001"))
    index_fails(small, f"{fam}: 1 people (FID IID) are there more than once: F001 0001 (rows 2, 4)")


def test_phenotype_absent(small):
    preflight_fails(
        small, {"phenotype": "heigt"}, "phenotype 'heigt' is no column of the sample table", "did you mean 'height'?"
    )


def test_binary_phenotype_with_three_values(small):
    small.write_table(small.table.assign(status=[0] * 20 + [1] * 17 + [-9] * 3))
    preflight_fails(
        small,
        {"phenotype": "status", "trait": "binary"},
        "phenotype 'status' is binary, expected 0/1 or 1/2 (2 the case), found 3 values: -9 (3 people), 0 (20), 1 (17)",
        "case_value and control_value",
        "missing_values",
    )


def test_quantitative_phenotype_constant(small):
    small.write_table(small.table.assign(height=5))
    preflight_fails(small, {}, "phenotype 'height' is constant: all 40 people have 5")


def test_quantitative_phenotype_with_text(small):
    small.write_table(small.table.assign(height=["1,70", *range(39)]))
    preflight_fails(small, {}, "phenotype 'height' is quantitative, but holds text ('1,70')")


def test_logarithm_of_what_is_not_positive(small):
    small.write_table(small.table.assign(height=np.arange(40) - 1))
    preflight_fails(
        small, {"transform": "log"}, "phenotype 'height', transform log: 2 values are not positive (smallest -1)"
    )


def test_covariate_all_missing(small):
    small.write_table(small.table.assign(age=np.nan))
    preflight_fails(small, {}, "covariate 'age' is missing for everybody; remove it, or check missing_values")


def test_covariate_with_text_not_declared_categorical(small):
    small.write_table(small.table.assign(age=["old", *range(39)]))
    preflight_fails(
        small,
        {},
        "covariate 'age' holds text ('old' (person 0000)) and is not declared categorical",
        "list it in categorical_covariates",
    )


def test_covariate_with_a_missing_marker_not_declared(small):
    small.write_table(small.table.assign(age=["N/A", *range(39)]))
    preflight_fails(small, {}, "covariate 'age' holds text ('N/A' (person 0000))", "in missing_values of the cohort")


def test_unknown_config_key(small):
    config_fails(
        small.folder,
        cohort("genotypes") | {"asociation": {}},
        "config: asociation: unknown key; allowed: seed,",
        "did you mean 'association'?",
    )


def test_duplicate_study(small):
    config_fails(
        small.folder,
        cohort("genotypes"),
        "studies.tsv: row 4, column study: study 's' of cohort 'c' is there already (row 2)",
        rows=("s", "t", "s"),
    )


def test_prefix_that_does_not_exist(small):
    config_fails(
        small.folder,
        cohort("genotipes"),
        *(
            f"config: cohorts.c.genotypes: no such file: genotipes.{e}; did you mean 'genotypes.{e}'?"
            for e in ("bed", "bim", "fam")
        ),
    )


def test_pattern_that_matches_no_chromosome(small):
    config_fails(
        small.folder,
        cohort("chr{chromosome}"),
        "config: cohorts.c.genotypes: the pattern 'chr{chromosome}' matches no chromosome "
        "(looked for chr*.bed with 1-22, X, Y, XY, MT or 23-26",
    )


def test_pattern_whose_matches_are_no_chromosomes(small):
    config_fails(
        small.folder,
        cohort("geno{chromosome}"),
        "matches no chromosome",
        "found genotypes, whose {chromosome} is no chromosome",
    )

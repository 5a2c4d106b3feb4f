"""The check of effect alleles before any long job: what is shown, what is doubted, what stops the run."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.alleles import check_alleles
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed
from dosage_files import UNIT, variant_rows, write_bgen, write_pgen

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

M = 80


@pytest.fixture
def imputed(small):
    """Return a cohort of forty people with calls and dosages of eighty variants; effect alleles are mostly minor."""
    rng = np.random.default_rng(6)
    small.calls = rng.binomial(2, rng.uniform(0.08, 0.45, M)[:, None], (M, small.people)).astype(np.int8)
    noise = np.round(rng.uniform(0, 0.3, small.calls.shape) / UNIT) * UNIT
    small.dosages = np.where(small.calls == 2, 2 - noise, small.calls + noise)
    small.dosages[1, 2] = np.nan
    small.rows = variant_rows(M)
    small.who = pd.DataFrame({"fid": small.fids, "iid": small.iids, "sex": 1})
    return small


def write_array(small, people=None, swapped=False, rows=None):
    """Write the hard calls of some people as a .bed; returns its name."""
    people = np.arange(small.people) if people is None else people
    rows = small.rows if rows is None else rows
    alleles = ["other_allele", "effect_allele"] if swapped else ["effect_allele", "other_allele"]
    bim = rows[["chromosome", "id", "position", "position", *alleles]].set_axis(list("cimpab"), axis=1)
    fam = small.who.iloc[people].assign(x=0, y=0, p=-9)[["fid", "iid", "x", "y", "sex", "p"]]
    calls = small.calls[:, people]
    write_bed(small.folder / "array", 2 - calls if swapped else calls, bim, fam)
    return str(small.folder / "array")


def check(small, *array: str) -> pd.DataFrame:
    tables = [small.out / n for n in ("genotypes.json", "variants.parquet", "samples.parquet")]
    shown = check_alleles(*tables, small.out / "preflight_alleles.tsv", array)
    written = pd.read_csv(small.out / "preflight_alleles.tsv", sep="\t", dtype={"chromosome": str})
    pd.testing.assert_frame_equal(written, shown, check_dtype=False, rtol=1e-5)
    return shown


def bgen(small, reference: str, said: str) -> str:
    name = write_bgen(small.folder / "x.bgen", small.dosages, small.rows, small.who, reference)
    small.index([name], bgen_reference=said)
    return name


def test_some_common_variants_are_shown(imputed, caplog):
    caplog.set_level(logging.INFO)
    bgen(imputed, "last", "last")
    shown = check(imputed)
    assert len(shown) == 12
    at = shown["id"].str.removeprefix("rs").astype(int)
    assert np.allclose(shown["effect_allele_frequency"], np.nanmean(imputed.dosages, axis=1)[at] / 2, atol=1e-5)
    assert shown["effect_allele"].tolist() == imputed.rows["effect_allele"][at].tolist()
    first = shown.iloc[0]
    assert f"{first['id']}: effect allele {first['effect_allele']} (frequency" in caplog.text
    assert "(bgen_reference: last); some common variants" in caplog.text
    assert not [r for r in caplog.records if r.levelno > logging.INFO and "frequent" in r.message]


def test_the_wrong_word_is_doubted_by_frequencies(imputed, caplog):
    bgen(imputed, "last", "first")
    check(imputed)
    warned = next(r.message for r in caplog.records if "more frequent" in r.message)
    assert "is bgen_reference: last meant? Compare the variants above with dbSNP" in warned


@pytest.mark.parametrize("said", ["first", "last"])
@pytest.mark.parametrize("swapped", [False, True])
def test_dosages_go_with_hard_calls_of_the_same_allele(imputed, swapped, said):
    """Whichever allele the hard calls count, and in whatever order their people are: a .bgen names what it counts."""
    array = write_array(imputed, np.random.default_rng(1).permutation(imputed.people)[:35], swapped)
    bgen(imputed, "first", said)
    shown = check(imputed, array)
    assert (shown["correlation"] > 0.9).all()
    assert (shown["effect_allele_frequency"] - shown["frequency_in_hard_calls"]).abs().max() < 0.15
    # alleles that are each other's complement say nothing of the strand
    assert not {"AT", "TA", "CG", "GC"} & set(shown["effect_allele"] + shown["other_allele"])


def test_known_references_prove_the_word(imputed, caplog):
    array = write_pgen(imputed.folder / "array", imputed.calls, imputed.rows, imputed.who)
    name = bgen(imputed, "first", "last")
    with pytest.raises(InputError, match=r"the reference allele of .*array\.pgen is the effect allele here") as error:
        check(imputed, array)
    assert str(error.value).startswith(f"{name}: at 54 of 54 common variants")
    assert str(error.value).endswith("by bgen_reference: last; set bgen_reference: first")
    assert not (imputed.out / "preflight_alleles.tsv").exists()
    caplog.clear()
    bgen(imputed, "first", "first")
    check(imputed, array)
    assert "reference allele of" not in caplog.text


def test_a_pgen_with_alleles_the_other_way_round(imputed):
    other = imputed.rows.rename(columns={"effect_allele": "other_allele", "other_allele": "effect_allele"})
    imputed.index([write_pgen(imputed.folder / "x", imputed.dosages, other, imputed.who)])
    with pytest.raises(InputError, match=r"are the other way round: take the table of variants that was made with it"):
        check(imputed, write_array(imputed))


def test_other_people_under_these_ids(imputed):
    imputed.index([write_pgen(imputed.folder / "x", imputed.dosages, imputed.rows, imputed.who)])
    imputed.calls = imputed.calls[:, np.random.default_rng(2).permutation(imputed.people)]
    with pytest.raises(InputError, match="have nothing to do with the hard calls of the same people"):
        check(imputed, write_array(imputed))


def test_another_genome_build_is_pointed_out(imputed, caplog):
    imputed.index([write_pgen(imputed.folder / "x", imputed.dosages, imputed.rows, imputed.who)])
    array = write_array(imputed, rows=imputed.rows.assign(position=imputed.rows["position"] + 7))
    assert len(check(imputed, array)) == 0
    assert "too few to check" in caplog.text
    assert "genome build" in caplog.text

"""Ingestion: variants, people and chunks as they are laid down."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort.index import SAMPLES, VARIANTS, plan_chunks
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.genotypes.bed_tables import read_bim, read_fam
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.kernels import decode
from deepnull_gwas.tables import read_parquet


@given(st.integers(0, 10**7), st.integers(1, 1000))
def test_chunks_are_contiguous_and_nearly_equal(n_variants, n_chunks):
    boundaries = plan_chunks(n_variants, n_chunks)
    sizes = np.diff(boundaries)
    assert (boundaries[0], boundaries[-1], len(sizes)) == (0, n_variants, n_chunks)
    assert sizes.max() - sizes.min() <= 1


def test_tables(small):
    samples = small.index(chunks=3)
    assert samples["iid"].tolist() == small.iids
    assert samples["recorded_sex"].tolist()[:2] == [1, 2]
    assert samples["age"].tolist() == small.table["age"].tolist()
    variants = read_parquet(small.out / "variants.parquet", VARIANTS)
    read_parquet(small.out / "samples.parquet", SAMPLES)
    assert variants["chunk"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert variants.iloc[0].to_dict() == {
        "index": 0, "chromosome": "1", "position": 1, "id": "rs0", "effect_allele": "A", "other_allele": "G", "file": 0,
        "file_row": 0, "chunk": 0,
    }  # fmt: skip
    index = json.loads((small.out / "genotypes.json").read_text())
    assert (index["samples"], index["variants"], index["genome_build"]) == (40, 12, "GRCh38")
    assert open_genotypes(small.out / "genotypes.json").n_variants == 12


def test_rows_of_the_table_in_another_order(small):
    expected = small.index()
    small.write_table(small.table.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(small.index(), expected)


def test_more_chunks_than_variants(small):
    small.index(chunks=20)
    chunk = pd.read_parquet(small.out / "variants.parquet")["chunk"]
    assert chunk.is_monotonic_increasing
    assert chunk.nunique() == 12


def test_several_filesets(small):
    prefixes = [f"{small.prefix}_{c}" for c in ("1", "X")]
    small.write_fileset(prefixes[0], "1", 5)
    small.write_fileset(prefixes[1], "23", 3)
    small.index(prefixes)
    variants = pd.read_parquet(small.out / "variants.parquet")
    assert variants["chromosome"].tolist() == ["1"] * 5 + ["X"] * 3
    assert variants["file"].tolist() == [0] * 5 + [1] * 3
    assert variants["file_row"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert json.loads((small.out / "genotypes.json").read_text())["filesets"] == prefixes


def test_genotypes_agree_with_pandas_plink(small, monkeypatch):
    """Its default counts A2 (it calls .bim column 6 'a1'); ours counts A1."""
    monkeypatch.setenv("DISABLE_PANDERA_IMPORT_WARNING", "True")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pandas_plink import read_plink1_bin

        theirs = read_plink1_bin(f"{small.prefix}.bed", verbose=False).values.T
    fileset = BedGenotypes([small.prefix])
    np.testing.assert_array_equal(decode(fileset.calls_between(0, 12), 40), 2 - theirs)


def test_ids_that_look_missing_are_kept(tmp_path):
    (tmp_path / "x.fam").write_text("NA NA 0 0 1 -9\nF nan 0 0 2 -9\n")
    assert read_fam(str(tmp_path / "x.fam"))[["fid", "iid"]].to_numpy().tolist() == [["NA", "NA"], ["F", "nan"]]
    (tmp_path / "x.bim").write_text("1 NA 0 5 A G\n1 null 0 6 NA G\n")
    assert read_bim(str(tmp_path / "x.bim"))[["id", "effect_allele", "position"]].to_numpy().tolist() == [
        ["NA", "A", 5],
        ["null", "NA", 6],
    ]


def test_alleles_and_chromosomes(tmp_path):
    (tmp_path / "x.bim").write_text("chr1\ta\t0\t5\tACGT\t<DEL>\n25\tb\t0\t6\t0\t0\nPAR2\tc\t0\t7\t0\tG\r\n")
    bim = read_bim(str(tmp_path / "x.bim"))
    assert bim["chromosome"].tolist() == ["1", "XY", "XY"]
    assert bim["effect_allele"].tolist() == ["ACGT", "0", "0"]
    assert bim["other_allele"].tolist() == ["<DEL>", "0", "G"]


def test_unknown_alleles_of_plink_2(tmp_path):
    """It writes a dot where PLINK 1.9 writes 0: of a variant without calls for both alleles, of one that does not vary
    for one.
    """
    (tmp_path / "x.bim").write_text("1 a 0 5 . .\n1 b 0 6 . A\n1 c 0 7 T .\n1 d 0 8 0 .\n")
    assert read_bim(str(tmp_path / "x.bim"))[["effect_allele", "other_allele"]].to_numpy().tolist() == [
        ["0", "0"], ["0", "A"], ["T", "0"], ["0", "0"],
    ]  # fmt: skip


def test_positions_end_where_an_index_does(tmp_path):
    (tmp_path / "x.bim").write_text(f"1 a 0 {2**29 - 1} A G\n")
    assert read_bim(str(tmp_path / "x.bim"))["position"].tolist() == [2**29 - 1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "1 a 0 5 A G\n1 b 0 6 A\n",
            "expected 6 fields a row (chromosome, identifier, centimorgan, position, A1, A2); row 2 has 5 fields",
        ),
        ("1 a 0 5 A G x\n1 b 0 6 A G x\n", "row 1 has 7 fields, row 2 has 7 fields"),
        ("1 a 0 5 A G\n\n1 b 0 6 A G\n", "row 2 has 0 fields"),
        ("1 a 0 5.5 A G\n", "row 1: position '5.5' is no whole number"),
        ("1 a 0 99999999999 A G\n", "row 1: position '99999999999' is no whole number below 2^31"),
        ("1 a 0 5 A G\n1 b 0 -6 A G\n", "1 variants have a negative position (rows 2)"),
        ("1 a 0 5 A G\n1 b 0 536870912 A G\n", "1 variants have a position of 536,870,912 or more (row 2: 536870912)"),
        ("0 a 0 5 A G\nGL1 b 0 6 A G\n", "2 variants on unknown chromosomes '0', 'GL1' (rows 1, 2)"),
        ("1 a 0 5 A A\n", "1 variants have the same allele twice (row 1: A A)"),
        ("1 a 0 5 A g\n1 b 0 6 a A\n", "1 variants have the same allele twice (row 2: a A)"),
        ("", "is empty"),
    ],
)
def test_bims_that_are_wrong(tmp_path, text, part):
    path = tmp_path / "x.bim"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_bim(str(path))
    assert part in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a b 0 0 1\n", "row 1 has 5 fields"),
        ("a b 0 0 1 2\nc d 0 0 1 2\na b 0 0 1 2\n", "1 people (FID IID) are there more than once: a b (rows 1, 3)"),
    ],
)
def test_fams_that_are_wrong(tmp_path, text, part):
    (tmp_path / "x.fam").write_text(text)
    with pytest.raises(InputError) as error:
        read_fam(str(tmp_path / "x.fam"))
    assert part in str(error.value)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "prefix", "variants", "people"),
    [
        ("sampleA", "sampleA", 3098, 2000),
        ("kg1126", "kg1126", 25193, 1126),
        ("hgdp_euro", "H938_Euro.LDprune", 66147, 156),
    ],
)
def test_real_filesets(real_data, name, prefix, variants, people):
    path = real_data(name) / prefix
    bim, fam = read_bim(f"{path}.bim"), read_fam(f"{path}.fam")
    assert (len(bim), len(fam)) == (variants, people)
    fileset = BedGenotypes([path], [variants], people)
    assert fileset.n_variants == variants

"""The number of people: a .bed of the same size may hold more or fewer than the .fam lists."""

from __future__ import annotations

import logging
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes, check_bed, check_padding, write_bed
from deepnull_gwas.genotypes.bed_files import count_header_rows, count_lines
from deepnull_gwas.genotypes.bed_tables import read_bim, read_fam
from deepnull_gwas.genotypes.kernels import decode


def write(prefix, people, variants=200, seed=1, frequency=0.3):
    genotypes = np.random.default_rng(seed).binomial(2, frequency, (variants, people)).astype(np.int8)
    bim = pd.DataFrame(
        {
            "c": "1",
            "id": [f"rs{i}" for i in range(variants)],
            "cm": 0,
            "p": range(1, variants + 1),
            "a1": "A",
            "a2": "C",
        }
    )
    fam = pd.DataFrame({"f": 0, "i": [f"p{i}" for i in range(people)], "pa": 0, "ma": 0, "s": 1, "p": -9})
    write_bed(prefix, genotypes, bim, fam)
    return genotypes


@pytest.mark.parametrize(
    "header",
    [
        "#FID IID PAT MAT SEX PHENO1",
        "##made by somebody\n#FID IID PAT MAT SEX PHENO1",
        "# note",
        "FID IID PAT MAT SEX PHENO",
    ],
)
@pytest.mark.parametrize("people", [41, 43, 44])
def test_a_header_of_the_fam_is_no_person(tmp_path, header, people, caplog):
    genotypes = write(tmp_path / "x", people)
    fam = tmp_path / "x.fam"
    fam.write_text(f"{header}\n{fam.read_text()}")
    with caplog.at_level(logging.WARNING):
        read = read_fam(str(fam))
    assert read["iid"].tolist() == [f"p{i}" for i in range(people)]
    assert "header row" in caplog.text
    fileset = BedGenotypes([tmp_path / "x"])
    assert (fileset.n_samples, count_lines(fam)) == (people, people)
    np.testing.assert_array_equal(decode(fileset.calls_between(0, 200), people), genotypes.astype(np.float32))


@pytest.mark.parametrize("header", ["#chr id cm pos a1 a2", "##note", "CHR SNP CM BP A1 A2"])
def test_a_header_of_the_bim_is_no_variant(tmp_path, header):
    write(tmp_path / "x", 41, variants=5)
    bim = tmp_path / "x.bim"
    expected = read_bim(str(bim))
    bim.write_text(f"{header}\n{bim.read_text()}")
    pd.testing.assert_frame_equal(read_bim(str(bim)), expected)
    assert BedGenotypes([tmp_path / "x"]).n_variants == 5


def test_rows_are_counted_from_the_header(tmp_path):
    (tmp_path / "x.bim").write_text("#chr id cm pos a1 a2\n1 rs1 0 1 A C\n77 rs2 0 2 A C\n")
    with pytest.raises(InputError, match=r"'77' \(rows 3\)"):
        read_bim(str(tmp_path / "x.bim"))
    (tmp_path / "x.fam").write_text("# note\nf a 0 0 1 -9\nf a 0 0 1 -9\n")
    with pytest.raises(InputError, match=r"f a \(rows 2, 3\)"):
        read_fam(str(tmp_path / "x.fam"))
    (tmp_path / "x.fam").write_text("# note\nf a 0 0 1 -9\nf b 0 0\n")
    with pytest.raises(InputError, match="row 3 has 4 fields"):
        read_fam(str(tmp_path / "x.fam"))


@pytest.mark.parametrize(
    ("kind", "header", "name"),
    [
        ("fam", "#FID IID SEX PAT MAT PHENO1", "SEX"),
        ("fam", "#IID SEX PAT MAT X PHENO1", "IID"),
        ("bim", "#CHROM POS ID CM ALT REF", "POS"),
        ("bim", "#CHROM ID CM POS REF ALT", "REF"),
    ],
)
def test_columns_in_another_order_are_refused(tmp_path, kind, header, name):
    """PLINK 2 goes by such a header, PLINK 1.9 does not."""
    path = tmp_path / f"x.{kind}"
    path.write_text(f"{header}\n1 a 0 5 1 2\n")
    with pytest.raises(InputError, match=f"row 1 is a header.*with {name} in another place"):
        {"fam": read_fam, "bim": read_bim}[kind](str(path))


def test_a_comment_further_down_is_refused(tmp_path):
    (tmp_path / "x.fam").write_text("f a 0 0 1 -9\n#f b 0 0 1 -9\nf c 0 0 1 -9\n")
    with pytest.raises(InputError, match=r"rows 2 begin with #"):
        read_fam(str(tmp_path / "x.fam"))


@pytest.mark.parametrize("listed", [41, 42, 43])
def test_a_fam_that_lost_people(tmp_path, listed):
    write(tmp_path / "x", 44)
    check_bed(tmp_path / "x.bed", 200, listed)
    with pytest.raises(InputError, match=f"behind the last of the {listed} people"):
        check_padding(tmp_path / "x.bed", 200, listed)


@pytest.mark.parametrize("people", [41, 42, 43])
def test_a_fam_with_people_too_many(tmp_path, people):
    write(tmp_path / "x", people)
    for listed in range(people + 1, 45):
        check_bed(tmp_path / "x.bed", 200, listed)
        with pytest.raises(InputError, match=f"the last {listed - people} of the {listed} people"):
            check_padding(tmp_path / "x.bed", 200, listed)


@pytest.mark.parametrize("people", [1, 2, 3, 4, 5, 41, 42, 43, 44, 1001])
@pytest.mark.parametrize("frequency", [0.01, 0.3, 0.99, 1.0])
def test_the_right_number_of_people_passes(tmp_path, people, frequency):
    write(tmp_path / "x", people, frequency=frequency)
    check_padding(tmp_path / "x.bed", 200, people)


def test_few_variants_and_linked_ones_do_not_accuse_anybody(tmp_path):
    """A haplotype in which all variants go together: some people are homozygous for it, the last among them."""
    haplotype = np.random.default_rng(3).binomial(2, 0.5, 101)
    haplotype[-1] = 2
    genotypes = np.tile(haplotype, (300, 1)).astype(np.int8)
    bim = pd.DataFrame({"c": "1", "id": "x", "cm": 0, "p": range(1, 301), "a1": "A", "a2": "C"})
    fam = pd.DataFrame({"f": 0, "i": range(101), "pa": 0, "ma": 0, "s": 1, "p": -9})
    write_bed(tmp_path / "x", genotypes, bim, fam)
    check_padding(tmp_path / "x.bed", 300, 101)


def test_index_refuses_a_fam_that_lost_somebody(small):
    fam = small.folder / "genotypes.fam"
    small.write_fileset(small.prefix, "1", 60)
    small.index()
    rows = fam.read_text().splitlines()
    fam.write_text("\n".join(rows[1:]) + "\n")
    with pytest.raises(InputError, match=r"genotypes\.bed: behind the last of the 39 people of the \.fam"):
        small.index()


@pytest.mark.skipif(shutil.which("plink1.9") is None, reason="plink1.9 is not installed")
def test_plink_skips_the_same_header_rows(tmp_path):
    write(tmp_path / "x", 41)
    for kind, header in (("fam", "# note\n#FID IID PAT MAT SEX PHENO1\n"), ("bim", "##note\n#chr id cm pos a1 a2\n")):
        path = tmp_path / f"x.{kind}"
        path.write_text(header + path.read_text())
        assert count_header_rows(path) == 2
    command = [
        "plink1.9",
        "--bfile",
        str(tmp_path / "x"),
        "--freq",
        "counts",
        "--allow-no-sex",
        "--out",
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    counted = pd.read_csv(tmp_path / "o.frq.counts", sep=r"\s+")
    fileset = BedGenotypes([tmp_path / "x"])
    np.testing.assert_array_equal(counted["C1"], decode(fileset.calls_between(0, 200), fileset.n_samples).sum(axis=1))

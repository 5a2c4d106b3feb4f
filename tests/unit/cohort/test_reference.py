"""The alleles of a cohort against the reference genome: every kind of file, what is claimed, and what stops the run."""

from __future__ import annotations

import gzip
import json
import logging
import re

import numpy as np
import pandas as pd
import pysam
import pytest
import zstandard

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.reference import find_references, read_sequences
from dosage_files import UNIT, write_bgen, write_pgen

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

M = 60


@pytest.fixture
def genome() -> dict[str, str]:
    rng = np.random.default_rng(3)
    return {name: "".join(rng.choice(list("ACGT"), 2000)) for name in ("chr1", "chrX", "chr2_alt", "chrM")}


@pytest.fixture
def rows(genome) -> pd.DataFrame:
    """Return sixty variants on 1 and X whose other allele is the genome's; three insertions and deletions."""
    frame = pd.DataFrame({"chromosome": ["1"] * 40 + ["X"] * 20, "position": np.r_[1:41, 1:21] * 50})
    at = [genome[f"chr{c}"][p - 1 :] for c, p in zip(frame["chromosome"], frame["position"])]
    frame["id"] = [f"rs{i}" for i in range(M)]
    frame["other_allele"] = [s[0] for s in at]
    frame["effect_allele"] = [{"A": "C", "C": "G", "G": "T", "T": "A"}[s[0]] for s in at]
    for row, extra in ((3, "A"), (7, "CCCCCC")):
        frame.loc[row, "effect_allele"] = at[row][0] + ("C" if at[row][1] == extra else extra)
    frame.loc[[12], ["effect_allele", "other_allele"]] = [at[12][0], at[12][:3]]
    return frame


def fasta(genome: dict[str, str]) -> str:
    # soft-masked in part, lines as on Windows
    lines = {name: re.sub("(.{60})", r"\1\r\n", s[:500].lower() + s[500:]) for name, s in genome.items()}
    return "".join(f">{name} some 'words' -> of description\n{text}\n" for name, text in lines.items())


def write(folder, kind: str, genome, rows) -> str:
    path = folder / f"genome.{kind}"
    sites = [
        f"chr{v.chromosome} {v.position} . {v.other_allele} GGGG,{v.effect_allele.lower()}" for v in rows.itertuples()
    ]
    sites = [line.replace(" ", "\t") for line in [*sites, "chrUn 5 . A G", "1 7 . A G"]]
    head = "#CHROM\tPOS\tID\tREF\tALT"
    of_vcf = ["##fileformat=VCFv4.2", f"{head}\tQUAL\tFILTER\tINFO", *(f"{line}\t.\t.\t." for line in sites)]
    text = {
        "fa": fasta(genome),
        "pvar": "\n".join(["##a=b", head, *sites]) + "\n",
        "vcf": "\n".join(of_vcf) + "\n",
    }[kind.split(".")[0]]
    if kind.endswith("zst"):
        path.write_bytes(zstandard.compress(text.encode()))
    elif kind == "fa.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif kind.endswith(("gz", "bgz")):
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text.encode())
    else:
        path.write_text(text)
    return str(path)


@pytest.mark.parametrize("kind", ["fa", "fa.gz", "fa.bgz", "pvar", "pvar.zst", "vcf", "vcf.gz"])
def test_every_kind_of_file_tells_the_same(tmp_path, genome, rows, kind):
    file = write(tmp_path, kind, genome, rows)
    found, seen = find_references([file], rows)
    swapped = rows.rename(columns={"effect_allele": "other_allele", "other_allele": "effect_allele"})
    other, _ = find_references([file], swapped)
    assert seen.all()
    # of a deletion the sequence begins as either allele does
    expected = np.where((np.arange(M) == 12) & kind.startswith("fa"), 3, 1)
    assert found.tolist() == expected.tolist()
    assert other.tolist() == np.where(expected == 3, 3, 2).tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"genome.{kind}"], "nothing is written beside it"


def test_pieces_of_a_file_may_end_anywhere(tmp_path, genome, monkeypatch):
    path = tmp_path / "x.fa"
    path.write_text(fasta(genome))
    for size in (1, 7, 61, 1000):
        monkeypatch.setattr("deepnull_gwas.genotypes.vcf_rows.READ_BYTES", size)
        read = dict(read_sequences(path))
        assert {name: bytes(s).decode() for name, s in read.items()} == genome | {"chr2_alt": ""}


def test_what_cannot_be_compared(tmp_path, genome, rows):
    file = write(tmp_path, "fa", genome | {"chr1": "N" * 60 + genome["chr1"][60:]}, rows)
    rows = rows.assign(position=np.where(rows.index == 30, 5000, rows["position"]))
    rows.loc[31, "effect_allele"] = "<DEL>"
    rows.loc[32, ["chromosome", "position"]] = ["9", 50]
    rows.loc[59, "chromosome"] = "XY"
    found, seen = find_references([file], rows)
    assert np.flatnonzero(~seen).tolist() == [0, 30, 31, 32]
    assert (found[~seen] == 0).all() and found[59] == 1


def cohort_of(small, rows, kind: str, reference: str = "first") -> tuple[str, dict]:
    """Write the small cohort's genotypes; returns their name and settings."""
    rng = np.random.default_rng(2)
    dosages = rng.integers(0, 2 * 16384, (len(rows), small.people)) * UNIT
    who = pd.DataFrame({"fid": small.fids, "iid": small.iids, "sex": 1})
    if kind == "bgen":
        return write_bgen(small.folder / "x.bgen", dosages, rows, who, "first"), {"bgen_reference": reference}
    if kind == "pgen":
        return write_pgen(small.folder / "x", dosages, rows, who), {}
    bim = rows[["chromosome", "id", "position", "position", "effect_allele", "other_allele"]]
    fam = who.assign(x=0, y=0, p=-9)[["fid", "iid", "x", "y", "sex", "p"]]
    write_bed(small.folder / "x", np.round(dosages).astype(np.int8), bim.set_axis(list("cimpab"), axis=1), fam)
    return str(small.folder / "x"), {}


def indexed(small, rows, kind: str, files: list[str], reference: str = "first") -> dict:
    name, settings = cohort_of(small, rows, kind, reference)
    small.index([name], reference=files, **settings)
    return json.loads((small.out / "genotypes.json").read_text())


def test_the_wrong_word_is_an_error(small, genome, rows):
    """As with chr-prefixed names, soft-masked bases and indels among the variants."""
    file = write(small.folder, "fa", genome, rows)
    with pytest.raises(InputError) as error:
        indexed(small, rows, "bgen", [file], "last")
    assert re.search(
        rf"x.bgen: at 59 of 59 variants the effect allele is the reference's, by {re.escape(file)} \(reference\); "
        r"for instance 1:50 rs0, effect allele \w, other allele \w.*bgen_reference: last is the wrong word: "
        "set bgen_reference: first",
        str(error.value),
    )
    assert not small.written() or not (small.out / "genotypes.json").exists()
    index = indexed(small, rows, "bgen", [file], "first")
    assert index["other_is_reference"] == [True]
    assert index["reference"] == {
        "files": [file], "other": 59, "effect": 0, "either": 1, "neither": 0, "not_compared": 0
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["bed", "pgen", "bgen"])
def test_one_variant_of_other_order_is_enough_to_claim_nothing(small, genome, rows, kind, caplog):
    file = write(small.folder, "fa", genome, rows)
    assert indexed(small, rows, kind, [file])["other_is_reference"] == [True]
    rows.loc[5, ["effect_allele", "other_allele"]] = rows.loc[5, ["other_allele", "effect_allele"]].tolist()
    caplog.clear()
    assert indexed(small, rows, kind, [file])["other_is_reference"] == [False]
    warned = [r.message for r in caplog.records if r.levelno == logging.WARNING and "reference" in r.message]
    if kind == "bed":
        assert not warned, "its A2 need not be the reference"
    else:
        assert "at 1 of 59 variants the effect allele is the reference's" in warned[0]
        assert "1:300 rs5" in warned[0] and "ref_allele stays empty" in warned[0]
        assert ("--ref-from-fa" in warned[0]) == (kind == "pgen")


def test_without_it_nothing_is_known_of_a_bed(small, rows):
    assert indexed(small, rows, "bed", [])["other_is_reference"] == [False]


def test_a_part_of_the_genome_proves_nothing_of_the_rest_of_a_bed(small, genome, rows, caplog):
    file = write(small.folder, "fa", {"chr1": genome["chr1"]}, rows)
    assert indexed(small, rows, "bed", [file])["other_is_reference"] == [False]
    assert "less than half of the variants on chromosome X could be compared" in caplog.text
    # a .pgen says so itself
    assert indexed(small, rows, "pgen", [file])["other_is_reference"] == [True]


def test_few_variants_prove_nothing_of_a_bed(small, genome, rows, caplog):
    file = write(small.folder, "pvar", genome, rows[:10])
    assert indexed(small, rows, "bed", [file])["other_is_reference"] == [False]
    assert "10 variants are too few to tell" in caplog.text


def test_another_genome_build_is_an_error(small, genome, rows):
    shifted = {name: s[37:] for name, s in genome.items()}
    with pytest.raises(
        InputError, match=r"of 5\d variants of .*x.pgen neither allele is that of the reference .*GRCh38"
    ):
        indexed(small, rows, "pgen", [write(small.folder, "fa", shifted, rows)])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.fa", "", "r.fa: empty"),
        ("r.fa", "ACGT\nAC", "r.fa: not a FASTA: it begins with 'ACGT', expected '>' and a name"),
        ("r.fa", ">contig_7\nACGT\n", "none of its sequences is a chromosome; found contig_7, expected 1-22"),
        ("r.fa", ">chr5\nACGT\n", "none of the 60 variants of .* can be compared with it; give the sequences"),
        ("r.pvar", "#CHROM\tPOS\tID\tALT\n", "names no column REF"),
        ("r.pvar", '##INFO=<ID=PR,x>\n#CHROM\tPOS\tID\tREF\tALT\tINFO\n', "its reference alleles may be guesses"),
        ("r.pvar", "1\trs\t5\tA\tG\n", "its reference alleles may be guesses"),
        ("r.vcf", "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n", "r.vcf: lists no variants"),
        ("r.vcf.gz", "no gzip", "r.vcf.gz: .*damaged"),
        ("r.fa.gz", "\x1f\x8b\x08", "r.fa.gz: .*(truncated or damaged|empty)"),
    ],
)  # fmt: skip
def test_bad_files_give_one_message(small, rows, name, text, said):
    (small.folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        indexed(small, rows, "pgen", [str(small.folder / name)])
    assert not (small.out / "genotypes.json").exists()

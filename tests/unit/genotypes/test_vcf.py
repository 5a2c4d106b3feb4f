"""Import of VCF and BCF: each field of FORMAT, haploid people, rows with several alternative alleles, and what is
refused."""

from __future__ import annotations

import gzip

import numpy as np
import pysam
import pysam.bcftools
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.genotypes.vcf import import_vcf

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")

FORMATS = {
    "GT": ("1", "String"), "DS": ("A", "Float"), "HDS": (".", "Float"), "GP": ("G", "Float"), "DP": ("1", "Integer"),
}  # fmt: skip


def vcf(rows, people=("a", "b", "c"), fields=FORMATS, contigs=("1", "X", "chr2")):
    head = ["##fileformat=VCFv4.3", *(f"##contig=<ID={c}>" for c in contigs)]
    head += [f'##FORMAT=<ID={f},Number={FORMATS[f][0]},Type={FORMATS[f][1]},Description="">' for f in fields]
    head.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]))
    return "\n".join([*head, *rows]) + "\n"


def row(form, *cells, chromosome="1", position=7, alternative="A", name="rs1"):
    return "\t".join([chromosome, str(position), name, "G", alternative, ".", "PASS", ".", form, *cells])


def dosages(tmp_path, text, field, **options):
    (tmp_path / "x.vcf").write_text(text)
    import_vcf(tmp_path / "x.vcf", tmp_path / "x", field, **options)
    reader, pvar, people = open_pgen(tmp_path / "x")
    found = reader.dosages(np.arange(reader.n_variants)).to_float()
    return found, pvar.variants, people


@pytest.mark.parametrize(
    ("field", "form", "cells", "want"),
    [
        ("GT", "GT", ("0/0", "0|1", "1/1"), (0, 1, 2)),
        ("GT", "GT:DS", ("0:.3", "1:.3", "."), (0, 2, None)),
        ("GT", "GT", ("./1", "./.", "1|."), (None, None, None)),
        ("DS", "GT:DS", ("0/0:0.25", "0/1:1", "1/1:2"), (0.25, 1, 2)),
        ("DS", "DS", ("0.5", "1.5e0", "."), (0.5, 1.5, None)),
        ("DS", "GT:DS", ("0:0.25", "1:1", "0/1:."), (0.5, 2, 1)),
        ("DS", "GT:DP:DS", ("0/1:3:0.75", "0/1:3", "0/1"), (0.75, 1, 1)),
        ("DS", "GT:DS", ("0/1:2.01", "0/0:1E-2", "./.:5e-1"), (2, 0.01, 0.5)),
        ("HDS", "GT:HDS", ("0|1:0.25,0.5", "1:0.25", "0|0:."), (0.75, 0.5, 0)),
        ("HDS", "HDS", ("1,1", "0,0.001", ".,."), (2, 0.001, None)),
        ("GP", "GT:GP", ("0/0:0.5,0.25,0.25", "1:0.25,0.75", "0/0:0,0,1"), (0.75, 1.5, 2)),
        ("GP", "GP", ("0.333,0.333,0.333", "1,0,0", "."), (1, 0, None)),
    ],
)
def test_fields(tmp_path, field, form, cells, want):
    found, variants, people = dosages(tmp_path, vcf([row(form, *cells)]), field)
    want = np.array([np.nan if w is None else w for w in want])
    np.testing.assert_allclose(found, [want], atol=0.5001 / 16384)
    assert variants.to_numpy().tolist() == [["1", 7, "rs1", "A", "G"]]
    assert people.to_numpy().tolist() == [["0", "a", 0], ["0", "b", 0], ["0", "c", 0]]


def test_decimals_are_rounded_to_the_nearest(tmp_path):
    numbers = np.round(np.random.default_rng(0).random((4, 500)) * 2, 3)
    people = [f"p{i}" for i in range(500)]
    text = vcf([row("DS", *(f"{x:.3f}" for x in line), position=i + 1) for i, line in enumerate(numbers)], people)
    found, _, _ = dosages(tmp_path, text, "DS")
    assert np.array_equal(found, np.floor(numbers * 16384 + 0.5) / 16384)


@pytest.mark.parametrize("kind", ["vcf", "crlf", "bgzip", "gzip", "bcf"])
def test_forms_of_the_file(tmp_path, kind):
    rng = np.random.default_rng(0)
    cells = [[f"{g}:{d:.3f}" for g, d in zip(["0/0", "0|1", "1/1"], rng.random(3))] for _ in range(50)]
    text = vcf([row("GT:DS", *c, position=i + 1, chromosome="12X"[i // 25 * 2]) for i, c in enumerate(cells)])
    want, variants, _ = dosages(tmp_path, text, "DS")
    path = tmp_path / "y"
    match kind:
        case "crlf":
            path.write_text(text, newline="\r\n")
        case "bgzip":
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(text.encode())
        case "gzip":
            path.write_bytes(gzip.compress(text.encode()))
        case "bcf":
            with (
                pysam.VariantFile(str(tmp_path / "x.vcf")) as source,
                pysam.VariantFile(str(path), "wb", header=source.header) as file,
            ):
                for record in source:
                    file.write(record)
        case _:
            path.write_text(text)
    done = import_vcf(path, tmp_path / "y", "DS")
    reader, pvar, _ = open_pgen(tmp_path / "y")
    assert (done.people, done.variants) == (3, 50)
    assert pvar.variants.equals(variants)
    assert np.array_equal(reader.dosages(np.arange(50)).to_float(), want)


def test_a_small_buffer_changes_nothing(tmp_path, monkeypatch):
    text = vcf([row("DS", "0.1", "1", ".", position=i + 1) for i in range(30)])
    want, _, _ = dosages(tmp_path, text, "DS")
    monkeypatch.setattr("deepnull_gwas.genotypes.vcf_rows.READ_BYTES", 17)
    assert np.array_equal(dosages(tmp_path, text, "DS")[0], want, equal_nan=True)


def test_several_alternative_alleles(tmp_path):
    text = vcf(
        [row("GT:DS", "0/1:0.9,0.1", "1/2:1,1", "2|2:0,2", alternative="A,C"), row("GT:DS", "0/1:1", "0/0:0", "1/1:2")]
    )
    with pytest.raises(InputError, match=r"line 11 \(1 7 rs1 G A,C\) has 2 alternative alleles; set vcf_multiallelic"):
        dosages(tmp_path, text, "DS")
    want = [[0.9, 1, 0], [0.1, 1, 2], [1, 0, 2]]
    found, variants, _ = dosages(tmp_path, text, "DS", multiallelic="split")
    np.testing.assert_allclose(found, want, atol=0.5001 / 16384)
    assert variants["effect_allele"].tolist() == ["A", "C", "A"]
    found, _, _ = dosages(tmp_path, text, "GT", multiallelic="split")
    assert found.tolist() == [[1, 1, 0], [0, 1, 2], [1, 0, 2]]
    with pytest.raises(InputError, match="2 alternative alleles; HDS is defined for one only"):
        dosages(tmp_path, vcf([row("HDS", "1,0", "1,0", "1,0", alternative="A,C")]), "HDS", multiallelic="split")


def test_probabilities_of_several_alternative_alleles(tmp_path):
    """Genotypes are ordered 0/0 0/1 1/1 0/2 1/2 2/2 (VCF 4.3, 1.6.2); a haploid person has one of each allele."""
    cells = ("0.1,0.2,0.05,0.3,0.25,0.1", "0.5,0.2,0.3", "0,0,0,0,0,1")
    found, variants, _ = dosages(tmp_path, vcf([row("GP", *cells, alternative="A,C")]), "GP", multiallelic="split")
    np.testing.assert_allclose(found, [[0.55, 0.4, 0], [0.75, 0.6, 2]], atol=0.5001 / 16384)
    assert variants[["effect_allele", "other_allele"]].values.tolist() == [["A", "G"], ["C", "G"]]
    for wrong in ("1,0,0,0", "1,0", "0.5,0.2,0.05,0.3,0.25,0.1", "-0.1,0.2,0.05,0.3,0.25,0.3"):
        with pytest.raises(InputError, match=r"GP of person 'a' (has another number|is not between)"):
            dosages(tmp_path, vcf([row("GP", wrong, "1,0,0", ".", alternative="A,C")]), "GP", multiallelic="split")


@pytest.mark.parametrize("field", ["GT", "DS", "GP"])
def test_split_rows_are_those_of_bcftools(tmp_path, field):
    """As `bcftools norm -m -any` (pysam brings it along) does for GT and DS; GP where genotypes are certain."""
    rng = np.random.default_rng(8)
    copies = rng.integers(0, 3, (20, 3, 2))
    rows, want = [], []
    for v, pairs in enumerate(copies):
        genotypes = [tuple(sorted(pair)) for pair in pairs]
        places = [k * (k + 1) // 2 + j for j, k in genotypes]
        cells = {
            "GT": [f"{j}/{k}" for j, k in genotypes],
            "DS": [",".join(str(pair.count(a)) for a in (1, 2)) for pair in genotypes],
            "GP": [",".join(str(int(g == place)) for g in range(6)) for place in places],
        }[field]
        rows.append(row(field, *cells, alternative="A,C", position=v + 1))
        want += [[pair.count(a) for pair in genotypes] for a in (1, 2)]
    found, variants, _ = dosages(tmp_path, vcf(rows, fields=[field]), field, multiallelic="split")
    assert found.tolist() == want
    assert variants["position"].tolist() == np.repeat(np.arange(20) + 1, 2).tolist()
    if field != "GP":  # of which bcftools drops the genotypes 1/2
        theirs, also, _ = dosages(tmp_path, pysam.bcftools.norm("-m", "-any", str(tmp_path / "x.vcf")), field)
        assert np.array_equal(theirs, found)
        assert also.equals(variants)


def test_what_is_left_out_and_stood_in_for_is_said(tmp_path, caplog):
    rows = [
        row("GT:DS", "0/0:.1", "0/1:1", "1/1:2"),
        row("GT", "0/1", "0/1", "1/1"),
        row("DS", "1", "1", "1", chromosome="chrUn_1"),
    ]
    found, _, _ = dosages(tmp_path, vcf(rows), "DS")
    np.testing.assert_allclose(found, [[0.1, 1, 2], [1, 1, 2]], atol=0.5001 / 16384)
    assert "1 rows on unknown chromosomes are left out: chrUn_1 (1)" in caplog.text
    assert "1 rows have no DS; their GT is taken" in caplog.text


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (vcf([row("GT", "0/0", "0/0", "0/0")], fields=("GT",)), "DS", "does not declare; it has GT"),
        (vcf([row("GT", "0/0", "0/0", "0/0")]), "DS", r"line 11 \(the first\) has no DS; its FORMAT is GT"),
        (vcf([row("DP", "1", "1", "1")]), "DS", "has neither DS nor, in the first place, GT; its FORMAT is DP"),
        (vcf([row("DP:GT", "1:0/0", "1:0/0", "1:0/0")]), "GT", "in the first place, GT"),
        (vcf([row("DS", "1", "1", "1")]), "XX", "expected one of GT, DS, HDS, GP"),
        (vcf([row("DS", "1", "x", "1")]), "DS", r"line 11 \(1 7 rs1 G A\): DS of person 'b' is no number: 'x'"),
        (vcf([row("DS", "1", "1", "1e99")]), "DS", "person 'c' is no number"),
        (vcf([row("DS", "1", "2.5", "1")]), "DS", r"person 'b' is not between .*: '2\.5'"),
        (vcf([row("DS", "1", "-0.5", "1")]), "DS", "person 'b' is not between"),
        (vcf([row("GT:DS", "0:1.5", "0:1", "0:1")]), "DS", "person 'a' is not between"),
        (vcf([row("DS", "1", "1,1", "1")]), "DS", "person 'b' has another number of values"),
        (vcf([row("DS", "1", "1,1,1,1,1,1,1", "1")]), "DS", "person 'b' has another number of values"),
        (vcf([row("HDS", "1", "1,1,0", "1")]), "HDS", "person 'b' has another number of values"),
        (vcf([row("HDS", "1", "1.5,0", "1")]), "HDS", "person 'b' is not between"),
        (vcf([row("GP", "30,0,20", "0,30,20", "1,0,0")]), "GP", "person 'a' is not between .*not Phred-scaled"),
        (vcf([row("GP", "1", "1,0,0", "1,0,0")]), "GP", "person 'a' has another number of values"),
        (vcf([row("GT", "0/0/0", "0/0", "0/0")]), "GT", "person 'a' is no genotype of a haploid or diploid person"),
        (vcf([row("GT", "0/x", "0/0", "0/0")]), "GT", "person 'a' is no genotype"),
        (vcf([row("GT", "/0", "0/0", "0/0")]), "GT", "person 'a' is no genotype"),
        (vcf([row("DS", "1", "1")]), "DS", "has 2 columns of people, expected 3"),
        (vcf([row("DS", "1", "1", "1", "1")]), "DS", "has more columns of people, expected 3"),
        (vcf([row("DS", "1", "1", "1", position="x")]), "DS", "has the position 'x'"),
        (vcf(["1\t2\t3"]), "DS", "line 11 has 3 columns"),
        (
            vcf([row("DS", "1", "1", "1"), row("DS", "1", "1", "1", chromosome="chr2")]),
            "DS",
            r"'1' \(line 11\) and 'chr2' \(line 12\)",
        ),
        (vcf([row("DS", "1", "1", "1", chromosome="GL1")]), "DS", "has no variants on known chromosomes"),
        (vcf([]), "DS", "has no variants on known chromosomes"),
        (vcf([row("DS", "1", "1", "1")])[:-1], "DS", "line 11 has no end"),
        (vcf([row("DS", "1", "1")], people=("a", "a")), "DS", "more than once"),
        ("", "DS", "empty"),
        ("a\tb\n", "DS", "not a VCF"),
        ("##fileformat=VCFv4.2\n", "DS", "has no names of columns"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\n", "DS", "line 2 names the columns #CHROM POS"),
    ],
)
def test_refused(tmp_path, text, field, words):
    with pytest.raises(InputError, match=words) as error:
        dosages(tmp_path, text, field)
    assert str(error.value).startswith(str(tmp_path / "x.vcf"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.vcf"], "nothing is left"


@pytest.mark.parametrize("kind", ["bgzip", "bcf"])
def test_truncated(tmp_path, kind):
    rng = np.random.default_rng(0)
    people = [f"p{i}" for i in range(300)]
    text = vcf([row("DS", *(f"{x:.4f}" for x in rng.random(300)), position=i + 1) for i in range(100)], people)
    path = tmp_path / "y"
    if kind == "bgzip":
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text.encode())
    else:
        (tmp_path / "x.vcf").write_text(text)
        with (
            pysam.VariantFile(str(tmp_path / "x.vcf")) as source,
            pysam.VariantFile(str(path), "wb", header=source.header) as file,
        ):
            for record in source:
                file.write(record)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="truncated") as error:
        import_vcf(path, tmp_path / "y", "DS")
    assert str(path) in str(error.value)
    assert not (tmp_path / "y.pgen").exists()


def test_values_stay_within_the_range_of_dosages(tmp_path):
    found, _, _ = dosages(tmp_path, vcf([row("DS", "2.01", "2.004", "0")]), "DS")
    assert found.tolist() == [[2, 2, 0]]
    assert MISSING == 65535

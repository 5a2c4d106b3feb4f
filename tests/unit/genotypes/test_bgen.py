"""BGEN: what is written is what is read, in every form that the format has."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bgen_files import BgenFile, Variant, random_variant
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import bgen, bgen_index
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.bgen_header import read_bgen_header
from deepnull_gwas.genotypes.dosage import CALLED, EXACT, MISSING, SQUARES, TOTAL, VARIANCE, sum_dosages

pytest.importorskip("deflate", reason="the package deflate is not installed")


def opened(path, reference="last", **options):
    return bgen.open_bgen(path, reference, path.with_suffix(".index.parquet"), **options)


def make(tmp_path, n=37, m=5, seed=0, compression="zlib", **options):
    rng = np.random.default_rng(seed)
    variants = [
        random_variant(rng, n, rsid=f"rs{i}", position=100 + i, alleles=("A", "GT"), **options) for i in range(m)
    ]
    path = BgenFile(variants, compression, [f"p{i}" for i in range(n)]).write(tmp_path / "x.bgen")
    return variants, path


@pytest.mark.parametrize("phased", [False, True])
@pytest.mark.parametrize("bits", [1, 3, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32])
@pytest.mark.parametrize("haploid", [0.0, 0.4, 1.0])
def test_dosages_and_variances_are_those_planted(tmp_path, phased, bits, haploid):
    compression = ["none", "zlib", "zstd"][bits % 3]
    variants, path = make(tmp_path, compression=compression, phased=phased, bits=bits, haploid=haploid)
    rng = np.random.default_rng(1)
    masks = rng.random((3, 37)) < 0.7
    for reference in ("first", "last"):
        found = opened(path, reference).dosages(np.arange(5), masks=masks)
        for v, planted in enumerate(variants):
            want = planted.first_allele_dosages()
            want = 2 - want if reference == "first" else want
            got = found.to_float()[v]
            assert np.array_equal(np.isnan(got), np.isnan(want))
            within = 1e-12 if bits <= 15 else 0.500001 / 16384 if bits == 16 else 1.1 / 16384
            assert np.nanmax(np.abs(got - want), initial=0) <= within
            assert found.denominator[v] == (2**bits - 1 if bits < 16 else 16384)
            assert found.variance_denominator[v] == (2 ** min(bits, 16) - 1) ** 2
            for m, mask in enumerate(masks):
                sums, use = found.sums[v, m], mask & ~np.isnan(want)
                assert sums[CALLED] == use.sum()
                assert sums[TOTAL] == found.values[v][use].astype(int).sum()
                assert sums[SQUARES] == (found.values[v][use].astype(int) ** 2).sum()
                top = np.sqrt(found.variance_denominator[v])
                assert sums[EXACT] / top == pytest.approx(want[use].sum(), abs=1e-9 if bits <= 16 else 1e-3)
                exact = planted.variances()[use].sum()
                near = 1e-9 if bits <= 16 else 3e-4
                assert sums[VARIANCE] / found.variance_denominator[v] == pytest.approx(exact, abs=near)


def test_the_other_allele_counts_when_the_reference_is_the_other(tmp_path):
    people = [(255, 0), (0, 255), (0, 0), None]  # AA, AB, BB, missing
    path = BgenFile([Variant(people, alleles=("A", "G"))]).write(tmp_path / "x.bgen")
    first, last = opened(path, "first"), opened(path, "last")
    assert first.dosages([0]).values.tolist() == [[0, 255, 510, MISSING]]
    assert last.dosages([0]).values.tolist() == [[510, 255, 0, MISSING]]
    assert first.variants()[["effect_allele", "other_allele"]].to_numpy().tolist() == [["G", "A"]]
    assert last.variants()[["effect_allele", "other_allele"]].to_numpy().tolist() == [["A", "G"]]
    assert first.calls([0]).tolist() == [[0b01_00_10_11]]
    assert last.calls([0]).tolist() == [[0b01_11_10_00]]


def test_hard_calls_have_the_codes_of_a_bed(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(3)
    counts = rng.integers(-1, 3, (4, 23)).astype(np.int8)
    probabilities = {2: (255, 0), 1: (0, 255), 0: (0, 0), -1: None}
    path = BgenFile([Variant([probabilities[c] for c in row]) for row in counts.tolist()]).write(tmp_path / "x.bgen")
    bim = pd.DataFrame({"c": 1, "i": [f"v{i}" for i in range(4)], "cm": 0, "p": 1, "a": "A", "b": "G"})
    fam = pd.DataFrame({"f": range(23), "i": range(23), "x": 0, "y": 0, "s": 0, "p": -9})
    write_bed(tmp_path / "x", counts, bim, fam)
    packed = np.frombuffer((tmp_path / "x.bed").read_bytes()[3:], np.uint8).reshape(4, -1)
    assert np.array_equal(opened(path).calls(np.arange(4)), packed)


@pytest.mark.parametrize(
    ("numerators", "code"),
    [
        ((0, 25), 3),
        ((0, 26), 1),
        ((0, 230), 2),
        ((0, 229), 1),
        ((25, 230), 2),
        ((26, 229), 1),
        ((230, 25), 0),
        ((229, 26), 1),
    ],
)
def test_the_threshold_of_hard_calls(tmp_path, numerators, code):
    path = BgenFile([Variant([numerators])]).write(tmp_path / "x.bgen")
    dosage = (2 * numerators[0] + numerators[1]) / 255
    near = abs(dosage - round(dosage)) <= 0.1
    assert near == (code != 1)
    assert opened(path).calls([0]).tolist() == [[code]]


def test_any_order_of_threads_and_blocks_gives_the_same(tmp_path, monkeypatch):
    _, path = make(tmp_path, n=101, m=40, compression="zstd")
    monkeypatch.setattr(bgen, "READ_BYTES", 1000)
    reader = opened(path)
    whole = reader.dosages(np.arange(40)).values
    some = np.array([0, 1, 2, 5, 9, 10, 11, 39])
    assert np.array_equal(reader.dosages(some).values, whole[some])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: reader.dosages(np.arange(i, i + 4)).values, list(range(0, 40, 4)) * 5))
    assert np.array_equal(np.concatenate(parts), np.tile(whole, (5, 1)))


def test_sums_of_a_tile_are_those_of_the_reader(tmp_path):
    _, path = make(tmp_path, n=64)
    masks = np.random.default_rng(0).random((2, 64)) < 0.5
    found = opened(path).dosages(np.arange(5), masks=masks)
    assert np.array_equal(sum_dosages(found.values, masks)[..., :3], found.sums[..., :3])
    assert np.array_equal(found.sums[..., TOTAL], found.sums[..., EXACT])


def test_index_of_variants_from_the_file(tmp_path):
    variants = [
        Variant([(0, 0)], rsid="rs1", identifier="id1", chromosome="chr1", position=7, alleles=("A", "C" * 5000)),
        Variant([(0, 0)], rsid="", identifier="id2", chromosome="01", position=9, alleles=("G", "T")),
        Variant([(0, 0)], rsid="", identifier="", chromosome="X", position=1, alleles=("g", "")),
    ]
    path = BgenFile(variants, "none", ["p"], free=b"free text").write(tmp_path / "x.bgen")
    header = read_bgen_header(path)
    assert header.identifiers == ("p",)
    index = bgen_index.scan_variants(header)
    assert index.id.tolist() == ["rs1", "id2", "."]
    frame = opened(path, "first").variants()
    assert frame["chromosome"].tolist() == ["1", "1", "X"]
    assert frame["effect_allele"].tolist() == ["C" * 5000, "T", "0"]
    assert (tmp_path / "x.index.parquet").is_file()


def test_the_stored_index_is_used_and_renewed(tmp_path, monkeypatch):
    _, path = make(tmp_path)
    opened(path)
    with monkeypatch.context() as patch:
        patch.setattr(bgen_index, "scan_variants", None)
        assert opened(path).index.id.tolist() == [f"rs{i}" for i in range(5)]
    make(tmp_path, m=3)
    assert opened(path).index.id.tolist() == ["rs0", "rs1", "rs2"]


def write_bgi(path, header, index, **changes):
    """Write what bgenix writes."""
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE Variant (chromosome TEXT NOT NULL, position INT NOT NULL, rsid TEXT NOT NULL, "
            "number_of_alleles INT NOT NULL, allele1 TEXT NOT NULL, allele2 TEXT NULL, file_start_position INT NOT "
            "NULL, size_in_bytes INT NOT NULL, PRIMARY KEY (chromosome, position, rsid, allele1, allele2, "
            "file_start_position)) WITHOUT ROWID"
        )
        db.execute(
            "CREATE TABLE Metadata (filename TEXT NOT NULL, file_size INT NOT NULL, last_write_time INT NOT NULL, "
            "first_1000_bytes BLOB NOT NULL, index_creation_time INT NOT NULL)"
        )
        head = Path(header.path).read_bytes()[:1000]
        db.execute(
            "INSERT INTO Metadata VALUES (?, ?, 0, ?, 0)",
            (header.path, changes.get("file_size", header.size), changes.get("head", head)),
        )
        rows = zip(*(getattr(index, c).tolist() for c in ("chromosome", "position", "id")))
        ends = zip(*(getattr(index, c).tolist() for c in ("first_allele", "second_allele", "start", "size")))
        for (c, p, i), (a, b, s, z) in list(zip(rows, ends))[: changes.get("rows", len(index.id))]:
            start = s + changes.get("shift", 0)
            db.execute(
                "INSERT INTO Variant VALUES (?,?,?,?,?,?,?,?)", (c, p, i, changes.get("alleles", 2), a, b, start, z)
            )
    db.close()


def test_bgi(tmp_path):
    _, path = make(tmp_path)
    header = read_bgen_header(path)
    scanned = bgen_index.scan_variants(header)
    bgi = tmp_path / "x.bgen.bgi"
    write_bgi(bgi, header, scanned)
    before = sorted(p.name for p in tmp_path.iterdir()), bgi.read_bytes()
    read = bgen_index.read_bgi(bgi, header)
    for column in bgen_index.INDEX:
        assert np.array_equal(getattr(read, column.name), getattr(scanned, column.name)), column.name
    assert (sorted(p.name for p in tmp_path.iterdir()), bgi.read_bytes()) == before
    assert np.array_equal(
        opened(path).dosages([3]).values, bgen.BgenReader(header, scanned, "last").dosages([3]).values
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file_size": 17}, "of a file of 17 bytes"),
        ({"head": b"other"}, "begins otherwise"),
        ({"rows": 3}, "lists 3 variants"),
        ({"shift": -30}, "where the one before ends"),
        ({"shift": 10_000_000}, "is said to take"),
        ({"alleles": 3}, r"rs0 \(3 alleles\)"),
    ],
)
def test_bgi_of_another_file(tmp_path, changes, words):
    _, path = make(tmp_path)
    header = read_bgen_header(path)
    write_bgi(tmp_path / "x.bgen.bgi", header, bgen_index.scan_variants(header), **changes)
    with pytest.raises(InputError, match=words):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 500, b"text"])
def test_bgi_that_is_none(tmp_path, content):
    _, path = make(tmp_path)
    (tmp_path / "x.bgen.bgi").write_bytes(content)
    with pytest.raises(InputError, match="not an index by bgenix"):
        opened(path)


def test_bgi_with_a_view_in_place_of_the_table(tmp_path):
    _, path = make(tmp_path)
    with sqlite3.connect(tmp_path / "x.bgen.bgi") as db:
        db.execute(
            "CREATE VIEW Variant AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT '1' "
            "chromosome, n position, 'a' rsid, 2 number_of_alleles, 'A' allele1, 'C' allele2, n file_start_position, "
            "n size_in_bytes FROM t"
        )
    db.close()
    with pytest.raises(InputError, match="no table 'Variant'"):
        opened(path)


@pytest.mark.parametrize("reference", ["", "ref-first", None, "FIRST"])
def test_the_reference_has_to_be_named(tmp_path, reference):
    _, path = make(tmp_path)
    with pytest.raises(InputError, match="expected 'first' or 'last'"):
        opened(path, reference)


def test_three_alleles_are_refused_by_name(tmp_path):
    variants = [
        Variant([(0, 0)], rsid="rs1"),
        Variant([(0, 0, 0, 0, 0)], rsid="rs2", alleles=("A", "C", "T")),
    ]
    path = BgenFile(variants, "none").write(tmp_path / "x.bgen")
    with pytest.raises(InputError, match=r"1 variants have not two alleles: rs2 \(3 alleles\)"):
        opened(path)


def test_wrong_variants_are_all_named_at_once(tmp_path):
    variants = [
        Variant([(0, 0)], chromosome="GL1"),
        Variant([(0, 0)], position=2**31),
        Variant([(0, 0)], alleles=("a", "A")),
    ]
    path = BgenFile(variants).write(tmp_path / "x.bgen")
    with pytest.raises(
        InputError, match=r"(?s)3 problems.*'GL1' \(variants 1\).*variants 2: 2147483648.*variants 3: a A"
    ):
        opened(path).variants()


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
def test_more_people_than_a_file_can_hold(tmp_path, compression):
    """Whoever believed the head would make room for them: four thousand million people in a file of a few bytes."""
    path = tmp_path / "x.bgen"
    file = BgenFile([Variant([(255, 0), (0, 255)], alleles=("A", "G"))], compression)
    for people in (7, 5_000, 0xFFFFFFF0):
        file.counts = 1, people
        path.write_bytes(file.data())
        with pytest.raises(InputError, match=rf"x\.bgen: the head says {people:,} people \(bytes 12 to 15\), but"):
            read_bgen_header(path)

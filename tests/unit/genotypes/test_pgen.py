"""PLINK 2 filesets: hard calls, dosages, phase, several alternative alleles, and tables that do not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import pgen as reading
from deepnull_gwas.genotypes.dosage import MISSING, from_floats, pack_counts
from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.genotypes.pgen_header import read_pgen_header
from deepnull_gwas.genotypes.pvar import read_pvar

pgenlib = pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")

HEADER = "#CHROM\tPOS\tID\tREF\tALT\n"


def write_tables(prefix, n, alternatives, header=HEADER, compress=False):
    text = header + "".join(f"1\t{100 + i}\trs{i}\tG\t{a}\n" for i, a in enumerate(alternatives))
    if compress:
        import zstandard

        prefix.with_suffix(".pvar.zst").write_bytes(zstandard.compress(text.encode()))
    else:
        prefix.with_suffix(".pvar").write_text(text)
    prefix.with_suffix(".psam").write_text("#IID\tSEX\n" + "".join(f"p{i}\t{i % 2 + 1}\n" for i in range(n)))


def writer(prefix, n, m, **options):
    return pgenlib.PgenWriter(str(prefix.with_suffix(".pgen")).encode(), n, variant_ct=m, nonref_flags=False, **options)


def write_calls(prefix, counts, **tables):
    with writer(prefix, counts.shape[1], len(counts)) as file:
        file.append_biallelic_batch(np.where(counts < 0, -9, counts).astype(np.int8))
    write_tables(prefix, counts.shape[1], ["A"] * len(counts), **tables)


def write_dosages(prefix, dosages):
    with writer(prefix, dosages.shape[1], len(dosages), dosage_present=True) as file:
        file.append_dosages_batch(dosages)
    write_tables(prefix, dosages.shape[1], ["A"] * len(dosages))


def unpack(packed, n):
    codes = np.stack([packed >> 2 * k & 3 for k in range(4)], axis=-1).reshape(len(packed), -1)
    assert not codes[:, n:].any(), "padding"
    return np.array([2, -1, 1, 0])[codes[:, :n]]


@pytest.mark.parametrize("n", [1, 4, 57, 130])
@pytest.mark.parametrize("compress", [False, True])
def test_hard_calls(tmp_path, n, compress):
    counts = np.random.default_rng(n).integers(-1, 3, (9, n)).astype(np.int8)
    write_calls(tmp_path / "x", counts, compress=compress)
    reader, pvar, people = open_pgen(tmp_path / "x.pgen")
    assert not reader.has_dosages
    index = np.array([0, 3, 4, 8])
    assert np.array_equal(unpack(reader.calls(index), n), counts[index])
    values = reader.dosages(np.arange(9)).values.astype(int)
    assert np.array_equal(np.where(values == MISSING, -1, values // 16384), counts)
    assert pvar.variants.iloc[2].tolist() == ["1", 102, "rs2", "A", "G"]
    assert people["iid"].tolist() == [f"p{i}" for i in range(n)]
    assert people["sex"].tolist() == [i % 2 + 1 for i in range(n)]


@pytest.mark.parametrize("missing", [-1, -9])
@pytest.mark.parametrize("n", [*range(1, 18), 1001])
def test_packing(n, missing):
    counts = np.random.default_rng(n).integers(-1, 3, (5, n)).astype(np.int8)
    packed = pack_counts(np.where(counts < 0, missing, counts).astype(np.int8))
    assert np.array_equal(unpack(packed, n), counts)


def test_dosages_are_exact(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "SCRATCH_BYTES", 3000)
    rng = np.random.default_rng(0)
    planted = rng.integers(0, 32769, (20, 101)).astype(np.int64)
    planted[rng.random(planted.shape) < 0.1] = MISSING
    write_dosages(tmp_path / "x", np.where(planted == MISSING, -9, planted / 16384).astype(np.float32))
    reader, _, _ = open_pgen(tmp_path / "x")
    assert reader.has_dosages
    masks = rng.random((2, 101)) < 0.6
    found = reader.dosages(np.arange(20), masks=masks)
    assert np.array_equal(found.values, planted)
    assert found.denominator.tolist() == [16384] * 20
    use = masks[1] & (planted != MISSING)
    assert np.array_equal(found.sums[:, 1, 0], use.sum(axis=1))
    assert np.array_equal(found.sums[:, 1, 1], (planted * use).sum(axis=1))
    assert np.array_equal(found.sums[:, 1, 2], (planted**2 * use).sum(axis=1))
    index = np.array([3, 1, 19])
    assert np.array_equal(reader.dosages(index).values, planted[index])
    near = np.abs(planted / 16384 - np.round(planted / 16384)) <= 0.1
    want = np.where((planted != MISSING) & near, np.round(planted / 16384), -1)
    assert np.array_equal(unpack(reader.calls(np.arange(20)), 101), want)


def test_every_numerator_survives():
    values = np.arange(32769)
    out = np.empty((1, 32769), dtype=np.uint16)
    assert from_floats((values / 16384).astype(np.float32)[None], out) == 2
    assert np.array_equal(out[0], values)
    assert from_floats(np.array([[2.5, 0]], dtype=np.float32), out[:, :2]) == 2.5
    assert from_floats(np.array([[-9, 0]], dtype=np.float32), out[:, :2]) == 0
    assert out[0, 0] == MISSING


def test_several_alternative_alleles_are_variants_of_their_own(tmp_path):
    codes = np.array([[0, 1, 2, 2, 3, 0, -9, -9], [0, 1, 1, 1, 0, 0, 1, 1], [1, 2, 0, 2, 2, 2, 0, 0]], dtype=np.int32)
    path = str(tmp_path / "x.pgen").encode()
    with pgenlib.PgenWriter(path, 4, variant_ct_limit=3, allele_ct_limit=4, nonref_flags=False) as file:
        for row, count in zip(codes, (4, 2, 3)):
            file.append_alleles(row, allele_ct=count)
    write_tables(tmp_path / "x", 4, ["A,C,T", "A", "A,C"])
    reader, pvar, _ = open_pgen(tmp_path / "x")
    assert reader.header.has_multiallelic
    assert pvar.variants["effect_allele"].tolist() == ["A", "C", "T", "A", "A", "C"]
    assert pvar.variants["id"].tolist() == ["rs0"] * 3 + ["rs1"] + ["rs2"] * 2
    assert pvar.row.tolist() == [0, 0, 0, 1, 2, 2]
    pairs = codes.reshape(3, 4, 2)
    want = np.array(
        [np.where(pairs[r, :, 0] < 0, -1, (pairs[r] == a).sum(axis=1)) for r, a in zip(pvar.row, pvar.allele)]
    )
    assert np.array_equal(unpack(reader.calls(np.arange(6)), 4), want)
    values = reader.dosages(np.arange(6)).values.astype(int)
    assert np.array_equal(np.where(values == MISSING, -1, values // 16384), want)
    assert np.array_equal(unpack(reader.calls(np.array([4, 0])), 4), want[[4, 0]])


def test_threads_have_readers_of_their_own(tmp_path):
    counts = np.random.default_rng(5).integers(-1, 3, (64, 33)).astype(np.int8)
    write_calls(tmp_path / "x", counts)
    reader, _, _ = open_pgen(tmp_path / "x")
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: unpack(reader.calls(np.arange(i, i + 4)), 33), list(range(0, 64, 4)) * 4))
    assert np.array_equal(np.concatenate(parts), np.tile(counts, (4, 1)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: d[:-1], "truncated or damaged"),
        (lambda d: d + b"x", "truncated or damaged"),
        (lambda d: d[:40], "truncated or damaged"),
        (lambda d: b"", "not a .pgen"),
        (lambda d: b"ab" + d[2:], "not a .pgen"),
        (lambda d: d[:2] + b"\x01" + d[3:], "PLINK 1 .bed"),
        (lambda d: d[:2] + b"\x20" + d[3:], "mode 0x20"),
        (lambda d: d[:3] + b"\0\0\0\0" + d[7:], "0 variants of 57 people"),
        (lambda d: d[:3] + b"\xff\xff\xff\x7f" + d[7:], "2,147,483,647 variants"),
        (lambda d: d[:3] + b"\xff\xff\xff\x0f" + d[7:], "truncated or damaged"),
        (lambda d: d[:12] + b"\x05" + d[13:], "the head ends at|truncated"),
    ],
)
def test_damaged_pgen(tmp_path, damage, words):
    write_calls(tmp_path / "x", np.random.default_rng(5).integers(-1, 3, (30, 57)).astype(np.int8))
    path = tmp_path / "x.pgen"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=words) as error:
        read_pgen_header(path)
    assert str(path) in str(error.value)


def test_tables_of_another_fileset(tmp_path):
    counts = np.zeros((5, 7), dtype=np.int8)
    write_calls(tmp_path / "x", counts)
    write_tables(tmp_path / "x", 7, ["A"] * 4)
    with pytest.raises(InputError, match=r"4 variants, but the \.pgen has 5"):
        open_pgen(tmp_path / "x")
    write_tables(tmp_path / "x", 7, ["A"] * 6)
    with pytest.raises(InputError, match="more than the 5 variants"):
        open_pgen(tmp_path / "x")
    write_tables(tmp_path / "x", 6, ["A"] * 5)
    with pytest.raises(InputError, match=r"6 people, but .*x\.pgen has 7"):
        open_pgen(tmp_path / "x")
    (tmp_path / "x.pvar").unlink()
    with pytest.raises(InputError, match=r"x.pvar: no such file"):
        open_pgen(tmp_path / "x")


@pytest.mark.parametrize("piece", [1 << 20, 7])
@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tG\t.\n", [["1", 5, ".", "0", "G"]]),
        ("##x\n#CHROM ID POS ALT REF\n1 a 5 C T\n1 b 6 G A\n", [["1", 5, "a", "C", "T"], ["1", 6, "b", "G", "A"]]),
        ("X rs1 0 7 C T\n", [["X", 7, "rs1", "C", "T"]]),
        ("X rs1 7 C T\n", [["X", 7, "rs1", "C", "T"]]),
        (
            '#CHROM\tPOS\tID\tREF\tALT\tINFO\n1\t5\t"q\tG\tA,C\tx="\n',
            [["1", 5, '"q', "A", "G"], ["1", 5, '"q', "C", "G"]],
        ),
        ("#CHROM\tPOS\tID\tREF\tALT\r\n1\t5\ta\tG\tA\r\n", [["1", 5, "a", "A", "G"]]),
    ],
)
def test_pvar(tmp_path, monkeypatch, text, variants, piece):
    monkeypatch.setattr("deepnull_gwas.genotypes.pvar.PIECE", piece)
    path = tmp_path / "x.pvar"
    path.write_text(text, newline="")
    assert read_pvar(path).variants.to_numpy().tolist() == variants


def test_guessed_references_are_flagged(tmp_path):
    path = tmp_path / "x.pvar"
    rows = "1\t5\ta\tG\tA\tPR\n1\t6\tb\tG\tA,C\t.\n1\t7\tc\tG\tA\tAF=1;PR\n1\t8\td\tG\tA\tPRX\n"
    path.write_text("##INFO=<ID=PR,Number=0,Type=Flag>\n#CHROM\tPOS\tID\tREF\tALT\tINFO\n" + rows)
    assert read_pvar(path).provisional.tolist() == [True, False, False, True, False]
    path.write_text("#CHROM\tPOS\tID\tREF\tALT\tINFO\n" + rows)
    assert not read_pvar(path).provisional.any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "row 1 has 0 fields"),
        (HEADER, "lists no variants"),
        ("#CHROM\tPOS\tID\tREF\n1\t5\ta\tG\n", "row 1 names no column ALT"),
        (HEADER + "1\t5\ta\tG\tA\n1\tx\ta\tG\tA\n", r"row 3 has .* no whole number for its position \(1 x a G A\)"),
        (HEADER + "1\t5\ta\tG\tA\n1\t6\ta\tG\n", "row 3 has fewer than 5 fields"),
        (HEADER + "1\t5\ta\tG\tA\n\n1\t6\ta\tG\tA\n", "row 3 has fewer|empty rows"),
        (HEADER + "1\t5\ta\tG\tA\n1\t6\t\0\tG\tA\n", "row 3 has a zero byte"),
        (HEADER + "1\t5\ta\tG\tA\nGL1\t6\tb\tG\tA,C\n", r"'GL1' \(rows 3, 3\)"),
        (HEADER + "1\t-5\ta\tG\tA\n", r"negative position \(rows 2\)"),
    ],
)
def test_pvar_refused(tmp_path, text, words):
    path = tmp_path / "x.pvar"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_pvar(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("damage", [lambda d: d[:-9], lambda d: b"x" + d, lambda d: d[:30] + b"\xff" * 9 + d[39:]])
def test_damaged_pvar_zst(tmp_path, damage):
    import zstandard

    rng = np.random.default_rng(0)
    text = HEADER + "".join(f"1\t{i + 1}\trs{rng.integers(10**9)}\tG\tA\n" for i in range(3000))
    path = tmp_path / "x.pvar.zst"
    path.write_bytes(damage(zstandard.compress(text.encode())))
    with pytest.raises(InputError, match=r"x.pvar.zst"):
        read_pvar(path, 3000)


def test_a_bomb_is_not_inflated(tmp_path):
    import zstandard

    path = tmp_path / "x.pvar.zst"
    path.write_bytes(zstandard.compress(HEADER.encode()) + zstandard.compress(b"1" * (1 << 28)))
    with pytest.raises(InputError, match="row 2 is longer than"):
        read_pvar(path, 10)

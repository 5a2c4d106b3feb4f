"""The one module that reads genotypes: known bytes to known dosages, and counts against plain numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes, write_bed
from deepnull_gwas.genotypes.bed_files import count_lines
from deepnull_gwas.genotypes.chromosomes import in_par, normalise
from deepnull_gwas.genotypes.kernels import count_genotypes, decode, pack_mask, select_people


def frames(n_variants: int, n_samples: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    bim = pd.DataFrame(
        {
            "c": "1",
            "id": [f"v{i}" for i in range(n_variants)],
            "cm": 0,
            "p": range(1, n_variants + 1),
            "a1": "A",
            "a2": "C",
        }
    )
    ids = [f"p{i}" for i in range(n_samples)]
    fam = pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": 1, "ph": -9})
    return bim, fam


def write(folder, genotypes, name="x"):
    bim, fam = frames(*genotypes.shape)
    write_bed(folder / name, genotypes, bim, fam)
    return folder / name


def test_known_bytes_to_known_dosages(tmp_path):
    # two bits per person from the lowest: 00 hom A1, 01 missing, 10 het, 11 hom A2; a fifth person in the second byte
    bim, fam = frames(1, 5)
    bim.to_csv(tmp_path / "x.bim", sep="\t", header=False, index=False)
    fam.to_csv(tmp_path / "x.fam", sep="\t", header=False, index=False)
    (tmp_path / "x.bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b11_10_01_00, 0b00_00_00_10]))
    packed = BedGenotypes([tmp_path / "x"]).calls_between(0, 1)
    np.testing.assert_array_equal(decode_int8(packed, 5), [[2, -1, 1, 0, 1]])
    np.testing.assert_array_equal(decode(packed, 5), np.array([[2, np.nan, 1, 0, 1]], dtype=np.float32))


@pytest.mark.parametrize("n", [1, 4, 5, 8, 31, 32, 37, 101])
def test_round_trip_and_counts(tmp_path, n):
    rng = np.random.default_rng(n)
    genotypes = rng.integers(-1, 3, (50, n)).astype(np.int8)
    prefix = write(tmp_path, genotypes)
    files = BedGenotypes([prefix, prefix])
    assert (files.n_variants, files.n_samples) == (100, n)
    np.testing.assert_array_equal(
        decode_int8(files.calls_between(40, 60), n), np.concatenate([genotypes[40:], genotypes[:10]])
    )
    np.testing.assert_array_equal(decode_int8(files.calls(np.array([3, 77, 51])), n), genotypes[[3, 27, 1]])
    for wanted in ([4, 3, 2], [5, 7, 6, 8], [9, 11, 10, 14], [51, 50, 49], [2]):
        taken = decode_int8(files.calls(np.array(wanted)), n)
        np.testing.assert_array_equal(taken, genotypes[np.array(wanted) % 50])
    mask = rng.random(n) < 0.6
    inside = genotypes[:, mask]
    expected = np.stack([(inside == k).sum(1) for k in (2, 1, 0, -1)], axis=1)
    np.testing.assert_array_equal(count_genotypes(files.calls_between(0, 50), pack_mask(mask)), expected)
    wanted = rng.permutation(n)[: n // 2 + 1]
    words = select_people(files.calls_between(0, 50), wanted, (len(wanted) + 63) // 64)
    np.testing.assert_array_equal(decode_int8(words.view(np.uint8), len(wanted)), genotypes[:, wanted])


def test_blocks_never_cross_files(tmp_path):
    genotypes = np.zeros((7, 3), dtype=np.int8)
    files = BedGenotypes([write(tmp_path, genotypes, "a"), write(tmp_path, genotypes, "b")])
    assert [(a, b) for a, b, _ in files.blocks(2, 13, 4)] == [(2, 6), (6, 7), (7, 11), (11, 13)]


def test_packed_is_a_view_of_the_file(tmp_path):
    files = BedGenotypes([write(tmp_path, np.zeros((7, 3), dtype=np.int8))])
    assert not files.calls_between(1, 5).flags.owndata


def test_missing_value_of_decode(tmp_path):
    genotypes = np.array([[-1, 2, 0]], dtype=np.int8)
    packed = BedGenotypes([write(tmp_path, genotypes)]).calls_between(0, 1)
    np.testing.assert_array_equal(decode(packed, 3, missing=0.5, dtype=np.float64), [[0.5, 2, 0]])


def test_pandas_plink_reads_the_same_dosages(tmp_path, monkeypatch):
    import warnings

    monkeypatch.setenv("DISABLE_PANDERA_IMPORT_WARNING", "True")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of its dependencies are not ours
        from pandas_plink import read_plink1_bin

        rng = np.random.default_rng(5)
        genotypes = rng.integers(-1, 3, (40, 23)).astype(np.int8)
        prefix = write(tmp_path, genotypes)
        array = read_plink1_bin(f"{prefix}.bed", verbose=False, ref="a0").values.T
    np.testing.assert_array_equal(decode(BedGenotypes([prefix]).calls_between(0, 40), 23), array.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-1], "truncated"),
        (lambda b: b[:-2], "holds 6 variants"),
        (lambda b: b[:2] + b"\x00" + b[3:], "individual-major"),
        (lambda b: b"PK" + b[2:], "not a PLINK 1 .bed"),
        (lambda b: b"", "not a PLINK 1 .bed"),
        (lambda b: b[:2] + b"\x07" + b[3:], "unknown .bed mode"),
    ],
)
def test_wrong_bed(tmp_path, change, message):
    prefix = write(tmp_path, np.zeros((7, 6), dtype=np.int8))
    bed = prefix.with_suffix(".bed")
    bed.write_bytes(change(bed.read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        BedGenotypes([prefix])
    assert str(bed) in str(error.value)


def test_missing_file_is_named(tmp_path):
    prefix = write(tmp_path, np.zeros((7, 6), dtype=np.int8))
    prefix.with_suffix(".bim").unlink()
    with pytest.raises(InputError, match=r"x\.bim: no such file"):
        BedGenotypes([prefix])


@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("a\n", 1), ("a\nb", 2), ("a\nb\n", 2), ("a\nb\n\n", 2), ("a\nb\n\n\n", 2)]
)
def test_count_lines(tmp_path, text, lines):
    (tmp_path / "t").write_text(text)
    assert count_lines(tmp_path / "t") == lines


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("1", "1"),
        ("chr7", "7"),
        ("CHRX", "X"),
        ("23", "X"),
        ("25", "XY"),
        ("PAR1", "XY"),
        ("chrM", "MT"),
        ("26", "MT"),
        ("0", None),
        ("GL000", None),
    ],
)
def test_chromosome_names(code, name):
    assert normalise(code) == name


def test_pseudo_autosomal_bounds():
    chromosome = np.array(["X", "X", "XY", "1", "X"])
    position = np.array([2_781_479, 2_781_480, 5_000_000, 100_000, 155_701_383])
    np.testing.assert_array_equal(in_par(chromosome, position, "GRCh38"), [True, False, True, False, True])


@pytest.mark.parametrize(
    ("build", "first", "second"),
    [
        ("GRCh37", (10_001, 2_649_520), (59_034_050, 59_363_566)),
        ("GRCh38", (10_001, 2_781_479), (56_887_903, 57_217_415)),
    ],
)
def test_pseudo_autosomal_bounds_on_y(build, first, second):
    """On Y they lie elsewhere than on X: the tip of its long arm is where X has none, and ends where X's begins."""
    for start, end in (first, second):
        position = np.array([start - 1, start, end, end + 1])
        np.testing.assert_array_equal(in_par(np.full(4, "Y"), position, build), [False, True, True, False])
    assert not in_par(np.array(["Y", "X"]), np.array([155_800_000, 57_000_000]), build).any()


def test_pages_of_the_map_do_not_pile_up(tmp_path):
    """A cluster that looks at a job's resident memory must not see the .bed in it, however it is read; and what is read
    stays right.
    """
    code = (
        "import sys, numpy as np\n"
        "from deepnull_gwas.genotypes.bed import BedGenotypes\n"
        "from deepnull_gwas.logs import peak_memory_mb\n"
        "files = BedGenotypes([sys.argv[1]])\n"
        "before = peak_memory_mb()\n"
        "total = sum(int(block[:, 0].sum()) for _, _, block in files.blocks(0, files.n_variants, 64))\n"
        "sparse = int(files.calls(np.arange(0, files.n_variants, 3))[:, 0].sum())\n"
        "print(total, sparse, 0 if before is None else peak_memory_mb() - before)\n"
    )
    people, variants = 400_000, 4_500
    width = people // 4
    with open(tmp_path / "g.bed", "wb") as file:
        file.truncate(3 + width * variants)
        file.write(b"\x6c\x1b\x01")
        for v in range(variants):
            file.seek(3 + v * width)
            file.write(bytes([v % 251]))
    (tmp_path / "g.bim").write_text("1 v 0 1 A G\n" * variants)
    (tmp_path / "g.fam").write_text("a a 0 0 0 -9\n" * people)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "g")], capture_output=True, text=True, check=True)
    total, sparse, grown = done.stdout.split()
    assert int(total) == sum(v % 251 for v in range(variants))
    assert int(sparse) == sum(v % 251 for v in range(0, variants, 3))
    # what is taken is a copy of 150 MB; the map of 450 MB may have 2 x 64 MB of pages at a time
    assert float(grown) < 150 + 2 * 64 * 1.05 + 20

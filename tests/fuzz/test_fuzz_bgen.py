"""Fuzzing of BGEN: headers, identifying data and blocks that are cut, stretched, exchanged or made up."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from fuzzing import attempt, cases
from hypothesis import given
from hypothesis import strategies as st

from bgen_files import BgenFile, compressed, random_variant
from damage import damaged
from deepnull_gwas.genotypes.bgen import BgenReader
from deepnull_gwas.genotypes.bgen_header import read_bgen_header
from deepnull_gwas.genotypes.bgen_index import scan_variants

pytest.importorskip("deflate", reason="the package deflate is not installed")

#: No file here has more than this to hold; a library that is misled would ask for more.
MOST_MEMORY = 40 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bgen")


@st.composite
def planted(draw: st.DrawFn) -> tuple[BgenFile, bytes, bool]:
    """Plant a few variants; return the file, its bytes, perhaps damaged, and whether they are."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    n, m = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    bits = draw(st.sampled_from([8, 8, 16, 1, 5, 13, 24, 32]))
    form = {"bits": bits, "phased": draw(st.booleans()), "haploid": draw(st.sampled_from([0, 0, 0.5]))}
    variants = [random_variant(rng, n, rsid=f"rs{i}", position=i + 1, **form) for i in range(m)]
    names = draw(st.sampled_from([None, [f"p{i}" for i in range(n)]]))
    file = BgenFile(variants, draw(st.sampled_from(["none", "zlib", "zstd"])), names)
    where = draw(st.sampled_from([None, "file", "file", "head", "block", "block"]))
    if where == "block":
        number = draw(st.integers(0, m - 1))
        file.blocks[number] = draw(damaged(variants[number].block())) or b"\0"
    data = file.data()
    if where == "file":
        data = draw(damaged(data))
    elif where == "head":
        end = struct.unpack_from("<I", data)[0] + 4
        data = draw(damaged(data[:end])) + data[end:]
    return file, data, where is not None


def read(path, n_masks=1):
    header = read_bgen_header(path)
    reader = BgenReader(header, scan_variants(header), "last")
    variants = reader.variants()
    index = np.arange(reader.n_variants)
    masks = np.ones((n_masks, header.n_samples), dtype=bool)
    return variants, reader.dosages(index, masks=masks), reader.calls(index)


@cases(0.5)
@given(case=planted())
def test_bgen(folder, case):
    file, data, broken = case
    path = folder / "x.bgen"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        found = attempt("bgen", lambda: read(path), str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{peak:,} bytes for a file of {len(data):,}"
    if not broken:
        assert found is not None
        variants, dosages, _ = found
        assert variants["id"].tolist() == [v.rsid for v in file.variants]
        for got, v in zip(dosages.to_float(), file.variants):
            np.testing.assert_allclose(got, v.first_allele_dosages(), atol=1.1 / 16384)
    elif found is not None:
        # nobody can tell that a probability was another one, but what is read is one
        values = found[1].to_float()
        assert np.nanmin(values, initial=0) >= 0 and np.nanmax(values, initial=0) <= 2


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
@pytest.mark.parametrize("said", [1, 100, 1 << 20, 1 << 30, 0xFFFFFFFF, None])
def test_bombs_are_not_inflated(folder, compression, said):
    """A block that inflates to a gigabyte's worth, with the length said as it is, or as it would be right."""
    rng = np.random.default_rng(0)
    file = BgenFile([random_variant(rng, 50, rsid="rs1")], compression)
    block = file.variants[0].block()
    data = file.data()
    end = data.index(compressed(block, compression))
    bomb = compressed(bytes(1 << 26), compression, len(block) if said is None else said)
    path = folder / "bomb.bgen"
    path.write_bytes(data[:end] + bomb)
    tracemalloc.start()
    try:
        # a block that is too short is found with the head
        named = "the first variant" if said == 1 else "rs1"
        assert attempt("bgen bombs", lambda: read(path), str(path), named, f"byte {file_start(data):,}") is None
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def file_start(data: bytes) -> int:
    return struct.unpack_from("<I", data)[0] + 4

"""Fuzzing of .pgen and of VCF: what was planted, or a refusal that names the file."""

from __future__ import annotations

import numpy as np
import pysam
import pytest
from fuzzing import attempt, cases, memory_below
from hypothesis import given
from hypothesis import strategies as st

from damage import damaged
from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.genotypes.vcf import import_vcf

pgenlib = pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

#: No file here has more than this to hold.
MOST_MEMORY = 40 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pgen")


def read(prefix):
    reader, pvar, people = open_pgen(prefix)
    index = np.arange(reader.n_variants)
    return reader.dosages(index).to_float(), reader.calls(index), pvar.variants, people


@st.composite
def dosages(draw: st.DrawFn, most: int) -> np.ndarray:
    """Plant dosages that 2^-14 divides, whole ones or not, and missing ones."""
    n, m = draw(st.integers(1, most)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    whole = rng.binomial(2, draw(st.sampled_from([0.004, 0.3])), (m, n)) * 16384
    vague = rng.random((m, n)) < draw(st.sampled_from([0, 0.05, 0.7]))
    values = np.where(vague, rng.integers(0, 32769, (m, n)), whole) / 16384
    values[rng.random((m, n)) < draw(st.sampled_from([0, 0.1]))] = np.nan
    return values


@cases(0.2)
@given(data=st.data(), planted=dosages(150))
def test_pgen(folder, data, planted):
    m, n = planted.shape
    path = folder / "x.pgen"
    with pgenlib.PgenWriter(str(path).encode(), n, m, nonref_flags=False, dosage_present=True) as writer:
        writer.append_dosages_batch(np.where(np.isnan(planted), -9, planted).astype(np.float32))
    rows = "".join(f"1\t{i + 1}\trs{i}\tG\tA\n" for i in range(m))
    (folder / "x.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + rows)
    (folder / "x.psam").write_text("#IID\n" + "".join(f"p{i}\n" for i in range(n)))
    broken = data.draw(st.sampled_from([True, True, False]))
    if broken:
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    with memory_below(MOST_MEMORY):
        found = attempt("pgen", lambda: read(folder / "x"), str(folder / "x."))
    if not broken:
        assert np.array_equal(found[0], planted, equal_nan=True)
    elif found is not None:
        assert np.nanmin(found[0], initial=0) >= 0 and np.nanmax(found[0], initial=0) <= 2


@cases(0.2)
@given(
    data=st.data(),
    planted=dosages(8),
    where=st.sampled_from([None, "text", "text", "row", "row", "file"]),
    packed=st.booleans(),
    several=st.booleans(),
)
def test_vcf(folder, data, planted, where, packed, several):
    n = planted.shape[1]
    second, alleles = (",0.5", "A,C") if several else ("", "A")
    cells = [
        ["./.:." if np.isnan(x) else f"{['0/0', '0/1', '1/1'][round(x)]}:{x:.6f}{second}" for x in row]
        for row in planted
    ]
    rows = [f"1\t{i + 1}\trs{i}\tG\t{alleles}\t.\t.\t.\tGT:DS\t" + "\t".join(c) for i, c in enumerate(cells)]
    head = (
        '##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t'
        + "\t".join(f"p{i}" for i in range(n))
        + "\n"
    )
    body = "".join(row + "\n" for row in rows).encode()
    text = head.encode() + body
    if where == "text":
        text = data.draw(damaged(text))
    elif where == "row":
        text = head.encode() + data.draw(damaged(body))
    path = folder / "x.vcf"
    if packed:
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text)
    else:
        path.write_bytes(text)
    if where == "file":
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    for extension in (".pgen", ".pvar", ".psam"):
        (folder / f"y{extension}").unlink(missing_ok=True)
    with memory_below(MOST_MEMORY):
        done = attempt("vcf", lambda: import_vcf(path, folder / "y", "DS", "split"), str(path))
    if done is None:
        assert where is not None
        assert not list(folder.glob("y.*")) and not list(folder.glob(".y.*")), "nothing is left"
        return
    # a position or an allele may be another one, and read_pvar has its own say on those
    found = attempt("vcf, read", lambda: read(folder / "y"))
    if where is None:
        np.testing.assert_allclose(found[0][:: 1 + several], planted, atol=1e-6)

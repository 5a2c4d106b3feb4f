"""Fuzzing of the tables of dosages (.psam, .sample, .pvar, .pvar.zst): what was planted, or one refusal."""

from __future__ import annotations

import numpy as np
import pytest
from fuzzing import attempt, cases, memory_below
from hypothesis import given
from hypothesis import strategies as st

from damage import damaged
from deepnull_gwas.genotypes.people_tables import read_psam, read_sample
from deepnull_gwas.genotypes.pvar import read_pvar

zstandard = pytest.importorskip("zstandard", reason="the package zstandard is not installed")

#: No file here has more than this to hold.
MOST_MEMORY = 40 << 20
SEXES = {"1": 1, "2": 2, "0": 0, "M": 1, "female": 2, "NA": 0}
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=9)
identifiers = st.lists(
    names.filter(lambda name: not name.startswith(("#", "\ufeff"))), min_size=1, max_size=7, unique=True
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@cases(0.1)
@given(data=st.data(), iid=identifiers, of_bgen=st.booleans(), broken=st.booleans())
def test_tables_of_people(folder, data, iid, of_bgen, broken):
    sex = [data.draw(st.sampled_from(sorted(SEXES))) for _ in iid]
    rows = [f"{i} {i} {s}" for i, s in zip(iid, sex)]
    head = ["ID_1 ID_2 sex", "0 0 D"] if of_bgen else ["#FID IID SEX"]
    space, end = data.draw(st.sampled_from([" ", "\t"])), data.draw(st.sampled_from(["\n", "\r\n"]))
    content = (end.join([*head, *rows]) + end).replace(" ", space).encode()
    path, read = (folder / "x.sample", read_sample) if of_bgen else (folder / "x.psam", read_psam)
    path.write_bytes(data.draw(damaged(content)) if broken else content)
    with memory_below(MOST_MEMORY):
        found = attempt(path.suffix, lambda: read(path), str(path))
    if not broken:
        assert found["iid"].tolist() == iid
        assert found["sex"].tolist() == [SEXES[s] for s in sex]
    elif found is not None:
        # one letter may be another, but there are people, each once
        assert len(found) and found["iid"].str.len().gt(0).all()
        assert not found.duplicated(["fid", "iid"]).any() and found["sex"].isin([0, 1, 2]).all()


@cases(0.1)
@given(data=st.data(), m=st.integers(1, 6), where=st.sampled_from([None, "text", "text", "file"]), packed=st.booleans())
def test_tables_of_variants(folder, data, m, where, packed):
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    bases = rng.choice(4, (m, 2), replace=True)
    alleles = [("ACGT"[a], "ACGT"[(a + 1 + b % 3) % 4]) for a, b in bases]
    position = np.sort(rng.integers(1, 200_000_000, m))
    code = data.draw(st.sampled_from(["1", "chr7", "X", "chrX", "22"]))
    more = data.draw(st.sampled_from(["", "\tQUAL\tFILTER\tINFO"]))
    cells = "\t.\tPASS\tIMPUTED" if more else ""
    rows = [f"{code}\t{p}\trs{i}\t{r}\t{a}{cells}\n" for i, (p, (r, a)) in enumerate(zip(position, alleles))]
    head = data.draw(st.sampled_from(["", "##source=x\n"])) + f"#CHROM\tPOS\tID\tREF\tALT{more}\n"
    content = (head + "".join(rows)).encode()
    if where == "text":
        content = data.draw(damaged(content))
    if packed:
        content = zstandard.ZstdCompressor().compress(content)
    if where == "file":
        content = data.draw(damaged(content))
    path = folder / ("x.pvar.zst" if packed else "x.pvar")
    path.write_bytes(content)
    with memory_below(MOST_MEMORY):
        found = attempt(path.name, lambda: read_pvar(path, m), str(path))
    if where is None:
        table = found.variants
        assert table["id"].tolist() == [f"rs{i}" for i in range(m)]
        assert table["position"].tolist() == position.tolist()
        assert list(zip(table["other_allele"], table["effect_allele"])) == alleles
    elif found is not None:
        assert len(np.unique(found.row)) == m and found.variants["position"].ge(0).all()
        assert found.variants["effect_allele"].str.len().gt(0).all()

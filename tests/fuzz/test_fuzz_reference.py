"""Fuzzing of the files that tell the alleles of a reference genome: FASTA, and tables of variants."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pysam
import pytest
from fuzzing import attempt, cases, memory_below
from hypothesis import given
from hypothesis import strategies as st

from damage import damaged
from deepnull_gwas.genotypes.reference import find_references

pytest.importorskip("deflate", reason="the package deflate is not installed")

#: No file here has more than this to hold.
MOST_MEMORY = 40 << 20
BASES = np.array(list("ACGT"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import deflate  # noqa: F401
    import polars  # noqa: F401 (what is imported on the way is no memory of a file)

    return tmp_path_factory.mktemp("reference")


@cases(0.1)
@given(
    data=st.data(),
    seed=st.integers(0, 9999),
    kind=st.sampled_from(["fa", "pvar", "vcf"]),
    packed=st.sampled_from([None, "gzip", "bgzip"]),
    broken=st.sampled_from([None, "text", "text", "file"]),
)
def test_reference(folder, data, seed, kind, packed, broken):
    rng = np.random.default_rng(seed)
    genome = "".join(rng.choice(BASES, 300))
    position = np.sort(rng.choice(np.arange(1, 290), 20, replace=False))
    other = np.array([genome[p - 1] for p in position], dtype=object)
    effect = np.array([BASES[(list(BASES).index(a) + 1) % 4] for a in other], dtype=object)
    variants = pd.DataFrame({"chromosome": "7", "position": position, "effect_allele": effect, "other_allele": other})
    swapped = rng.random(20) < 0.5
    variants.loc[swapped, ["effect_allele", "other_allele"]] = variants.loc[
        swapped, ["other_allele", "effect_allele"]
    ].to_numpy()
    if kind == "fa":
        lines = [genome[i : i + 50] for i in range(0, 300, 50)]
        text = ">chr1 of\nACGT\n>chr7\n" + "\n".join(lines) + "\n>chrUn\nAC\n"
    else:
        first = "##fileformat=VCFv4.2\n" if kind == "vcf" else ""
        rows = "".join(f"chr7\t{p}\t.\t{o}\t{e}\n" for p, o, e in zip(position, other, effect))
        text = f"{first}#CHROM\tPOS\tID\tREF\tALT\n{rows}"
    raw = data.draw(damaged(text.encode())) if broken == "text" else text.encode()
    path = folder / f"x.{'vcf' if kind == 'pvar' and packed else kind}{'.gz' if packed else ''}"
    if packed == "bgzip":
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(raw)
    else:
        path.write_bytes(gzip.compress(raw) if packed else raw)
    if broken == "file":
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    with memory_below(MOST_MEMORY):
        found = attempt("reference", lambda: find_references([path], variants), str(path))
    if broken is None:
        assert found[0].tolist() == np.where(swapped, 2, 1).tolist() and found[1].all()

"""Files of genotypes that are no good: the first jobs (import, index, a first look at the numbers) give one message."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bgen_files import BgenFile, Variant, compressed
from deepnull_gwas.cohort.index import index_cohort
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.vcf import import_vcf
from dosage_files import variant_rows, write_pgen

pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

PEOPLE, VARIANTS = 12, 6
IDS = [f"p{i}" for i in range(PEOPLE)]
SETTINGS = {
    "cohort": "c", "genome_build": "GRCh37", "sample_id": "IID", "family_id": None, "sex": None, "missing_values": [],
    "bgen_reference": "first",
}  # fmt: skip


def bgen(folder, **changes) -> BgenFile:
    variants = [Variant([(100, 50)] * PEOPLE, position=i + 1, rsid=f"rs{i}") for i in range(VARIANTS)]
    return BgenFile(variants, **{"identifiers": IDS} | changes)


def with_block(folder, block: bytes):
    bgen(folder, blocks={2: block}).write(folder / "g.bgen")


def truncated_bgen(folder):
    (folder / "g.bgen").write_bytes(bgen(folder).data()[:-7])


def short_block(folder):
    with_block(folder, bgen(folder).variants[2].block()[:-3])


def bomb(folder):
    file = bgen(folder)
    data, block = file.data(), file.variants[2].block()
    (folder / "g.bgen").write_bytes(data.replace(compressed(block, "zlib"), compressed(block, "zlib", 1 << 31)))


def old_bgen(folder):
    bgen(folder, layout=1).write(folder / "g.bgen")


def ploidy_3(folder):
    block = bytearray(bgen(folder).variants[2].block())
    block[7], block[8 + 4] = 3, 3
    with_block(folder, bytes(block))


def sample_file(names):
    def write(folder):
        bgen(folder).write(folder / "g.bgen")
        rows = "".join(f"{i} {i} 0\n" for i in names)
        (folder / "g.sample").write_text("ID_1 ID_2 missing\n0 0 0\n" + rows)

    return write


def anonymous(folder):
    bgen(folder, identifiers=None).write(folder / "g.bgen")


def pgen(folder, change=None):
    people = pd.DataFrame({"fid": "0", "iid": IDS, "sex": 0})
    write_pgen(folder / "g", np.ones((VARIANTS, PEOPLE)) * 0.75, variant_rows(VARIANTS), people)
    if change:
        path = folder / change[0]
        path.write_bytes(change[1](path.read_bytes()))


def vcf(front="1\t7\trs1\tG\tA", cells="0.5", form="DS", declared="DS", more=""):
    def write(folder):
        head = f'##fileformat=VCFv4.3\n##FORMAT=<ID={declared},Number=A,Type=Float,Description="">\n'
        head += "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *IDS]) + "\n"
        rows = "\t".join([front, ".", ".", ".", form, *[cells] * PEOPLE]) + "\n"
        if more:
            rows += "\t".join([more, ".", ".", ".", form, *[cells] * PEOPLE]) + "\n"
        (folder / "g.vcf").write_text(head + rows)

    return write


CASES = {
    "truncated BGEN": ("g.bgen", truncated_bgen, r"g\.bgen"),
    "block of another length": ("g.bgen", short_block, r"variant 3 \(rs2.*expected"),
    "bomb": ("g.bgen", bomb, r"variant 1 \(rs0.*2,147,483,648 bytes"),
    "BGEN 1.1": ("g.bgen", old_bgen, r"BGEN 1\.1 .*rewrite it"),
    "ploidy 3": ("g.bgen", ploidy_3, r"variant 3 \(rs2.*ploidy.*only haploid and diploid"),
    "sample in another order": ("g.bgen", sample_file(IDS[::-1]), r"g\.sample"),
    "sample of another length": ("g.bgen", sample_file(IDS[:-1]), r"g\.sample"),
    "anonymous BGEN": ("g.bgen", anonymous, r"lists no people"),
    "truncated PGEN": ("g.pgen", lambda f: pgen(f, ("g.pgen", lambda d: d[:-5])), r"g\.pgen: .*truncated"),
    "short pvar": ("g.pgen", lambda f: pgen(f, ("g.pvar", lambda d: d[: d.rindex(b"1\t")])), r"g\.pvar: 5 variants"),
    "short psam": ("g.pgen", lambda f: pgen(f, ("g.psam", lambda d: d[: d.rindex(b"0\t")])), r"g\.psam: 11 people"),
    "no field": ("g.vcf", vcf(declared="GP"), r"DS, which the file does not declare; it has GP"),
    "no field in rows": ("g.vcf", vcf(form="GP"), r"line 4 has neither DS nor"),
    "several alternative alleles": ("g.vcf", vcf(front="1\t7\trs1\tG\tA,C"), r"line 4 .*bcftools norm -m -any"),
    "mixed names": ("g.vcf", vcf(more="chr2\t7\trs2\tG\tA"), r"named in two ways, '1' \(line 4\) and 'chr2'"),
    "no dosage": ("g.vcf", vcf(cells="2.5"), r"DS of person 'p0' is not between"),
    "no number": ("g.vcf", vcf(cells="x"), r"DS of person 'p0' is no number: 'x'"),
    "no VCF": ("g.vcf", lambda f: (f / "g.vcf").write_text("hello\n"), r"not a VCF"),
}


def first_jobs(folder, name):
    """Run the import, the index, and read all genotypes."""
    if name.endswith(".vcf"):
        import_vcf(folder / name, folder / "imported", "DS")
        name = "imported.pgen"
    (folder / "samples.tsv").write_text("IID\n" + "".join(f"{i}\n" for i in IDS))
    out = [folder / n for n in ("genotypes.json", "variants.parquet", "samples.parquet")]
    index_cohort([str(folder / name)], folder / "samples.tsv", SETTINGS, 1, *out)
    genotypes = open_genotypes(out[0])
    return genotypes.dosages(np.arange(genotypes.n_variants))


@pytest.mark.parametrize("case", CASES)
def test_one_message(tmp_path, case):
    name, write, words = CASES[case]
    write(tmp_path)
    with pytest.raises(InputError, match=words) as error:
        first_jobs(tmp_path, name)
    text = str(error.value)
    assert str(tmp_path) in text
    # one problem, one line
    assert len(getattr(error.value, "problems", [text])) == 1
    assert len(text.strip().splitlines()) <= 2 and "Traceback" not in text
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("imported")]
    if name.endswith(".bgen") and words.startswith("variant"):
        return
    assert not (tmp_path / "genotypes.json").exists()


@pytest.mark.parametrize("name", ["g.bgen", "g.pgen", "g.vcf"])
def test_sound_files_pass(tmp_path, name):
    {"g.bgen": lambda f: bgen(f).write(f / "g.bgen"), "g.pgen": pgen, "g.vcf": vcf()}[name](tmp_path)
    assert first_jobs(tmp_path, name).values.shape[1] == PEOPLE

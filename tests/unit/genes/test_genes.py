"""Tables of genes in all forms, and the nearest gene of well-known variants in both builds."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genes.nearest import genes_of_interval, nearest_genes, with_genes
from deepnull_gwas.genes.table import GENES, read_genes

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
BUILDS = ("GRCh37", "GRCh38")
#: Facts from the literature: a variant, its position in both builds (dbSNP), the gene that it is named after, and
#: whether it lies inside.
KNOWN = [
    ("rs11591147", 1, (55_505_647, 55_039_974), "PCSK9", True),
    ("rs11209026", 1, (67_705_958, 67_240_275), "IL23R", True),
    ("rs6025", 1, (169_519_049, 169_549_811), "F5", True),
    ("rs4988235", 2, (136_608_646, 135_851_076), "MCM6", True),
    ("rs1800562", 6, (26_093_141, 26_092_913), "HFE", True),
    ("rs10455872", 6, (161_010_118, 160_589_086), "LPA", True),
    ("rs113993960", 7, (117_199_646, 117_559_592), "CFTR", True),
    ("rs8176719", 9, (136_132_908, 133_257_521), "ABO", True),
    ("rs7903146", 10, (114_758_349, 112_998_590), "TCF7L2", True),
    ("rs334", 11, (5_248_232, 5_227_002), "HBB", True),
    ("rs12913832", 15, (28_365_618, 28_120_472), "HERC2", True),
    ("rs1426654", 15, (48_426_484, 48_134_287), "SLC24A5", True),
    ("rs9939609", 16, (53_820_527, 53_786_615), "FTO", True),
    ("rs17782313", 18, (57_851_097, 60_183_864), "MC4R", False),
    ("rs429358", 19, (45_411_941, 44_908_684), "APOE", True),
    ("rs6151429", 22, (51_063_477, 50_625_049), "ARSA", True),
    ("rs1050828", 23, (153_764_217, 154_536_002), "G6PD", True),
]


@pytest.fixture(scope="module")
def shipped():
    return {build: read_genes(RESOURCES / f"genes.{build}.tsv") for build in BUILDS}


@pytest.mark.parametrize("build", BUILDS)
def test_the_nearest_gene_of_well_known_loci(shipped, build):
    at = [positions[BUILDS.index(build)] for _, _, positions, _, _ in KNOWN]
    symbols, distances = nearest_genes(shipped[build], [code for _, code, *_ in KNOWN], at)
    assert symbols == [gene for *_, gene, _ in KNOWN]
    assert [d == 0 for d in distances] == [inside for *_, inside in KNOWN]
    # 188 kb from MC4R, as its discovery has it (Loos et al. 2008, Nature Genetics 40:768)
    assert 187_000 < max(distances) < 189_500


@pytest.mark.parametrize("build", BUILDS)
def test_shipped_tables_are_sound(shipped, build):
    genes = shipped[build]
    assert dict(genes.schema) == GENES and genes["strand"].null_count() == 0
    assert 19_000 < (genes["biotype"] == "protein_coding").sum() < 20_000
    assert set(genes["chromosome"]) == set(range(1, 26))
    longest = (genes["end"] - genes["start"]).max()
    # the longest gene of the genome has 2.47 Mb (RBFOX1)
    assert 2_000_000 < longest < 2_500_000
    # ANRIL makes no protein: it is in the locus of 9p21, but never the nearest gene
    at_9p21 = genes_of_interval(genes, 9, 22_000_000, 22_130_000)["symbol"].to_list()
    assert "CDKN2B-AS1" in at_9p21 and "CDKN2B" in at_9p21
    assert nearest_genes(genes, [9], [22_115_503])[0] == ["CDKN2B"]


def test_nearest_genes_are_those_of_a_plain_search(shipped):
    genes = shipped["GRCh38"]
    rng = np.random.default_rng(5)
    code, at = rng.integers(1, 26, 300), rng.integers(1, 16_000, 300)
    at[code < 24] *= 5_000
    symbols, distances = nearest_genes(genes, code, at)
    coding = genes.filter(pl.col("biotype") != "lncRNA")
    for c, p, symbol, distance in zip(code.tolist(), at.tolist(), symbols, distances, strict=True):
        own = coding.filter(pl.col("chromosome") == c)
        away = [max(s - p, p - e, 0) for s, e in own.select("start", "end").iter_rows()]
        assert distance == min(away)
        assert symbol in [name for name, d in zip(own["symbol"], away, strict=True) if d == distance]


FORMS = {
    "t.tsv": "symbol\tchromosome\tstart\tend\nA\tchr1\t11\t20\nB\tX\t5\t5\nC\tGL000194.1\t1\t9\n",
    "t.txt": "#chrom\tstart\tend\tgene\tstrand\tbiotype\n1\t11\t20\tA\t+\tNA\n23\t5\t5\tB\t.\tlncRNA\n",
    "t.bed": "track name=x\nchr1\t10\t20\tA\t0\t+\nchrX\t4\t5\tB\n",
    "t.gtf": "#!x\n"
    '1\tx\tgene\t11\t20\t.\t+\t.\tgene_id "E1"; gene_name "A"; gene_biotype "protein_coding";\n'
    '1\tx\ttranscript\t11\t15\t.\t+\t.\tgene_id "E1"; gene_name "A";\n'
    'chrX\tx\tgene\t5\t5\t.\t-\t.\tgene_id "B"; gene_type "lncRNA";\n',
    "ucsc.gtf": '1\tx\ttranscript\t11\t15\t.\t+\t.\tgene_id "A"; transcript_id "a1"\n'
    '1\tx\ttranscript\t14\t20\t.\t+\t.\tgene_id "A"; transcript_id "a2"\n'
    'X\tx\ttranscript\t5\t5\t.\t-\t.\tgene_id "B";\n',
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_all_forms_of_a_table(tmp_path, name, packed):
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(FORMS[name].encode()) if packed else FORMS[name].encode())
    genes = read_genes(path)
    assert genes.select("chromosome", "start", "end", "symbol").rows() == [(1, 11, 20, "A"), (23, 5, 5, "B")]
    if name in ("t.txt", "t.bed"):
        assert genes["strand"].to_list() == ["+", None]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.tsv", "symbol\tstart\tend\nA\t1\t2\n", "names no column chromosome"),
        ("t.tsv", "symbol\tchromosome\tstart\tend\nA\t1\t2\n", "row 2: has 3 columns, the first row has 4"),
        ("t.tsv", "symbol\tchromosome\tstart\tend\nA\t1\tx\t2\n", "row 2: start and end are 'x 2'"),
        ("t.tsv", "symbol\tchromosome\tstart\tend\nA\t1\t9\t2\n", "row 2: the gene lies from 9 to 2"),
        ("t.tsv", "symbol\tchromosome\tstart\tend\nA,B\t1\t1\t2\n", "the symbol is 'A,B'"),
        ("t.tsv", "", "names no column symbol"),
        ("t.bed", "1\t0\t5\n", "row 1: has 3 columns, expected at least chromosome, start, end and symbol"),
        ("t.bed", "chrUn_1\t0\t5\tA\n", "holds no gene on the chromosomes"),
        ("t.gtf", "1\tx\tgene\t1\t2\n", "row 1: has 5 columns, a GTF has 9"),
        ("t.tsv.gz", "\x1f\x8b\x08", "not readable as a table of genes"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as error:
        read_genes(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_genes(tmp_path / "genes.tsv")


def test_loci_get_their_genes(tmp_path):
    (tmp_path / "t.tsv").write_text(
        "symbol\tchromosome\tstart\tend\nA\t1\t100\t200\nB\t1\t150\t300\nC\t1\t900\t950\nA\t1\t210\t220\n"
    )
    loci = pl.DataFrame(
        {
            "chromosome": [1, 1, 2],
            "base_pair_location": [160, 700, 5],
            "locus_start": [120, 700, 5],
            "locus_end": [230, 700, 5],
        }
    )
    found = with_genes(loci, read_genes(tmp_path / "t.tsv")).select("nearest_gene", "gene_distance", "genes").rows()
    assert found == [("A", 0, "A,B"), ("C", 200, None), (None, None, None)]
    assert with_genes(loci, None)["genes"].null_count() == 3
    assert with_genes(loci.clear(), read_genes(tmp_path / "t.tsv"))["nearest_gene"].dtype == pl.String

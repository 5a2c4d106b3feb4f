"""An indexed cohort on disk, made from a PLINK fileset or from dosages with the least that the steps after
`index_cohort` need.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.tables import write_json, write_parquet

ROOT = Path(__file__).resolve().parent.parent
LONG_RANGE_LD = ROOT / "resources" / "long_range_ld.tsv"
NO_FILTER = {"variant_call_rate": 0, "sample_call_rate": 0, "maf": 0, "mac": 0, "hwe_p": 0}


def decode_int8(packed: np.ndarray, people: int) -> np.ndarray:
    """Return packed genotypes as copies of A1, -1 missing: int8, variants x people; apart from the kernels that it is
    to judge.
    """
    codes = (np.asarray(packed)[..., None] >> np.array([0, 2, 4, 6])) & 3
    return np.array([2, -1, 1, 0], dtype=np.int8)[codes].reshape(len(packed), -1)[:, :people]


def index_fileset(prefix: str | Path, folder: Path, build: str = "GRCh37", chunks: int = 2) -> Path:
    """Write genotypes.json, variants.parquet and samples.parquet of one fileset; everybody is in the sample table."""
    bim = pd.read_csv(f"{prefix}.bim", sep=r"\s+", header=None, dtype=str)
    fam = pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None, dtype=str)
    m = len(bim)
    variants = pd.DataFrame(
        {
            "index": np.arange(m),
            "chromosome": [normalise(c) or "MT" for c in bim[0]],
            "position": bim[3].astype(np.int64),
            "id": bim[1],
            "effect_allele": bim[4],
            "other_allele": bim[5],
            "file": np.zeros(m, dtype=np.int32),
            "file_row": np.arange(m),
            "chunk": (np.arange(m) * chunks // max(m, 1)).astype(np.int32),
        }
    )
    samples = pd.DataFrame(
        {
            "sample_index": np.arange(len(fam)),
            "fid": fam[0],
            "iid": fam[1],
            "recorded_sex": fam[4].map({"1": 1, "2": 2}).fillna(0).astype(np.int8),
            "in_sample_table": True,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        {"filesets": [str(prefix)], "samples": len(fam), "variants": m, "genome_build": build},
        folder / "genotypes.json",
    )
    write_parquet(variants, folder / "variants.parquet")
    write_parquet(samples, folder / "samples.parquet")
    return folder


def make_cohort(
    folder: Path,
    dosages: np.ndarray,
    chromosome: list[str] | None = None,
    position: np.ndarray | None = None,
    sex: np.ndarray | None = None,
    chunks: int = 2,
) -> Path:
    """Write a fileset from dosages (variants x people, -1 missing) and index it; variants must be in the order of
    analysis.
    """
    m, n = dosages.shape
    chromosome = ["1"] * m if chromosome is None else chromosome
    assert [ORDER[c] for c in chromosome] == sorted(ORDER[c] for c in chromosome)
    position = np.arange(1, m + 1) * 1000 if position is None else position
    sex = np.arange(n) % 2 + 1 if sex is None else sex
    bim = pd.DataFrame(
        {"c": chromosome, "id": [f"v{i}" for i in range(m)], "cm": 0, "p": position, "a1": "A", "a2": "C"}
    )
    fam = pd.DataFrame(
        {"f": [f"f{i}" for i in range(n)], "i": [f"i{i}" for i in range(n)], "pa": 0, "ma": 0, "s": sex, "p": -9}
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_bed(folder / "cohort", dosages, bim, fam)
    return index_fileset(folder / "cohort", folder, chunks=chunks)


def run_counts(folder: Path, chunks: int = 2) -> tuple[list[Path], list[Path]]:
    """Run `count_genotypes` on all chunks."""
    from deepnull_gwas.cohort.counts import count_chunk

    tables = [folder / "genotypes.json", folder / "variants.parquet", folder / "samples.parquet"]
    variants = [folder / f"counts_{c}.parquet" for c in range(chunks)]
    samples = [folder / f"counts_{c}.samples.parquet" for c in range(chunks)]
    for c in range(chunks):
        count_chunk(*tables, c, variants[c], samples[c])
    return variants, samples


def run_qc(
    folder: Path, settings: dict | None = None, chunks: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Run `count_genotypes` and `filter_cohort`: variants, people, flow."""
    from deepnull_gwas.cohort.qc import QcInputs, QcOutputs, filter_cohort

    counts = run_counts(folder, chunks)
    tables = [folder / "genotypes.json", folder / "variants.parquet", folder / "samples.parquet"]
    out = [
        folder / "qc_variants.parquet",
        folder / "qc_samples.parquet",
        folder / "flow.tsv",
        folder / "inferred_sex.tsv",
    ]
    filter_cohort(QcInputs(*tables, *counts), {**NO_FILTER, **(settings or {})}, QcOutputs(*out))
    return pd.read_parquet(out[0]), pd.read_parquet(out[1]), pd.read_csv(out[2], sep="\t")


def run_pruning(folder: Path, threads: int = 1, **settings: object) -> pd.DataFrame:
    """Run `prune_variants` after `run_qc`."""
    from deepnull_gwas.cohort.pruning import prune_variants

    names = ["genotypes.json", "variants.parquet", "qc_variants.parquet", "qc_samples.parquet"]
    values = {"maf": 0.05, "window_kb": 1000, "r2": 0.1, "genome_build": "GRCh37", **settings}
    prune_variants(*(folder / n for n in names), LONG_RANGE_LD, values, folder / "pruned.parquet", threads)
    return pd.read_parquet(folder / "pruned.parquet")

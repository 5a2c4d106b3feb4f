"""Time the cohort steps (counts, pruning, kinship, principal components) against PLINK 2, side by side in one session.

    make bench-cohort

Simulates 10,000 people of twelve populations x 50,000 variants in linkage disequilibrium, 1 % of the calls missing, for
kinship (among the first 5,000 people) and components, and 50,000 people x 100,000 variants in linkage disequilibrium
for counts and pruning. Whole processes on one thread, PLINK 2 with OPENBLAS_NUM_THREADS=1, in turns. Ours start from
indexed genotypes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from association import timed

from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.tables import write_json, write_parquet

PEOPLE, VARIANTS, POPULATIONS, KIN = 10_000, 50_000, 12, 5_000


def simulate(prefix: Path) -> None:
    """Write the cohort, unless it is there: blocks of eight variants in LD, populations drifted by F_ST .02."""
    if prefix.with_suffix(".bed").exists():
        return
    rng = np.random.default_rng(1)
    n, per = PEOPLE, VARIANTS // 20
    population = np.arange(2 * n) % n % POPULATIONS
    parts, tables = [], []
    for chromosome in range(1, 21):
        haplotypes = np.empty((per, 2 * n), dtype=np.int8)
        for v in range(per):
            p, f = rng.uniform(0.03, 0.97), 0.02
            own = rng.beta(p * (1 - f) / f, (1 - p) * (1 - f) / f, POPULATIONS).astype(np.float32)
            fresh = rng.random(2 * n, dtype=np.float32) < own[population]
            copied = (rng.random(2 * n, dtype=np.float32) < 0.75) & (v % 8 > 0)
            haplotypes[v] = np.where(copied, haplotypes[v - 1], fresh)
        dosages = haplotypes[:, :n] + haplotypes[:, n:]
        dosages[rng.random(dosages.shape, dtype=np.float32) < 0.01] = -1
        parts.append(dosages)
        ids = [f"{chromosome}_{i}" for i in range(per)]
        position = np.arange(1, per + 1) * (100_000_000 // per)
        tables.append(pd.DataFrame({"c": chromosome, "i": ids, "m": 0, "p": position, "a": "A", "b": "C"}))
    fam = pd.DataFrame({"f": 0, "i": [f"i{i}" for i in range(n)], "x": 0, "y": 0, "s": np.arange(n) % 2 + 1, "p": -9})
    write_bed(prefix, np.concatenate(parts), pd.concat(tables), fam)


def simulate_large(prefix: Path, n: int = 50_000, m: int = 100_000) -> None:
    """Write a cohort whose bytes (four people each) are drawn or, in three of four, copied from the variant before."""
    if prefix.with_suffix(".bed").exists():
        return
    rng = np.random.default_rng(2)
    codes = (np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3
    with open(f"{prefix}.bed", "wb") as file:
        file.write(b"\x6c\x1b\x01")
        row, q = np.zeros(n // 4, dtype=np.uint8), 0.3
        for v in range(m):
            q = rng.uniform(0.05, 0.5) if v % 8 == 0 else q
            one = np.array([q * q, 0.01, 2 * q * (1 - q), (1 - q) ** 2])
            cumulative = np.cumsum((one / one.sum())[codes].prod(axis=1))
            fresh = np.searchsorted(cumulative / cumulative[-1], rng.random(n // 4)).astype(np.uint8)
            row = np.where((rng.random(n // 4, dtype=np.float32) < 0.75) & (v % 8 > 0), row, fresh)
            file.write(row.tobytes())
    ids = [f"v{i}" for i in range(m)]
    position = (np.arange(m) % (m // 20) + 1) * 20_000
    bim = pd.DataFrame({"c": np.arange(m) // (m // 20) + 1, "i": ids, "m": 0, "p": position, "a": "A", "b": "C"})
    bim.to_csv(f"{prefix}.bim", sep="\t", header=False, index=False)
    fam = pd.DataFrame({"f": 0, "i": [f"i{i}" for i in range(n)], "x": 0, "y": 0, "s": np.arange(n) % 2 + 1, "p": -9})
    fam.to_csv(f"{prefix}.fam", sep="\t", header=False, index=False)


def index(prefix: Path, folder: Path, n: int) -> None:
    """Write what the step before leaves."""
    bim = pd.read_csv(f"{prefix}.bim", sep="\t", header=None)
    m = len(bim)
    write_parquet(
        pd.DataFrame(
            {
                "index": np.arange(m), "chromosome": bim[0].astype(str), "position": bim[3].astype(np.int64),
            "id": bim[1],
                "effect_allele": bim[4], "other_allele": bim[5], "file": np.int32(0), "file_row": np.arange(m),
                "chunk": np.zeros(m, np.int32), "passed": True, "maf": 0.3, "call_rate": 0.99,
                "effect_allele_frequency": 0.3,
            }
        ),
        folder / "variants.parquet",
    )  # fmt: skip
    write_json({"filesets": [str(prefix)], "genome_build": "GRCh38"}, folder / "genotypes.json")
    people = {"sample_index": np.arange(n), "fid": "0", "iid": [f"i{i}" for i in range(n)]}
    more = {"recorded_sex": (np.arange(n) % 2 + 1).astype(np.int8), "in_sample_table": True, "passed": True}
    write_parquet(pd.DataFrame(people | more), folder / "samples.parquet")
    (folder / "keep").write_text("".join(f"0 i{i}\n" for i in range(KIN)))


OWN = {
    "counts": "from deepnull_gwas.cohort.counts import count_chunk\n"
    "count_chunk(f / 'genotypes.json', f / 'variants.parquet', f / 'samples.parquet', 0, "
    "f / 'c.parquet', f / 'c.samples.parquet')",
    "pruning": "from deepnull_gwas.cohort.pruning import prune_chromosome\n"
    "import pandas as pd\n"
    "v = pd.read_parquet(f / 'variants.parquet')\n"
    "mask = np.ones(files.n_samples, bool)\n"
    "for _, t in v.groupby('chromosome', sort=False):\n"
    "    prune_chromosome(files, t['index'].to_numpy(), t['position'].to_numpy(), "
    "t['maf'].to_numpy(), mask, 1_000_000, 0.2)",
    "kinship": "from deepnull_gwas.cohort.kinship import kinship_pairs\n"
    f"kinship_pairs(files, np.arange(files.n_variants), np.arange({KIN}), .0442, 1)",
    "components": "from deepnull_gwas.cohort.pca import Effort, principal_components\n"
    "principal_components(files, np.arange(files.n_variants), np.ones(files.n_samples, bool), 10, Effort(1, 1))",
}
THEIRS = {
    "counts": ["--freq", "--missing", "--hardy"],
    "pruning": ["--indep-pairwise", "1000kb", "0.2"],
    "kinship": ["--make-king-table", "--king-table-filter", "0.0442"],
    "components": ["--pca", "approx", "10"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folders = {"small": options.data / "cohort", "large": options.data / "cohort_large"}
    if options.prepare:
        for (name, folder), write, n in zip(folders.items(), (simulate, simulate_large), (PEOPLE, 50_000)):
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / "g")
            index(folder / "g", folder, n)
            print(f"{name}: {folder}")
        return
    # in a process of its own: what it uses of memory would count for those that are timed
    subprocess.run([sys.executable, __file__, "--data", str(options.data), "--prepare"], check=True)
    for step, code in OWN.items():
        folder = folders["large" if step in ("counts", "pruning") else "small"]
        prefix = folder / "g"
        head = (
            "from pathlib import Path\nimport numpy as np\nfrom deepnull_gwas.genotypes.formats import open_genotypes\n"
            f"f = Path({str(folder)!r})\nfiles = open_genotypes(f / 'genotypes.json')\n"
        )
        command = ["plink2", "--bfile", str(prefix), "--threads", "1", "--out", str(folder / "plink"), *THEIRS[step]]
        if step == "kinship":
            command += ["--keep", str(folder / "keep")]
        timed([sys.executable, "-c", head + code])
        runs = [
            (timed([sys.executable, "-c", head + code]), timed(command, OPENBLAS_NUM_THREADS="1"))
            for _ in range(options.repeats)
        ]
        figures = [
            statistics.median(r[side][what] for r in runs) for side in (0, 1) for what in ("cpu", "wall", "peak_mb")
        ]
        ratio = statistics.median(b["cpu"] / a["cpu"] for a, b in runs)
        cells = [f"{figures[0]:.1f}", f"{figures[3]:.1f}", f"{ratio:.1f}", f"{figures[1]:.1f} / {figures[4]:.1f}"]
        print("| " + " | ".join([step, *cells, f"{figures[2]:,.0f} / {figures[5]:,.0f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()

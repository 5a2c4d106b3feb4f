"""Time the association scan on dosages against PLINK 2 on the same file, in turns.

    python benchmarks/dosages.py                              # both shapes, PGEN and BGEN: twenty minutes on 2 cores
    python benchmarks/dosages.py --cases D --formats pgen     # one of them

Simulates imputed dosages (a third of the genotypes uncertain) of 10,000 people x 50,000 variants (D) and of 50,000 x
20,000 (E), writes them as PLINK 2 fileset and, by ``plink2 --export``, as BGEN 1.2 of 8 bits (zlib and zstd). Our scan
reads, decodes and tests them for one quantitative trait with 22 covariates in both arms (24 columns and the trait), on
1 and on 2 threads; ``plink2 --glm`` does one arm. Rates are genotypes (people x variants) a second of wall time; the
profile says what a core spends them on.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from association import settings_of, timed

SHAPES = {"D": (10_000, 50_000), "E": (50_000, 20_000), "T": (2_000, 2_000)}
COVARIATES = 22
FORMATS = ("pgen", "bgen_zlib", "bgen_zstd")


def simulate(folder: Path, name: str) -> None:
    """Write the fileset, covariates and the trait, unless they are there."""
    import numpy as np
    import pandas as pd
    from pgenlib import PgenWriter

    prefix = folder / name
    if Path(f"{prefix}.phe").exists():
        return
    n, m = SHAPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    frequency = rng.beta(0.8, 1.6, size=m).astype(np.float32) * 0.49 + 0.01
    with PgenWriter(
        f"{prefix}.pgen".encode(), n, variant_ct_limit=m, nonref_flags=False, dosage_present=True
    ) as writer:
        for first in range(0, m, 500):
            q = frequency[first : first + 500, None]
            u = rng.random((len(q), n), dtype=np.float32)
            g = (u < 2 * q * (1 - q) + q * q).astype(np.float32) + (u < q * q)
            blur = np.float32(0.35) * rng.random((len(q), n), dtype=np.float32)
            uncertain = rng.random((len(q), n), dtype=np.float32) < 1 / 3
            for row, other, where in zip(g, blur, uncertain):
                writer.append_dosages(np.where(where, np.abs(row - other * np.sign(row - 0.5)), row))
    ids = [f"p{i}" for i in range(n)]
    text = {"sep": "\t", "index": False}
    pvar = {"#CHROM": 1, "POS": np.arange(m) * 100 + 1, "ID": [f"v{i}" for i in range(m)], "REF": "G", "ALT": "A"}
    pd.DataFrame(pvar).to_csv(f"{prefix}.pvar", **text)
    pd.DataFrame({"#IID": ids, "SEX": 1 + np.arange(n) % 2}).to_csv(f"{prefix}.psam", **text)
    c = rng.normal(size=(n, COVARIATES))
    y = rng.normal(size=n) + c[:, 0] * 0.5 + c[:, 1]
    head = pd.DataFrame({"#IID": ids})
    covariates = pd.DataFrame(c, columns=[f"C{i}" for i in range(COVARIATES)])
    pd.concat([head, covariates], axis=1).to_csv(f"{prefix}.cov", float_format="%.6g", **text)
    for form, suffix in (("bgen-1.2", "bgen_zlib"), ("bgen-1.3", "bgen_zstd")):
        command = ["plink2", "--pfile", str(prefix), "--out", f"{prefix}.{suffix}", "--export", form, "bits=8"]
        subprocess.run([*command, "ref-first", "id-paste=iid"], check=True, capture_output=True)
    head.assign(Y=y).to_csv(f"{prefix}.phe", float_format="%.6g", **text)


def open_files(folder: Path, name: str, form: str):
    """Open a format's files as the workflow does."""
    from deepnull_gwas.genotypes.bgen import BgenGenotypes
    from deepnull_gwas.genotypes.pgen import PgenGenotypes

    if form == "pgen":
        return PgenGenotypes([folder / f"{name}.pgen"])
    settings = {"bgen_reference": "first", "bgen_index": str(folder / "index")}
    return BgenGenotypes([folder / f"{name}.{form}.bgen"], settings)


def make_scan(folder: Path, name: str, n: int):
    """Return a scan of the one trait, both arms."""
    import numpy as np
    import pandas as pd

    from deepnull_gwas.association.inputs import StudyInput
    from deepnull_gwas.association.scan import Scan
    from deepnull_gwas.association.settings import Settings

    c = pd.read_csv(folder / f"{name}.cov", sep="\t").iloc[:, 1:]
    y = pd.read_csv(folder / f"{name}.phe", sep="\t")["Y"].to_numpy()
    d = np.random.default_rng(0).normal(size=n) + c["C0"].to_numpy() ** 2
    arms = ("baseline", "deepnull")
    study = StudyInput("s", "quantitative", arms, np.arange(n), y, c.to_numpy(), tuple(c.columns), d)
    return Scan([study], np.ones(n, dtype=np.int8), Settings.of(settings_of("linear")))


def scan(folder: Path, name: str, form: str, threads: int) -> dict:
    """Time our scan: the null model and kernels made ready beforehand, files read through the page cache."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from threadpoolctl import threadpool_limits

    from deepnull_gwas.genotypes.blocks import read_block, variants_at_once

    files = open_files(folder, name, form)
    scanner = make_scan(folder, name, files.n_samples)
    index, place = np.arange(files.n_variants), ("autosome", "")
    masks = scanner.on(*place).masks
    size = variants_at_once(files, scanner.settings.variants_per_block)

    def work(block: np.ndarray) -> None:
        scanner.coded(read_block(files, block, masks), *place)

    work(index[:64])
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in pool.map(work, [index[i : i + size] for i in range(0, len(index), size)]):
            pass
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # not ru_maxrss, which a process inherits from the one that started it
    peak = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    return {"wall": wall, "cpu": cpu, "genotypes": files.n_samples * len(index), "peak_mb": peak}


def profile(folder: Path, name: str, form: str) -> dict[str, float]:
    """Return nanoseconds per genotype of a core: reading and decoding, sums, the product with 24 columns, all of it."""
    import numpy as np

    from deepnull_gwas.genotypes.blocks import read_block, variants_at_once

    files = open_files(folder, name, form)
    scanner = make_scan(folder, name, files.n_samples)
    group = scanner.on("autosome").groups[0]
    index = np.arange(min(files.n_variants, variants_at_once(files, 1024)))
    steps = {
        "read": lambda: files.dosages(index),
        "read and sum": lambda: files.dosages(index, np.ones((1, files.n_samples), dtype=np.uint8)),
    }
    block = read_block(files, index, [group.mask])
    steps["multiply"] = lambda: block.multiply(group.columns, group.mask)
    steps["all"] = lambda: scanner.coded(read_block(files, index, [group.mask]), "autosome")
    out = {}
    for step, run in steps.items():
        run()
        best = np.inf
        for _ in range(5):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
        out[step] = best * 1e9 / files.n_samples / len(index)
    return out


def own(folder: Path, name: str, form: str, threads: int) -> dict:
    """Time our scan in a process of its own, so that the peak of its memory is its own."""
    command = [sys.executable, __file__, "--data", str(folder), "--scan", name, form, str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def plink(folder: Path, name: str, form: str, threads: int) -> dict:
    """Time the whole process of plink2 --glm on the same file (of BGEN with the conversion that it starts with)."""
    prefix = folder / name
    source = ["--pfile", str(prefix)]
    if form != "pgen":
        file = f"{prefix}.{form}"
        source = ["--bgen", f"{file}.bgen", "ref-first", "--sample", f"{file}.sample"]
    command = ["plink2", *source, "--threads", str(threads), "--out", str(folder / "plink")]
    command += ["--glm", "hide-covar", "omit-ref", "--pheno", f"{prefix}.phe", "--covar", f"{prefix}.cov"]
    result = timed(command, OPENBLAS_NUM_THREADS="1")
    for path in folder.glob("plink*"):
        path.unlink()
    n, m = SHAPES[name]
    return result | {"genotypes": n * m}


def compare(folder: Path, name: str, form: str, threads: int, repeats: int) -> dict:
    """Run our scan and PLINK 2 in turns; return medians of rates in million genotypes a second, and of their ratio."""
    own(folder, name, form, threads)
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(own(folder, name, form, threads))
        theirs.append(plink(folder, name, form, threads))
    row = {"case": name, "format": form, "threads": threads}
    for who, runs in (("scan", ours), ("plink", theirs)):
        for clock in ("wall", "cpu"):
            row[f"{who}_{clock}_rate"] = statistics.median(r["genotypes"] / r[clock] / 1e6 for r in runs)
        row[f"{who}_peak_mb"] = max(r["peak_mb"] for r in runs)
    row["times"] = statistics.median(t["wall"] / o["wall"] for o, t in zip(ours, theirs, strict=True))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--cases", nargs="+", default=["D", "E"])
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--scan", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scan:
        name, form, threads = options.scan
        print(json.dumps(scan(options.data, name, form, int(threads))))
        return
    rows = []
    print("| case | format | threads | ours: M/s wall, per CPU-s | PLINK 2: M/s wall, per CPU-s | ratio (wall) | MB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in options.cases:
        simulate(options.data, name)
        for form in options.formats:
            for threads in options.threads:
                row = compare(options.data, name, form, threads, options.repeats)
                rows.append(row)
                print(
                    f"| {name} | {form} | {threads} | {row['scan_wall_rate']:,.0f}, {row['scan_cpu_rate']:,.0f} "
                    f"| {row['plink_wall_rate']:,.0f}, {row['plink_cpu_rate']:,.0f} | {row['times']:.1f} "
                    f"| {row['scan_peak_mb']:,.0f} |",
                    flush=True,
                )
            steps = profile(options.data, name, form)
            print(f"{name} {form}, ns/genotype: " + ", ".join(f"{k} {v:.2f}" for k, v in steps.items()), flush=True)
            rows.append({"case": name, "format": form, "profile": steps})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

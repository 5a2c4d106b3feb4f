"""Time the association scan against PLINK 2, side by side in one session.

    make bench                                    # everything, about half an hour on 2 cores
    python benchmarks/association.py --cases A1 --kinds linear --repeats 1
    python benchmarks/association.py --vectors    # the product alone, compiled for vectors of 256 and of 512 bits

Simulates a cohort of 10,000 people x 100,000 variants (A) and one of 50,000 x 40,000 (B), each without (0) and with (1)
1 % missing calls, 22 covariates, 20 quantitative traits and one binary; and 300,000 people with 400 variants that 50 of
them carry, a trait that .5 % have, and 12 covariates (R): every variant there by Firth's likelihood, full and
approximate, and by the saddle point, against ``firth`` of PLINK 2. For every case our scan and ``plink2 --glm`` run in
turns, on 1 and on 2 threads; PLINK 2 with OPENBLAS_NUM_THREADS=1, on as many variants as take it some seconds. Rates
are genotypes (people x variants) a second; ours counts once, though it tests both arms. Of regenie, which is not run,
the rates that were measured on B are printed next to those of R.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPES = {"A": (10_000, 100_000), "B": (50_000, 40_000), "R": (300_000, 400)}
COVARIATES = {"A": 22, "B": 22, "R": 12}
#: Of the rare variants: carriers, and the share of people who are cases
CARRIERS, PREVALENCE = 50, 0.005
#: Kinds for rare variants, and their settings
RARE = {
    "firth": {"firth": "always", "firth_form": "full"},
    "firth_approximate": {"firth": "always", "firth_form": "approximate"},
    "spa": {"refine_by": "spa"},
}
#: Million genotypes a second of regenie 3 (2 cores, B: 50,000 x 40,000 common variants): score test, approximate Firth
#: below p .05
REGENIE = {1: (28, 17), 2: (54, 31)}
TRAITS = 20
#: Variants that PLINK 2 gets, by kind: as many as take it some seconds
PLINK_SHARE = {
    ("linear", "0"): 1.0, ("linear", "1"): 0.2, ("drop", "0"): 1.0, ("drop", "1"): 0.2, ("residualised", "0"): 1.0,
    ("residualised", "1"): 1.0, ("linear20", "0"): 0.3, ("linear20", "1"): 0.03, ("binary", "0"): 0.03,
    ("binary", "1"): 0.03, ("binary_full", "0"): 0.03, ("binary_full", "1"): 0.03, ("firth", "0"): 0.1,
    ("firth_approximate", "0"): 0.1, ("spa", "0"): 0.1,
}  # fmt: skip
#: Variants that our slower kinds get
OWN_SHARE = {"binary_full": 0.2, "linear20": 0.5}
#: What PLINK 2's rate is to be passed by, on 2 threads
TARGETS = {
    ("linear", "1"): 70, ("linear", "0"): 8, ("drop", "1"): 35, ("residualised", "0"): 2, ("linear20", "1"): 100,
    ("linear20", "0"): 6, ("binary", "1"): 60, ("binary", "0"): 60, ("binary_full", "1"): 8, ("binary_full", "0"): 8,
}  # fmt: skip


def simulate(folder: Path, name: str) -> None:
    """Write a fileset of independent variants, covariates and traits, unless they are there."""
    import numpy as np
    import pandas as pd

    prefix = folder / name
    if prefix.with_suffix(".bin").exists():
        return
    n, m = SHAPES[name[0]]
    missing = 0.01 if name[1] == "1" else 0.0
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    code = np.array([3, 2, 0, 1], dtype=np.uint8)
    frequency = rng.beta(0.8, 1.6, size=m) * 0.49 + 0.01
    n_bytes = (n + 3) // 4
    with open(f"{prefix}.bed", "wb") as file:
        file.write(b"\x6c\x1b\x01")
        for first in range(0, m, 500):
            q = frequency[first : first + 500, None].astype(np.float32)
            if name[0] == "R":
                g = np.zeros((len(q), n), dtype=np.uint8)
                for row in g:
                    row[rng.choice(n, CARRIERS, replace=False)] = 1
            else:
                u = rng.random((len(q), n), dtype=np.float32)
                g = (u < 2 * q * (1 - q) + q * q).astype(np.uint8) + (u < q * q)
            if missing:
                g[rng.random((len(q), n), dtype=np.float32) < missing] = 3
            lanes = np.zeros((len(q), n_bytes * 4), dtype=np.uint8)
            lanes[:, :n] = code[g]
            lanes = lanes.reshape(len(q), n_bytes, 4)
            file.write((lanes[..., 0] | lanes[..., 1] << 2 | lanes[..., 2] << 4 | lanes[..., 3] << 6).tobytes())
    text = {"sep": "\t", "index": False}
    ids = pd.Series([f"v{i}" for i in range(m)])
    bim = pd.DataFrame({"c": 1, "i": ids, "m": 0, "p": np.arange(m) * 100 + 1, "a": "A", "b": "G"})
    bim.to_csv(f"{prefix}.bim", header=False, **text)
    people = [f"p{i}" for i in range(n)]
    fam = pd.DataFrame({"f": people, "i": people, "a": 0, "b": 0, "s": 1 + np.arange(n) % 2, "y": -9})
    fam.to_csv(f"{prefix}.fam", header=False, **text)
    head = pd.DataFrame({"#FID": people, "IID": people})
    c = rng.normal(size=(n, COVARIATES[name[0]]))
    y = rng.normal(size=(n, TRAITS)) + c[:, :1] * 0.5 + c[:, 1:2]
    rarity = 2.0 if name[0] != "R" else np.log(1 / PREVALENCE - 1) + 0.17
    case = 1 + (rng.random(n) < 1 / (1 + np.exp(rarity - 0.5 * c[:, 0] - 0.3 * c[:, 1])))
    for suffix, columns in (
        ("cov", pd.DataFrame(c, columns=[f"C{i}" for i in range(c.shape[1])])),
        ("phe", pd.DataFrame(y, columns=[f"Y{i}" for i in range(TRAITS)])),
        ("bin", pd.DataFrame({"B": case})),
    ):
        pd.concat([head, columns], axis=1).to_csv(f"{prefix}.{suffix}", float_format="%.6g", **text)


def is_binary(kind: str) -> bool:
    """Return whether a kind of analysis is of the binary trait."""
    return kind.startswith("binary") or kind in RARE


def settings_of(kind: str) -> dict:
    """Return the section ``association`` of a configuration for a kind of analysis: schema's defaults and changes."""
    import yaml

    schema = yaml.safe_load((Path(__file__).resolve().parents[1] / "workflow/schemas/config.schema.yaml").read_text())
    keys = schema["properties"]["association"]["properties"]
    return {key: about["default"] for key, about in keys.items()} | {
        "missing_genotypes": "drop" if kind == "drop" else "impute_mean",
        "min_mac": 20,
        "hwe_p": 1e-6,
        "missingness_p": 1e-6,
        "refine_below": 1.0 if kind == "binary_full" or kind in RARE else 0.05,
        "firth": "fallback",
        "firth_mac": 20,
        "genome_build": "GRCh38",
        "variants_per_block": 1024,
        **RARE.get(kind, {}),
    }


def scan(folder: Path, name: str, kind: str, threads: int, share: float) -> dict:
    """Time our scan: null models and kernels made ready beforehand, genotypes read through the page cache."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import pandas as pd
    from threadpoolctl import threadpool_limits

    from deepnull_gwas.association.inputs import StudyInput
    from deepnull_gwas.association.scan import Scan
    from deepnull_gwas.association.settings import Settings
    from deepnull_gwas.genotypes.bed import BedGenotypes
    from deepnull_gwas.genotypes.blocks import read_block

    prefix = str(folder / name)
    files = BedGenotypes([prefix])
    n = files.n_samples
    c = pd.read_csv(f"{prefix}.cov", sep="\t").iloc[:, 2:].to_numpy()
    y = pd.read_csv(f"{prefix}.phe", sep="\t").iloc[:, 2:].to_numpy()
    case = pd.read_csv(f"{prefix}.bin", sep="\t")["B"].to_numpy() - 1.0
    rng = np.random.default_rng(0)
    binary = is_binary(kind)
    names = tuple(f"C{i}" for i in range(c.shape[1]))
    studies = [
        StudyInput(
            f"s{i}", "binary" if binary else "quantitative", ("baseline", "deepnull"), np.arange(n),
            case if binary else y[:, i], c, names, rng.normal(size=n) + c[:, 0] ** 2,
        )
        for i in range(TRAITS if kind == "linear20" else 1)
    ]  # fmt: skip
    scanner = Scan(studies, np.ones(n, dtype=np.int8), Settings.of(settings_of(kind)))
    index = np.arange(int(files.n_variants * share))
    scanner.coded(read_block(files, index[:64]), "autosome")
    blocks = [index[i : i + 1024] for i in range(0, len(index), 1024)]
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in pool.map(lambda b: scanner.coded(read_block(files, b), "autosome"), blocks):
            pass
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tests = len(index) * sum(len(s.arms) for s in studies)
    return {"wall": wall, "cpu": cpu, "genotypes": n * len(index), "tests": tests, "peak_mb": peak}


def prepare_chunk(folder: Path, name: str, kind: str) -> None:
    """Write what the workflow's steps before the association leave: indexed variants, people, one study."""
    import numpy as np
    import pandas as pd

    from deepnull_gwas.tables import write_json, write_parquet

    out = folder / f"{name}.{kind}"
    if (out / "samples.parquet").exists():
        return
    prefix = folder / name
    n, m = SHAPES[name[0]]
    bim = pd.read_csv(f"{prefix}.bim", sep="\t", header=None)
    write_parquet(
        pd.DataFrame(
            {
                "index": np.arange(m), "chromosome": "1", "position": bim[3].astype(np.int64), "id": bim[1],
                "effect_allele": bim[4], "other_allele": bim[5], "file": np.int32(0), "file_row": np.arange(m),
                "chunk": np.zeros(m, np.int32),
            }
        ),
        out / "variants.parquet",
    )  # fmt: skip
    write_json({"filesets": [str(prefix)]}, out / "genotypes.json")
    c = pd.read_csv(f"{prefix}.cov", sep="\t").iloc[:, 2:]
    binary = is_binary(kind)
    y = pd.read_csv(f"{prefix}.bin", sep="\t") if binary else pd.read_csv(f"{prefix}.phe", sep="\t")
    rng = np.random.default_rng(0)
    for i in range(TRAITS if kind == "linear20" else 1):
        values = y.iloc[:, 2 + i] - 1.0 if binary else y.iloc[:, 2 + i]
        people = pd.DataFrame({"sample_index": np.arange(n), "phenotype": values.astype(float)})
        people = pd.concat([people, c.add_prefix("cov_")], axis=1)
        study = out / f"s{i:02d}"
        write_parquet(people, study / "people.parquet")
        d = rng.normal(size=n) + c["C0"] ** 2
        write_parquet(
            pd.DataFrame({"sample_index": np.arange(n), "deepnull_covariate": d}), study / "prediction.parquet"
        )
        trait = "binary" if binary else "quantitative"
        about = {"study": f"s{i}", "trait": trait, "status": "ok", "reason": "", "n": n}
        write_json(about, study / "study.json")
    write_parquet(pd.DataFrame({"sex": np.ones(n, np.int8)}), out / "samples.parquet")


WHOLE = """
import json, sys, time
from pathlib import Path
from deepnull_gwas.association import chunk
out, threads, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
studies = [(path, path.with_name("people.parquet"), path.with_name("prediction.parquet"), ("baseline", "deepnull"))
           for path in sorted(out.glob("*/study.json"))]
spent = {"cpu": 0.0, "wall": 0.0}

def clocked(function, clock):
    def call(*arguments):
        cpu, wall = clock(), time.perf_counter()
        found = function(*arguments)
        spent["cpu"] += clock() - cpu
        spent["wall"] += time.perf_counter() - wall
        return found
    return call

# the check of the job by the second implementation; results are picked for it while other threads go on with the scan
chunk.Sample.add = clocked(chunk.Sample.add, time.thread_time)
chunk.read_study_files = clocked(chunk.read_study_files, time.process_time)
chunk.check = clocked(chunk.check, time.process_time)
tables = {"variants": out / "variants.parquet", "samples": out / "samples.parquet", "qc_variants": None}
chunk.associate_chunk(out / "genotypes.json", tables, studies, 0, settings, out / "result.parquet", threads)
(out / "check.json").write_text(json.dumps(spent))
"""


def timed(command: list[str], **environment: str) -> dict:
    """Run a command; return wall and CPU seconds and the peak of its memory."""
    with tempfile.TemporaryFile() as sink:
        wall = time.perf_counter()
        child = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=os.environ | environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - wall
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sink.seek(0)
            raise SystemExit(f"{' '.join(command[:3])} …: {sink.read().decode()[-2000:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def own(folder: Path, name: str, kind: str, threads: int) -> dict:
    """Time our scan in a process of its own, so that the peak of its memory is its own."""
    kind = "linear" if kind == "residualised" else kind
    done = subprocess.run(
        [sys.executable, __file__, "--data", str(folder), "--scan", name, kind, str(threads)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def whole(folder: Path, name: str, kind: str, threads: int) -> dict:
    """Time the whole association job: imports, parsing, scan, writing."""
    prepare_chunk(folder, name, kind)
    result = timed(
        [sys.executable, "-c", WHOLE, str(folder / f"{name}.{kind}"), str(threads), json.dumps(settings_of(kind))]
    )
    n, m = SHAPES[name[0]]
    check = json.loads((folder / f"{name}.{kind}" / "check.json").read_text())
    shares = {f"check_{figure}_share": check[figure] / result[figure] for figure in check}
    return result | {"genotypes": n * m} | shares


def plink(folder: Path, name: str, kind: str, threads: int) -> dict:
    """Time the whole process of plink2 --glm."""
    n, m = SHAPES[name[0]]
    variants = int(m * PLINK_SHARE[kind, name[1]])
    prefix = folder / name
    out = folder / "plink"
    command = [
        "plink2",
        "--bfile",
        str(prefix),
        "--threads",
        str(threads),
        "--out",
        str(out),
        "--glm",
        "hide-covar",
        "omit-ref",
    ]
    if kind == "residualised":
        command += ["allow-no-covars", "--pheno", f"{prefix}.res"]
    else:
        command += ["firth" if kind in RARE else "firth-fallback"] if is_binary(kind) else []
        command += [
            "--pheno",
            f"{prefix}.bin" if is_binary(kind) else f"{prefix}.phe",
            "--covar",
            f"{prefix}.cov",
        ]
        command += ["--pheno-name", "Y0"] if kind in ("linear", "drop") else []
    command += ["--chr", "1", "--from-bp", "1", "--to-bp", str((variants - 1) * 100 + 1)]
    result = timed(command, OPENBLAS_NUM_THREADS="1")
    for path in folder.glob("plink.*"):
        path.unlink()
    return result | {"genotypes": n * variants}


def residualise(folder: Path, name: str) -> None:
    """Write the first trait with its covariates removed: PLINK 2 without covariates is then its shortcut."""
    import numpy as np
    import pandas as pd

    prefix = folder / name
    y, c = pd.read_csv(f"{prefix}.phe", sep="\t"), pd.read_csv(f"{prefix}.cov", sep="\t").iloc[:, 2:].to_numpy()
    x = np.column_stack([np.ones(len(c)), c])
    left = y["Y0"].to_numpy() - x @ np.linalg.lstsq(x, y["Y0"].to_numpy(), rcond=None)[0]
    y[["#FID", "IID"]].assign(R=left).to_csv(f"{prefix}.res", sep="\t", index=False)


PRODUCT = """
import sys, time
import numpy as np
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.genotypes.products import make_tiles, multiply
n, m, out = 50_000, 600, []
rng = np.random.default_rng(0)
packed, centre = rng.integers(0, 256, (m, n // 4), dtype=np.uint8), np.full(m, 0.7)
stored, few = (PackedBlock(p, n).stored for p in (packed, packed[:6]))
for k in (4, 24, 48):
    tiles = make_tiles(n, np.arange(n), rng.normal(size=(n, k)))
    multiply(few, centre[:6], tiles)
    times = []
    for _ in range(int(sys.argv[1])):
        start = time.perf_counter()
        multiply(stored, centre, tiles)
        times.append(time.perf_counter() - start)
    out.append(n * m / min(times) / 1e6)
print(*out)
"""


def vectors(repeats: int) -> None:
    """Time the product on one thread with vectors of 256 and 512 bits, in turns, and with the library's choice."""
    import llvmlite.binding

    from deepnull_gwas.jit import vendor, wide_features

    features = dict(llvmlite.binding.get_host_cpu_features())
    if not features.get("avx512f"):
        raise SystemExit("this processor has no vectors of 512 bits")
    wide = wide_features(features, "GenuineIntel")
    ways = {
        "256 bits": {"NUMBA_CPU_FEATURES": wide.replace("-prefer-256-bit", "+prefer-256-bit")},
        "512 bits": {"NUMBA_CPU_FEATURES": wide},
        "the library's choice": {},
    }
    print(f"{llvmlite.binding.get_host_cpu_name()}, {vendor()}; million genotypes/s on one thread, best of {repeats}\n")
    print("| vectors | 4 columns | 24 columns | 48 columns |\n| --- | ---: | ---: | ---: |")
    best: dict[str, list[float]] = {}
    for _ in range(repeats):
        for way, environment in ways.items():
            done = subprocess.run(
                [sys.executable, "-c", PRODUCT, "12"],
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
            )  # fmt: skip
            rates = [float(x) for x in done.stdout.split()]
            best[way] = [max(pair) for pair in zip(rates, best.get(way, rates), strict=True)]
    for way, rates in best.items():
        print(f"| {way} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--cases", nargs="+", default=["A0", "A1", "B0", "B1", "R0"])
    parser.add_argument(
        "--kinds", nargs="+", default=["linear", "drop", "residualised", "linear20", "binary", "binary_full", *RARE]
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--vectors", action="store_true", help="only: the product with vectors of 256 and of 512 bits")
    parser.add_argument("--scan", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.vectors:
        vectors(options.repeats)
        return
    if options.scan:
        name, kind, threads = options.scan
        print(json.dumps(scan(options.data, name, kind, int(threads), OWN_SHARE.get(kind, 1.0))))
        return
    rows = []
    for name in options.cases:
        simulate(options.data, name)
        residualise(options.data, name)
        for kind in options.kinds:
            if (kind in RARE) != (name[0] == "R"):
                continue
            if (kind == "residualised" and name[1] == "1") or (kind == "drop" and name[1] == "0"):
                continue
            for threads in options.threads:
                with_whole = kind in ("linear", "drop", "linear20", "binary")
                # once for the caches: compiled code, pages of the genotypes
                own(options.data, name, kind, threads)
                runs = {"scan": [], "plink": [], "whole": []}
                for _ in range(options.repeats):
                    runs["scan"].append(own(options.data, name, kind, threads))
                    runs["plink"].append(plink(options.data, name, kind, threads))
                    if with_whole:
                        runs["whole"].append(whole(options.data, name, kind, threads))
                row = {"case": name, "kind": kind, "threads": threads}
                for what, results in runs.items():
                    for figure in ("wall", "cpu"):
                        if results:
                            rates = [r["genotypes"] / r[figure] / 1e6 for r in results]
                            row[f"{what}_{figure}_rate"] = statistics.median(rates)
                    if results:
                        row[f"{what}_peak_mb"] = max(r["peak_mb"] for r in results)
                        row[f"{what}_cpu_s"] = statistics.median(r["cpu"] for r in results)
                        row[f"{what}_wall_s"] = statistics.median(r["wall"] for r in results)
                row["times"] = row["scan_wall_rate"] / row["plink_wall_rate"]
                row["times_cpu"] = row["scan_cpu_rate"] / row["plink_cpu_rate"]
                row["target"] = TARGETS.get((kind, name[1])) if threads == 2 else None
                if with_whole:
                    row["whole_times"] = row["whole_wall_rate"] / row["plink_wall_rate"]
                    for figure in ("check_cpu_share", "check_wall_share"):
                        row[figure] = statistics.median(r[figure] for r in runs["whole"])
                rows.append(row)
                if kind in RARE:
                    row["ms_a_test"] = row["scan_cpu_s"] / runs["scan"][0]["tests"] * 1e3
                print(line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def line(row: dict) -> str:
    """Return one row of the table, in Markdown."""
    cells = [
        row["case"], row["kind"], str(row["threads"]), f"{row['scan_wall_rate']:,.0f}", f"{row['scan_cpu_rate']:,.0f}",
        f"{row['plink_wall_rate']:,.1f}", f"{row['plink_cpu_rate']:,.1f}",
        f"{row['times']:.1f}", f"{row['times_cpu']:.1f}",
        str(row["target"] or ""),
        f"{row['whole_wall_s']:.1f} s, x{row['whole_times']:.1f}" if "whole_times" in row else "",
        f"{100 * row['check_wall_share']:.1f} %" if "check_wall_share" in row else "",
        f"{row['scan_peak_mb']:,.0f} / {row['plink_peak_mb']:,.0f}",
    ]  # fmt: skip
    if row["kind"] in RARE:
        cells.append(
            f"{row['ms_a_test']:.1f} ms per test; regenie {' / '.join(map(str, REGENIE.get(row['threads'], ())))}"
        )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

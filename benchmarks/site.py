"""Time, memory and size of the interactive site: ten studies of ten million variants, an index of a hundred studies.

    .venv/bin/python benchmarks/site.py --json benchmarks/output/site.json

writes association tables as the scan does (5 GB below --folder, removed at the end), describes each study in a process
of its own, two at a time, builds the site, and opens it in headless Chromium where there is one. Targets: ten studies
in 2 minutes and 1 GB on 2 cores, 1 MB an arm, study page and index of a hundred studies within a second.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import platform
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import special

from deepnull_gwas.site.build import build_site
from deepnull_gwas.site.study import describe_study
from deepnull_gwas.tables import write_json, write_parquet

ARMS = ("baseline", "deepnull")
SETTINGS = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
#: Rows of a group of a table, as the scan writes them.
GROUP = 16_384
CHUNK = 1_000_000
LOCI, NEAR, REFERENCES = 25, 3_000, 60


class Pool:
    """Random numbers of which each study and chunk takes a stretch: drawing them all anew would take longest."""

    def __init__(self, rng: np.random.Generator):
        size = CHUNK + 500_000
        self.rng = rng
        self.neg_log10_p = -(special.log_ndtr(-np.abs(rng.normal(size=size))) + np.log(2)) / np.log(10)
        self.beta = rng.normal(0, 0.01, size)
        self.se = rng.uniform(0.005, 0.02, size)
        self.eaf = rng.beta(0.3, 0.3, size).clip(1e-4, 1 - 1e-4)

    def take(self, name: str, rows: int) -> np.ndarray:
        """Return a stretch of some numbers."""
        start = int(self.rng.integers(0, 500_000))
        return getattr(self, name)[start : start + rows]


def simulated(m: int, studies: list[str], chunk: int, pool: Pool) -> pa.Table:
    """Return the rows of one chunk: null statistics, and some hundred peaks of a polygenic trait."""
    first, rows = chunk * CHUNK, min(CHUNK, m - chunk * CHUNK)
    index = np.arange(first, first + rows)
    code = index * 22 // m + 1
    position = (index - (code - 1) * m // 22).astype(np.int64) * (22 * 130_000_000 // m) + 1
    words = pa.array(["", "linear"])
    reason = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), words)
    method = pa.DictionaryArray.from_arrays(pa.array(np.ones(rows, np.int8)), words)
    columns: dict[str, pa.Array] = {
        "index": pa.array(index),
        "chromosome": pa.array(code.astype(str)),
        "position": pa.array(position),
        "id": pa.array([f"rs{i * 37 + 11}" for i in index.tolist()]),
        "effect_allele": pa.array(["A"] * rows),
        "other_allele": pa.array(["G"] * rows),
    }
    peak = np.exp(-(((index % 60_000) - 30_000) ** 2) / 2e4) * 12
    for s in studies:
        columns[f"{s}.n"] = pa.array(np.full(rows, 400_000, np.int32))
        columns[f"{s}.eaf"] = pa.array(pool.take("eaf", rows))
        p = pool.take("neg_log10_p", rows) * (1 + peak)
        for arm, factor in zip(ARMS, (1.0, 1.04)):
            values = {name: pool.take(name, rows) for name in ("beta", "se")} | {"neg_log10_p": p * factor}
            columns |= {f"{s}.{arm}.{name}": pa.array(v) for name, v in values.items()}
            columns |= {f"{s}.{arm}.method": method, f"{s}.{arm}.reason": reason}
    return pa.table(columns)


def write_tables(folder: Path, m: int, studies: list[str]) -> list[Path]:
    """Write the association tables of a batch."""
    pool = Pool(np.random.default_rng(1))
    state = {"status": "ok", "stage": "", "reason": "", "dropped_covariates": [], "notes": []}
    head = {"format": 1, "studies": {s: {"trait": "quantitative", "arms": dict.fromkeys(ARMS, state)} for s in studies}}
    paths = []
    for chunk in range(-(-m // CHUNK)):
        table = simulated(m, studies, chunk, pool)
        table = table.replace_schema_metadata({b"deepnull_gwas": json.dumps(head).encode()})
        paths.append(folder / f"{chunk}.parquet")
        pq.write_table(
            table, paths[-1], compression="zstd", compression_level=1, row_group_size=GROUP, write_page_checksum=True
        )
    return paths


def write_study(folder: Path, study: str, m: int) -> None:
    """Write the small files of a study, and its regions."""
    rng = np.random.default_rng(2)
    about = {"study": study, "cohort": "c", "phenotype": study, "trait": "quantitative", "transform": "none"}
    about |= {"status": "ok", "stage": "", "reason": "", "n": 400_000, "cases": None, "controls": None}
    write_json(about | {"accounting": [], "covariates": [], "dropped_covariates": []}, folder / "study.json")
    tests = {"tested": m, "other_alleles": 0, "untested": {}, "lambda_gc": 1.02, "loci": 100}
    for arm in ARMS:
        write_json(tests, folder / arm / "tests.json")
    failed = {"study": study, "status": "failed", "stage": "train_folds", "reason": "none in a benchmark"}
    write_json(failed, folder / "deepnull" / "metrics.json")
    compared = {"loci": {"shared": 90, "gained": 10, "lost": 0}, "effective_sample_size_gained": 0.05}
    write_json(compared, folder / "comparison.json")
    names = ["chromosome", "base_pair_location", "variant_id", "original_id", "effect_allele", "other_allele"]
    names += ["verdict", "n", *(f"{c}_{a}" for a in ARMS for c in ("beta", "standard_error", "neg_log_10_p_value"))]
    numbers = ["0.1", "0.01", "9"] * 2
    rows = [[str(1 + i % 22), str(1000 + i), *[f"rs{i}"] * 2, "A", "G", "shared", "9", *numbers] for i in range(100)]
    (folder / "comparison.tsv").write_text("\n".join("\t".join(r) for r in [names, *rows]) + "\n")
    write_parquet(pd.DataFrame({"phenotype": [0.0]}), folder / "samples.parquet")
    numbers = {k: rng.random(NEAR).round(6).tolist() for k in ("neg_log_10_p", "beta", "se")}
    region = {"lead": 0, "start": 1, "stop": 1_000_000, "verdict": "shared", "genes": []}
    region |= {"position": list(range(1, NEAR * 300, 300)), "id": [f"rs{i}" for i in range(NEAR)]}
    region |= {"effect_allele": ["A"] * NEAR, "other_allele": ["G"] * NEAR, "n": [400_000] * NEAR}
    region |= {"frequency": numbers["beta"], "arms": dict.fromkeys(ARMS, numbers)}
    region |= {"references": list(range(REFERENCES)), "r2": rng.integers(0, 1001, (REFERENCES, NEAR)).tolist()}
    loci = [region | {"name": f"chr{1 + i % 22}_{i}", "chromosome": 1 + i % 22} for i in range(LOCI)]
    with gzip.open(folder / "regions.json.gz", "wt", compresslevel=5) as file:
        json.dump({"format": 1, "window_kb": 500, "loci": loci}, file)


def peak_mb() -> float:
    """Return the most memory that this process has had; what getrusage says includes that of its parent."""
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))


def _describe(task: tuple[Path, list[Path], dict]) -> tuple[float, float, float]:
    """Describe one study; return seconds, MB of memory at most, and seconds of processor time."""
    folder, chunks, entry = task
    started = time.perf_counter()
    describe_study(folder, chunks, entry, SETTINGS, folder / "site.js", folder / "site.json")
    return time.perf_counter() - started, peak_mb(), time.process_time()


def _build(task: tuple[Path, list[dict]]) -> tuple[float, float, float]:
    """Build the site; return seconds, MB of memory at most, and seconds of processor time."""
    results, entries = task
    started = time.perf_counter()
    build_site(results, entries, results / "provenance.json", results / "site", results / "site.zip")
    return time.perf_counter() - started, peak_mb(), time.process_time()


def seconds_in_browser(site: Path, address: str) -> dict[str, list[float]] | None:
    """Return how long a page takes from its address to its plots, in three new windows; None without a browser.

    Returns
    -------
    ``seconds``, and of them those of the page's own thread on the processor (``processor_seconds``): they are the same
    on a machine that is busy.
    """
    if not (path := shutil.which("chromium")):
        return None
    from playwright.sync_api import sync_playwright

    taken: dict[str, list[float]] = {"seconds": [], "processor_seconds": []}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
            tools = page.context.new_cdp_session(page)
            tools.send("Performance.enable", {"timeDomain": "threadTicks"})
            started = time.perf_counter()
            page.goto(f"{(site / 'index.html').resolve().as_uri()}{address}")
            page.wait_for_selector("main:not([aria-busy]) h1")
            page.wait_for_function("[...document.querySelectorAll('.plot canvas')].every((c) => c.width > 0)")
            # what was asked to be drawn is on the screen
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            taken["seconds"].append(round(time.perf_counter() - started, 3))
            metrics = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
            taken["processor_seconds"].append(round(metrics["TaskDuration"], 3))
            page.context.close()
        browser.close()
    return taken


def hundred(results: Path, entry: dict) -> Path:
    """Build a site of a hundred studies: copies of one, without regions."""
    other = results.parent / "hundred"
    (other / "c").mkdir(parents=True)
    row = json.loads((results / "c" / entry["study"] / "site.json").read_text())
    entries = []
    for i in range(100):
        folder = other / "c" / f"study_{i}"
        folder.mkdir()
        (folder / "site.js").write_text('deepnullSite.put("nothing",{});\n')
        write_json(row | {"study": f"study_{i}", "phenotype": f"phenotype {i}"}, folder / "site.json")
        entries.append(entry | {"study": f"study_{i}"})
    shutil.copyfile(results / "c" / "site.js", other / "c" / "site.js")
    shutil.copyfile(results / "provenance.json", other / "provenance.json")
    build_site(other, entries, other / "provenance.json", other / "site", other / "site.zip")
    return other / "site"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--variants", type=int, default=10_000_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/output/site"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    results = given.folder / "results"
    tables = results / "c" / "associations" / "main"
    tables.mkdir(parents=True)
    studies = [f"s{i}" for i in range(given.studies)]
    try:
        started = time.perf_counter()
        chunks = write_tables(tables, given.variants, studies)
        for study in studies:
            write_study(results / "c" / study, study, given.variants)
        (results / "c" / "site.js").write_text('deepnullSite.put("cohort/c",{});\n')
        source = {"version": "0", "commit": None, "changed_since_commit": False, "library_sha256": ""}
        analysis = {"software": {"deepnull-gwas": source}, "seed": 1, "config": {}, "studies": {}, "inputs": [],
                    "published": []}  # fmt: skip
        write_json({"analysis": analysis, "execution": {"recorded": "", "host": {}, "rules": []}},
                   results / "provenance.json")  # fmt: skip
        print(f"simulated in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        more = {"arms": list(ARMS), "model": "linear", "genome_build": "GRCh38"}
        entries = [{"cohort": "c", "study": s, **more} for s in studies]
        tasks = [(results / "c" / e["study"], chunks, e) for e in entries]
        # a process for each job, as Snakemake has it
        with multiprocessing.get_context("spawn").Pool(given.cores, maxtasksperchild=1) as pool:
            started = time.perf_counter()
            described = pool.map(_describe, tasks, chunksize=1)
            ((build_s, build_mb, build_cpu),) = pool.map(_build, [(results, entries)])
            seconds = time.perf_counter() - started
        pages = [(results / "site/data/c" / f"{s}.js").stat().st_size for s in studies]
        found = {
            "machine": {"cpu": platform.processor() or platform.machine(), "cores": given.cores},
            "studies": given.studies,
            "variants": given.variants,
            "seconds": round(seconds, 1),
            "seconds_per_study": round(float(np.mean([s for s, _, _ in described])), 1),
            "seconds_of_build": round(build_s, 1),
            "processor_seconds": {
                "of_a_study": round(float(np.mean([c for _, _, c in described])), 1),
                "of_build": round(build_cpu, 1),
            },
            "mb_of_a_study": round(max(mb for _, mb, _ in described)),
            "mb_of_build": round(build_mb),
            "mb_at_once": round(given.cores * max(mb for _, mb, _ in described)),
            "bytes_per_arm": round(max(pages) / len(ARMS)),
            "zip_mb": round((results / "site.zip").stat().st_size / 1e6, 1),
            "study_page_s": seconds_in_browser(results / "site", "#/study/c/s0"),
            "index_of_100_s": seconds_in_browser(hundred(results, entries[0]), ""),
        }
    finally:
        shutil.rmtree(given.folder, ignore_errors=True)
    print(json.dumps(found, indent=2))
    if given.json:
        write_json(found, given.json)


if __name__ == "__main__":
    main()

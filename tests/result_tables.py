"""Association tables as the scan writes them, made by hand, for tests of what comes after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

from deepnull_gwas.results.compare import compare_arms
from deepnull_gwas.results.loci import find_leads
from deepnull_gwas.results.publish import merge_sumstats
from deepnull_gwas.tables import read_json, write_json, write_table


def write_results(
    folder: Path,
    chromosomes: list[str],
    per_chromosome: int,
    seed: int = 0,
    trait: str = "quantitative",
    failed: bool = False,
    chunks: int = 2,
    imputed: bool = False,
):
    """Write study.json and the chunks of one batch; returns study.json, chunks, and what is in them."""
    rng = np.random.default_rng(seed)
    m = len(chromosomes) * per_chromosome
    chromosome = np.repeat(chromosomes, per_chromosome)
    position = np.tile(np.arange(1, per_chromosome + 1) * 10_000, len(chromosomes))
    z = rng.normal(size=m)
    z[m // 2] = 43.0  # p far below the smallest float64
    se = rng.uniform(0.01, 0.1, m)
    reason = np.where(rng.random(m) < 0.05, "low_mac", "").astype(object)
    reason[m // 2] = ""
    if failed:
        reason[:] = "study_failed"
    untested = reason != ""
    columns = {
        "index": np.arange(m),
        "chromosome": chromosome,
        "position": position,
        "id": np.array([f"v{i}" for i in range(m)]),
        "effect_allele": rng.choice(["A", "C"], m),
        "other_allele": rng.choice(["G", "T"], m),
        "s.n": np.full(m, 900, dtype=np.int32),
        "s.eaf": rng.uniform(0.01, 0.99, m),
    }
    if imputed:
        columns["s.info"] = np.where(np.arange(m) % 7, rng.uniform(0.1, 1.05, m), np.nan)
    if trait == "binary":
        columns |= {
            "s.n_cases": np.full(m, 300, dtype=np.int32),
            "s.eaf_cases": columns["s.eaf"],
            "s.eaf_controls": columns["s.eaf"],
        }
    for arm, factor in (("baseline", 1.0), ("deepnull", 1.05)):
        value = z * factor
        columns |= {
            f"s.{arm}.beta": np.where(untested, np.nan, value * se),
            f"s.{arm}.se": np.where(untested, np.nan, se),
            f"s.{arm}.neg_log10_p": np.where(
                untested, np.nan, -(stats.norm.logsf(np.abs(value)) + np.log(2)) / np.log(10)
            ),
            f"s.{arm}.method": np.where(untested, "", "linear").astype(object),
            f"s.{arm}.reason": reason,
        }
    arm_state = {
        "status": "failed" if failed else "ok",
        "stage": "assemble_study" if failed else "",
        "reason": "no cases" if failed else "",
        "dropped_covariates": [],
        "notes": [],
    }
    metadata = {"format": 1, "studies": {"s": {"trait": trait, "arms": {"baseline": arm_state, "deepnull": arm_state}}}}
    if imputed:
        metadata["genotypes"] = {"information": "mach_r2", "other_is_reference": True}
    paths = []
    for i, rows in enumerate(np.array_split(np.arange(m), chunks)):
        arrays = {}
        for name, values in columns.items():
            part = values[rows]
            if name.endswith((".method", ".reason")):
                arrays[name] = pa.array(part.tolist(), type=pa.string()).dictionary_encode()
            else:
                arrays[name] = pa.array(part.tolist() if part.dtype.kind in "OU" else part)
        paths.append(folder / f"{i}.parquet")
        write_table(pa.table(arrays), paths[-1], metadata=metadata)
    about = {
        "study": "s",
        "cohort": "c",
        "phenotype": "height",
        "trait": trait,
        "transform": "none",
        "status": "failed" if failed else "ok",
    }
    about |= {
        "stage": "assemble_study" if failed else "",
        "reason": "no cases" if failed else "",
        "n": 0 if failed else 900,
    }
    about |= {"cases": 300 if trait == "binary" else None, "controls": 600 if trait == "binary" else None}
    about |= {"covariates": [{"name": "age", "columns": ["cov_age"], "kind": "numeric"}]}
    write_json(about, folder / "study.json")
    return folder / "study.json", paths, columns


INFO = {"cohort": "c", "genome_build": "GRCh38"}


def publish_and_count(folder, study_json, chunks, arm="baseline"):
    folder.mkdir(exist_ok=True)
    out = folder / "sumstats.tsv.gz"
    return out, merge_sumstats(
        chunks, "s", arm, study_json, out, folder / f"{out.name}-meta.yaml", folder / "untested.tsv.gz", INFO
    )


def prepare(folder, **more):
    results = folder / "results"
    study_folder = results / "c" / "s"
    study_folder.mkdir(parents=True)
    chunk_folder = results / "c" / "associations" / "main"
    chunk_folder.mkdir(parents=True)
    study, chunks, columns = write_results(chunk_folder, ["1", "2"], 100, **more)
    study.rename(study_folder / "study.json")
    for arm in ("baseline", "deepnull"):
        out, counts = publish_and_count(study_folder / arm, study_folder / "study.json", chunks, arm)
        tests = find_leads(out, 5e-8, 500, study_folder / arm / "leads.tsv")
        write_json(counts | tests, study_folder / arm / "tests.json")
    return results, study_folder, columns


def compare(study_folder, metrics, genome=None):
    write_json(metrics, study_folder / "deepnull/metrics.json")
    both = [
        {arm: study_folder / arm / name for arm in ("baseline", "deepnull")}
        for name in ("sumstats.tsv.gz", "leads.tsv")
    ]
    if genome is not None:
        write_json({"format": 1, "arms": genome}, path := study_folder / "genome.json")
    out = study_folder / "comparison.json", study_folder / "comparison.tsv"
    compare_arms(*both, study_folder / "deepnull/metrics.json", None if genome is None else path, 500, *out)
    return read_json(study_folder / "comparison.json")

"""A small run whose site is built: two studies, one of them failed, and names that mean harm."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from deepnull_gwas.results.loci import find_leads
from deepnull_gwas.site.build import build_site
from deepnull_gwas.site.cohort import describe_cohort
from deepnull_gwas.site.study import describe_study
from deepnull_gwas.tables import read_json, write_json, write_parquet, write_table, write_tsv
from result_tables import compare, prepare, publish_and_count

NASTY = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>&amp;äöüß€\u2028=1+1 {{x}} " + "long " * 24
NASTY = NASTY[:200]
ENTRY = {"cohort": "c", "study": "s", "arms": ["baseline", "deepnull"], "model": "linear", "genome_build": "GRCh38"}
SETTINGS = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
QC = {"variant_call_rate": 0.98, "sample_call_rate": 0.98, "maf": 0.01, "hwe_p": 1e-15, "heterozygosity_f": 0.2}
QC |= {"heterozygosity_sd": 6, "sex_check": "exclude", "sex_f_female": 0.2, "sex_f_male": 0.8}


@dataclass
class Made:
    """Results with a site, and what they were made from."""

    results: Path
    chunks: list[Path]
    columns: dict

    @property
    def study(self) -> Path:
        return self.results / "c" / "s"

    @property
    def site(self) -> Path:
        return self.results / "site"

    def describe(self) -> None:
        describe_study(
            self.study, self.chunks, ENTRY, SETTINGS, self.study / "site.js", self.study / "site.json"
        )  # fmt: skip

    def build(self) -> None:
        studies = [ENTRY, ENTRY | {"study": "broken"}, ENTRY | {"study": "one", "arms": ["baseline"]}]
        build_site(
            self.results, studies, self.results / "provenance.json", self.site, self.results / "site.zip"
        )  # fmt: skip


def metrics(name: str) -> dict:
    """Return metrics.json of a study whose covariates are `age` and one of that name."""
    accuracy = {"linear": {"r2": 0.1, "correlation": 0.3}, "deepnull": {"r2": 0.25, "correlation": 0.5}}
    curve = {"values": [40.0, 50.0, 60.0], "prediction": [-0.5, 0.1, 0.4]}
    by_model = {"linear": {"r2": 0.1}, "splines": {"r2": 0.2}}
    return {
        "study": "s", "trait": "quantitative", "status": "ok", "n": 900, "model": "auto", **accuracy,
        "models": {"linear": accuracy["linear"], "splines": {"r2": 0.2, "correlation": 0.45}},
        "folds": [{"fold": k, "deepnull": {"r2": 0.2 + k / 50}, "models": by_model,
                   "weights": {"splines": 0.7 + k / 10}} for k in range(3)],
        "warnings": [f"heritable covariate {name}: compare with a run without it"],
        "calibration": [{"people": 90, "predicted": 0.1 * k, "observed": 0.11 * k} for k in range(10)],
        "dependence": {
            "covariates": [{"name": "age", **curve}, {"name": name, "values": [0.0, 1.0], "prediction": [0.2, -0.2]}],
            "interaction": {"names": ["age", name], "values": [[40.0, 60.0], [0.0, 1.0]],
                            "prediction": [[0.1, -0.1], [-0.1, 0.1]], "variance": 0.01, "share": 0.4},
        },
    }  # fmt: skip


def _people(folder: Path, name: str) -> pd.DataFrame:
    """Write what a study and its cohort know of people."""
    rng = np.random.default_rng(3)
    n = 900
    ids = [f"SECRET{i:04d}" for i in range(n)]
    table = pd.DataFrame({"sample_index": np.arange(n), "fid": ids, "iid": ids, "phenotype": rng.normal(size=n)})
    table["cov_age"], table[f"cov_{name}"] = rng.uniform(40, 70, n), rng.integers(0, 2, n).astype(float)
    write_parquet(table, folder / "s" / "samples.parquet")
    people = table[["sample_index", "fid", "iid"]].assign(
        call_rate=rng.uniform(0.95, 1, n), heterozygosity_f=rng.normal(0, 0.02, n), passed=True,
        x_f=np.where(np.arange(n) % 2, 0.0, 1.0),
    )  # fmt: skip
    write_parquet(people, folder / "qc" / "samples.parquet")
    pcs = people[["sample_index", "fid", "iid"]].copy()
    for k in range(1, 5):
        pcs[f"PC{k}"] = rng.normal(size=n)
    write_parquet(pcs, folder / "structure" / "pcs.parquet")
    return table


def _cohort(folder: Path, m: int) -> None:
    """Write the tables of a cohort."""
    rng = np.random.default_rng(4)
    variants = pd.DataFrame({"call_rate": rng.uniform(0.9, 1, m), "effect_allele_frequency": rng.uniform(0, 1, m)})
    write_parquet(variants.assign(hwe_p=rng.uniform(0, 1, m)), folder / "qc" / "variants.parquet")
    flow = [("sample_table", "people", 1000, 100, 900, "in the sample table"), ("maf", "variants", 220, 20, 200, "x")]
    write_tsv(
        pd.DataFrame(flow, columns=["step", "unit", "before", "removed", "after", "rule"]), folder / "qc/flow.tsv"
    )
    structure = folder / "structure"
    write_tsv(pd.DataFrame({"component": [1, 2], "eigenvalue": [5.0, 3.0], "variance_explained": [0.1, 0.05]}),
              structure / "eigenvalues.tsv")  # fmt: skip
    pairs = pd.DataFrame({"iid_1": ["SECRET0001"], "iid_2": ["SECRET0002"], "kinship": [0.25], "relation": ["sibling"]})
    write_tsv(pairs, structure / "relatives.tsv")
    row = {"study": "s", "n": 900, "r2_covariates": 0.1, "r2_pcs": 0.02, "lambda_without_pcs": 1.2}
    row |= {"lambda_with_pcs": 1.0, "lambda_with_all": 1.0, "strongest_pc": "PC1", "r2_strongest_pc": 0.01}
    write_tsv(pd.DataFrame([row]), structure / "stratification.tsv")
    write_json({"format": "bed", "genome_build": "GRCh38", "samples": 1000, "variants": 220}, folder / "genotypes.json")


def _rename(chunks: list[Path], name: str) -> None:
    """Give the strongest variant a name and alleles that mean harm."""
    for path in chunks:
        file = pq.ParquetFile(path)
        table = file.read()
        strongest = table["position"].to_numpy() == 10_000
        strongest &= table["chromosome"].to_numpy(zero_copy_only=False) == "2"
        for column, value in (("id", name), ("effect_allele", "<script>" * 30)):
            values = np.where(strongest, value, table[column].to_numpy(zero_copy_only=False))
            table = table.set_column(table.column_names.index(column), column, pa.array(values.tolist()))
        metadata = json.loads(file.metadata.metadata[b"deepnull_gwas"])
        write_table(table.replace_schema_metadata(None), path, metadata=metadata)


def region_of(made_columns: dict, name: str) -> dict:
    """Return regions.json of one locus around the strongest variant."""
    rows = list(range(100, 130))
    c = made_columns

    def number(key: str) -> list:
        return [None if np.isnan(c[key][i]) else float(c[key][i]) for i in rows]

    lead = {"name": "chr2_10000", "chromosome": 2, "lead": 0, "start": 1, "stop": 510_000, "verdict": "shared"}
    lead |= {"nearest_gene": name, "gene_distance": 0}
    arms = {a: {"neg_log_10_p": number(f"s.{a}.neg_log10_p"), "beta": number(f"s.{a}.beta"), "se": number(f"s.{a}.se")}
            for a in ("deepnull", "baseline")}  # fmt: skip
    r2 = [[1000 if i == j else None if i == 7 else (37 * i + 11 * j) % 1000 for i in range(30)] for j in (0, 3, 5)]
    gene = {"symbol": name, "start": 5_000, "end": 60_000, "strand": "+", "biotype": "protein_coding"}
    return {"format": 1, "window_kb": 500, "loci": [lead | {
        "position": [int(c["position"][i]) for i in rows], "id": [name, *(c["id"][i] for i in rows[1:])],
        "effect_allele": [str(c["effect_allele"][i]) for i in rows],
        "other_allele": [str(c["other_allele"][i]) for i in rows],
        "frequency": number("s.eaf"), "n": [900] * 30, "arms": arms, "references": [0, 3, 5], "r2": r2,
        "genes": [gene, gene | {"symbol": "NEAR", "start": 70_000, "end": 300_000, "strand": "-"}]}]}  # fmt: skip


def _failed(results: Path, tmp: Path) -> None:
    """Add a study that failed."""
    other, folder, _ = prepare(tmp, failed=True)
    compare(folder, {"study": "broken", "trait": "quantitative", "status": "failed", "stage": "assemble_study",
                     "reason": NASTY})  # fmt: skip
    about = read_json(folder / "study.json") | {"study": "broken", "phenotype": "p", "reason": NASTY}
    write_json(about, folder / "study.json")
    shutil.copytree(folder, results / "c" / "broken")
    shutil.copyfile(results / "c" / "s" / "samples.parquet", results / "c" / "broken" / "samples.parquet")
    broken, chunks = results / "c" / "broken", sorted((other / "c/associations/main").glob("*.parquet"))
    describe_study(broken, chunks, ENTRY, SETTINGS, broken / "site.js", broken / "site.json")
    # its columns are those of study s
    page = (broken / "site.js").read_text()
    (broken / "site.js").write_text(page.replace('"study/c/s"', '"study/c/broken"', 1))


def provenance() -> dict:
    """Return a record of a run."""
    source = {"version": "0", "commit": None, "changed_since_commit": False, "library_sha256": "0" * 64}
    software = {"deepnull-gwas": source,
                "snakemake": "9", "python": "3", "packages": {"numpy": "2"}}  # fmt: skip
    text = {"sha256": "0", "text": f"a: {NASTY}", "path": "studies.tsv"}
    rule = {"rule": "associate", "jobs": 2, "seconds": 3.0, "longest_seconds": 2.0, "peak_mb": 100.0}
    file = {"path": "c/s/baseline/sumstats.tsv.gz", "bytes": 5, "sha256": "0" * 64}
    return {
        "analysis": {"software": software, "seed": 1, "config": text, "studies": text,
                     "inputs": [], "published": [file]},
        "execution": {"recorded": "2026-01-01T00:00:00+0000", "directory": "/secret/folder", "rules": [rule],
                      "host": {"name": "secret", "system": "Linux", "cpu": "x", "cores": 2, "memory_mb": 1}},
    }  # fmt: skip


def make_site(tmp: Path) -> Made:
    """Build the site of a small run."""
    results, folder, columns = prepare(tmp)
    chunks = sorted((results / "c/associations/main").glob("*.parquet"))
    _rename(chunks, NASTY)
    for arm in ENTRY["arms"]:
        out, counts = publish_and_count(folder / arm, folder / "study.json", chunks, arm)
        write_json(counts | find_leads(out, 5e-8, 500, folder / arm / "leads.tsv"), folder / arm / "tests.json")
    compare(folder, metrics(NASTY))
    about = read_json(folder / "study.json") | {"phenotype": NASTY, "notes": [NASTY], "deepnull_covariates": []}
    steps = [{"step": f"covariate {NASTY} present", "people": 900, "removed": 100, "examples": ["SECRET0001"]}]
    dropped = [{"name": NASTY, "reason": "constant among the people analysed"}]
    write_json(about | {"accounting": steps, "dropped_covariates": dropped}, folder / "study.json")
    _people(results / "c", NASTY)
    _cohort(results / "c", 220)
    genes = pl.read_csv(
        folder / "comparison.tsv", separator="\t", null_values="NA", infer_schema=False, quote_char=None
    )
    named = {"nearest_gene": NASTY, "gene_distance": "0", "genes": "X"}
    genes = genes.with_columns(**{column: pl.lit(text) for column, text in named.items()})
    genes.write_csv(folder / "comparison.tsv", separator="\t", null_value="NA", quote_style="never")
    with gzip.open(folder / "regions.json.gz", "wt", encoding="utf-8") as file:
        json.dump(region_of(columns, NASTY), file)
    write_json(provenance(), results / "provenance.json")
    done = Made(results, chunks, columns)
    done.describe()
    _failed(results, tmp / "failed")
    # one arm only
    one = shutil.copytree(folder, results / "c" / "one")
    write_json(read_json(one / "study.json") | {"study": "one", "trait": "binary", "cases": 300}, one / "study.json")
    describe_study(one, chunks, ENTRY | {"arms": ["baseline"]}, SETTINGS, one / "site.js", one / "site.json")
    (one / "site.js").write_text((one / "site.js").read_text().replace('"study/c/s"', '"study/c/one"', 1))
    describe_cohort(results / "c", "c", QC, {"relatives": True, "components": True}, results / "c" / "site.js")
    done.build()
    return done


def value_of(path: Path) -> tuple[str, dict]:
    """Return key and value of a data file."""
    text = path.read_text(encoding="ascii")
    assert text.startswith("deepnullSite.put(") and text.endswith(");\n")
    key, value = json.loads(f"[{text[len('deepnullSite.put(') : -3]}]")
    return key, value


def numbers(text: str, kind: str) -> np.ndarray:
    """Return the numbers of a packed array."""
    return np.frombuffer(base64.b64decode(text), dtype=kind)

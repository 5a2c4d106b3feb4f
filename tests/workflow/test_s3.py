"""Results in an object store (S3): the workflow against moto's server on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from workflow_runs import CONFIG, ROOT, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow
PLUGIN, SERVER = ROOT / ".cache/s3", ROOT / ".cache/moto/bin/moto_server"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """Start the server and make a bucket; returns the server's address."""
    if not (PLUGIN.is_dir() and SERVER.exists()):
        missing = pytest.fail if os.environ.get("REQUIRE_ORACLES") else pytest.skip
        missing("storage plugin and server are not installed (scripts/install-s3.sh --test installs them)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (
        open(tmp_path_factory.mktemp("moto") / "log", "w") as log,
        subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log) as server,
    ):
        try:
            # two minutes: a busy machine takes its time
            for _ in range(600):
                assert server.poll() is None, Path(log.name).read_text()
                try:
                    urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=10).close()
                    break
                except OSError:
                    time.sleep(0.2)
            make = urllib.request.Request(f"{address}/results", method="PUT")
            urllib.request.urlopen(make, timeout=60).close()
            yield address
        finally:
            server.terminate()


# run with the plugin's own boto3, which these tests do not import
FETCH = """
import os, sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1])
for page in client.get_paginator("list_objects_v2").paginate(Bucket="results"):
    for item in page["Contents"]:
        os.makedirs(os.path.dirname(f"{sys.argv[2]}/{item['Key']}"), exist_ok=True)
        client.download_file("results", item["Key"], f"{sys.argv[2]}/{item['Key']}")
"""


def fetch(store: str, folder: Path) -> Path:
    """Copy all objects into a folder; returns where the workflow's are."""
    subprocess.run([sys.executable, "-c", FETCH, store, str(folder)], check=True)
    return folder / "gwas"


def compare(
    store: str, tmp_path: Path, monkeypatch, config: dict, sheet: list[dict], targets: list[str], names: list[str]
) -> tuple[Run, Path]:
    """Run with results in the store and with results on disk; compare the files of these names; returns the first run
    and a copy of the store.
    """
    for key, value in (
        *(("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_DEFAULT_REGION", "us-east-1")),
        ("PYTHONPATH", str(PLUGIN)),
    ):
        monkeypatch.setenv(key, value)
    runs = []
    for name in ("s3", "disk"):
        folder = tmp_path / name
        folder.mkdir()
        small_cohort(folder)
        runs.append(Run(folder, warm=False))
        runs[-1].configure(config, sheet)
    where = [
        *("--cores", "2", "--default-storage-provider", "s3", "--default-storage-prefix", "s3://results/gwas"),
        *("--storage-s3-endpoint-url", store),
    ]
    first = runs[0].snakemake(*where, "--", *targets)
    assert "Results are in s3://results/gwas/results" in first.stderr
    again = runs[0].snakemake("-n", *where, "--", *targets)
    assert "Nothing to be done" in again.stdout + again.stderr
    runs[1].snakemake("--cores", "2", "--", *targets)
    stored = fetch(store, tmp_path / "fetched")
    for file in names:
        assert (stored / file).read_bytes() == (runs[1].folder / file).read_bytes(), file
    return runs[0], stored


def test_results_go_to_the_store_and_genotypes_stay_where_they_are(store, tmp_path, monkeypatch):
    names = ["results/c/variants.parquet", "results/c/qc/variants.parquet", "results/c/qc/samples.parquet"]
    run, stored = compare(store, tmp_path, monkeypatch, CONFIG, SHEET[:1], names[1:], names)
    assert json.loads((stored / "results/c/genotypes.json").read_text())["filesets"] == ["g"]
    # neither a copy of the genotypes, nor one of the results
    assert [p.relative_to(run.folder) for p in run.folder.rglob("*.bed")] == [Path("g.bed")]
    assert not list(run.folder.rglob("*.parquet"))
    assert "people" in (stored / "logs/index_cohort/c.log").read_text()


@pytest.mark.slow
def test_a_simulated_cohort_to_the_end(store, tmp_path, monkeypatch):
    small = {
        "people": 600,
        "variants": 800,
        "chromosomes": [1],
        "sibling_pairs": 5,
        "parent_child_pairs": 0,
        "phenotypes": {"bmd": {"trait": "quantitative", "covariate_effects": "nonlinear"}},
    }
    config = CONFIG | {"cohorts": {"s": {"genome_build": "GRCh38", "simulate": small}}}
    row = {
        "study": "bmd",
        "cohort": "s",
        "phenotype": "bmd",
        "trait": "quantitative",
        "covariates": "age,sex",
        "pcs": 2,
    }
    names = ["results/status.tsv", "results/s/structure/pcs.parquet"]
    names += [
        f"results/s/bmd/{arm}/{name}" for arm in ("baseline", "deepnull") for name in ("sumstats.tsv.gz", "leads.tsv")
    ]
    run, _ = compare(store, tmp_path, monkeypatch, config, [row], ["all"], names)
    assert (run.results / "s/simulated/genotypes.bed").exists()

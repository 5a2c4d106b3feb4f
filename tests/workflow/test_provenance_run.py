"""Provenance: what a run records of itself, and the run repeated from it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess

import pandas as pd
import pytest
import yaml

from deepnull_gwas.cli import main
from deepnull_gwas.provenance import Checksums, source_state
from workflow_runs import CONFIG, ROOT, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def test_a_run_is_recorded_and_repeated_byte_by_byte(run: Run, tmp_path_factory, capsys):
    run = Run(run.folder, warm=False)
    small_cohort(run.folder)
    # results elsewhere: the repeated run must not write there
    run.configure(CONFIG | {"seed": 5, "pathvars": {"results": str(run.folder / "results")}}, SHEET[:1])
    done = run.snakemake("--cores", "2")
    # the end of a run says what came of it
    assert "2 of 2 analyses done." in done.stderr
    *screen, last, _, site = done.stderr.rstrip().splitlines()
    assert site == f"Open in a browser: {run.results}/site/index.html"
    assert "\n".join(screen).endswith((run.results / "summary.txt").read_text().rstrip())
    assert re.fullmatch(r"  took \d+:\d\d; Snakemake's log: .*/.snakemake/log/.*", last)
    # one line per finished step, and nothing else between
    steps = [line for line in screen if re.match(r" +\d+/\d+ ", line)]
    total = int(steps[0].split()[0].split("/")[1])
    assert [line.split()[0] for line in steps] == [f"{i}/{total}" for i in range(1, total + 1)]
    assert all(
        re.match(r" +\d+/\d+ +\d+:\d\d  (\d+ (s|min)  | {8}) *\w+ ?[\w/ ]*, \d+ (s|min)$", line) for line in steps
    ), steps
    first = done.stderr.index(steps[0])
    assert len(done.stderr[first:].split("\n\n")[0].splitlines()) == total
    path = run.results / "provenance.json"
    record = json.loads(path.read_text())
    analysis, execution = record["analysis"], record["execution"]

    # what went in, what came out
    assert [f["path"] for f in analysis["inputs"]] == ["g.bed", "g.bim", "g.fam", "samples.tsv"]
    for entry in analysis["inputs"]:
        data = (run.folder / entry["path"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    for entry in analysis["published"]:
        data = (run.results / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert {f["path"] for f in analysis["published"]} >= {
        "c/y/baseline/sumstats.tsv.gz",
        "c/y/deepnull/sumstats.tsv.gz",
    }
    # by what
    assert analysis["seed"] == 5
    assert analysis["studies"]["text"] == (run.folder / "studies.tsv").read_text()
    assert {"numpy", "torch", "scipy", "numba"} <= set(analysis["software"]["packages"])
    assert analysis["software"]["snakemake"]
    jobs = {job["rule"]: job for job in analysis["jobs"]}
    assert {"associate", "train_folds", "merge_sumstats", "filter_cohort"} <= set(jobs)
    assert any("'folds': 3" in text for text in jobs["train_folds"]["parameters"])
    assert "5" in jobs["train_folds"]["parameters"]
    # with what
    rules = {rule["rule"]: rule for rule in execution["rules"]}
    assert set(rules) >= set(jobs)
    assert rules["train_folds"]["peak_mb"] > 100
    assert execution["host"]["cores"] > 0
    assert "train_folds" in (run.results / "provenance.html").read_text()
    again = run.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr

    # the same run somewhere else
    folder = tmp_path_factory.mktemp("again") / "new"
    assert main(["repeat", str(path), "--directory", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "4 input files are what they were." in said
    assert "differ" not in said
    other = Run(folder)
    other.snakemake("--cores", "2")
    assert main(["repeat", str(path), "--directory", str(folder), "--compare"]) == 0
    assert "published files are the same, byte by byte" in capsys.readouterr().out
    name = "c/y/deepnull/sumstats.tsv.gz"
    assert (other.results / name).read_bytes() == (run.results / name).read_bytes()
    # what is no time, host or path is the same in both records
    repeated = json.loads((other.results / "provenance.json").read_text())["analysis"]
    for key in ("software", "seed", "published"):
        assert repeated[key] == analysis[key]
    assert [j["outputs"] for j in repeated["jobs"]] == [j["outputs"] for j in analysis["jobs"]]

    # an input that is no longer what it was
    table = pd.read_csv(run.folder / "samples.tsv", sep="\t")
    table.loc[3, "age"] += 1
    table.to_csv(run.folder / "samples.tsv", sep="\t", index=False)
    (run.folder / "g.bim").rename(run.folder / "h.bim")
    assert main(["repeat", str(path), "--directory", str(folder.parent / "third")]) == 1
    said = capsys.readouterr().err
    assert "g.bim: no such file" in said
    assert "samples.tsv: " in said
    assert "results cannot be repeated with it" in said
    assert not (folder.parent / "third").exists()


USER = f'''
configfile: "gwas.yaml"

module gwas:
    snakefile: "{ROOT}/Snakefile"
    config: config["gwas"]
    pathvars:
        results="out/gwas", logs="out/logs",

use rule * from gwas as gwas_*
'''


def test_a_module_records_itself_and_not_the_workflow_that_uses_it(run: Run):
    """Version, times and memory are found where the module has them; the user's own repository is not taken for this
    one.
    """
    run = Run(run.folder, warm=False)
    small_cohort(run.folder)
    run.configure({}, SHEET[:1])
    (run.folder / "config.yaml").unlink()
    given = {"studies": "studies.tsv"} | CONFIG
    (run.folder / "gwas.yaml").write_text(yaml.safe_dump({"gwas": given}))
    (run.folder / "Snakefile").write_text(USER)
    git = ["git", "-C", str(run.folder), "-c", "user.name=u", "-c", "user.email=u@example.org"]
    for words in (["init", "-q"], ["add", "Snakefile"], ["commit", "-q", "-m", "mine"]):
        subprocess.run([*git, *words], check=True)
    run.snakemake("-s", "Snakefile", "--cores", "2", "gwas_all")
    record = json.loads((run.folder / "out/gwas/provenance.json").read_text())
    ours = source_state(ROOT)
    assert record["analysis"]["software"]["deepnull-gwas"] == ours
    users = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert ours["commit"] != users
    rules = {rule["rule"]: rule for rule in record["execution"]["rules"]}
    assert rules["train_folds"]["peak_mb"] > 100
    jobs = {job["rule"] for job in record["analysis"]["jobs"]}
    assert {"gwas_associate", "gwas_train_folds"} <= jobs
    assert not {"gwas_record_run", "gwas_check_status"} & jobs


def test_large_files_are_read_once(tmp_path):
    """As long as size and time of change stay; and what changes is read again."""
    (tmp_path / "a").write_bytes(b"one")
    first = Checksums(tmp_path / "cache.json")
    found = first.of(["a"], tmp_path)
    assert found == [{"path": "a", "bytes": 3, "sha256": hashlib.sha256(b"one").hexdigest()}]
    first.keep()
    # a cache that lies is believed: so nothing was read
    kept = json.loads((tmp_path / "cache.json").read_text())
    next(iter(kept.values()))["sha256"] = "0" * 64
    (tmp_path / "cache.json").write_text(json.dumps(kept))
    assert Checksums(tmp_path / "cache.json").of(["a"], tmp_path)[0]["sha256"] == "0" * 64
    (tmp_path / "a").write_bytes(b"other")
    assert Checksums(tmp_path / "cache.json").of(["a"], tmp_path)[0]["sha256"] == hashlib.sha256(b"other").hexdigest()


def test_what_is_no_record_is_said(tmp_path, capsys):
    (tmp_path / "p.json").write_text('{"format": "something"}')
    assert main(["repeat", str(tmp_path / "p.json"), "--directory", str(tmp_path / "n")]) == 1
    assert "p.json: its format is 'something', expected 'deepnull-gwas provenance 1'" in capsys.readouterr().err
    assert main(["repeat", str(tmp_path / "q.json"), "--directory", str(tmp_path / "n")]) == 1
    assert "q.json: no such file" in capsys.readouterr().err

"""Sample tables, configurations, models and names are data: nothing in them runs, hangs or leaves its place."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from deepnull_gwas import cli
from deepnull_gwas.cohort import include, layout
from deepnull_gwas.cohort.sample_table import read_sample_table
from deepnull_gwas.config import load_config
from deepnull_gwas.deepnull import predict
from deepnull_gwas.deepnull.engines import commands
from deepnull_gwas.deepnull.exports import export_study
from deepnull_gwas.deepnull.trees import TreeModel
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import write_json, write_parquet

#: What a shell, a format string, a page or a file system might act on.
HOSTILE = "a b'\"$(touch pwned)`touch pwned`;touch pwned|{x}&<script>alert(1)</script>\\é"


# --- inclusion expressions ---------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch pwned')",
        "age.__class__.__mro__ == 1",
        "age == __import__('os').system('touch pwned')",
        "(lambda: 1)()",
        "age == 1; import os",
        "[x for x in [1]]",
        "age == 1 if True else 2",
        "@age",
        "age == `touch pwned`",
        "age == 1 # and more",
        "f'{age}' == 1",
    ],
)
def test_an_expression_is_not_python(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"age": [1.0, 2.0]})

    def column(name: str) -> pd.Series:
        if name not in frame:
            raise InputError(f"no column '{name}'")
        return frame[name]

    with pytest.raises(InputError):
        include.evaluate(text, column)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("!", ""), ("not ", "")])
def test_a_deep_expression_is_refused(opening, closing):
    nested = opening * 20_000 + "age == 1" + closing * 20_000
    with pytest.raises(InputError, match="more than 50 parentheses or negations in one another") as error:
        include.parse(nested)
    assert len(str(error.value)) < 500


def test_fifty_levels_are_read_and_many_comparisons_in_a_row_too():
    frame = pd.DataFrame({"age": [1.0, 2.0]})
    assert include.evaluate("(" * 49 + "age == 1" + ")" * 49, frame.__getitem__).tolist() == [True, False]
    assert include.evaluate(" | ".join(["age == 1"] * 20_000), frame.__getitem__).tolist() == [True, False]


def test_no_text_takes_quadratic_time():
    # a pattern that goes back over its text would take hours here, not fail
    word = "1" * 500_000 + "x"
    assert include.parse(f"age == {word}").values[0] == include.Value(word, None)
    for part in ("1e" + "1" * 500_000 + ".", "a-" * 200_000 + "-", "." * 100_000, "a " * 100_000):
        with pytest.raises(InputError) as error:
            include.parse(f"age == {part}")
        assert len(str(error.value)) < 500


# --- configuration ----------------------------------------------------------------


def _config(folder: Path, text: str) -> None:
    (folder / "studies.tsv").write_text("study\tcohort\tphenotype\ttrait\ns\tc\ty\tquantitative\n")
    for name in ("g.bed", "g.bim", "g.fam", "t.tsv"):
        (folder / name).write_text("")
    path = folder / "config.yaml"
    path.write_text(
        "studies: studies.tsv\ncohorts:\n  c: {genotypes: g, samples: t.tsv, genome_build: GRCh38}\n" + text
    )
    load_config(load_configfile(path), folder, files=[path])


def test_yaml_makes_no_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _config(tmp_path, "")
    with pytest.raises(WorkflowError, match="not valid JSON or YAML"):
        _config(tmp_path, "seed: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(InputError, match=r"config: seed: found .*expected a whole number"):
        _config(tmp_path, "seed: !!python/name:os.system\n")
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load("!!python/object/apply:os.system ['touch pwned']")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)),
        "itself: &itself [*itself]\n",
        "itself: &itself {again: *itself}\n",
    ],
)
def test_anchors_that_stand_for_one_another_end_soon(tmp_path, text):
    with pytest.raises(InputError, match="does an anchor"):
        _config(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("__use_yte__: true\n", ("line 4", "the key __use_yte__ makes Snakemake run Python code")),
        ("seed: 1\nseed: 2\n", ("line 5", "'seed' is there already (line 4)")),
        ("qc: {maf: 0.01, maf: 0.05}\n", ("line 4", "'maf' is there already")),
        ("seed: 010\n", ("line 4", "010 for an octal number")),
        ("structure: {window_kb: 1:30}\n", ("line 4", "1:30 for a sum of sixties")),
        ("qc: {maf: .nan}\n", ("config: qc.maf", "expected a finite number")),
        ("qc: {1: 0.05}\n", ("config: qc.1", "put it in quotes")),
        ('association: {"a\\nb": 0.05}\n', ("control character",)),
    ],
)
def test_what_yaml_would_read_otherwise_than_meant(tmp_path, text, parts):
    with pytest.raises(InputError) as error:
        _config(tmp_path, text)
    for part in parts:
        assert part in str(error.value)


def test_off_is_a_word_for_the_sex_check(tmp_path):
    _config(tmp_path, "qc: {sex_check: off}\n")


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".hidden", "-rf", "a b", "a\nb", "$(id)", "é", "a" * 101])
def test_names_of_results_stay_in_their_folder(tmp_path, name):
    for changed in ({"study": name}, {"batch": name}):
        row = {"study": "s", "cohort": "c", "phenotype": "y", "trait": "quantitative"} | changed
        pd.DataFrame([row]).to_csv(tmp_path / "studies.csv", index=False)
        for file in ("g.bed", "g.bim", "g.fam", "t.tsv"):
            (tmp_path / file).write_text("")
        cohort = {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}
        with pytest.raises(InputError, match="row 2"):
            load_config({"studies": "studies.csv", "cohorts": {"c": cohort}}, tmp_path)
    with pytest.raises(InputError):
        load_config({"studies": "studies.csv", "cohorts": {name: cohort}}, tmp_path)


@pytest.mark.parametrize(
    "path", ["x" * 300, "x/" * 3000, "a\0b", "/", "g.bed/x", "$(touch pwned)", "-rf", "a{b}c", "[*]"]
)
@pytest.mark.parametrize(
    "key", ["samples", "genotypes", "structure.relatives", "structure.loadings", "deepnull.fold_file", "studies",
    "score_file"]
)  # fmt: skip
def test_a_path_of_no_file_is_named_whatever_it_holds(tmp_path, key, path):
    for file in ("g.bed", "g.bim", "g.fam", "t.tsv"):
        (tmp_path / file).write_text("")
    row = {"study": "s", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age"}
    pd.DataFrame([row | ({key: path} if key == "score_file" else {})]).to_csv(tmp_path / "studies.csv", index=False)
    cohort = {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}
    section, _, name = key.rpartition(".")
    if section == "structure":
        cohort["structure"] = {name: path}
    elif key in cohort:
        cohort[key] = path
    config = {
        "studies": path if key == "studies" else "studies.csv",
        "cohorts": {"c": cohort},
        "scores": {"method": "clump"},
    }
    if section == "deepnull":
        config["deepnull"] = {name: path}
    with pytest.raises(InputError) as error:
        load_config(config, tmp_path)
    # a sheet with a zero byte in it is no text at all
    assert key in str(error.value) or ("\0" in path and "row 2" in str(error.value))
    assert len(str(error.value)) < 4000
    assert not (tmp_path / "pwned").exists()


# --- models ---------------------------------------------------------------------


class _Runs:
    """A pickle of it makes a file."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(1)
    age = rng.uniform(40, 70, 200).round(2)
    # a step, so that there are trees
    frame = pd.DataFrame(
        {"IID": [f"p{i}" for i in range(200)], "y": (3 * (age > 55) + rng.normal(size=200)).round(4), "age": age}
    )
    frame.to_csv(folder / "p.tsv", sep="\t", index=False)
    frame.assign(IID=[f"q{i}" for i in range(200)]).drop(columns="y").to_csv(folder / "new.tsv", sep="\t", index=False)
    predict.predict_table(
        predict.Files(folder / "p.tsv", folder / "o.tsv", model=folder / "m.npz"),
        predict.Ask(["y"], ["quantitative"], ["age"], folds=3, model="trees"),
    )
    return folder


def _refused(saved: Path, tmp_path: Path, model: Path, capsys, part: str) -> None:
    code = cli.main(
        ["predict", "--apply", str(model), "--input", str(saved / "new.tsv"), "--output", str(tmp_path / "o.tsv")]
    )
    error = capsys.readouterr().err
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith(f"deepnull-gwas: {model}: ")
    assert part in error
    assert not (tmp_path / "o.tsv").exists()
    assert not Path("pwned").exists()


def test_a_model_is_never_unpickled(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    import torch

    np.savez(tmp_path / "objects.npz", predict=np.array([_Runs()], dtype=object))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(_Runs()))
    torch.save(_Runs(), tmp_path / "model.pt")
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    for name in ("objects.npz", "plain.npz", "model.pt", "array.npz"):
        _refused(
            saved, tmp_path, tmp_path / name, capsys, "not a model that `deepnull-gwas predict --save-model` wrote"
        )


def test_a_damaged_model_is_refused_by_name(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with np.load(saved / "m.npz") as data:
        arrays = {k: data[k] for k in data.files}
    trees = next(k for k in arrays if k.endswith("trees.left"))
    assert len(arrays[trees]) > 3
    loop = arrays[trees].copy()
    loop[:] = 0
    head = str(arrays["predict"])
    for changed in (
        {trees: loop},
        {trees: arrays[trees][:1]},
        {"predict": np.array("{")},
        {"predict": np.array("[" * 100_000)},
        {"predict": np.array("[]")},
        {"predict": np.array(head.replace('"folds": 3', '"folds": 1000000000000'))},
        {"predict": np.array(head.replace('"folds": 3', '"folds": -1'))},
        {"predict": np.array(head.replace('"age"', '"bmi"', 1))},
        {"y/people": None},
    ):
        parts = {k: v for k, v in (arrays | changed).items() if v is not None}
        np.savez(tmp_path / "m.npz", **parts)
        _refused(saved, tmp_path, tmp_path / "m.npz", capsys, "not a model that")
    (tmp_path / "m.npz").write_bytes((saved / "m.npz").read_bytes()[:-20])
    _refused(saved, tmp_path, tmp_path / "m.npz", capsys, "not a model that")
    _refused(saved, tmp_path, tmp_path / "none.npz", capsys, "no such file")
    np.savez(tmp_path / "m.npz", **arrays | {"y/0/head": np.array("{}")})
    _refused(saved, tmp_path, tmp_path / "m.npz", capsys, "format None, expected 5")


def test_a_model_that_unpacks_to_far_more_than_it_is(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deepnull_gwas.deepnull.saved.UNPACKED_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("predict.npy", bytes(20_000_000))
    _refused(saved, tmp_path, tmp_path / "m.npz", capsys, "it unpacks to 20,000,000 bytes")


def test_trees_lead_onwards():
    parts = {
        "threshold": np.zeros(3),
        "value": np.zeros(3),
        "roots": np.array([0]),
        "ends": np.array([0, 1]),
        "base": np.zeros(1),
    }
    feature = np.array([0, -1, -1])
    TreeModel(feature=feature, left=np.array([1, 0, 0]), right=np.array([2, 0, 0]), **parts)
    with pytest.raises(ValueError, match="lead to a later one"):
        TreeModel(feature=feature, left=np.array([0, 0, 0]), right=np.array([2, 0, 0]), **parts)


# --- tables ----------------------------------------------------------------------


def test_a_table_that_unpacks_to_far_more_than_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "UNPACKED_BYTES", 1_000_000)
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"IID\tage\n" + b"1" * 30_000_000))
    with pytest.raises(InputError, match="unpacks to more than") as error:
        read_sample_table(path)
    assert str(path) in str(error.value)
    path.write_bytes(gzip.compress(b"IID\tage\n1\t2\n"))
    assert read_sample_table(path).keys.tolist() == ["1"]


def test_hostile_names_and_levels_are_values_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / HOSTILE.replace("/", "_")
    folder.mkdir()
    pd.DataFrame({"IID": ["a", "b"], HOSTILE: [HOSTILE, "x"]}).to_csv(folder / "t.csv", index=False)
    table = read_sample_table(folder / "t.csv")
    assert table.columns[HOSTILE].tolist() == [HOSTILE, "x"]
    assert not (tmp_path / "pwned").exists()


# --- commands and figures -----------------------------------------------------------

ENGINES = ("plink2", "regenie", "bolt", "step1_fitNULLGLMM.R", "step2_SPAtests.R", "gcta64")


@pytest.mark.parametrize(
    "prefixes", [[HOSTILE], ["-rf $(touch pwned)"], ["x  # $(touch pwned)", "b'c"], [HOSTILE, "-2"]]
)
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_exported_commands_run_as_they_are_meant(tmp_path, prefixes, trait):
    tools, work = tmp_path / "tools", tmp_path / "work"
    tools.mkdir()
    work.mkdir()
    for engine in ENGINES:
        # what each engine is called with, one argument per line
        (tools / engine).write_text(
            f'#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a"; done >> "{tmp_path}/{engine}.args"\n'
        )
        (tools / engine).chmod(0o755)
    info = {
        "study": "s",
        "cohort": "c",
        "phenotype": f"y\ntouch pwned\n{HOSTILE}",
        "n": 10,
        "trait": trait,
        "stage": "",
    }
    text = commands(
        info, ["age", "deepnull_covariate"], {"filesets": prefixes}, f"{HOSTILE}/passed.txt", f"exports {HOSTILE}"
    )
    (work / "commands.sh").write_text(text)
    path = f"{tools}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "commands.sh"], cwd=work, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in work.iterdir()) == ["commands.sh"], "nothing was touched"
    called = {
        e: (tmp_path / f"{e}.args").read_text().splitlines() for e in ENGINES if (tmp_path / f"{e}.args").exists()
    }
    bfiles = [called["plink2"][i + 1] for i, a in enumerate(called["plink2"]) if a == "--bfile"]
    assert bfiles == [f"./{p}" if p.startswith("-") else p for p in prefixes]
    assert called["plink2"][called["plink2"].index("--extract") + 1] == f"{HOSTILE}/passed.txt"
    assert called["plink2"][called["plink2"].index("--keep") + 1] == f"exports {HOSTILE}/people.txt"
    assert called["regenie"][called["regenie"].index("--bed") + 1] == ("merged" if len(prefixes) > 1 else bfiles[0])
    assert f"--bedFile={bfiles[0]}.bed" in called["step2_SPAtests.R"]


def test_exported_tables_hold_ids_as_they_are(tmp_path):
    ids = ['p"1"', '"p2"', "p'3", "$(touch pwned)"]
    frame = pd.DataFrame(
        {
            "sample_index": range(4),
            "fid": ids,
            "iid": ids,
            "phenotype": [1.0, 2.0, 3.0, 4.0],
            "cov_age": [1.0, 2.0, 3.0, 5.0],
        }
    )
    write_parquet(frame, tmp_path / "samples.parquet")
    write_parquet(
        frame[["sample_index"]].assign(deepnull_covariate=[0.1, 0.2, 0.3, 0.4]), tmp_path / "prediction.parquet"
    )
    info = {"study": "s", "cohort": "c", "phenotype": "y", "n": 4, "trait": "quantitative", "status": "ok", "stage": ""}
    write_json(info, tmp_path / "study.json")
    export_study(
        tmp_path / "samples.parquet",
        tmp_path / "study.json",
        tmp_path / "prediction.parquet",
        {"filesets": ["g"]},
        "passed.txt",
        tmp_path,
    )
    for name in ("phenotype.txt", "covariates.txt", "saige.txt", "gcta.phen", "people.txt"):
        rows = (tmp_path / name).read_text().splitlines()[-4:]
        assert [r.split("\t")[1] for r in rows] == ids


def test_names_in_figures_are_text(tmp_path):
    from deepnull_gwas.report.style import ONE_COLUMN, figure, say_instead

    for title in (HOSTILE, "$x^", "$\\frac{1}$", "a-->b<script>alert(1)</script>", "100 % $ and $"):
        with figure(tmp_path / "f.svg", ONE_COLUMN, 3) as fig:
            say_instead(fig, title, title)
        root = ET.parse(tmp_path / "f.svg").getroot()
        assert not [e for e in root.iter() if e.tag.lower().endswith("script")]


def test_nothing_in_the_project_evaluates_or_unpickles():
    root = Path(predict.__file__).resolve().parents[1]
    risky = (
        "eval(",
        "exec(",
        "pickle.load",
        "torch.load(",
        "os.system(",
        "shell=True",
        "yaml.unsafe_load",
        "allow_pickle=True",
        "yaml.FullLoader",
    )
    for path in [
        *root.rglob("*.py"),
        *(root.parents[1] / "workflow").rglob("*.py"),
        *(root.parents[1] / "workflow").rglob("*.smk"),
    ]:
        text = path.read_text()
        assert not [r for r in risky if r in text], path


def test_the_module_of_messages_stays_light():
    # the configuration is read at each parse of the workflow
    heavy = ("numpy", "pandas", "pyarrow", "torch")
    code = f"import sys, deepnull_gwas.config; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(predict.__file__).parents[2])},
    )
    assert done.stdout.strip() == "[]"

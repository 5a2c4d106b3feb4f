"""`deepnull-gwas predict`: the table in and out, saved models, and messages."""

from __future__ import annotations

import csv
import functools
import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas import cli
from deepnull_gwas.deepnull import predict
from deepnull_gwas.deepnull.predict import read_people_table
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_json


@pytest.fixture
def quick(monkeypatch):
    """Train networks for two epochs only."""
    from deepnull_gwas.deepnull.recipe import Recipe

    monkeypatch.setattr(predict.Recipe, "from_dict", classmethod(lambda cls, _: Recipe(hidden=(8,), max_epochs=2)))


def people(n: int = 240, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, site = rng.uniform(40, 70, n).round(2), rng.choice(["A", "B", "C"], n)
    y = 0.015 * (age - 55) ** 2 + (site == "B") + rng.normal(size=n)
    case = (y > np.median(y)).astype(int)
    return pd.DataFrame(
        {"FID": [f"f{i // 2}" for i in range(n)], "IID": [f"i{seed}_{i:04d}" for i in range(n)]}
        | {"bmd": y.round(5), "age": age, "note": "x;y", "site": site, "case": case + 1}
    )


def write(frame: pd.DataFrame, path, sep="\t") -> None:
    frame.to_csv(path, sep=sep, index=False, na_rep="NA")


def call(*arguments) -> int:
    return cli.main(["predict", *map(str, arguments)])


def test_rows_and_columns_stay_and_one_column_comes(tmp_path, quick):
    frame = people().astype(object)
    frame.loc[3, "age"] = np.nan
    frame.loc[5, "bmd"] = np.nan
    frame = frame.sample(frac=1, random_state=1)
    write(frame, tmp_path / "p.tsv")
    out, metrics = tmp_path / "o.tsv", tmp_path / "m.json"
    options = ["--input", tmp_path / "p.tsv", "--output", out, "--target", "bmd,case", "--covariates", "age,site"]
    options += ["--categorical", "site", "--trait", "quantitative,binary", "--metrics", metrics, "--folds", 3]
    assert call(*options) == 0
    before, after = (tmp_path / "p.tsv").read_text().splitlines(), out.read_text().splitlines()
    assert len(before) == len(after)
    assert after[0] == before[0] + "\tbmd_deepnull_covariate\tcase_deepnull_covariate"
    assert all(b.startswith(a + "\t") for a, b in zip(before, after))
    table = pd.read_csv(out, sep="\t")
    missing = table["IID"] == "i1_0003"
    assert table.loc[missing, ["bmd_deepnull_covariate", "case_deepnull_covariate"]].isna().all(axis=None)
    assert table.loc[~missing, ["bmd_deepnull_covariate", "case_deepnull_covariate"]].notna().all(axis=None)
    assert np.corrcoef(table["bmd_deepnull_covariate"][~missing], table["age"][~missing])[0, 1] != 0
    about = read_json(metrics)["bmd"]
    assert about["people"]["without target, predicted by all folds"] == 1
    assert about["people"]["without a covariate, not predicted"] == 1
    assert about["missing_covariates"] == {"age": 1, "site": 0}
    assert len(about["folds"]) == 3
    assert read_json(metrics)["case"]["scale"] == "logit"
    # the same seed, the same bytes
    bytes_before = out.read_bytes()
    assert call(*options) == 0
    assert out.read_bytes() == bytes_before


def test_forms_of_the_table_give_the_same_predictions(tmp_path):
    frame = people(150).drop(columns=["note"])
    frame["FID"] = "0"
    ask = ["--target", "bmd", "--covariates", "age", "--trait", "quantitative", "--model", "splines"]
    forms = {"tabs": ("\t", "FID"), "commas": (",", "FID"), "spaces": (" ", "FID"), "hash": ("\t", "#FID")}
    found = {}
    for name, (sep, first) in forms.items():
        write(frame.rename(columns={"FID": first}), tmp_path / name, sep)
        out = tmp_path / f"{name}.out"
        assert call("--input", tmp_path / name, "--output", out, *ask) == 0
        found[name] = pd.read_csv(out, sep=sep)["bmd_deepnull_covariate"].to_numpy()
        assert out.read_text().splitlines()[0].startswith(first)
        np.testing.assert_array_equal(found[name], found["tabs"])
    assert np.ptp(found["tabs"]) > 0
    # IID alone, blanks of any width, compressed, Windows line ends
    text = "#IID   bmd age\r\n" + "".join(f"{r.IID}  {r.bmd}   {r.age}\r\n" for r in frame.itertuples())
    (tmp_path / "iid.gz").write_bytes(gzip.compress(text.encode()))
    out = tmp_path / "iid.out.gz"
    assert call("--input", tmp_path / "iid.gz", "--output", out, *ask) == 0
    assert gzip.decompress(out.read_bytes()).decode().splitlines()[0] == "#IID   bmd age bmd_deepnull_covariate"


FORMS = {
    "write.csv of R": lambda f: f.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC),
    "write.table of R": lambda f: f.to_csv(index=False, sep=" ", quoting=csv.QUOTE_NONNUMERIC),
    "semicolons": lambda f: f.to_csv(index=False, sep=";"),
    "sep=": lambda f: "sep=;\n" + f.to_csv(index=False, sep=";"),
    "comments": lambda f: "## made by us\n# n = 150\n" + f.to_csv(index=False, sep="\t"),
    "comments and #IID": lambda f: "## made by us\n#" + f.to_csv(index=False, sep="\t"),
    "tabs at the ends of rows": lambda f: f.to_csv(index=False, sep="\t").replace("\n", "\t\n"),
    "tabs below the header": lambda f: "\t\n".join(f.to_csv(index=False, sep="\t").split("\n")).replace(
        "\t\n", "\n", 1
    ),
    "blank lines": lambda f: "\n\n" + f.to_csv(index=False, sep="\t").replace("\n", "\n\n", 3),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["p.csv", "p.txt"])
def test_what_r_and_spreadsheets_write(tmp_path, form, name):
    """The same predictions from any form of the table, and the table itself comes back."""
    frame = people(150)[["IID", "bmd", "age", "site"]].replace({"site": {"A": "New York; USA", "B": "5'"}})
    ask = ["--target", "bmd", "--covariates", "age,site", "--categorical", "site", "--trait", "quantitative"]
    ask += ["--model", "linear"]
    (tmp_path / "plain.tsv").write_text(frame.to_csv(index=False, sep="\t"))
    assert call("--input", tmp_path / "plain.tsv", "--output", tmp_path / "plain.out", *ask) == 0
    expected = pd.read_csv(tmp_path / "plain.out", sep="\t", float_precision="round_trip")
    text = FORMS[form](frame)
    (tmp_path / name).write_text(text)
    assert call("--input", tmp_path / name, "--output", tmp_path / "o", *ask) == 0
    after = (tmp_path / "o").read_text()
    before = [line.rstrip("\t") for line in text.rstrip("\n").split("\n")]
    assert len(before) == len(after.rstrip("\n").split("\n"))
    assert all(a.startswith(b) for a, b in zip(after.split("\n"), before))
    found = read_people_table(tmp_path / "o")
    assert found.names == [*frame.columns, "bmd_deepnull_covariate"]
    assert found.iids == frame["IID"].tolist() and found.column("site") == frame["site"].tolist()
    np.testing.assert_array_equal(
        np.array(found.column("bmd_deepnull_covariate"), float), expected["bmd_deepnull_covariate"]
    )


def test_a_comma_in_a_column_name(tmp_path):
    frame = people(150).rename(columns={"age": "Age at recruitment, years"})
    write(frame, tmp_path / "p.tsv")
    ask = ["--target", "bmd", "--covariates", "`Age at recruitment, years`,site", "--categorical", "site"]
    ask += ["--trait", "quantitative", "--model", "linear"]
    assert call("--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", *ask) == 0


def test_only_the_models_that_are_needed_are_fitted(tmp_path, monkeypatch):
    """`--model linear` needs no network (its import alone takes seconds), but with --compare."""
    from deepnull_gwas.deepnull import training

    asked = []
    monkeypatch.setattr(training, "fit_networks", lambda *a, **k: asked.append(1) or pytest.skip("a network"))
    write(people(150), tmp_path / "p.tsv")
    ask = ["--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", "--target", "bmd", "--covariates", "age"]
    ask += ["--trait", "quantitative", "--model", "linear", "--metrics", tmp_path / "m.json"]
    assert call(*ask) == 0
    assert asked == []
    assert list(read_json(tmp_path / "m.json")["bmd"]["models"]) == ["linear"]
    monkeypatch.undo()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom deepnull_gwas import cli\n"
            f"cli.main(['predict', *{[str(a) for a in ask]!r}])\nprint('torch' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_people_of_a_table_are_made_once():
    """A list of 20,000 people was made for each of them."""
    table = predict.Table.__dict__["people"]
    assert isinstance(table, functools.cached_property)


@pytest.mark.parametrize("trained", ["FID IID", "IID", "FID=0", "FID=IID"])
@pytest.mark.parametrize("applied", ["FID IID", "IID", "FID=0", "FID=IID"])
def test_people_of_the_training_are_known_whichever_id_columns_there_are(tmp_path, capsys, trained, applied):
    def form(frame, columns):
        frame = frame.assign(FID={"FID=0": "0", "FID=IID": frame["IID"]}.get(columns, frame["FID"]))
        return frame.drop(columns=["FID"]) if columns == "IID" else frame

    ask = ["--target", "bmd", "--covariates", "age", "--trait", "quantitative", "--model", "linear"]
    model, out = tmp_path / "m.npz", tmp_path / "new.out"
    write(form(people(120), trained), tmp_path / "p.tsv")
    assert call("--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", *ask, "--save-model", model) == 0
    others = people(30, seed=2)
    write(form(others, applied), tmp_path / "new.tsv")
    assert call("--apply", model, "--input", tmp_path / "new.tsv", "--output", out) == 0
    out.unlink()
    write(form(pd.concat([others, people(120).iloc[:3]]), applied), tmp_path / "both.tsv")
    assert call("--apply", model, "--input", tmp_path / "both.tsv", "--output", out) == 1
    assert "3 people (" in (said := capsys.readouterr().err)
    assert "were among those that the model of 'bmd' was trained on" in said
    assert not out.exists()
    # the same IIDs in other families are others, where both tables know the families
    other_families = people(120).iloc[:3].assign(FID=["x", "y", "z"])
    write(form(other_families, applied), tmp_path / "named.tsv")
    both_known = trained == applied == "FID IID"
    assert call("--apply", model, "--input", tmp_path / "named.tsv", "--output", out) == (0 if both_known else 1)


def test_a_saved_model_for_new_people(tmp_path, quick, capsys):
    write(people(), tmp_path / "p.tsv")
    model, out = tmp_path / "m.npz", tmp_path / "new.out"
    options = ["--target", "bmd", "--covariates", "age,site", "--categorical", "site", "--trait", "quantitative"]
    assert call("--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", *options, "--save-model", model) == 0
    new = people(30, seed=2).drop(columns=["bmd", "case"])
    new.loc[4, "site"] = "D"
    write(new, tmp_path / "new.tsv")
    assert (
        call("--apply", model, "--input", tmp_path / "new.tsv", "--output", out, "--metrics", tmp_path / "m.json") == 0
    )
    table = pd.read_csv(out, sep="\t")
    assert np.flatnonzero(table["bmd_deepnull_covariate"].isna()).tolist() == [4]
    assert read_json(tmp_path / "m.json")["bmd"]["unknown_levels"] == {"site": 1}
    # the people it was trained on would not be predicted out of fold
    write(pd.concat([new, people().drop(columns=["bmd", "case"]).iloc[:2]]), tmp_path / "both.tsv")
    assert call("--apply", model, "--input", tmp_path / "both.tsv", "--output", out) == 1
    assert (
        "2 people (f0 i1_0000, f0 i1_0001) were among those that the model of 'bmd' was trained on"
        in capsys.readouterr().err
    )


def test_messages(tmp_path, capsys):
    path, out = tmp_path / "p.tsv", tmp_path / "o.tsv"
    ask = ["--target", "bmd", "--covariates", "age", "--trait", "quantitative"]
    frame = people(60)

    def says(words: str, table, options=ask, sep="\t", **more) -> None:
        if isinstance(table, str):
            path.write_text(table)
        else:
            write(table, path, sep)
        assert call("--input", more.get("input", path), "--output", more.get("output", out), *options) == 1
        assert words in capsys.readouterr().err
        assert not out.exists()

    says("no such file; did you mean 'p.tsv'?", frame, input=tmp_path / "q.tsv")
    says("no column 'aeg' (covariate)", frame, ["--target", "bmd", "--covariates", "aeg", "--trait", "quantitative"])
    says("did you mean 'age'?", frame, ["--target", "bmd", "--covariates", "aeg", "--trait", "quantitative"])
    says("'bmd' is both target and covariate", frame, ["--target", "bmd", "--covariates", "bmd", "--trait", "binary"])
    says(
        "column 'bmd_deepnull_covariate' is there already and is not overwritten",
        frame.assign(bmd_deepnull_covariate=1),
    )
    says("input and output are one file", frame, output=path)
    says("the first columns are bmd, age (separated by tabs); expected FID and IID", frame.drop(columns=["FID", "IID"]))
    says("Is the header missing?", "1 2 3\n4 5 6\n")
    says("the header's 4 (separated by blanks): row 3 has 2; an empty value", "FID IID bmd age\na b 1 2\nc d\n")
    says("row names? (R: write.csv(..., row.names = FALSE))", '"","IID","bmd"\n"1","a",1\n', sep=",")
    says("row names without a name in the header?", '"IID" "bmd" "age"\n"1" "a" 1 2\n')
    says("row 3: no IID", "FID\tIID\tbmd\tage\na\tb\t1\t2\nc\t\t1\t2\n")
    says("'1.50014E+13' (1 like it) is an ID that some program", "IID,bmd,age\n1.50014E+13,1,2\n")
    says("row 3 begins with a #", "IID\tbmd\tage\na\t1\t2\n#b\t1\t2\n")
    says("a value in quotes goes over several lines", people(150).assign(note="x\ny"), sep="\t")
    says("1 people are there more than once (f0 i1_0000)", pd.concat([frame, frame.iloc[:1]]))
    says("is empty", "")
    says("'x' is no number; list it in --categorical", frame.assign(age="x"))
    says("row 2 (f0 i1_0000), column 'bmd': 'high' is no number", frame.assign(bmd="high"))
    binary = ["--target", "case", "--covariates", "age", "--trait", "binary"]
    says("found 1 (30 people), 3 (30 people)", frame.assign(case=frame["case"].replace(2, 3)), binary)
    says("give --missing NA,-9", frame.assign(case=[-9, *frame["case"][1:]]), binary)
    says("40 people have target 'bmd' and all covariates; 5 folds need at least 50", frame.iloc[:40])
    says("the phenotype is constant", frame.assign(bmd=1))
    for options, words in (
        (["--target", "a"], "--covariates is needed"),
        ([*ask, "--folds", "2"], "expected at least 3"),
        (["--target", "a,b,c", "--covariates", "d", "--trait", "binary,binary"], "--trait has 2 entries"),
        (["--target", "a", "--covariates", "d", "--trait", "case"], "found 'case', expected quantitative or binary"),
        (["--apply", "m.npz", "--target", "a"], "leave out --target"),
    ):
        with pytest.raises(SystemExit):
            call("--input", path, "--output", out, *options)
        assert words in capsys.readouterr().err


def test_not_a_model(tmp_path):
    write(people(60), tmp_path / "p.tsv")
    np.savez(tmp_path / "m.npz", head=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not a model that"):
        predict.apply_model(predict.Files(tmp_path / "p.tsv", tmp_path / "o"), tmp_path / "m.npz")
    with pytest.raises(InputError, match="is a folder"):
        read_people_table(tmp_path)


@pytest.mark.parametrize(
    ("ask", "words", "allowed"), [(["predict", "--help"], "--covariates", ["numpy"]), (["--help"], "predict", [])]
)
def test_help_imports_nothing_heavy(ask, words, allowed):
    """The help of `predict` asks the registry for the names of the models, which needs numpy and nothing else."""
    code = (
        "import sys\nfrom deepnull_gwas import cli\n"
        f"try:\n    cli.main({ask})\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'pandas', 'torch', 'sklearn', 'scipy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(allowed)
    assert words in done.stdout


@pytest.mark.parametrize("phenotype", ["bmd", "case"])
@pytest.mark.parametrize("recipe", ["default", "original"])
def test_the_covariate_is_that_of_the_workflow(tmp_path, quick, monkeypatch, phenotype, recipe):
    """With a study's people, folds and seeds `predict` gives the covariate of its deepnull arm to the last bit."""
    from deepnull_gwas.cohort.covariates import encode
    from deepnull_gwas.deepnull import original
    from deepnull_gwas.deepnull.fold_steps import assign_study_folds
    from deepnull_gwas.deepnull.steps import FoldFiles, merge_folds, train_folds
    from deepnull_gwas.tables import read_parquet, write_json, write_parquet

    monkeypatch.setattr(original.fit_original, "__defaults__", ("cpu", 2))
    frame = people().assign(plate=np.arange(240) % 3 + 8, one=1)
    trait = {"bmd": "quantitative", "case": "binary"}[phenotype]
    covariates, categorical = ["age", "site", "plate", "one"], ["site", "plate"]
    encoded = encode(frame, covariates, categorical)
    y = frame[phenotype] - (phenotype == "case")
    samples = {"sample_index": np.arange(240), "fid": frame["FID"], "iid": frame["IID"], "phenotype": y.astype(float)}
    write_parquet(pd.DataFrame(samples | encoded.columns), tmp_path / "samples.parquet")
    about = {"study": "s", "cohort": "c", "trait": trait, "status": "ok", "covariates": encoded.covariates}
    write_json(about, tmp_path / "study.json")
    study, folds = (tmp_path / "samples.parquet", tmp_path / "study.json"), tmp_path / "folds.parquet"
    settings = {"recipe": "original" if recipe == "original" else {}}
    assign_study_folds(*study, 3, 7, folds, original=recipe == "original")
    made = FoldFiles(*(tmp_path / name for name in ("by_model.parquet", "by_fold.json", "models.npz")))
    train_folds(*study, folds, settings, 7, made)
    merge_folds(*study, folds, made, settings, tmp_path / "prediction.parquet", tmp_path / "metrics.json")
    workflow = read_parquet(tmp_path / "prediction.parquet")

    write(frame, tmp_path / "p.tsv")
    ask = ["--target", phenotype, "--trait", trait, "--covariates", ",".join(covariates), "--folds", 3, "--seed", 7]
    ask += ["--categorical", ",".join(categorical), "--study", "c/s", "--prediction", "--recipe", recipe]
    assert call("--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", *ask) == 0
    found = pd.read_csv(tmp_path / "o.tsv", sep="\t", float_precision="round_trip")
    assert workflow["deepnull_covariate"].std() > 0
    for name in ("deepnull_covariate", "phenotype_prediction"):
        np.testing.assert_array_equal(found[f"{phenotype}_{name}"], workflow[name])


def test_the_prediction_itself_by_a_flag_and_from_a_saved_model(tmp_path, quick):
    frame = people()
    write(frame, tmp_path / "p.tsv")
    write(frame.drop(columns="bmd").assign(IID="new" + frame["IID"]), tmp_path / "new.tsv")
    ask = ["--target", "bmd", "--trait", "quantitative", "--covariates", "age", "--folds", 3, "--model", "splines"]
    ask += ["--prediction", "--save-model", tmp_path / "m.npz"]
    assert call("--input", tmp_path / "p.tsv", "--output", tmp_path / "o.tsv", *ask) == 0
    applied = ["--input", tmp_path / "new.tsv", "--output", tmp_path / "n.tsv", "--apply", tmp_path / "m.npz"]
    assert call(*applied) == 0
    for path in ("o.tsv", "n.tsv"):
        found = pd.read_csv(tmp_path / path, sep="\t")
        assert found["bmd_deepnull_covariate"].std() > 0
        assert found["bmd_phenotype_prediction"].notna().all()
    # the rest is the linear model
    rest = found["bmd_phenotype_prediction"] - found["bmd_deepnull_covariate"]
    slope = np.polyfit(found["age"], rest, 1)
    np.testing.assert_allclose(rest, np.polyval(slope, found["age"]), atol=1e-9)

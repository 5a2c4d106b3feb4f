"""Parts of provenance that need no run."""

from __future__ import annotations

import json

import pytest
import yaml

from deepnull_gwas.config import input_files, load_config
from deepnull_gwas.errors import InputError
from deepnull_gwas.provenance import FORMAT, repeat_run, sha256


def record(tmp_path, sheet: str, name: str, config: dict) -> str:
    for file in ("g.bed", "g.bim", "g.fam", "t.tsv", "w.txt", "pairs.tsv"):
        (tmp_path / file).write_text(file)
    (tmp_path / "g.bed").write_bytes(b"\x6c\x1b\x01")
    (tmp_path / name).write_text(sheet)
    inputs = input_files(load_config(config, tmp_path))
    value = {
        "format": FORMAT,
        "analysis": {
            "config": {"text": yaml.safe_dump(config)},
            "studies": {"path": name, "text": sheet},
            "inputs": [
                {"path": p, "bytes": (tmp_path / p).stat().st_size, "sha256": sha256(tmp_path / p)} for p in inputs
            ],
            "published": [],
            "software": {
                "deepnull-gwas": {"library_sha256": "0", "version": "0", "commit": None},
                "packages": {"numpy": "0"},
            },
        },
        "execution": {"directory": str(tmp_path), "results": "results"},
    }
    (tmp_path / "provenance.json").write_text(json.dumps(value))
    return str(tmp_path / "provenance.json")


@pytest.mark.parametrize(("name", "mark"), [("s.tsv", "\t"), ("s.csv", ","), ("s.tsv", ","), ("s.csv", "\t")])
def test_paths_are_put_where_they_are_and_all_inputs_are_checked(tmp_path, name, mark):
    """Also those that only the sheet or a cohort's own section names; and a sheet keeps its form."""
    rows = [["study", "cohort", "phenotype", "trait", "score_file"], ["y", "c", "y", "quantitative", "w.txt"]]
    sheet = (f"sep={mark}\n" if name == "s.csv" else "") + "# mine\n" + "".join(mark.join(row) + "\n" for row in rows)
    config = {
        "studies": name,
        "pathvars": {"results": "/elsewhere"},
        "scores": {"method": "file"},
        "cohorts": {
            "c": {
                "genotypes": "g",
                "samples": "t.tsv",
                "genome_build": "GRCh38",
                "structure": {"relatives": "pairs.tsv"},
            }
        },
    }
    path = record(tmp_path, sheet, name, config)
    said = "\n".join(repeat_run(path, tmp_path / "new"))
    assert "6 input files are what they were." in said
    assert "another version of deepnull-gwas" in said
    assert "numpy" in said
    written = yaml.safe_load((tmp_path / "new/config.yaml").read_text())
    again = load_config(written, tmp_path / "new")
    assert "pathvars" not in written
    assert input_files(again) == [str(tmp_path / p) for p in input_files(load_config(config, tmp_path))]
    with pytest.raises(InputError, match="is there already"):
        list(repeat_run(path, tmp_path / "new"))
    (tmp_path / "w.txt").write_text("other")
    with pytest.raises(InputError, match=r"w\.txt: its SHA-256 checksum is"):
        list(repeat_run(path, tmp_path / "third"))


COHORT = {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}
SHEET = "study\tcohort\tphenotype\ttrait\ny\tc\ty\tquantitative\n"
CODE = "import pathlib\npathlib.Path('pwned').touch()\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"__use_yte__": True, "__definitions__": [CODE]}, "unknown key"),
        ({"__variables__": {"a": CODE}}, "config: __variables__: unknown key"),
        ({"?if True": {"seed": 2}}, "config: ?if True: unknown key"),
        ({"seed": "?1 + 1"}, 'config: seed: found "?1 + 1", expected a whole number'),
        ({"cohorts": {"c": {**COHORT, "__definitions__": [CODE]}}}, "config: cohorts.c.__definitions__: unknown key"),
        ({"report": {"?exec": 1}}, "config: report.?exec: unknown key"),
    ],
)
def test_nothing_that_is_no_key_of_the_schema_is_copied(tmp_path, monkeypatch, change, words):
    """Snakemake runs Python that stands in a configuration with __use_yte__; a record is somebody else's file."""
    monkeypatch.chdir(tmp_path)
    path = record(tmp_path, SHEET, "s.tsv", {"studies": "s.tsv", "cohorts": {"c": COHORT}})
    value = json.loads((tmp_path / "provenance.json").read_text())
    text = yaml.safe_dump({"studies": "s.tsv", "cohorts": {"c": COHORT}} | change)
    value["analysis"]["config"]["text"] = text
    (tmp_path / "provenance.json").write_text(json.dumps(value))
    with pytest.raises(InputError) as error:
        list(repeat_run(path, tmp_path / "new"))
    assert words in str(error.value) and "provenance.json: " in str(error.value)
    assert not (tmp_path / "new").exists() and not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("config", "text"), "a: &a [" + "x, " * 500 + "]\nb: [" + "*a, " * 1000 + "]\n", "does an anchor"),
        (("config", "text"), "[" * 10_000, "not readable as YAML"),
        (("config", "text"), "!!python/object/apply:os.system ['touch pwned']", "not readable as YAML"),
        (("config", "text"), None, "analysis.config.text is absent, or not what a run records"),
        (("studies", "text"), SHEET.replace("trait", "__trait__"), "unknown column '__trait__'"),
        (("inputs",), [{"path": "g.bed", "bytes": "many", "sha256": "x"}], "analysis.inputs is absent, or not what"),
        (("software", "packages"), {"numpy": 1}, "analysis.software.packages is absent, or not what"),
    ],
)
def test_a_record_that_is_none(tmp_path, monkeypatch, keys, value, words):
    monkeypatch.chdir(tmp_path)
    path = record(tmp_path, SHEET, "s.tsv", {"studies": "s.tsv", "cohorts": {"c": COHORT}})
    whole = json.loads((tmp_path / "provenance.json").read_text())
    place = whole["analysis"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (tmp_path / "provenance.json").write_text(json.dumps(whole))
    with pytest.raises(InputError, match=words):
        list(repeat_run(path, tmp_path / "new"))
    assert not (tmp_path / "new").exists() and not (tmp_path / "pwned").exists()
    # somebody else's file stays where it is, whatever is in it
    (tmp_path / "provenance.json").write_text("{")
    with pytest.raises(InputError, match="not readable as JSON"):
        list(repeat_run(path, tmp_path / "new"))
    assert (tmp_path / "provenance.json").read_text() == "{"


def test_names_in_a_record_do_not_reach_the_terminal_as_they_are(tmp_path):
    path = record(tmp_path, SHEET, "s.tsv", {"studies": "s.tsv", "cohorts": {"c": COHORT}})
    value = json.loads((tmp_path / "provenance.json").read_text())
    value["analysis"]["software"]["packages"] = {"a\x1b[2Jb": "1\n2"}
    value["analysis"]["software"]["deepnull-gwas"]["commit"] = "\x1b]0;x\x07"
    (tmp_path / "provenance.json").write_text(json.dumps(value))
    said = "".join(repeat_run(path, tmp_path / "new"))
    assert "a?[2Jb absent (recorded 1?2)" in said
    assert said.isprintable()

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
            "software": {
                "deepnull-gwas": {"library_sha256": "0", "version": "0", "commit": None},
                "packages": {"numpy": "0"},
            },
        },
        "execution": {"directory": str(tmp_path), "results": "results"},
    }
    (tmp_path / "provenance.json").write_text(json.dumps(value))
    return str(tmp_path / "provenance.json")


@pytest.mark.parametrize(("name", "mark"), [("s.tsv", "\t"), ("s.csv", ",")])
def test_paths_are_put_where_they_are_and_all_inputs_are_checked(tmp_path, name, mark):
    """Also those that only the sheet or a cohort's own section names; and a sheet keeps its form."""
    rows = [["study", "cohort", "phenotype", "trait", "score_file"], ["y", "c", "y", "quantitative", "w.txt"]]
    sheet = "# mine\n" + "".join(mark.join(row) + "\n" for row in rows)
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

"""Fuzzing of the configuration and the studies sheet: what was meant, or a refusal that names the key, or row and
column.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from fuzzing import attempt, cases
from hypothesis import given
from hypothesis import strategies as st
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from deepnull_gwas.config import Config, load_config
from deepnull_gwas.errors import InputError

SHEET = "study\tcohort\tphenotype\ttrait\tcovariates\ns\tc\ty\tquantitative\tage\n"
#: Keys, their kind, and where their value is found again.
KEYS: dict[str, tuple[str, Any]] = {
    "seed": ("integer", lambda c: c.seed),
    "deepnull.folds": ("integer", lambda c: c.deepnull["folds"]),
    "deepnull.compare": ("boolean", lambda c: c.deepnull["compare"]),
    "deepnull.model": ("text", lambda c: c.deepnull["model"]),
    "qc.maf": ("number", lambda c: c.cohorts["c"].qc["maf"]),
    "qc.hwe_p": ("number", lambda c: c.cohorts["c"].qc["hwe_p"]),
    "qc.sex_check": ("text", lambda c: c.cohorts["c"].qc["sex_check"]),
    "structure.pcs": ("integer", lambda c: c.cohorts["c"].structure["pcs"]),
    "structure.window_kb": ("number", lambda c: c.cohorts["c"].structure["window_kb"]),
    "structure.outlier_sd": ("number", lambda c: c.cohorts["c"].structure["outlier_sd"]),
    "association.chunks": ("integer", lambda c: c.cohorts["c"].chunks),
    "cohorts.c.sample_id": ("text", lambda c: c.cohorts["c"].sample_id),
    "cohorts.c.family_id": ("text", lambda c: c.cohorts["c"].family_id),
    "cohorts.c.genome_build": ("text", lambda c: c.cohorts["c"].genome_build),
    "report.genome_wide": ("number", lambda c: c.report["genome_wide"]),
    "asociation": ("unknown", None),
    "qc.maff": ("unknown", None),
    "cohorts.c.seed": ("unknown", None),
}
SCALARS = [
    "5", "3", "010", "0o10", "0x10", "1:30", "1_000", "1e1", "1E-2", "5e-8", "0.05", ".5", "-1", "1.0", "no", "off",
    "on", "yes", "true", "False", "null", "~", "", ".nan", ".inf",
    "-.inf", "1e999", "'5'", '"010"', "auto", "exclude", "GRCh38", "grch38", "IID", "2020-01-01", "[1, 2]", "{a: 1}",
    "!!python/name:os.system", "!!binary aGk=", "!!str 5", "!!set {a}",
    "*anchor", "&x [*x]", "?__import__('os')", "$(id)", "{x}", "'a\\nb'", '"a\\nb"', '"\\0"', "9" * 400, "x" * 5000,
    "1,000", "0,5", "５", "=", "<<", "!!float 3", "!!int '0b11'",
]  # fmt: skip
FITTING = {
    "integer": ["5", "3", "12", "2", "7", "1_0", "0x10", "1.0", "4.0", "+3"],
    "number": ["0.05", ".5", "1e-1", "5e-8", "1E-2", "0.25", "1", "3", "6.5", "1000"],
    "boolean": ["true", "false", "yes", "no", "on", "off", "True", "False"],
}


def meaning(text: str, kind: str) -> Any:
    """Return what a scalar means to somebody who does not know YAML 1.1; None where it means nothing of this kind."""
    plain = text.strip("'\"") if text[:1] in "'\"" else text.removeprefix("!!str ").removeprefix("!!float ")
    if kind in ("integer", "number"):
        if text in ("0x10", "!!int '0b11'"):
            return {"0x10": 16, "!!int '0b11'": 3}[text]
        bare = plain.replace("_", "")
        if (
            not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", bare)
            or len(bare) > 100
            or not math.isfinite(float(bare))
        ):
            return None
        return float(bare)
    if kind == "boolean":
        return {
            "true": True,
            "yes": True,
            "on": True,
            "no": False,
            "off": False,
            "False": False,
            "false": False,
            "True": True,
        }.get(text)
    return plain


@st.composite
def configs(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """Write a configuration with one key set to some scalar: its text, the key, the scalar, and the damage."""
    key = draw(st.sampled_from(list(KEYS)))
    # half of the values are of the key's kind, if not always in its range
    scalar = draw(st.one_of(st.sampled_from(SCALARS), st.sampled_from(FITTING.get(KEYS[key][0], SCALARS))))
    lines: dict[str, list[str]] = {
        "": ["studies: studies.tsv"],
        "cohorts": ["  c:", "    genotypes: g", "    samples: s.tsv"],
        "cohorts.c": [],
    }
    section, _, name = key.rpartition(".")
    if key != "cohorts.c.genome_build":
        lines["cohorts"].append("    genome_build: GRCh38")
    if section == "cohorts.c":
        lines["cohorts"].append(f"    {name}: {scalar}")
    else:
        lines.setdefault(section, []).append(f"{'  ' if section else ''}{name}: {scalar}")
    damage = draw(
        st.sampled_from(
            [None] * 9 + ["twice", "number as a name", "no as a name", "bomb", "itself", "tab", "python", "line break"]
        )
    )
    if damage == "twice":
        part = lines["cohorts"] if section == "cohorts.c" else lines[section]
        part.append(part[-1].split(":")[0] + ": 4")
    if damage in ("number as a name", "no as a name", "line break"):
        name = {"number as a name": "1", "no as a name": "no", "line break": '"d\\n"'}[damage]
        lines["cohorts"] += [f"  {name}:", "    genotypes: g", "    samples: s.tsv", "    genome_build: GRCh38"]
    text = "anchors: &anchor 5\n" if "*anchor" in scalar else ""
    for part, own in lines.items():
        if part not in ("", "cohorts.c"):
            text += f"{part}:\n"
        text += "".join(f"{line}\n" for line in own)
    if damage == "bomb":
        text += "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        text += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    if damage == "itself":
        text += "itself: &itself [*itself]\n"
    if damage == "tab":
        text += "\tseed: 1\n"
    if damage == "python":
        text += "z: !!python/object/apply:os.system ['echo']\n"
    return text, key, scalar, damage or ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    for name in ("g.bed", "g.bim", "g.fam", "s.tsv"):
        (folder / name).write_text("")
    return folder


def _load(folder: Path, text: str) -> Config:
    """Read a configuration as Snakemake does, and validate it as the workflow does."""
    path = folder / "config.yaml"
    path.write_text(text)
    try:
        config = load_configfile(path)
    except WorkflowError as error:
        # Snakemake's own refusal of what is no YAML
        raise InputError(f"config: {error}") from None
    except Exception as error:  # PyYAML's constructors raise what they like; Snakemake prints it
        if type(error).__module__.startswith("yaml") or isinstance(error, ValueError | TypeError | RecursionError):
            raise InputError(f"config: {str(error)[:500]}") from None
        raise
    return load_config(config, folder, files=[path])


@cases(0.08)
@given(planted=configs())
def test_configurations(folder, planted):
    text, key, scalar, damage = planted
    (folder / "studies.tsv").write_text(SHEET)
    kind, get = KEYS[key]
    found = attempt("config", lambda: _load(folder, text), "config")
    if found is None:
        return
    assert damage == "", f"accepted with '{damage}':\n{text}"
    assert kind != "unknown", f"an unknown key was accepted:\n{text}"
    value = get(found)
    if key == "cohorts.c.family_id" and scalar in ("null", "~", ""):
        assert value is None
        return
    if key == "qc.sex_check" and scalar in ("no", "False"):
        # other words for off
        assert value == "off"
        return
    if kind == "integer":
        assert type(value) is int, f"{key}: {scalar} was read as {value!r}"
    assert value == meaning(scalar, kind), f"{key}: {scalar} was read as {value!r}"


_GOOD = {
    "study": ["s", "bmd_1", "0", "a" * 100], "cohort": ["c"], "phenotype": ["y", "bone mineral density (g/cm2)",
    "$(touch pwned)", "é", "{x}", "<script>", "-rf", "a;b", "5'10\"", "=1+1"],
    "trait": ["quantitative", "binary"], "covariates": ["", "age", "age,sex at birth", "age , é"], "pcs": ["", "0", "3",
    "10.0"],
    "include": ["", "age >= 40", 'site in ["A, B", C]'], "batch": ["", "later"], "arms": ["", "baseline",
    "baseline,deepnull"],
}  # fmt: skip
_BAD = {
    "study": ["", "a b", "../x", "a/b", "é", "qc", "-x", "a" * 101, "a\nb", "$(id)"], "cohort": ["", "d", "C", "../c"],
    "phenotype": ["", "a\nb", "a\tb", "age"], "trait": ["", "Binary", "bin", "1"],
    "covariates": ["age,age"], "pcs": ["-1", "x", "1.5", "11", "9" * 400, "1e0", "1,0"], "include": ["age >",
    "(" * 60 + "age == 1", "age == 1e999"], "batch": ["a b", "../b"], "arms": ["both", "deepnull,none"],
}  # fmt: skip


@st.composite
def sheets(draw: st.DrawFn):
    """Write a sheet: its bytes and name, its rows, the row and column of what is wrong, the damage."""
    names = [
        "study",
        "cohort",
        "phenotype",
        "trait",
        *draw(st.lists(st.sampled_from(["covariates", "pcs", "include", "batch", "arms"]), max_size=4, unique=True)),
    ]
    names = draw(st.permutations(names))
    rows = [{n: draw(st.sampled_from(_GOOD[n])) for n in names} for _ in range(draw(st.integers(1, 3)))]
    for number, row in enumerate(rows):
        row["study"] = f"{row['study'][:90]}{number}"
    wrong = None
    if draw(st.booleans()):
        wrong = draw(st.integers(0, len(rows) - 1)), draw(st.sampled_from(names))
        rows[wrong[0]][wrong[1]] = draw(st.sampled_from(_BAD[wrong[1]]))
        if wrong[1] == "phenotype" and "covariates" in names and rows[wrong[0]]["phenotype"] == "age":
            rows[wrong[0]]["covariates"] = "age"
    delimiter = draw(st.sampled_from(["\t", ","]))
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=delimiter,
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator="\n",
    )
    writer.writerows([names, *[[r[n] for n in names] for r in rows]])
    text = file.getvalue()
    damage = draw(
        st.sampled_from(
            [None] * 10 + ["unclosed", "long", "nul", "latin1", "utf16", "header", "twice", "empty", "huge"]
        )
    )
    lines = text.split("\n")
    match damage:
        case "unclosed":
            lines[1] = '"' + lines[1].replace('"', "")
        case "long":
            lines[1] += delimiter + "x"
        case "nul":
            lines[1] += "\0"
        case "latin1":
            lines[1] += "~"
        case "header":
            del lines[0]
        case "twice":
            lines[0] += delimiter + "study"
        case "empty":
            lines = [""]
        case "huge":
            lines[1] += "x" * 200_000
    text = "\n".join(lines)
    if damage is None and draw(st.booleans()):
        text = text.replace("\n", "\r\n") if not any("\n" in v for r in rows for v in r.values()) else text
    data = text.encode("utf-16" if damage == "utf16" else "utf-8-sig" if draw(st.booleans()) else "utf-8")
    data = data.replace(b"~", b"\xe9") if damage == "latin1" else data
    return data, "studies.csv" if delimiter == "," else "studies.tsv", rows, wrong, damage


@cases(0.08)
@given(planted=sheets())
def test_studies_sheets(folder, planted):
    data, name, rows, wrong, damage = planted
    (folder / name).write_bytes(data)
    config = {"studies": name, "cohorts": {"c": {"genotypes": "g", "samples": "s.tsv", "genome_build": "GRCh38"}}}
    row = wrong[0] + 2 if wrong and damage is None else None
    found = attempt("studies sheet", lambda: load_config(config, folder), name, row=row)
    arms = [r.get("arms") or "baseline,deepnull" for r in rows]
    # the deepnull arm needs a covariate: named, or components
    lacking = any("deepnull" in a and not r.get("covariates") and r.get("pcs") == "0" for a, r in zip(arms, rows))
    if found is None:
        itself = any(r["phenotype"] in [c.strip() for c in r.get("covariates", "").split(",")] for r in rows)
        assert wrong or damage or lacking or itself, f"refused: {data!r}"
        return
    assert damage is None, f"accepted with '{damage}': {data!r}"
    assert not wrong or (
        wrong[1] == "phenotype"
        and rows[wrong[0]]["phenotype"] == "age"
        and "age" not in rows[wrong[0]].get("covariates", "")
    )
    for study, r in zip(found.studies, rows, strict=True):
        assert [study.name, study.cohort, study.phenotype, study.trait] == [
            r[n] for n in ("study", "cohort", "phenotype", "trait")
        ]
        assert list(study.covariates) == [c.strip() for c in r.get("covariates", "").split(",") if c.strip()]
        assert study.pcs == (int(float(r["pcs"])) if r.get("pcs") else 10)
        assert (study.include or "") == r.get("include", "")
        assert study.batch == (r.get("batch") or "main")
        assert ",".join(study.arms) == (r.get("arms") or "baseline,deepnull")

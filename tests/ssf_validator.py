"""The GWAS Catalog's own validator (gwas-sumstats-tools, in an environment of its own), asked about published files and
their metadata.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".cache/ssf-validator/bin/python"
#: Asked of the validator's own table and metadata models; argv: JSON with files, minimum_rows, all_autosomes.
ASK = """
import contextlib, io, json, sys
from pathlib import Path
import yaml
from gwas_sumstats_tools.schema.metadata import SumStatsMetadata
from gwas_sumstats_tools.validate import Validator

asked, answers = json.loads(sys.argv[1]), {}
for name in asked["files"]:
    problems = []
    with contextlib.redirect_stdout(io.StringIO()) as said:
        validator = Validator(sumstats_file=Path(name), minimum_rows=asked["minimum_rows"])
        if not asked["all_autosomes"]:
            validator._validate_chromosomes = lambda: (True, "waived")
        valid, message = validator.validate()
    if not valid:
        table = validator.errors_table
        rows = [list(map(str, r)) for r in table.head(5)] if table else []
        problems.append([message, validator.primary_error_type, rows])
    try:
        SumStatsMetadata.parse_obj(yaml.safe_load(Path(name + "-meta.yaml").read_text()))
    except Exception as error:
        problems.append(["metadata", str(error)])
    answers[name] = problems
print("ANSWERS" + json.dumps(answers))
"""


def require_validator() -> None:
    """Skip a test where the validator is not installed; with REQUIRE_ORACLES set, fail it."""
    if not PYTHON.exists():
        reason = "the GWAS Catalog's validator is not installed (make validator)"
        (pytest.fail if os.environ.get("REQUIRE_ORACLES") else pytest.skip)(reason)


def problems_of(
    files: Iterable[str | Path], minimum_rows: int = 100_000, all_autosomes: bool = True
) -> dict[str, list[list[object]]]:
    """Return, for each published file, what the validator's models of the table and of the metadata find in it."""
    require_validator()
    asked = {"files": [str(f) for f in files], "minimum_rows": minimum_rows, "all_autosomes": all_autosomes}
    done = subprocess.run([PYTHON, "-c", ASK, json.dumps(asked)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("ANSWERS", 1)[1])

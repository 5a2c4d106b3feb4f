"""Who is analysed, through the running workflow."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.tables import read_json
from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def test_copies_of_a_person_go_where_relatives_stay_and_no_components_are_asked_for(tmp_path):
    small_cohort(tmp_path)
    bed = tmp_path / "g.bed"
    rows = np.frombuffer(bed.read_bytes()[3:], dtype=np.uint8).reshape(300, 100).copy()
    # the second person has the genotypes of the first
    rows[:, 0] = rows[:, 0] & 0b11110011 | (rows[:, 0] & 0b11) << 2
    bed.write_bytes(b"\x6c\x1b\x01" + rows.tobytes())
    run = Run(tmp_path)
    assert CONFIG["structure"]["relatives"] == "keep"
    run.configure(CONFIG, [SHEET[0] | {"pcs": 0}])
    run.snakemake("--cores", "1", "results/c/y/study.json")
    steps = {s["step"]: s for s in read_json(run.results / "c/y/study.json")["accounting"]}
    copies = steps["no copy of a person's sample"]
    assert (copies["removed"], copies["examples"]) in ((1, ["p000"]), (1, ["p001"]))

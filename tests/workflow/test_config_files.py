"""Which config files a run goes by:
a config of one's own stands for itself, a few settings are put over the project's.
"""

from __future__ import annotations

import pytest
import yaml

from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def test_a_config_with_cohorts_stands_for_itself_and_one_without_is_put_over(run: Run):
    small_cohort(run.folder)
    run.configure(CONFIG, SHEET[:1])
    project = {"studies": "studies.tsv", "qc": {"preset": "none", "mac": 7}, **CONFIG}
    (run.folder / "config").mkdir()
    (run.folder / "config/config.yaml").write_text(yaml.safe_dump(project))
    target = "results/c/qc/flow.tsv"

    def rules() -> dict[str, str]:
        return dict(line.split("\t")[::5] for line in (run.folder / target).read_text().splitlines())

    done = run.snakemake("--cores", "1", "--", target)
    assert "config.yaml: has cohorts, so it stands for itself: config/config.yaml is not read" in done.stderr
    # the defaults hold, not what config/config.yaml says
    assert rules()["mac"].endswith(">= 20") and "1e-15" in rules()["hwe_p"]
    # some settings without cohorts
    (run.folder / "config.yaml").write_text("seed: 3\nqc: {mac: 9}\n")
    done = run.snakemake("--cores", "1", "--", target)
    assert "stands for itself" not in done.stderr
    assert rules()["mac"].endswith(">= 9") and rules()["hwe_p"] == "switched off"

"""What is reported of the whole-genome regression: comparison, metadata, state of the run, figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.axes import Axes

from deepnull_gwas.report.batch import plot_batch
from deepnull_gwas.results.compare import compare_batch
from deepnull_gwas.results.publish import merge_sumstats
from deepnull_gwas.results.status import GENOME_COLUMNS, summarise_run
from deepnull_gwas.tables import write_json, write_tsv
from result_tables import INFO, compare, prepare, write_results


def genome_states(**states):
    usual = {"status": "ok", "method": "linear", "reason": "", "used": True, "blocks": 7}
    explained = {"baseline": {"r2_genome": 0.3, "r2_covariates": 0.1, "r2_both": 0.38}}
    explained["deepnull"] = {"r2_genome": 0.32, "r2_covariates": 0.2, "r2_both": 0.5}
    return {arm: usual | explained[arm] | states.get(arm, {}) for arm in explained}


@pytest.mark.parametrize(
    ("states", "expected"),
    # an arm without an offset has what its covariates explain
    [({}, 0.62 / 0.5), ({"baseline": {"used": False}}, 0.9 / 0.5), ({"deepnull": {"r2_both": None}}, None)],
)
def test_comparison_with_the_whole_genome(tmp_path, states, expected):
    _, folder, _ = prepare(tmp_path)
    metrics = {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": 0.11}, "deepnull": {"r2": 0.19}}
    without = compare(folder, metrics)
    summary = compare(folder, metrics, genome_states(**states))
    assert summary["chi2_ratio_expected"] == (expected and pytest.approx(expected))
    assert summary["model"] == "whole_genome" and "blocks" not in summary["genome"]["baseline"]
    added = {"model", "genome", "chi2_ratio_expected"}
    assert {k: v for k, v in summary.items() if k not in added} == {k: v for k, v in without.items() if k not in added}
    # one study of two has the model
    write_json(without, tmp_path / "linear.json")
    compare_batch([folder / "comparison.json", tmp_path / "linear.json"], tmp_path / "both.tsv")
    rows = pd.read_csv(tmp_path / "both.tsv", sep="\t")
    assert rows["model"].tolist() == ["whole_genome", "linear"]
    assert rows["explained_both_baseline"].tolist()[0] == 0.38 and rows["explained_genome_deepnull"].isna()[1]
    compare_batch([tmp_path / "linear.json"], tmp_path / "one.tsv")
    assert "model" not in pd.read_csv(tmp_path / "one.tsv", sep="\t")


def test_no_ratio_is_expected_of_binary_traits_by_the_whole_genome(tmp_path):
    _, folder, _ = prepare(tmp_path)
    accuracy = {"linear": {"r2_mcfadden": 0.1, "auc": 0.6}, "deepnull": {"r2_mcfadden": 0.2, "auc": 0.7}}
    summary = compare(folder, {"study": "s", "trait": "binary", "status": "ok"} | accuracy, genome_states())
    assert "chi2_ratio_expected" not in summary and summary["genome"]["deepnull"]["r2_both"] == 0.5


def test_metadata_say_what_the_tests_condition_on(tmp_path):
    study, chunks, _ = write_results(tmp_path, ["1"], 40)
    arms = genome_states(deepnull={"used": False, "method": "none", "reason": "R2 .001 is below .005"})
    out = tmp_path / "sumstats.tsv.gz"
    files = study, out, tmp_path / "meta.yaml", tmp_path / "untested.tsv.gz"
    merge_sumstats(chunks, "s", "deepnull", *files, INFO | {"genome": {"arms": arms}})
    model = yaml.safe_load((tmp_path / "meta.yaml").read_text())["deepnull_gwas"]["model"]
    assert (model["name"], model["used"], model["reason"]) == ("whole_genome", False, "R2 .001 is below .005")
    merge_sumstats(chunks, "s", "deepnull", *files, INFO | {"genome": None})
    assert "model" not in yaml.safe_load((tmp_path / "meta.yaml").read_text())["deepnull_gwas"]


def test_status_says_how_the_predictor_came_about(tmp_path):
    results, folder, _ = prepare(tmp_path)
    entry = {"cohort": "c", "study": "s", "batch": "main", "arms": ["baseline", "deepnull"], "model": "linear"}
    files = results / "status.tsv", results / "summary.txt"
    compare(folder, {"study": "s", "trait": "quantitative", "status": "failed", "reason": "no cases"})
    summarise_run(results, [entry], *files)
    before, text = pd.read_csv(files[0], sep="\t"), files[1].read_text()
    without = {"used": False, "method": "none", "reason": "R2 .001 is below .005"}
    write_json(
        {"arms": genome_states(baseline=without, deepnull={"method": "logistic_fallback"})},
        folder / "genome/genome.json",
    )
    summarise_run(results, [entry | {"model": "whole_genome"}], *files)
    after = pd.read_csv(files[0], sep="\t")
    assert before.drop(columns="notes").equals(after[[c for c in before if c != "notes"]])
    assert [c for c in after if c not in before] == [*GENOME_COLUMNS]
    assert after["genome_method"].tolist() == ["none", "logistic_fallback"]
    assert after["r2_both"].tolist() == [0.38, 0.5]
    note = "no offset (baseline: R2 .001 is below .005); whole-genome regression: logistic_fallback (deepnull"
    screen = files[1].read_text()
    assert note in after["notes"][0] and note in " ".join(screen.split())
    assert "R2 genome" in screen and "R2 genome" not in text
    assert "0.30 -> 0.32" in screen


def test_the_figure_of_a_batch_shows_what_the_genome_explains(tmp_path, monkeypatch):
    names = ["height", "asthma", "smoking"]
    rows = pd.DataFrame({"study": names, "explained_linear": 0.1, "explained_deepnull": 0.2})
    rows["effective_sample_size_gained_fraction"] = 0.1
    rows = rows.assign(chi2_ratio_expected=1.1, loci_shared=3, loci_gained=1, loci_lost=0)
    # of a binary trait the covariates explain another share by this measure
    both = {"explained_both_baseline": [0.4, np.nan, 0.05], "explained_both_deepnull": [0.5, np.nan, 0.2]}
    both |= {"explained_covariates_baseline": [0.15, np.nan, 0.1], "explained_covariates_deepnull": [0.2, np.nan, 0.2]}
    write_tsv(rows.assign(**both), tmp_path / "both.tsv")
    write_tsv(rows, tmp_path / "linear.tsv")
    bars: list[tuple] = []
    draw = Axes.barh
    monkeypatch.setattr(
        Axes, "barh", lambda ax, y, width, *a, **k: bars.append((width, k)) or draw(ax, y, width, *a, **k)
    )
    for name, expected in (("linear", 0), ("both", 2)):
        bars.clear()
        plot_batch(tmp_path / f"{name}.tsv", [], tmp_path / f"{name}.svg")
        outlines = [(width, k) for width, k in bars if k.get("facecolor") == "none"]
        assert len(outlines) == expected
    # from what the covariates explain to what both do; nothing where they explain no more, or it is not known
    np.testing.assert_allclose(outlines[0][0], [0.25, 0, 0])
    np.testing.assert_allclose(outlines[1][0], [0.3, 0, 0])
    assert [k["label"] for _, k in outlines] == ["with the genome", None]

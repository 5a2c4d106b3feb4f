"""Offsets for other engines: regenie's files, read by its rules, give its step 2 the statistic of this workflow."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import write_json, write_parquet
from deepnull_gwas.whole_genome import exports
from deepnull_gwas.whole_genome.offsets import write_offsets

CHROMOSOMES = [*(str(i) for i in range(1, 23)), "X"]


def offsets_of(rng, n: int) -> dict[str, np.ndarray]:
    return {c: rng.normal(size=n) for c in CHROMOSOMES}


def test_loco_file_comes_back(tmp_path):
    rng = np.random.default_rng(1)
    people, offsets = [f"f{i}_i{i}" for i in range(7)], offsets_of(rng, 7)
    exports.write_loco(tmp_path / "a.loco", people, offsets)
    read_people, read = exports.read_loco(tmp_path / "a.loco")
    assert read_people == people and list(read) == CHROMOSOMES
    for c in CHROMOSOMES:
        np.testing.assert_allclose(read[c], offsets[c], rtol=1e-9)
    lines = (tmp_path / "a.loco").read_text().splitlines()
    assert len(lines) == 24 and lines[0].startswith("FID_IID f0_i0 ")
    assert [line.split()[0] for line in lines[1:]] == [str(i) for i in range(1, 24)]


def test_two_people_that_regenie_could_not_tell_apart_are_refused(tmp_path):
    with pytest.raises(InputError, match="two people are a_b_c once FID and IID are joined"):
        exports.write_loco(tmp_path / "a.loco", ["x_y", "a_b_c", "a_b_c"], offsets_of(np.random.default_rng(1), 3))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: ["IID a b", *lines[1:]], "line 1: the first word is not FID_IID"),
        (lambda lines: ["FID_IID a a", *lines[1:]], "line 1: a person is there twice"),
        (lambda lines: lines[:-1], "22 rows of chromosomes; there must be 23"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2: begins with .*2.*, not with chromosome 1"),
        (lambda lines: [*lines[:5], lines[5] + " 1", *lines[6:]], "line 6: 3 values for 2 people"),
        (lambda lines: [*lines[:5], "5 0 zero", *lines[6:]], "line 6: could not convert"),
    ],
)
def test_what_regenie_would_refuse_is_refused(tmp_path, change, says):
    exports.write_loco(tmp_path / "a.loco", ["a", "b"], offsets_of(np.random.default_rng(1), 2))
    lines = (tmp_path / "a.loco").read_text().splitlines()
    (tmp_path / "a.loco").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(InputError, match=says):
        exports.read_loco(tmp_path / "a.loco")


def test_list_of_predictions(tmp_path):
    (tmp_path / "p.list").write_text("a /x/a.loco\nb\t/x/b.loco\n")
    assert exports.read_list(tmp_path / "p.list") == {"a": "/x/a.loco", "b": "/x/b.loco"}
    for text, says in (("a b c\n", "line 1: 3 words"), ("a x\na y\n", "line 2: phenotype a is there twice")):
        (tmp_path / "p.list").write_text(text)
        with pytest.raises(InputError, match=says):
            exports.read_list(tmp_path / "p.list")


def regenie_step_2(g, y, covariates, prediction) -> float:
    """Return the chi-square of regenie's step 2 for a quantitative trait (compute_res, residualize_phenotypes)."""
    x = np.column_stack([np.ones(len(y)), covariates])
    q, free = np.linalg.qr(x)[0], len(y) - x.shape[1]
    y, g = y - q @ (q.T @ y), g - q @ (q.T @ g)
    residual = y / np.sqrt(y @ y / free) - prediction
    return (g @ residual) ** 2 / (g @ g) / (residual @ residual / free)


def test_regenie_gets_the_offset_on_the_scale_that_it_takes_it_from():
    """Its score test then is a function of this workflow's Wald test of phenotype less offset."""
    rng = np.random.default_rng(2)
    n = 200
    covariates = np.column_stack([rng.normal(size=(n, 2)) * [1, 1e4], np.ones(n)])
    g = rng.binomial(2, 0.3, n).astype(float)
    offset = 3 * rng.normal(size=n) + covariates[:, 0]
    y = 50 + 4 * offset + 2 * covariates[:, 0] + 6 * g + 8 * rng.normal(size=n)
    scaled = exports.regenie_scale(y, offset, covariates)
    x = np.column_stack([np.ones(n), covariates[:, :2], g])
    beta, rss, _, _ = np.linalg.lstsq(x, y - offset, rcond=None)
    df = n - 4
    t2 = beta[-1] ** 2 / (rss[0] / df * np.linalg.inv(x.T @ x)[-1, -1])
    score = regenie_step_2(g, y, covariates[:, :2], scaled)
    # score test: the residual variance without the variant
    assert score == pytest.approx(t2 * (df + 1) / (df + t2), rel=1e-8)
    # and not without the scale
    assert regenie_step_2(g, y, covariates[:, :2], offset) != pytest.approx(score, rel=1e-3)


def test_commands_without_offsets_and_with_a_blank_in_the_path():
    info = {"study": "s", "cohort": "c", "phenotype": "y", "n": 3, "trait": "quantitative", "stage": ""}
    text = exports.commands(info, [], {"filesets": ["g"]}, [(0, "1")], "passed.txt", "out/loco")
    assert "No arm has offsets" in text and "regenie" not in text
    arm = exports.ArmExport("baseline", ("age",))
    for folder, warned in (("out/loco", False), ("my out/loco", True)):
        text = exports.commands(info, [arm], {"filesets": ["g"]}, [(0, "1"), (0, "X")], "passed.txt", folder)
        assert ("It reads no path with a blank" in text) is warned
        assert re.search(r"regenie --step 2 --bed g .*\\\n.*--qt \\\n  --pred \"\$LOCO\"/baseline_pred.list", text)
        assert "glm_baseline g 1 1\n" in text and "glm_baseline g X,Y,XY,PAR1,PAR2,MT X\n" in text


def test_no_offset_of_a_chromosome_is_zero():
    whole = np.arange(3.0)
    found = exports.chromosome_offsets(
        {("baseline", "X", "X"): whole, ("baseline", "autosome", "2"): 2 * whole}, "baseline", 3
    )
    assert found is not None and list(found) == CHROMOSOMES
    np.testing.assert_array_equal(found["X"], whole)
    np.testing.assert_array_equal(found["2"], 2 * whole)
    np.testing.assert_array_equal(found["1"], 0)
    assert exports.chromosome_offsets({("baseline", "X", "X"): whole}, "deepnull", 3) is None


def test_a_failed_study_exports_no_offsets(tmp_path):
    """Its tables are empty, and its commands say so."""
    empty = pd.DataFrame({"sample_index": np.empty(0, np.int64), "fid": [], "iid": [], "phenotype": np.empty(0)})
    write_parquet(empty, tmp_path / "samples.parquet")
    write_parquet(empty[["sample_index"]].assign(deepnull_covariate=np.empty(0)), tmp_path / "prediction.parquet")
    info = {"study": "s", "cohort": "c", "phenotype": "y", "n": 0, "trait": "quantitative", "status": "failed"}
    write_json(info, tmp_path / "study.json")
    write_offsets(tmp_path / "offsets.parquet", np.empty(0, np.int64), {}, ())
    write_parquet(pd.DataFrame({"chromosome": ["1"], "file": [0]}), tmp_path / "variants.parquet")
    exports.export_offsets(
        tmp_path / "samples.parquet", tmp_path / "study.json", tmp_path / "prediction.parquet",
        tmp_path / "offsets.parquet", {"filesets": ["g"]}, tmp_path / "variants.parquet", "passed.txt",
        tmp_path / "out",
    )  # fmt: skip
    assert "No arm has offsets" in (tmp_path / "out/commands.sh").read_text()
    assert (tmp_path / "out/people.txt").read_text() == ""
    assert not list((tmp_path / "out").glob("*.loco"))

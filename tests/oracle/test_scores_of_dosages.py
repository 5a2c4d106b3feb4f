"""Scores of imputed genotypes against PLINK 2 ``--score`` on the same file, and clumped scores against hard calls."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort
from deepnull_gwas.genotypes.bgen import BgenGenotypes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.pgen import PgenGenotypes
from deepnull_gwas.scores.clumping import Rules, Sample, cross_scores
from deepnull_gwas.scores.matching import Matched, score_people
from dosage_files import variant_rows, write_bgen, write_pgen
from score_cases import K, simulated

PEOPLE, VARIANTS = 120, 30


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("form", ["pgen", "first", "last"])
def test_score_of_dosages_equals_plink(tmp_path, form):
    rng = np.random.default_rng(6)
    ids = [f"p{i}" for i in range(PEOPLE)]
    people = pd.DataFrame({"fid": ids, "iid": ids, "sex": 0})
    dosages = rng.integers(0, 2**15 + 1, (VARIANTS, PEOPLE)) / 2**14
    dosages[rng.random(dosages.shape) < 0.05] = np.nan
    variants = variant_rows(VARIANTS)
    if form == "pgen":
        write_pgen(tmp_path / "g", dosages, variants, people)
        files, given = PgenGenotypes([tmp_path / "g.pgen"]), ["--pfile", tmp_path / "g"]
    else:
        write_bgen(tmp_path / "g.bgen", dosages, variants, people, form)
        files = BgenGenotypes([tmp_path / "g.bgen"], {"bgen_reference": form, "bgen_index": str(tmp_path / "index")})
        given = ["--bgen", tmp_path / "g.bgen", f"ref-{form}", "--sample", tmp_path / "g.sample"]
    weight = rng.normal(size=VARIANTS).round(4)
    variants.assign(weight=weight)[["id", "effect_allele", "weight"]].to_csv(
        tmp_path / "w.txt", sep="\t", index=False, header=False
    )
    command = [
        "plink2",
        *given,
        "--score",
        tmp_path / "w.txt",
        "cols=+scoresums",
        "--bad-freqs",
        "--out",
        tmp_path / "p",
    ]
    subprocess.run([str(c) for c in command], check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "p.sscore", sep="\t")["SCORE1_SUM"]
    found = score_people(files, Matched(np.arange(VARIANTS), weight, 0.0, {}, VARIANTS), np.arange(PEOPLE))
    # PLINK prints six digits; means of missing calls are in single precision here
    np.testing.assert_allclose(found, theirs, rtol=5e-6, atol=2e-5)
    # hard calls would be another score
    assert np.abs(np.nansum(weight[:, None] * np.rint(dosages), axis=0) - theirs).max() > 0.1


def test_hard_calls_as_dosages_give_the_same_clumped_scores(tmp_path):
    copies, x, extra, y, fold = simulated()
    m, n = copies.shape
    ids = [f"p{i}" for i in range(n)]
    people = pd.DataFrame({"fid": ids, "iid": ids, "sex": 0})
    write_pgen(tmp_path / "g", np.where(copies < 0, np.nan, copies.astype(float)), variant_rows(m), people)
    variants = {
        "index": np.arange(m), "chromosome": np.full(m, "1", dtype=object), "position": np.arange(1, m + 1) * 1000
    }  # fmt: skip
    sample = Sample(np.arange(n), np.column_stack([np.ones(n), x]), extra, y, fold)
    rules = Rules([1e-6, 1e-3], 250, 0.1)
    packed = cross_scores(open_genotypes(make_cohort(tmp_path, copies) / "genotypes.json"), variants, sample, rules)
    dosage = cross_scores(PgenGenotypes([tmp_path / "g.pgen"]), variants, sample, rules)
    assert dosage.scores.shape[1] == K and packed.variants.max() > 1
    np.testing.assert_array_equal(dosage.variants, packed.variants)
    np.testing.assert_allclose(dosage.scores, packed.scores, rtol=1e-6, atol=1e-6)

"""People without a recorded sex: who says so, what F on X does about it, and what becomes of X and Y."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from association_cases import make_cohort as association_cohort
from cohort_files import make_cohort, run_qc
from deepnull_gwas.cohort.preflight import preflight_cohort
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import write_bed


def on_x(rng: np.random.Generator, sex: np.ndarray, variants: int = 150) -> np.ndarray:
    """Draw genotypes on X: men have one copy, written as two."""
    p = rng.uniform(0.25, 0.5, (variants, 1))
    men = 2 * rng.binomial(1, p, (variants, len(sex)))
    return np.where(sex == 1, men, rng.binomial(2, p, (variants, len(sex)))).astype(np.int8)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Eighty people, of whom half have no recorded sex; 150 variants on X and 20 on 1."""
    rng = np.random.default_rng(5)
    sex = np.tile([1, 2], 40)
    recorded = np.where(np.arange(80) < 40, sex, 0)
    dosages = np.vstack([rng.binomial(2, 0.4, (20, 80)), on_x(rng, sex)]).astype(np.int8)
    positions = np.concatenate([np.arange(1, 21), 3_000_000 + 1000 * np.arange(150)])
    folder = make_cohort(tmp_path_factory.mktemp("sex"), dosages, ["1"] * 20 + ["X"] * 150, positions, recorded)
    return folder, sex, recorded


def test_f_on_x_tells_the_sex_only_where_none_is_recorded_and_only_when_asked(cohort, caplog):
    folder, sex, recorded = cohort
    variants, off, _ = run_qc(folder)
    assert off["sex"].tolist() == recorded.tolist()
    with caplog.at_level(logging.INFO):
        variants_on, on, _ = run_qc(folder, {"infer_sex": True})
    assert on["recorded_sex"].tolist() == recorded.tolist()
    clear = on["inferred_sex"] > 0
    assert clear.sum() >= 70
    np.testing.assert_array_equal(on["sex"], np.where(recorded > 0, recorded, np.where(clear, sex, 0)))
    # of men whose sex is now known, one copy is counted on X
    assert (variants_on["mac"][20:] < variants["mac"][20:]).all()
    listed = pd.read_csv(folder / "inferred_sex.tsv", sep="\t")
    assert listed["iid"].tolist() == [f"i{i}" for i in range(40, 80)]
    assert listed["used_sex"].tolist() == on["sex"].tolist()[40:]
    for person in listed.itertuples():
        assert f"{person.fid} {person.iid}: " in caplog.text


def test_sexes_of_other_people_are_refused(tmp_path):
    """A .fam that is shifted by one gives half of the people the other sex; a few wrong ones are for the filter."""
    rng = np.random.default_rng(6)
    sex = rng.integers(1, 3, 200)
    positions = 3_000_000 + 1000 * np.arange(150)
    folder = make_cohort(tmp_path, on_x(rng, sex), ["X"] * 150, positions, np.roll(sex, 1))
    for action in ("warn", "exclude"):
        with pytest.raises(InputError, match=r"recorded sex and X differ in \d+ of \d+ people"):
            run_qc(folder, {"sex_check": action})
    run_qc(folder, {"sex_check": "off"})
    wrong = np.where(np.arange(200) < 20, 3 - sex, sex)
    folder = make_cohort(tmp_path / "few", on_x(rng, sex), ["X"] * 150, positions, wrong)
    run_qc(folder, {"sex_check": "warn"})


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_x_and_y_without_any_sex_are_untested_for_a_reason_of_their_own(tmp_path, trait):
    rng = np.random.default_rng(7)
    g = rng.binomial(2, 0.4, (4, 300)).astype(np.int8)
    y = rng.integers(0, 2, 300) if trait == "binary" else rng.normal(size=300)
    cohort = association_cohort(tmp_path, g, np.zeros(300, dtype=int), ["1", "X", "Y", "MT"])
    result = cohort.run([cohort.study("s", y, trait=trait)])
    assert result["s.baseline.reason"].tolist() == ["", "sex_unknown", "sex_unknown", ""]
    assert result["s.baseline.beta"].isna().tolist() == [False, True, True, False]
    assert result.attrs["studies"]["s"]["arms"]["baseline"]["status"] == "ok"


def test_y_among_women_does_not_fail_for_want_of_sex(tmp_path):
    """One person of unknown sex would not have made it."""
    g = np.random.default_rng(8).binomial(2, 0.4, (2, 300)).astype(np.int8)
    cohort = association_cohort(tmp_path, g, np.append(np.full(299, 2), 0), ["X", "Y"])
    result = cohort.run([cohort.study("s", np.random.default_rng(9).normal(size=300))])
    assert result["s.baseline.reason"].tolist() == ["", "study_failed"]


class TestPreflight:
    """What is said before any job."""

    @pytest.fixture
    def x_cohort(self, small):
        """Return a cohort with variants on X and nobody's sex in the .fam."""

        def function(recorded=0, **settings):
            rng = np.random.default_rng(1)
            n = small.people
            bim = pd.DataFrame(
                {"c": ["1", "X", "Y"], "id": ["a", "b", "c"], "cm": 0, "p": 3_000_000, "a1": "A", "a2": "G"}
            )
            fam = pd.DataFrame({"f": small.fids, "i": small.iids, "p": 0, "m": 0, "s": recorded, "y": -9})
            write_bed(small.prefix, rng.integers(0, 3, (3, n)).astype(np.int8), bim, fam)
            small.index(**settings)

            def preflight(infer_sex=False, **study):
                sex = {"column": settings.get("sex"), "infer_sex": infer_sex}
                genotypes = small.out / "genotypes.json"
                out = small.out / "preflight.tsv"
                table = preflight_cohort(small.out / "samples.parquet", [small.study(**study)], out, (), genotypes, sex)
                return table["warnings"].item()

            return preflight

        return function

    def test_who_has_no_sex(self, x_cohort, small, caplog):
        with caplog.at_level(logging.WARNING):
            preflight = x_cohort()
        assert "40 of 40 people in the sample table have no recorded sex (0000, 0001, 0002 and 37 more)" in caplog.text
        assert "40 of 40 people have no recorded sex" in preflight()
        assert "X (1 variants) and Y (1 variants) will not be tested" in preflight()
        assert "sex: sex" not in preflight()
        assert "by F on X is used" in preflight(infer_sex=True)

    def test_a_covariate_that_is_the_sex(self, x_cohort):
        warnings = x_cohort()(covariates=("age", "sex"))
        assert "covariate sex knows it of 40 people of whom the genotype files do not" in warnings
        assert "set `sex: sex` in the cohort" in warnings
        warnings = x_cohort(np.tile([2, 1], 20))(covariates=("sex",))
        assert "covariate sex has another than the genotype files for 40 people" in warnings
        assert "sex" not in x_cohort(np.tile([1, 2], 20))(covariates=("age", "sex"))

    def test_components_without_autosomal_variants(self, x_cohort):
        """One variant on 1, one on X, one on Y."""
        preflight = x_cohort(np.tile([1, 2], 20))
        preflight(pcs=1)
        with pytest.raises(
            InputError, match="2 principal components need as many autosomal variants, and the genotypes have 1"
        ):
            preflight(pcs=2)

    def test_the_key_is_set(self, x_cohort):
        assert x_cohort(sex="sex")(covariates=("age", "sex")) == ""

    def test_sex_as_covariate_that_x_will_tell(self, x_cohort, small):
        small.table = small.table.drop(columns="sex")
        small.write_table()
        preflight = x_cohort()
        with pytest.raises(InputError, match="covariate 'sex' is missing for everybody"):
            preflight(covariates=("age", "sex"))
        assert "by F on X is used" in preflight(infer_sex=True, covariates=("age", "sex"))

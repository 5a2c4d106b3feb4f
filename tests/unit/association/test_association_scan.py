import numpy as np
import pandas as pd
import pytest

from association_cases import impute, least_squares, make_cohort, make_genotypes
from deepnull_gwas.tables import write_parquet


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Two overlapping and one disjoint set of people; quantitative and binary studies; missing calls; 3 chunks."""
    rng = np.random.default_rng(21)
    n, m = 503, 90
    g = make_genotypes(rng, n, m, missing=0.02)
    cohort = make_cohort(tmp_path_factory.mktemp("scan"), g, chunks=3)
    age, pc = rng.normal(50, 10, size=n), rng.normal(size=n)
    d = (age - 50) ** 2 / 100
    y = d + 0.3 * impute(g[3]) + rng.normal(size=n)
    half = np.arange(n) < n // 2
    status = (rng.random(n) < 1 / (1 + np.exp(1 - d))).astype(float)
    studies = [
        cohort.study("a", np.where(half, y, np.nan), {"age": age, "pc": pc}, d),
        cohort.study("b", np.where(half, np.nan, rng.normal(size=n) * 1e4), {"pc": pc}),
        cohort.study("c", np.where(rng.random(n) < 0.2, np.nan, y), {"age": age}, d + rng.normal(size=n)),
        cohort.study("d", status, {"age": age, "pc": pc}, d, trait="binary"),
        cohort.study("e", np.where(half, rng.normal(size=n), np.nan), {"age": age, "pc": pc}),
    ]
    return cohort, studies


def columns_of(frame: pd.DataFrame, study: str) -> pd.DataFrame:
    return frame[[c for c in frame.columns if c.startswith(f"{study}.")]]


def assert_same(a: pd.DataFrame, b: pd.DataFrame, tolerance: float) -> None:
    """Estimates within a tolerance of standard errors, all else equal."""
    assert list(a.columns) == list(b.columns)
    for column in a.columns:
        if column.endswith(".beta"):
            assert np.nanmax(np.abs(a[column] - b[column]) / a[column[:-5] + ".se"], initial=0) <= tolerance
        elif column.endswith((".se", ".neg_log10_p")):
            np.testing.assert_allclose(a[column], b[column], rtol=10 * tolerance, atol=10 * tolerance)
        else:
            pd.testing.assert_series_equal(a[column], b[column])


def test_a_study_alone_equals_the_study_in_any_batch(case):
    cohort, studies = case
    together = cohort.run(studies)
    backwards = cohort.run(studies[::-1])
    for name, study in zip("abcde", studies):
        alone = cohort.run([study])
        # 1e-6 standard errors: the order of float32 sums may differ with the number of columns
        assert_same(columns_of(alone, name), columns_of(together, name), 1e-6)
        assert_same(columns_of(alone, name), columns_of(backwards, name), 1e-6)


def test_threads_and_chunks_give_the_same_bytes(case):
    cohort, studies = case
    one = pd.concat([cohort.run(studies, chunk=i) for i in range(3)], ignore_index=True)
    two = pd.concat([cohort.run(studies, chunk=i, threads=2) for i in range(3)], ignore_index=True)
    pd.testing.assert_frame_equal(one, two)
    whole = cohort.variants.copy()
    cohort.variants["chunk"] = np.int32(0)
    write_parquet(cohort.variants, cohort.folder / "variants.parquet")
    try:
        assert_same(one, cohort.run(studies), 1e-12)
        assert_same(one, cohort.run(studies, variants_per_block=7), 1e-6)
    finally:
        write_parquet(whole, cohort.folder / "variants.parquet")
        cohort.variants = whole


def test_only_variants_that_passed_quality_control_have_rows(case, tmp_path):
    cohort, studies = case
    passed = np.arange(len(cohort.variants)) % 3 != 0
    write_parquet(pd.DataFrame({"index": cohort.variants["index"], "passed": passed}), tmp_path / "qc.parquet")
    result = cohort.run(studies[:1], chunk=1, qc=tmp_path / "qc.parquet")
    assert list(result["index"]) == [i for i in range(30, 60) if i % 3]
    everything = cohort.run(studies[:1], chunk=1)
    expected = everything[everything["index"].isin(result["index"])].reset_index(drop=True)
    assert_same(expected, result, 1e-6)


def test_an_empty_chunk_is_a_table_with_the_same_columns(case):
    cohort, studies = case
    full, empty = cohort.run(studies, chunk=0), cohort.run(studies, chunk=7)
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert empty.attrs == full.attrs


def test_a_failed_study_has_empty_columns_and_a_reason(case):
    cohort, studies = case
    failed = cohort.study("f", np.ones(503), {"age": np.ones(503)}, status="failed", prediction=np.ones(503))
    result = cohort.run([failed, *studies])
    for arm in ("baseline", "deepnull"):
        assert (result[f"f.{arm}.reason"] == "study_failed").all()
        assert result[f"f.{arm}.beta"].isna().all()
        assert result.attrs["studies"]["f"]["arms"][arm]["status"] == "failed"
    assert_same(columns_of(cohort.run(studies), "a"), columns_of(result, "a"), 1e-6)


@pytest.fixture(scope="module")
def with_x(tmp_path_factory):
    """Men 0/2 on X, a few of them called heterozygous; one variant on 1, two on X, one pseudo-autosomal, two on Y and
    MT.
    """
    rng = np.random.default_rng(31)
    n = 400
    sex = rng.choice([1, 2], size=n)
    sex[:7] = 0
    g = make_genotypes(rng, n, 6, low=0.3)
    for i in (1, 2, 4, 5):
        men = (sex == 1) if i < 4 else np.ones(n, dtype=bool)
        g[i, men] = np.where(g[i, men] > 0, 2, 0)
    g[1, np.flatnonzero(sex == 1)[:5]] = 1
    g[4, sex != 1] = -1
    g[5, :3] = 1
    cohort = make_cohort(tmp_path_factory.mktemp("x"), g, sex, ["1", "X", "X", "XY", "Y", "MT"])
    age = rng.normal(size=n)
    y = 0.5 * g[1] + (sex == 1) + rng.normal(size=n)
    return cohort, g, sex, age, y


def test_x_has_sex_as_covariate_and_no_heterozygous_men(with_x):
    cohort, g, sex, age, y = with_x
    result = cohort.run([cohort.study("s", y, {"age": age})], exact=True)
    known = sex > 0
    x = g[1].copy()
    x[(sex == 1) & (x == 1)] = -1
    beta, se, _ = least_squares(impute(x[known]), y[known], np.column_stack([age, sex])[known])
    row = result.iloc[1]
    assert abs(row["s.baseline.beta"] - beta) / se < 1e-10
    assert row["s.baseline.se"] == pytest.approx(se)
    assert row["s.n"] == known.sum()
    alleles = x[known & (sex == 2)].sum() + (x[(sex == 1) & (x >= 0)] // 2).sum()
    chromosomes = 2 * (sex == 2).sum() + ((sex == 1) & (x >= 0)).sum()
    assert row["s.eaf"] == pytest.approx(alleles / chromosomes)
    notes = " ".join(result.attrs["studies"]["s"]["arms"]["baseline"]["notes"])
    assert "sex was added as a covariate on X" in notes
    assert "7 people without a known sex" in notes
    assert "5 heterozygous calls" in notes


def test_pseudo_autosomal_variants_are_tested_like_autosomal_ones(with_x):
    cohort, g, _, age, y = with_x
    result = cohort.run([cohort.study("s", y, {"age": age})], exact=True)
    for i in (0, 3):
        beta, se, _ = least_squares(g[i].astype(float), y, age[:, None])
        assert abs(result["s.baseline.beta"][i] - beta) / se < 1e-10
        assert result["s.n"][i] == 400


def test_sex_is_not_added_twice(with_x):
    cohort, _, sex, age, y = with_x
    a = cohort.run([cohort.study("s", y, {"age": age})], exact=True)
    b = cohort.run([cohort.study("s", y, {"age": age, "female": np.where(sex == 2, 3.0, 1.0)})], exact=True)
    assert a["s.baseline.beta"][1] == pytest.approx(b["s.baseline.beta"][1], rel=1e-9)
    assert not any("added" in note for note in b.attrs["studies"]["s"]["arms"]["baseline"]["notes"])


def test_hardy_weinberg_on_x_is_tested_in_women(with_x):
    cohort, _, _, age, y = with_x
    result = cohort.run([cohort.study("s", y, {"age": age})], hwe_p=1e-4)
    assert list(result["s.baseline.reason"][:4]) == ["", "", "", ""]


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_y_is_tested_in_men_and_mt_in_everybody_by_the_one_copy_that_is_there(with_x, missing):
    """Beta is per copy: carriers against others, not half of it."""
    cohort, g, sex, age, y = with_x
    result = cohort.run([cohort.study("s", y, {"age": age})], exact=True, missing_genotypes=missing)
    men = sex == 1
    for row, who in ((4, men), (5, np.ones(len(sex), dtype=bool))):
        carries = np.select([g[row] == 0, g[row] == 2], [0, 1], -1)
        use = who & (carries >= 0) if missing == "drop" else who
        beta, se, _ = least_squares(impute(carries[use]), y[use], age[use, None])
        assert abs(result["s.baseline.beta"][row] - beta) / se < 1e-10
        assert result["s.baseline.se"][row] == pytest.approx(se, rel=1e-10)
        assert result["s.n"][row] == use.sum()
        assert result["s.eaf"][row] == pytest.approx(carries[who & (carries >= 0)].mean())
    notes = " ".join(result.attrs["studies"]["s"]["arms"]["baseline"]["notes"])
    assert "on MT genotypes are 0/1" in notes
    assert "on X men's genotypes are 0/2" in notes


@pytest.mark.parametrize("refine_below", [0.0, 1.0])
@pytest.mark.parametrize("firth", ["never", "always"])
def test_binary_traits_on_y_are_per_copy(with_x, tmp_path, refine_below, firth):
    """The same genotypes on an autosome, 0/2, have half the effect and half its error, the same p."""
    cohort, g, sex, age, y = with_x
    men = sex == 1
    case = np.where(men, (y > np.median(y)).astype(float), np.nan)
    settings = {"exact": True, "refine_below": refine_below, "firth": firth}
    haploid = cohort.run([cohort.study("b", case, {"age": age}, trait="binary")], **settings)
    diploid = make_cohort(tmp_path, g[4:5], sex, "1")
    twice = diploid.run([diploid.study("b", case, {"age": age}, trait="binary")], **settings).iloc[0]
    row = haploid.iloc[4]
    assert row["b.baseline.reason"] == twice["b.baseline.reason"] == ""
    assert row["b.baseline.method"] == twice["b.baseline.method"]
    tolerance = 1e-6
    assert row["b.baseline.beta"] == pytest.approx(2 * twice["b.baseline.beta"], rel=tolerance)
    assert row["b.baseline.se"] == pytest.approx(2 * twice["b.baseline.se"], rel=tolerance)
    assert row["b.baseline.neg_log10_p"] == pytest.approx(twice["b.baseline.neg_log10_p"], rel=tolerance)

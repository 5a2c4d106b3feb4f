"""Dosages from file to estimate: the same data in every format, PLINK 2 on the same file, hard calls as dosages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from association_cases import Cohort
from dosage_cases import (
    FormatCohort,
    Haplotypes,
    assert_close,
    blur,
    people_of,
    plink2,
    simulate,
    studies_of,
    table_of,
    write_bgen,
    write_formats,
    write_pgens,
)

pytestmark = pytest.mark.oracle("plink2")
pgenlib = pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
pytest.importorskip("deflate", reason="the package deflate is not installed")

UNIT = 1 / 16384


def from_calls(real_data) -> Haplotypes:
    """Return haplotypes of real people: their hard calls on 22 and X, phased at random, some made uncertain."""
    from cohort_files import decode_int8
    from deepnull_gwas.genotypes.bed import BedGenotypes

    prefix = str(real_data("kg1126") / "kg1126")
    bim = pd.read_csv(f"{prefix}.bim", sep=r"\s+", header=None, dtype={0: str})
    fam = pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None)
    x = np.flatnonzero(bim[0].isin(["23", "X"]) & bim[3].between(3_000_000, 154_000_000))[:60]
    rows = np.append(np.flatnonzero(bim[0] == "1")[:120], x)
    bed = BedGenotypes([prefix])
    calls = np.concatenate([decode_int8(bed.calls_between(r, r + 1), len(fam)) for r in rows])
    rng, missing = np.random.default_rng(11), calls < 0
    sex = fam[4].to_numpy(np.int8)
    order = rng.random((*calls.shape, 1)) < 0.5
    truth = np.stack([calls >= 1, calls == 2], axis=2)
    truth = np.where(order, truth, truth[..., ::-1]).astype(np.int64)
    haploid = (np.arange(len(rows)) >= len(rows) - len(x))[:, None] & (sex == 1)
    truth[haploid] = (calls[haploid] == 2)[:, None]
    missing |= haploid & (calls == 1)
    variants = table_of(len(rows) - len(x), len(x))
    return Haplotypes(blur(rng, truth), missing, variants, sex)


@pytest.fixture(scope="module", params=["simulated", pytest.param("kg1126", marks=pytest.mark.realdata)])
def formats(request, tmp_path_factory):
    """Return the data, a cohort for each format, and phenotypes."""
    rng = np.random.default_rng(7)
    real = request.param == "kg1126"
    data = from_calls(request.getfixturevalue("real_data")) if real else simulate(rng, 700, 90, 50)
    cohorts = write_formats(tmp_path_factory.mktemp(request.param), data)
    return data, cohorts, people_of(rng, data.dosages())


def test_every_format_has_the_same_dosages_of_the_same_allele(formats):
    data, cohorts, _ = formats
    truth, pgen = data.dosages(), cohorts["plain"].dosages()
    assert np.nanmax(np.abs(pgen - truth)) <= UNIT
    for name, cohort in cohorts.items():
        found = cohort.dosages()
        assert np.array_equal(np.isnan(found), np.isnan(truth)), name
        assert np.nanmax(np.abs(found - pgen)) <= (1 / 255 if " 8 " in name else UNIT), name
        for column in ("chromosome", "position", "id", "effect_allele", "other_allele"):
            assert cohort.variants[column].astype(str).tolist() == data.variants[column].astype(str).tolist(), name


def tolerance(name: str) -> float:
    """Return how far estimates of a format may be from those of the PGEN, in standard errors."""
    if name.startswith("bgen phased") and " 16 " in name:
        # plink2 rounds each haplotype of a PGEN up to 2^-14 when it writes 16 bits: one genotype in twelve is off by
        # 2^-14 in the file; `exact` files, without that step, are compared below
        return 3e-4
    return 1e-3 if " 8 " in name else 1e-5


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_every_format_has_the_same_results(formats, missing):
    data, cohorts, table = formats
    results = {
        name: cohort.run(studies_of(cohort, table), missing_genotypes=missing) for name, cohort in cohorts.items()
    }
    first = results["plain"]
    for name, result in results.items():
        assert (result["effect_allele"] == data.variants["effect_allele"]).all()
        assert_close(first, result, tolerance(name))
        for study in "qb":
            assert (first[f"{study}.n"] == result[f"{study}.n"]).all()
            np.testing.assert_allclose(first[f"{study}.eaf"], result[f"{study}.eaf"], atol=UNIT)
    # the planted effects have their signs
    assert first["q.baseline.beta"].iloc[1] > 0 > first["q.baseline.beta"].iloc[-1]


@pytest.mark.parametrize(("reference", "compression"), [("first", "zlib"), ("last", "zstd")])
@pytest.mark.parametrize("bits", [8, 16])
def test_phased_bgen_that_no_tool_has_rounded_has_the_same_results(formats, tmp_path, reference, compression, bits):
    data, cohorts, table = formats
    path = write_bgen(tmp_path / "x.bgen", data, bits, reference, compression)
    cohort, pgen = FormatCohort(tmp_path / "c", path, data.sex, reference), cohorts["plain"]
    found = cohort.run(studies_of(cohort, table))
    assert (found["effect_allele"] == data.variants["effect_allele"]).all()
    assert np.nanmax(np.abs(cohort.dosages() - data.dosages())) <= UNIT
    assert_close(pgen.run(studies_of(pgen, table)), found, 1e-3 if bits == 8 else 1e-5)


def plink_glm(folder: Path, prefix: Path, table: pd.DataFrame, arm: str, *modifiers: str) -> dict[str, pd.DataFrame]:
    """Run plink2 --glm, and --freq of the analysed people of each phenotype; return a table for each phenotype.

    One row per variant; FREQ counts a man's X once, as A1_FREQ of --glm does not.
    """
    folder.mkdir()
    ids = table[["IID"]].rename(columns={"IID": "#IID"})
    text = {"sep": "\t", "index": False, "na_rep": "NA"}
    pd.concat([ids, table["q"], table["b"] + 1], axis=1).to_csv(folder / "p.txt", **text)
    covariates = ["x1", "x2", *(["d"] if arm == "deepnull" else [])]
    pd.concat([ids, table[covariates]], axis=1).to_csv(folder / "c.txt", **text)
    command = ["--pfile", prefix, "--pheno", folder / "p.txt", "--covar", folder / "c.txt", "--out", folder / "plink"]
    columns = "cols=chrom,pos,ref,alt,a1freq,nobs,beta,se,test,p"
    plink2(*command, "--glm", "hide-covar", "omit-ref", "log10", *modifiers, columns)
    out = {path.name.split(".")[1]: pd.read_csv(path, sep="\t") for path in folder.glob("plink.*.glm.*")}
    out = {name: frame[frame["TEST"] == "ADD"].reset_index(drop=True) for name, frame in out.items()}
    for name, frame in out.items():
        ids[table[name].notna()].to_csv(folder / "keep.txt", **text)
        keep = ["--keep", folder / "keep.txt", "--freq", "cols=+machr2", "--out", folder / "freq"]
        plink2("--pfile", prefix, *keep)
        freq = pd.read_csv(folder / "freq.afreq", sep="\t")
        out[name] = frame.assign(FREQ=freq["ALT_FREQS"], MACH_R2=freq["MACH_R2"])
    return out


def same_as_plink(mine: pd.DataFrame, name: str, arm: str, plink: pd.DataFrame) -> None:
    """Assert that a study and arm are what PLINK 2 has."""
    key, x = f"{name}.{arm}", mine["chromosome"] == "X"
    assert (mine["id"] == plink["ID"]).all() and (mine["effect_allele"] == plink["A1"]).all()
    assert (mine[f"{name}.n"] == plink["OBS_CT"]).all()
    # six significant digits are printed
    np.testing.assert_allclose(mine[f"{name}.eaf"], plink["FREQ"], rtol=5.1e-6)
    np.testing.assert_allclose(mine[f"{name}.eaf"][~x], plink["A1_FREQ"][~x], rtol=5.1e-6)
    np.testing.assert_allclose(mine[f"{name}.info"][~x], plink["MACH_R2"][~x], rtol=5.1e-6)
    both = mine[f"{key}.beta"].notna() & plink["BETA"].notna()
    assert both.mean() > 0.97 and both[x].mean() > 0.97
    assert (np.abs(mine[f"{key}.beta"] - plink["BETA"]) / plink["SE"])[both].max() < 1e-4
    assert (np.abs(mine[f"{key}.se"] / plink["SE"] - 1))[both].max() < 1e-4
    difference = np.abs(mine[f"{key}.neg_log10_p"] - plink["LOG10_P"]) / np.maximum(1, plink["LOG10_P"])
    assert difference[both].max() < 1e-3


@pytest.mark.parametrize("arm", ["baseline", "deepnull"])
def test_results_are_those_of_plink_on_the_same_file(formats, tmp_path, arm):
    _, cohorts, table = formats
    cohort = cohorts["plain"]
    prefix = cohort.prefix.removesuffix(".pgen")
    plink = plink_glm(tmp_path / "wald", prefix, table, arm, "no-firth")
    for exact in (False, True):
        mine = cohort.run(studies_of(cohort, table), missing_genotypes="drop", exact=exact)
        for name in "qb":
            same_as_plink(mine, name, arm, plink[name])


def test_firth_is_that_of_plink_on_the_same_file(formats, tmp_path):
    data, cohorts, table = formats
    cohort = cohorts["phased"]
    rare = table.assign(b=((table["q"] > table["q"].quantile(0.93)).astype(float)).where(table["b"].notna()))
    plink = plink_glm(tmp_path / "firth", cohort.prefix.removesuffix(".pgen"), rare, "baseline", "firth")["b"]
    mine = cohort.run(studies_of(cohort, rare, "b"), missing_genotypes="drop", firth="always", min_mac=1)
    assert (mine["b.baseline.method"] == "firth").mean() > 0.97
    both = mine["b.baseline.beta"].notna() & plink["BETA"].notna()
    assert both.mean() > 0.97 and (mine["b.n"] == plink["OBS_CT"]).all()
    difference = (np.abs(mine["b.baseline.beta"] - plink["BETA"]) / plink["SE"])[both]
    assert difference.quantile(0.8) < 1e-4 and difference.max() < 2e-3
    # where they differ more, plink2 has stopped early: the maximum is ours
    g = cohort.dosages()
    for v in difference.nlargest(5).index:
        kept = rare["b"].notna().to_numpy() & ~np.isnan(g[v])
        on_x = [data.sex == 1] if data.variants["chromosome"][v] == "X" else []
        x = np.column_stack([np.ones(len(rare)), rare["x1"], rare["x2"], *on_x, g[v]])[kept].astype(float)
        beta = firth(x, rare["b"].to_numpy()[kept])[-1]
        assert abs(beta - mine["b.baseline.beta"][v]) / plink["SE"][v] < 1e-5


def firth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the coefficients at which Firth's score is zero, by Newton's steps with the information, in float64."""
    b = np.zeros(x.shape[1])
    for _ in range(500):
        mu = 1 / (1 + np.exp(-x @ b))
        w = mu * (1 - mu)
        inverse = np.linalg.inv((x * w[:, None]).T @ x)
        leverage = w * ((x @ inverse) * x).sum(axis=1)
        step = inverse @ (x.T @ (y - mu + leverage * (0.5 - mu)))
        b += step / max(1, np.abs(step).max() / 2)
        if np.abs(step).max() < 1e-12:
            return b
    raise AssertionError("no convergence")


def test_info_of_probabilities_is_the_formula_on_the_analysed_people(formats):
    package = pytest.importorskip("bgen", reason="the package bgen is not installed")
    data, cohorts, table = formats
    keep = table["q"].notna().to_numpy()
    for key in ("bgen plain zlib 8 first", "bgen phased zstd 16 last", "bgen plain zstd 16 last"):
        cohort = cohorts[key]
        found = cohort.run(studies_of(cohort, table, "q"))
        for v, variant in enumerate(package.BgenReader(cohort.prefix, delay_parsing=True)):
            if data.variants["chromosome"][v] == "X":
                break
            p = variant.probabilities.astype(np.float64)[keep]
            if variant.is_phased:
                p = np.column_stack([p[:, 0] * p[:, 2], p[:, 0] * p[:, 3] + p[:, 1] * p[:, 2], p[:, 1] * p[:, 3]])
            e, f = 2 * p[:, 2] + p[:, 1], 4 * p[:, 2] + p[:, 1]
            theta, n = np.nansum(e) / (2 * np.isfinite(e).sum()), np.isfinite(e).sum()
            expected = 1 - np.nansum(f - e**2) / (2 * n * theta * (1 - theta))
            assert found["q.info"][v] == pytest.approx(expected, abs=1e-6)
        assert v == (data.variants["chromosome"] != "X").sum()


def test_info_on_x_of_certain_men_and_women_is_one(tmp_path):
    """In equilibrium, each sex has the variance that it is to have; men of a file are 0 or 2."""
    rng = np.random.default_rng(21)
    n, frequency = 24_000, np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    variants, sex = table_of(0, len(frequency) + 1), (1 + np.arange(n) % 2).astype(np.int8)
    copies = (rng.random((len(frequency), n, 2)) < frequency[:, None, None]).astype(np.float32)
    g = np.where(sex == 1, 2 * copies[..., 0], copies.sum(axis=2))
    # the last one is uncertain, so that the file has dosages
    g = np.vstack([g, np.full(n, 0.5, dtype=np.float32)]).astype(np.float32)
    with pgenlib.PgenWriter(
        str(tmp_path / "x.pgen").encode(), n, len(g), nonref_flags=False, dosage_present=True
    ) as writer:
        writer.append_dosages_batch(g)
    rows = "".join(f"X\t{r.position}\t{r.id}\t{r.other_allele}\t{r.effect_allele}\n" for r in variants.itertuples())
    (tmp_path / "x.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + rows)
    people = pd.DataFrame({"#IID": [f"p{i}" for i in range(n)], "SEX": sex})
    people.to_csv(tmp_path / "x.psam", sep="\t", index=False)
    cohort = FormatCohort(tmp_path / "c", tmp_path / "x.pgen", sex)
    y = rng.normal(size=n)
    who = {"men": sex == 1, "women": sex == 2, "both": sex > 0}
    found = cohort.run([cohort.study(name, np.where(chosen, y, np.nan)) for name, chosen in who.items()])
    for name, chosen in who.items():
        assert found[f"{name}.info"].iloc[:-1].between(0.97, 1.03).all(), name
        assert found[f"{name}.info"].iloc[-1] < 0.01
        assert found[f"{name}.n"].iloc[0] == chosen.sum()


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """Return the same hard calls as .bed, BGEN (zlib, 8 and 16 bits), and as a .pgen that has dosages for some."""
    rng, folder = np.random.default_rng(31), tmp_path_factory.mktemp("hard")
    data = simulate(rng, 600, 60, 30)
    data.values[:] = np.where(2 * data.values > 255, 255, 0)
    write_pgens(folder, data)
    plink2("--pfile", folder / "plain", "--make-bed", "--out", folder / "bed")
    for bits in (8, 16):
        plink2("--pfile", folder / "plain", "--export", "bgen-1.2", f"bits={bits}", "--out", folder / f"b{bits}")
    g = np.nan_to_num(data.dosages(), nan=-9).astype(np.float32)
    # one more variant, which is uncertain, makes a file of dosages
    with pgenlib.PgenWriter(
        str(folder / "more.pgen").encode(), g.shape[1], len(g) + 1, nonref_flags=False, dosage_present=True
    ) as writer:
        writer.append_dosages_batch(np.vstack([g, np.full((1, g.shape[1]), 0.25, dtype=np.float32)]))
    pvar = (folder / "plain.pvar").read_text()
    (folder / "more.pvar").write_text(pvar + "X\t20000000\tmore\tG\tA\n")
    (folder / "more.psam").write_text((folder / "plain.psam").read_text())
    cohorts = {
        "bgen 8": FormatCohort(folder / "c8", folder / "b8.bgen", data.sex, "last"),
        "bgen 16": FormatCohort(folder / "c16", folder / "b16.bgen", data.sex, "last"),
        "pgen": FormatCohort(folder / "cp", folder / "more.pgen", data.sex),
    }
    return Cohort(folder / "cb", folder / "bed", data.sex), cohorts, people_of(rng, data.dosages())


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_hard_calls_read_as_dosages_have_the_results_of_the_packed_ones(hard, missing, exact):
    bed, cohorts, table = hard
    options = {"missing_genotypes": missing, "exact": exact, "hwe_p": 1e-4, "missingness_p": 1e-4, "min_mac": 5}
    want = bed.run(studies_of(bed, table), **options)
    for cohort in cohorts.values():
        found = cohort.run(studies_of(cohort, table), **options).iloc[: len(want)]
        assert cohort.reader.has_dosages
        assert_close(want, found, 1e-6)
        for column in want.columns:
            if want[column].dtype.kind in "iuO" or want[column].dtype.name == "category":
                assert (want[column].astype(str) == found[column].astype(str)).all(), column
            elif "eaf" in column:
                np.testing.assert_allclose(found[column], want[column], rtol=1e-14)
        # what is certain has the information 1
        assert found["q.info"][:60].between(0.8, 1.2).all()


@pytest.mark.parametrize("options", [{}, {"missing_genotypes": "drop"}, {"exact": True, "missing_genotypes": "drop"}])
@pytest.mark.parametrize("name", ["plain", "bgen plain zlib 8 first", "bgen phased zstd 16 last"])
def test_threads_chunks_blocks_and_neighbours_change_no_bit(formats, tmp_path, name, options):
    _, cohorts, table = formats
    whole = cohorts[name]
    options = {"firth": "fallback", "refine_below": 0.3, "min_mac": 1} | options
    want = whole.run(studies_of(whole, table), **options)
    again = whole.run(studies_of(whole, table)[::-1], threads=3, **options | {"variants_per_block": 7})
    pd.testing.assert_frame_equal(want, again[want.columns])
    for study in "qb":
        alone = whole.run(studies_of(whole, table, study), threads=2, **options)
        pd.testing.assert_frame_equal(alone, want[alone.columns])
    reference = name.split()[-1] if name != "plain" else ""
    cut = FormatCohort(tmp_path / "c", whole.prefix, whole.sex, reference, chunks=3)
    parts = [cut.run(studies_of(cut, table), chunk=chunk, **options) for chunk in range(3)]
    assert min(map(len, parts)) > 20
    together = pd.concat(parts, ignore_index=True)
    for column in want.columns:
        assert (want[column].astype(str) == together[column].astype(str)).all(), column
        if want[column].dtype.kind == "f":
            assert np.array_equal(want[column], together[column], equal_nan=True), column

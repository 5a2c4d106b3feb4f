"""The data of the site: the numbers of the published files, small, the same bytes, no person, no harm."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.site.build import build_site
from deepnull_gwas.site.genome import CHARACTERS, NAMED, POINTS, genome_of
from deepnull_gwas.site.pvalues import PValues, read_p_values
from deepnull_gwas.site.quantiles import inflation, qq_of
from deepnull_gwas.site.script_files import plain, script_text
from deepnull_gwas.tables import read_json, write_table
from site_cases import NASTY, numbers, value_of


def published(made, arm: str) -> pl.DataFrame:
    """Return all published rows of an arm."""
    other = read_sumstats(made.study / arm / "other_alleles.tsv.gz")
    return pl.concat([read_sumstats(made.study / arm / "sumstats.tsv.gz"), other]).sort(
        ["chromosome", "base_pair_location"]
    )


def test_p_values_are_those_published(made):
    p = read_p_values(made.chunks, "s", ["deepnull", "baseline"])
    for arm in ("baseline", "deepnull"):
        table = published(made, arm)
        kept = ~np.isnan(p.neg_log10_p[arm])
        assert np.array_equal(p.position[kept], table["base_pair_location"])
        assert np.array_equal(p.code[kept], table["chromosome"])
        assert np.allclose(p.neg_log10_p[arm][kept], table["neg_log_10_p_value"], rtol=1e-6)
        frequency = table["effect_allele_frequency"].to_numpy()
        common = np.minimum(frequency, 1 - frequency) >= 0.05
        assert np.array_equal(p.frequency_class[kept] == 0, common)


def test_chunks_in_any_order_give_the_order_of_the_genome(made):
    there, back = (read_p_values(c, "s", ["baseline"]) for c in (made.chunks, made.chunks[::-1]))
    assert np.array_equal(there.position, back.position) and np.array_equal(there.code, back.code)
    for p, chunks in ((there, made.chunks), (back, made.chunks[::-1])):
        named = genome_of(p, chunks, "s")["named"]
        assert named["id"] == published(made, "baseline")["original_id"].to_list()


def test_named_variants_are_those_published(made):
    key, page = value_of(made.study / "site.js")
    assert key == "study/c/s"
    named = page["genome"]["named"]
    for arm in ("baseline", "deepnull"):
        table = published(made, arm)
        places = dict(zip(zip(table["chromosome"], table["base_pair_location"]), table.rows(named=True), strict=True))
        codes = np.repeat(*zip(*named["per_chromosome"], strict=True))
        for i, place in enumerate(zip(codes.tolist(), named["position"], strict=True)):
            row = places.get(place)
            if row is None:
                assert named["arms"][arm]["p"][i] is None
                continue
            assert named["id"][i] == row["original_id"]
            for short, column in (("p", "neg_log_10_p_value"), ("beta", "beta"), ("se", "standard_error")):
                assert named["arms"][arm][short][i] == pytest.approx(row[column], rel=5.1e-4)
            assert named["frequency"][i] == pytest.approx(row["effect_allele_frequency"], rel=5.1e-4)


def test_numbers_of_the_page_and_of_the_index_are_those_of_the_files(made):
    _, page = value_of(made.site / "data/c/s.js")
    _, index = value_of(made.site / "data/index.js")
    compared = read_json(made.study / "comparison.json")
    loci = pl.read_csv(made.study / "comparison.tsv", separator="\t", null_values="NA", quote_char=None)
    assert page["comparison"] == plain(compared)
    assert page["loci"] == plain({c: loci[c].to_list() for c in loci.columns})
    row = index["studies"][0]
    assert row["verdicts"] == compared["loci"]
    for arm in ("baseline", "deepnull"):
        tests = read_json(made.study / arm / "tests.json")
        assert row["arms"][arm] == plain({"status": "ok"} | {k: tests[k] for k in ("lambda_gc", "loci")})
        assert page["arms"][arm]["untested"] == tests["untested"]
    assert row["explained"] == {"measure": "r2", "linear": 0.1, "deepnull": 0.25}
    assert row["regions"] == [{"name": "chr2_10000", "code": 2, "position": 10_000, "id": NASTY}]
    assert index["studies"][1]["status"] == "failed" and index["studies"][1]["reason"] == NASTY
    assert page["learned"]["weights"] == {"splines": 0.8}
    # as at the end of the run
    assert [w["what"] for w in page["warnings"]] == row["warnings"]
    assert NASTY in row["warnings"]


def _many(m: int, seed: int = 1) -> PValues:
    """Return a polygenic trait in many people: far more strong variants than there is room for."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=m) * np.where(rng.random(m) < 0.2, 6, 1)
    p = (-stats.norm.logsf(np.abs(z)) - np.log(2)).astype(np.float32) / np.float32(np.log(10))
    code = np.sort(rng.integers(1, 24, m)).astype(np.int8)
    position = rng.integers(1, 150_000_000, m).astype(np.int32)
    position = position[np.lexsort((position, code))]
    arms = {"deepnull": p * np.float32(1.1), "baseline": p}
    return PValues(code, position, rng.integers(0, 4, m).astype(np.int8), arms, np.zeros(m, dtype=np.int32))


@pytest.mark.parametrize("arms", [("deepnull", "baseline"), ("baseline",)])
def test_a_page_has_room_for_any_number_of_variants(tmp_path, arms):
    p = _many(1_000_000)
    p = dataclasses.replace(p, neg_log10_p={arm: p.neg_log10_p[arm] for arm in arms})
    row = {"id": NASTY, "effect_allele": "A" * 300, "other_allele": "G", "s.n": 5, "s.eaf": 0.123456}
    row |= {f"s.{arm}.{c}": 0.123456789 for arm in p.arms for c in ("beta", "se", "neg_log10_p")}
    write_table(pa.table({k: [v] for k, v in row.items()}), tmp_path / "0.parquet")
    genome = genome_of(p, [tmp_path / "0.parquet"], "s")
    counts = genome["counts"]
    # what has no room by name is a point
    assert (
        CHARACTERS * len(arms) // 500 < counts["named"] < NAMED and counts["named"] + counts["points"] == POINTS + NAMED
    )
    assert counts["binned"] + POINTS + NAMED == 1_000_000 and counts["binned_strong"] > 50_000
    assert len(script_text("a", {"genome": genome, "qq": qq_of(p)})) < 1_000_000 * len(arms)


def test_every_variant_of_the_rest_is_in_a_cell_and_no_other_cell_is_drawn(tmp_path):
    p = _many(200_000, seed=2)
    row = {"id": "x", "effect_allele": "A", "other_allele": "G", "s.n": 5, "s.eaf": 0.1}
    row |= {f"s.{arm}.{c}": 0.5 for arm in p.arms for c in ("beta", "se", "neg_log10_p")}
    write_table(pa.table({k: [v] for k, v in row.items()}), tmp_path / "0.parquet")
    genome = genome_of(p, [tmp_path / "0.parquet"], "s")
    background, first = genome["background"], {c["code"]: c for c in genome["chromosomes"]}
    listed = set()
    for part, positions in ((genome["named"], genome["named"]["position"]),
                            (genome["points"], numbers(genome["points"]["position"], "<u4"))):  # fmt: skip
        codes = np.repeat(*zip(*part["per_chromosome"], strict=True))
        listed |= set(zip(codes.tolist(), positions.tolist(), strict=True))
    assert len(listed) == genome["counts"]["named"] + genome["counts"]["points"]
    rest = [i for i, place in enumerate(zip(p.code.tolist(), p.position.tolist(), strict=True)) if place not in listed]
    for arm in p.arms:
        bits = np.unpackbits(numbers(background["arms"][arm], "u1"))
        cells = set()
        for i in rest:
            c = first[int(p.code[i])]
            column = c["cell"] + (int(p.position[i]) - c["start"]) // genome["cell"]
            level = float(p.neg_log10_p[arm][i]) / background["height"][arm]
            # at an edge, either side is right
            near = {int(level - 1e-4), int(level + 1e-4)}
            found = [column * background["levels"] + k for k in near if bits[column * background["levels"] + k]]
            assert found
            cells.update(found)
        assert set(np.flatnonzero(bits)) == cells
    packed = numbers(genome["points"]["arms"]["baseline"], "<u2") * genome["points"]["scale"]
    assert len(packed) == genome["counts"]["points"] and packed.max() <= p.neg_log10_p["baseline"].max() + 0.01


def test_inflation_is_that_of_scipy():
    rng = np.random.default_rng(5)
    p = rng.random(40_001) ** 1.2
    ascending = np.sort(-np.log10(p)).astype(np.float32)
    for tail in (0.5, 0.01, 0.001):
        observed = stats.chi2.isf(np.quantile(p, tail), 1) / stats.chi2.isf(tail, 1)
        assert inflation(ascending, tail) == pytest.approx(observed, rel=2e-3)
    assert inflation(ascending[:5000], 0.001) is None


def test_names_cannot_end_a_script_and_come_back_whole(made):
    for path in sorted((made.site / "data").rglob("*.js")):
        text = path.read_bytes()
        assert b"<" not in text and max(text) < 128, path
        value_of(path)
    assert value_of(made.site / "data/c/s.js")[1]["about"]["phenotype"] == NASTY


def test_no_person_folder_or_machine_is_named(made):
    for path in [made.results / "site.zip", *(made.site / "data").rglob("*")]:
        texts = [path.read_bytes()] if path.suffix == ".js" else []
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as file:
                texts = [file.read(name) for name in file.namelist()]
        for text in texts:
            assert b"SECRET" not in text and b"secret" not in text, path


def test_the_same_results_give_the_same_bytes(made, tmp_path):
    def digests(results):
        files = [p for p in sorted((results / "site").rglob("*")) if p.is_file()] + [results / "site.zip"]
        return {p.relative_to(results).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    shutil.copytree(made.results, tmp_path / "again")
    again = type(made)(tmp_path / "again", made.chunks, made.columns)
    (again.site / "left_over.js").write_text("")
    again.describe()
    again.build()
    assert digests(again.results) == digests(made.results)
    with zipfile.ZipFile(again.results / "site.zip") as file:
        for name in file.namelist():
            assert file.read(name) == (again.results / name).read_bytes()


def test_a_damaged_file_is_named_and_leaves_the_site_as_it_was(made, tmp_path):
    r = shutil.copytree(made.results, tmp_path / "r")
    (r / "c/s/regions.json.gz").write_bytes(b"\x1f\x8b damaged")
    before = (r / "site.zip").read_bytes()
    studies = [{"cohort": "c", "study": "s"}]
    with pytest.raises(ValueError, match=r"regions\.json\.gz: damaged"):
        build_site(
            tmp_path / "r", studies, tmp_path / "r/provenance.json", tmp_path / "r/site", tmp_path / "r/site.zip"
        )
    assert (tmp_path / "r/site.zip").read_bytes() == before and (tmp_path / "r/site/index.html").exists()

"""Regional plots and names of loci: nothing overlaps, whatever the names, and the same bytes each time."""

from __future__ import annotations

import gzip
import itertools
import json

import numpy as np
import polars as pl
import pytest

from deepnull_gwas.report.labels import label_peaks, names_of_loci, room_for, spread
from deepnull_gwas.report.manhattan import plot_manhattan
from deepnull_gwas.report.miami import plot_miami
from deepnull_gwas.report.regional import BINS, UNKNOWN, colours_of, pack_genes, plot_regions
from deepnull_gwas.report.style import TWO_COLUMNS, figure
from deepnull_gwas.tables import write_json
from figure_checks import twice

SETTINGS = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
M = 300


def region(rng, number, arms=("deepnull", "baseline"), genes=40):
    """Make a region on chromosome 3 with a peak in its middle and gaps of all kinds."""
    at = np.sort(rng.choice(np.arange(40_000_000, 41_000_000), M, replace=False))
    r2 = np.clip(1 - np.abs(np.arange(M) - 150) / 40, 0, 1)
    p = 30 * r2 + rng.exponential(0.5, M)
    values = {
        arm: {"neg_log_10_p": [None if i % 17 == k else v for i, v in enumerate(p.tolist())]}
        for k, arm in enumerate(arms)
    }
    start = rng.integers(39_900_000, 41_000_000, genes)
    track = [
        {"symbol": f"GENE{i}", "start": int(s), "end": int(s + rng.integers(300, 150_000)), "strand": "+-"[i % 2],
         "biotype": ("protein_coding", "lncRNA", None)[i % 3]}
        for i, s in enumerate(start)
    ]  # fmt: skip
    return {
        "name": f"chr3_{number}", "chromosome": 3, "lead": 150, "start": 40_000_000, "stop": 41_000_000,
        "verdict": ("shared", "gained", "lost")[number % 3] if len(arms) > 1 else "single",
        "nearest_gene": "GENE1" if number else None, "gene_distance": 5 * number if number else None,
        "position": at.tolist(), "id": [f"3:{a}:<script>$x^2$" if i == 150 else str(a) for i, a in enumerate(at)],
        "effect_allele": ["ACGT" * 9] * M, "other_allele": ["A"] * M, "arms": values, "references": [150],
        "r2": [[None if i % 31 == 0 else int(1000 * v) for i, v in enumerate(r2)]], "genes": track,
    }  # fmt: skip


def test_regional_plots(tmp_path, drawn):
    rng = np.random.default_rng(1)
    loci = [region(rng, 0), region(rng, 1, genes=0), region(rng, 2, ("baseline",), genes=170)]
    for name, some in (("a", loci), ("b", loci[:1])):
        with gzip.open(tmp_path / f"{name}.json.gz", "wt") as file:
            json.dump({"format": 1, "window_kb": 500, "loci": some}, file)
    about = {"study": "s", "phenotype": "p $1$", "trait": "quantitative", "n": 900}
    write_json(about, tmp_path / "study.json")
    settings = {"genome_wide": 5e-8, "genome_build": "GRCh38"}
    for out in ("b", "a"):
        plot_regions(tmp_path / f"{out}.json.gz", tmp_path / "study.json", settings, tmp_path / out)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["figures.tsv", *(f"regional_chr3_{i}.{kind}" for i in range(3) for kind in ("pdf", "svg"))]
    for name in ("regional_chr3_0.svg", "regional_chr3_0.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    # the last one drawn: one arm, more genes than there is room for
    assert {"baseline", "position on chromosome 3 (Mb, GRCh38)", "r² ≥ 0.8", "r² not known"} <= set(drawn)
    assert any(text.startswith("no room for ") for text in drawn)
    assert any("s: p $1$ (n = 900)" in text and "near GENE1" in text for text in drawn)


def test_colours_tell_the_correlation():
    colours = dict(BINS)
    found = colours_of([0, 199, 200, 599, 800, 1000, None]).tolist()
    assert found == [colours[b] for b in (0.0, 0.0, 0.2, 0.4, 0.8, 0.8)] + [UNKNOWN]


@pytest.mark.parametrize("genes", [0, 1, 25, 400])
def test_genes_of_a_row_do_not_overlap(genes):
    rng = np.random.default_rng(genes)
    track = region(rng, 0, genes=genes)["genes"]
    placed, left_out = pack_genes(track, 40_000_000, 41_000_000)
    assert len(placed) + left_out == genes
    for one, other in itertools.combinations(placed, 2):
        assert one["row"] != other["row"] or one["high"] < other["low"] or other["high"] < one["low"]
    if genes == 400:
        # those that make a protein come first
        shown = {gene["symbol"] for gene in placed}
        assert left_out and not any(g["biotype"] == "lncRNA" and g["symbol"] in shown for g in track)
    else:
        assert not left_out


@pytest.mark.parametrize("n", [0, 1, 2, 10, 38])
def test_names_of_loci_stand_side_by_side(tmp_path, drawn, n):
    rng = np.random.default_rng(n)
    x = np.concatenate([rng.uniform(0, 1000, n // 2), rng.normal(990, 3, n - n // 2)])
    places = spread(np.sort(x), 1000.0)
    step = min(26, 1000 / max(n, 1))
    assert (np.diff(places) >= step - 1e-6).all()
    assert n == 0 or (places.min() >= step / 2 - 1e-6 and places.max() <= 1000 - step / 2 + 1e-6)
    if 0 < n <= 10:
        with figure(tmp_path / "f.svg", TWO_COLUMNS, 3) as fig:
            ax = fig.add_subplot()
            ax.set(xlim=(0, 1000), ylim=(-10, 10))
            names = ["A_VERY_LONG_GENE_1"] * n
            label_peaks(ax, x, rng.uniform(3, 9, n), names, 1000, 10.5)
            label_peaks(ax, x, -rng.uniform(3, 9, n), names, 1000, -10.5)
            ax.tick_params(axis="x", pad=room_for(names))
            ax.set_title("title", pad=room_for(names))


def test_figures_name_genes_and_variants_where_none_is_known(tmp_path, drawn):
    write_json({"study": "s", "trait": "quantitative", "n": 900}, tmp_path / "study.json")
    at = np.arange(1, 2001) * 1000
    points = {"chromosome": np.repeat([1, 2], 1000), "base_pair_location": at, "neg_log_10_p_value": at % 7000 / 1000}
    points = pl.DataFrame(points).with_columns(pl.col("neg_log_10_p_value").cast(pl.Float64))
    loci = pl.DataFrame(
        {
            "chromosome": [1, 1, 2, 2],
            "base_pair_location": [1000, 2000, 1_500_000, 1_990_000],
            "original_id": ["v1", "v2", "v3", "v4"],
            "verdict": ["shared", "gained", "lost", "lost"],
            "nearest_gene": ["APOE", "NA", "A_GENE_WITH_A_NAME_TOO_LONG", "LPA"],
            "gene_distance": ["0", "NA", "7", "3"],
            "genes": ["APOE", "NA", "NA", "LPA"],
            "neg_log_10_p_value_baseline": [18.5, 3.0, 11.0, 7.9],
            "neg_log_10_p_value_deepnull": [9.5, 12.0, 2.0, 2.0],
        }
    )
    loci.write_csv(tmp_path / "c.tsv", separator="\t")
    names = ["APOE", "v2", "A_GENE_WITH_A_N...", "LPA"]
    assert names_of_loci(loci.with_columns(pl.col("nearest_gene").replace("NA", None))) == names
    twice(lambda out: plot_miami(points, points, tmp_path / "c.tsv", tmp_path / "study.json", SETTINGS, out), tmp_path)
    assert set(names) <= set(drawn)
    few = SETTINGS | {"top_loci_labelled": 1}
    plot_miami(points, points, tmp_path / "c.tsv", tmp_path / "study.json", few, tmp_path / "few.svg")
    assert "v2" in drawn and not {"APOE", "LPA"} & set(drawn)
    leads = loci.rename({"neg_log_10_p_value_deepnull": "neg_log_10_p_value"})
    leads.write_csv(tmp_path / "leads.tsv", separator="\t")
    for arms in (["baseline"], ["baseline", "deepnull"]):
        both = dict.fromkeys(arms, points)
        files = dict.fromkeys(arms, tmp_path / "leads.tsv")
        plot_manhattan(both, files, tmp_path / "study.json", SETTINGS, tmp_path / "m.svg")
        assert set(names) <= set(drawn)

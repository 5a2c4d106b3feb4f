"""Memory that no formula budgets for: one long allele, one quote, people who do not count, arrays of which nothing is
needed any more.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from association_cases import settings_of
from cohort_files import decode_int8
from deepnull_gwas.association import scan as module
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.layout import Layout
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.cohort.duplicates import duplicated_variants
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.genotypes.bed_tables import read_bim
from deepnull_gwas.scores import clumping


def peak(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function gives, and the megabytes that it had at most beside what was there before."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_one_long_allele_costs_what_it_is_long():
    """As fixed-width text 20,000 variants would have 2 x 5,000 x 4 bytes each: 800 MB."""
    m = 20_000
    table = pd.DataFrame(
        {
            "chromosome": np.full(m, "1", dtype=object), "position": np.arange(m) // 2,
            "effect_allele": np.full(m, "A", dtype=object), "other_allele": np.full(m, "C", dtype=object),
        }
    )  # fmt: skip
    table.loc[[4, 6, 8], "effect_allele"] = "ACGT" * 1250
    table.loc[9, ["effect_allele", "other_allele"]] = "C", "ACGT" * 1250
    table.loc[10, ["effect_allele", "other_allele"]] = "C", "A"
    rate = np.ones(m)
    rate[8] = 0.9
    rate[20] = 0.5
    passed = np.arange(m) != 12
    marked, mb = peak(lambda: duplicated_variants(table, rate, passed))
    expected = np.arange(m) % 2 == 1
    expected[[5, 7, 9, 13, 21]] = False  # another allele; the better of two; alone; the better of two
    expected[[8, 20]] = True
    np.testing.assert_array_equal(marked, expected)
    assert mb < 20


def test_one_quote_does_not_change_what_a_bim_costs(tmp_path):
    m = 60_000
    lines = [f"{i // 5000 + 1}\tv{i}\t0\t{i + 1}\tA\tG\n" for i in range(m)]
    (tmp_path / "plain.bim").write_text("".join(lines))
    lines[7] = '1\tv"7\t0\t8\tA\tG\n'
    lines[8] = "1\tNA\t0\t9\tA\tG\n"
    (tmp_path / "quote.bim").write_text("".join(lines))
    read_bim(str(tmp_path / "plain.bim"))  # what is imported at the first call
    plain, expected = peak(lambda: read_bim(str(tmp_path / "plain.bim")))
    quote, mb = peak(lambda: read_bim(str(tmp_path / "quote.bim")))
    assert quote["id"].tolist()[6:10] == ["v6", 'v"7', "NA", "v9"]
    assert quote.drop(index=[7, 8]).equals(plain.drop(index=[7, 8]))
    # read line by line it was three times as much
    assert mb < 1.5 * expected


def test_only_people_who_count_are_held_for_clumping(tmp_path, monkeypatch):
    """The bit planes of 500 of 60,000 people, spread over the .fam, and not of all."""
    n, m = 60_000, 200
    rng = np.random.default_rng(1)
    body = rng.integers(0, 256, (m, n // 4), dtype=np.uint8)
    (tmp_path / "g.bed").write_bytes(b"\x6c\x1b\x01" + body.tobytes())
    (tmp_path / "g.bim").write_text("".join(f"1\tv{i}\t0\t{i + 1}\tA\tG\n" for i in range(m)))
    (tmp_path / "g.fam").write_text("".join(f"{i} {i} 0 0 1 -9\n" for i in range(n)))
    monkeypatch.setattr(clumping, "_LD_BYTES", 1 << 18, raising=False)
    fileset, people = BedGenotypes([tmp_path / "g"]), np.linspace(0, n - 1, 499).astype(np.int64)
    position, chi2 = np.arange(m), rng.chisquare(1, (m, 1))
    given = fileset, np.arange(m), position, chi2, 0.0, people, 1000, 0.01
    clumping.clump(*given)  # compiles
    lead, mb = peak(lambda: clumping.clump(*given))
    g = decode_int8(body, n)[:, people].astype(float)
    g[g < 0] = np.nan
    r2 = pd.DataFrame(g.T).corr().to_numpy() ** 2
    left, expected = np.ones(m, dtype=bool), np.zeros(m, dtype=bool)
    for i in np.argsort(-chi2[:, 0], kind="stable"):
        if left[i]:
            expected[i] = True
            left &= r2[i] <= 0.01
            left[i] = False
    np.testing.assert_array_equal(lead[:, 0], expected)
    assert 1 < expected.sum() < m
    # planes of all people: 4.5 MB, and their bytes twice over
    assert mb < 2


def test_the_scan_lets_go_of_what_it_laid_out(monkeypatch):
    n = 500
    rng = np.random.default_rng(2)
    study = StudyInput(
        "s", "quantitative", ("baseline",), np.arange(n), rng.normal(size=n), rng.normal(size=(n, 3)), ("a", "b", "c")
    )
    scan = Scan([study], np.zeros(n, dtype=np.int8), settings_of())
    layouts = []
    monkeypatch.setattr(module, "Layout", lambda *given: layouts.append(Layout(*given)) or layouts[-1])
    (group,) = scan.on("autosome").groups
    assert group.columns.width >= 4
    (layout,) = layouts
    assert layout.width == 0

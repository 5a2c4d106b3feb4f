"""Weights from a file: alleles, matching, units, and the sums."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.scores.matching import OUTCOMES, compare_alleles, match_weights
from deepnull_gwas.scores.weights import Weights, read_weights
from score_cases import imputed
from weight_files import score_of, weights_of, write_weights


def test_score_of_a_file_is_the_weighted_sum(cohort, tmp_path):
    table = weights_of(20)
    found, matched = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    expected = table["effect_weight"].to_numpy() @ imputed(cohort[1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # means in single precision
    assert matched.counts["matched"] == 20


def test_swapped_alleles_give_the_same_score_up_to_a_constant_and_order_does_not_matter(cohort, tmp_path):
    table = weights_of(20)
    found, _ = score_of(cohort, write_weights(tmp_path / "w.txt.gz", table))
    swapped = table.copy()
    swapped.loc[:9, ["effect_allele", "other_allele"]] = ["C", "A"]
    swapped.loc[:9, "effect_weight"] *= -1
    other, matched = score_of(cohort, write_weights(tmp_path / "s.txt", swapped.sample(frac=1, random_state=1)))
    assert matched.counts["swapped"] == matched.counts["matched"] == 10
    # b copies of A is the same as 2b less b copies of C
    constant = 2 * table.loc[:9, "effect_weight"].sum()
    np.testing.assert_allclose(other + constant, found, rtol=0, atol=1e-5)


@pytest.mark.oracle("plink2")
def test_score_equals_plink(cohort, tmp_path):
    import subprocess

    folder = cohort[0]
    table = weights_of(20)
    table.loc[5:9, ["effect_allele", "other_allele"]] = ["C", "A"]
    path = write_weights(tmp_path / "w.txt", table)
    found, _ = score_of(cohort, path)
    columns = [str(table.columns.get_loc(c) + 1) for c in ("rsID", "effect_allele", "effect_weight")]
    plain = tmp_path / "plain.txt"
    plain.write_text(table.to_csv(sep="\t", index=False))
    command = [
        "plink2",
        "--bfile",
        str(folder / "cohort"),
        "--score",
        str(plain),
        *columns,
        "header",
        "cols=+scoresums",
    ]
    subprocess.run([*command, "--bad-freqs", "--out", str(tmp_path / "p")], check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "p.sscore", sep="\t")["SCORE1_SUM"]
    # PLINK prints six digits; means of missing calls are in single precision here
    np.testing.assert_allclose(found, theirs, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("effect", "other", "a1", "a2", "verdict"),
    [
        ("A", "G", "A", "G", "matched"),
        ("G", "A", "A", "G", "swapped"),
        ("T", "C", "A", "G", "ambiguous"),  # only the other strand fits
        ("A", "C", "A", "G", "mismatched"),
        ("A", "T", "A", "T", "matched"),  # both alleles as they are written
        ("T", "A", "A", "T", "swapped"),
        ("A", "", "A", "T", "ambiguous"),
        ("C", "", "C", "G", "ambiguous"),
        ("A", "", "A", "G", "matched"),
        ("G", "", "A", "G", "swapped"),
        ("T", "", "A", "G", "ambiguous"),
        ("C", "", "A", "G", "ambiguous"),
        ("AT", "A", "AT", "A", "matched"),
        ("A", "AT", "AT", "A", "swapped"),
        ("D", "I", "I", "D", "swapped"),
        ("D", "", "A", "G", "mismatched"),
    ],
)
def test_alleles(effect, other, a1, a2, verdict):
    assert compare_alleles([effect], [other], [a1], [a2]).tolist() == [verdict]
    # alleles in any case are the same
    assert compare_alleles([effect.lower()], [other.lower()], [a1], [a2]).tolist() == [verdict]
    assert compare_alleles([effect], [other], [a1.lower()], [a2.lower()]).tolist() == [verdict]


def test_every_row_is_counted(cohort, tmp_path):
    table = weights_of(20)
    table["is_dominant"] = "False"
    table.loc[0, ["effect_allele", "other_allele"]] = ["T", "G"]  # other strand
    table.loc[1, ["effect_allele", "other_allele"]] = ["A", "T"]
    table.loc[2, "chr_position"] = 999_999
    table.loc[3, "chr_name"] = "X"
    table.loc[4, "is_dominant"] = "True"
    table = pd.concat([table, table.tail(1)])
    _, matched = score_of(cohort, write_weights(tmp_path / "w.txt", table), 0.5)
    expected = {"matched": 15, "ambiguous": 1, "mismatched": 1, "missing": 1, "not_autosomal": 1, "not_additive": 1}
    assert matched.counts == dict.fromkeys(matched.counts, 0) | expected | {"duplicated": 1}
    assert sum(matched.counts.values()) == matched.total == 21


def _plainly(effect, other, a1, a2):
    """Return how one weight's alleles fit one variant's, by the definition."""
    flip = {"A": "T", "T": "A", "C": "G", "G": "C", "AT": "AT"}
    effect, other, a1, a2 = (a.upper() for a in (effect, other, a1, a2))
    if other:
        if (effect, other) in ((a1, a2), (a2, a1)):
            return "matched" if effect == a1 else "swapped"
        return "ambiguous" if {flip.get(effect), flip.get(other)} == {a1, a2} else "mismatched"
    if effect in (a1, a2):
        return "ambiguous" if flip.get(a1) == a2 else "matched" if effect == a1 else "swapped"
    return "ambiguous" if flip.get(effect) in (a1, a2) else "mismatched"


def _matched_plainly(table, variants):
    """Match row by row, as the documentation has it."""
    counts, found, constant = dict.fromkeys(OUTCOMES, 0), {}, 0.0
    for row in table.itertuples():
        near = [
            v
            for v in variants.itertuples()
            if (
                (v.chromosome, v.position) == (row.chromosome, row.position) if row.chromosome else row.id == v.id != ""
            )
        ]
        places = {row.chromosome} if row.chromosome else {v.chromosome for v in near}
        verdicts = [
            {_plainly(row.effect_allele, o, v.effect_allele, v.other_allele) for o in row.other_allele.split("/")}
            for v in near
        ]
        fits = [(v, s & {"matched", "swapped"}) for v, s in zip(near, verdicts) if s & {"matched", "swapped"}]
        if not row.additive:
            outcome = "not_additive"
        elif places and not places & {str(c) for c in range(1, 23)}:
            outcome = "not_autosomal"
        elif not near:
            outcome = "missing"
        elif not fits:
            outcome = "ambiguous" if any("ambiguous" in s for s in verdicts) else "mismatched"
        elif len(fits) > 1:
            outcome = "ambiguous"
        elif fits[0][0].index_ in found:
            outcome = "duplicated"
        else:
            ((variant, (outcome,)),) = fits
            found[variant.index_] = row.weight if outcome == "matched" else -row.weight
            constant += 2 * row.weight * (outcome == "swapped")
        counts[outcome] += 1
    return counts, found, constant


@pytest.mark.parametrize("seed", range(8))
def test_matching_equals_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    m, n = 60, 240
    alleles = ["A", "C", "G", "T", "a", "c", "AT", "D"]
    pairs = np.array([rng.choice(alleles, 2, replace=False) for _ in range(m)], dtype=object)
    variants = pd.DataFrame(
        {"index": np.sort(rng.choice(1000, m, replace=False)), "chromosome": rng.choice(["1", "2", "X"], m),
        "position": rng.integers(1, 25, m)}
        | {"id": rng.choice([f"v{i}" for i in range(50)], m), "effect_allele": pairs[:, 0], "other_allele": pairs[:, 1]}
    )  # fmt: skip
    table = pd.DataFrame(
        {"row": np.arange(n) + 2, "chromosome": rng.choice(["1", "2", "X", ""], n), "position": rng.integers(1, 25, n)}
        | {"id": rng.choice(["", *(f"v{i}" for i in range(50))], n), "effect_allele": rng.choice(alleles[:4], n)}
        | {"other_allele": rng.choice([*alleles[:4], "", "A/C", "C/G/T", "AT"], n), "weight": rng.normal(size=n)}
        | {"additive": rng.random(n) < 0.95}
    )  # fmt: skip
    found = match_weights(Weights(table), variants, "w", 0.0)
    counts, meant, constant = _matched_plainly(table, variants.rename(columns={"index": "index_"}))
    assert found.counts == counts and found.total == n
    assert min(counts[k] for k in ("matched", "swapped", "ambiguous", "mismatched", "not_autosomal")) > 0
    assert dict(zip(found.index.tolist(), found.weight.tolist())) == meant
    assert found.index.tolist() == sorted(meant)
    assert found.constant == pytest.approx(constant, abs=1e-12)


def test_lower_case_alleles_are_the_same(cohort, tmp_path):
    folder, dosages, fileset, variants = cohort
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    small = variants.assign(effect_allele="a", other_allele=["c", "C"] * 10)
    found, matched = score_of((folder, dosages, fileset, small), tmp_path / "w.txt")
    np.testing.assert_array_equal(found, expected)
    assert matched.counts["matched"] == 20


@pytest.mark.parametrize("unit", ["OR", "or", "Odds Ratio", "HR", "hazard ratio", "odds_ratio"])
def test_logarithms_of_ratios_are_summed(cohort, tmp_path, unit, caplog):
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    ratios = table.assign(effect_weight=np.exp(table["effect_weight"]))
    path = write_weights(tmp_path / "or.txt", ratios, f"#weight_type={unit}\n#genome_build=GRCh37\n")
    found, _ = score_of(cohort, path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    warning = f"weight_type={unit}: natural logarithms of the weights are taken, since ratios do not add up"
    assert read_weights(path, "GRCh37").warnings == [warning]
    assert warning in caplog.text


@pytest.mark.parametrize("unit", ["beta", "log(OR)", "NR", "ln(HR)", "", "Beta"])
def test_weights_that_add_up_stay(tmp_path, unit):
    table = weights_of(20)
    path = write_weights(tmp_path / "w.txt", table, f"#weight_type={unit}\n#genome_build=GRCh37\n")
    found = read_weights(path, "GRCh37")
    assert found.table["weight"].tolist() == table["effect_weight"].tolist()
    assert found.warnings == []

"""Files of weights as people have them: forms, line ends, what is wrong in them."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.scores.weights import (
    read_weights,
)
from weight_files import score_of, weights_of, write_weights


def test_ratios_that_are_none(tmp_path):
    table, head = weights_of(20), "#weight_type=OR\n#genome_build=GRCh37\n"
    with pytest.raises(
        InputError, match=r"row 4: effect_weight -?[0-9.]+ is no ratio; if the weights are logarithms, say"
    ):
        negative = table.assign(effect_weight=-table["effect_weight"].abs())
        read_weights(write_weights(tmp_path / "w.txt", negative, head), "GRCh37")
    with pytest.raises(InputError, match=r"weight_type=OR, but all weights are below 0.5"):
        read_weights(write_weights(tmp_path / "w.txt", table.assign(effect_weight=0.03), head), "GRCh37")
    two = table.assign(effect_weight=1.1, weight_type=["OR", "beta"] * 10)
    with pytest.raises(InputError, match=r"weights of several units \(weight_type: OR, beta\) cannot be summed"):
        read_weights(write_weights(tmp_path / "w.txt", two, "#genome_build=GRCh37\n"), "GRCh37")
    one = table.assign(effect_weight=1.1, weight_type="OR")
    found = read_weights(write_weights(tmp_path / "w.txt", one, "#genome_build=GRCh37\n"), "GRCh37")
    np.testing.assert_allclose(found.table["weight"], np.log(1.1))


def test_what_is_declared_and_not_honoured_is_named(cohort, tmp_path):
    table = weights_of(20).astype(object)
    table["other_allele"] = ["C/T", "G,C", "T|C", *["C"] * 17]
    table["imputation_method"] = "none"
    table["allelefrequency_effect_European"] = 0.1
    table["my_shrinkage"] = 0.5
    table["hm_inferOtherAllele"] = ""
    table["hm_match_pos"] = ["False", *["True"] * 19]
    for i in (0, 1, 2):
        table[f"dosage_{i}_weight"] = ["", "0.2", *[""] * 18]
    table.loc[1, "effect_weight"] = ""
    table.loc[4, ["other_allele", "hm_inferOtherAllele"]] = ["", "C/T"]
    table.loc[5, "effect_allele"] = "A/G"
    head = "#weight_type=z-score\n#format_version=3.0\n#variants_number=200\n#genome_build=GRCh37\n"
    path = write_weights(tmp_path / "w.txt", table, head)
    found = read_weights(path, "GRCh37")
    for part in (
        "columns that are not understood and not used: my_shrinkage",
        "hm_inferOtherAllele is not used for 1 rows",
        "hm_match_pos is false in 1 rows",
        "1 rows have several effect alleles",
        "1 rows have weights of genotypes (dosage_0_weight, dosage_1_weight, dosage_2_weight): they are left out",
        "format_version=3.0 is not known",
        "variants_number=200, but the file has 20 rows",
        "weight_type=z-score is not known: the weights are summed as they are",
    ):
        assert sum(part in w for w in found.warnings) == 1, part
    assert len(found.warnings) == 8
    matched = score_of(cohort, path)[1]
    # several other alleles: the one of the cohort is among them
    assert {k: v for k, v in matched.counts.items() if v} == {"matched": 18, "not_additive": 1, "mismatched": 1}


@pytest.mark.parametrize("form", ["commas", "semicolons", "quoted", "trailing tabs", "sep"])
def test_other_forms_of_a_file_of_weights(tmp_path, form):
    table = weights_of(5)
    sep = {"commas": ",", "semicolons": ";", "sep": ";"}.get(form, "\t")
    text = table.to_csv(sep=sep, index=False, quoting=2 if form == "quoted" else 0)
    text = text.replace("\n", "\t\n") if form == "trailing tabs" else text
    path = tmp_path / ("w.csv" if sep != "\t" else "w.txt")
    path.write_text(("sep=;\n" if form == "sep" else "") + "#genome_build=GRCh37\n" + text)
    found = read_weights(path, "GRCh37")
    assert found.table["weight"].tolist() == table["effect_weight"].tolist()
    assert found.table["id"].tolist() == table["rsID"].tolist()
    assert found.header == {"genome_build": "GRCh37"}
    with path.open("a") as file:
        file.write("#rs9" + sep + sep.join(["1"] * 5) + "\n")
    with pytest.raises(InputError, match="begins with a #; lines of comment"):
        read_weights(path, "GRCh37")


def test_harmonised_positions_go_first_and_those_of_another_build_are_not_used(cohort, tmp_path):
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    harmonised = table.assign(hm_chr=table["chr_name"], hm_pos=table["chr_position"], chr_position=7, rsID="")
    header = "#genome_build=GRCh38\n#HmPOS_build=GRCh37\n"
    found, _ = score_of(cohort, write_weights(tmp_path / "h.txt", harmonised, header))
    np.testing.assert_array_equal(found, expected)
    # positions of GRCh38 in a cohort of GRCh37: the IDs decide
    other = table.assign(chr_position=table["chr_position"].to_numpy()[::-1])
    found, _ = score_of(cohort, write_weights(tmp_path / "o.txt", other, "#genome_build=hg38\n"))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="no row has an rsID or a position of GRCh37"):
        read_weights(write_weights(tmp_path / "n.txt", other.drop(columns="rsID"), "#genome_build=GRCh38\n"), "GRCh37")


def test_hardly_any_match_is_an_error(cohort, tmp_path):
    table = weights_of(20)
    table["chr_position"] += 1
    path = write_weights(tmp_path / "w.txt", table)
    with pytest.raises(InputError) as error:
        score_of(cohort, path)
    for part in (
        path,
        "only 0 of 20 weights (0.0 %)",
        "at least 75 % (scores.minimum_matched)",
        "missing 20",
        "GRCh37",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.drop(columns="effect_weight"), "row 4: no column 'effect_weight'"),
        (lambda t: t.assign(effect_weight=["x", *t["effect_weight"][1:]]), "row 5: effect_weight 'x' is no number"),
        (lambda t: t.assign(effect_weight=["1_0", *t["effect_weight"][1:]]), "effect_weight '1_0' is no number"),
        (lambda t: t.assign(effect_weight=["inf", *t["effect_weight"][1:]]), "effect_weight 'inf' is no number"),
        (lambda t: t.assign(effect_allele=["", *t["effect_allele"][1:]]), "row 5: no effect_allele"),
        (lambda t: t.assign(chr_position=["1.5", *t["chr_position"][1:]]), "row 5: chr_position '1.5' is no position"),
        (lambda t: t.assign(chr_position=["9" * 30, *t["chr_position"][1:]]), "row 5: chr_position '99999"),
        (
            lambda t: t.assign(effect_weight=["0x10", *t["effect_weight"][1:]]),
            "row 5: effect_weight '0x10' is no number",
        ),
        (
            lambda t: t.assign(effect_weight=["True", *t["effect_weight"][1:]]),
            "row 5: effect_weight 'True' is no number",
        ),
        (lambda t: t.iloc[:0], "has a header but no weight"),
        (lambda t: t.drop(columns=["rsID", "chr_name"]), "no row has an rsID or a position"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, change, part):
    path = write_weights(tmp_path / "w.txt", change(weights_of(3).astype(object)))
    with pytest.raises(InputError) as error:
        read_weights(path, "GRCh37")
    assert part in str(error.value)
    assert path in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "absent.txt", "GRCh37")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-12])
    with pytest.raises(InputError, match="not a readable gzip file"):
        read_weights(tmp_path / "cut.gz", "GRCh37")
    (tmp_path / "short.txt").write_text("rsID\teffect_allele\teffect_weight\nv1\tA\n")
    with pytest.raises(InputError, match=r"the header's 3 \(separated by tabs\): row 2 has 2"):
        read_weights(tmp_path / "short.txt", "GRCh37")
    (tmp_path / "long.txt").write_text("#a=1\n\nrsID\teffect_allele\teffect_weight\n\nv1\tA\t1\nv2\tA\t1\tC\n")
    with pytest.raises(InputError, match=r"the header's 3 \(separated by tabs\): row 6 has 4"):
        read_weights(tmp_path / "long.txt", "GRCh37")
    for name in ("no.txt", "header.txt"):
        (tmp_path / name).write_text("" if name == "no.txt" else "#a=1\n\n")
        with pytest.raises(InputError, match="is empty"):
            read_weights(tmp_path / name, "GRCh37")


def test_line_ends_blank_lines_and_quotes(tmp_path):
    path = tmp_path / "w.txt"
    path.write_bytes(b'#pgs_id=P\r\nrsID\teffect_allele\teffect_weight\r\n\r\n"v1\tA\t1\r\nv2\tNA\t2e-1\r\n\r\n')
    with pytest.raises(InputError, match="row 5: no effect_allele"):
        read_weights(path, "GRCh37")
    # a carriage return alone ends no line: the rows keep their numbers and their cells
    lone = tmp_path / "r.txt"
    lone.write_bytes(b"rsID\teffect_allele\teffect_weight\nv1\r\tA\t1\nv2\tC\t2\n")
    assert read_weights(lone, "GRCh37").table[["id", "weight"]].to_numpy().tolist() == [["v1", 1], ["v2", 2]]
    path.write_bytes(path.read_bytes().replace(b"NA", b"c"))
    found = read_weights(path, "GRCh37")
    assert found.table["id"].tolist() == ['"v1', "v2"]
    assert found.table["row"].tolist() == [4, 5]
    assert found.table["effect_allele"].tolist() == ["A", "C"]
    assert found.table["weight"].tolist() == [1, 0.2]
    assert found.header == {"pgs_id": "P"}

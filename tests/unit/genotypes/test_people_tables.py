"""Tables of people of PLINK 2 and of Oxford's tools."""

from __future__ import annotations

import pytest

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.people_tables import check_identifiers, read_psam, read_sample


def rows(frame):
    return [tuple(r) for r in frame.to_numpy().tolist()]


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("#FID\tIID\tSEX\nF\ta\t1\nG\tb\t2\n", [("F", "a", 1), ("G", "b", 2)]),
        ("#IID SEX\na M\nb f\nc NA\n", [("0", "a", 1), ("0", "b", 2), ("0", "c", 0)]),
        ("##comment\n#IID\r\na\r\nb\r\n", [("0", "a", 0), ("0", "b", 0)]),
        ("#IID\tSID\tPHENO\tSEX\na\t1\t2.5\tmale\n", [("0", "a", 1)]),
        ("F a 0 0 2 -9\nG b 0 0 1 -9\n", [("F", "a", 2), ("G", "b", 1)]),
        ("\ufeff#IID\nzoé\n\n", [("0", "zoé", 0)]),
    ],
)
def test_psam(tmp_path, text, people):
    path = tmp_path / "x.psam"
    path.write_bytes(text.encode())
    assert rows(read_psam(path)) == people


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#FID\tSEX\nF\t1\n", "expected IID"),
        ("#IID\tIID\nF\t1\n", "each name once"),
        ("#IID\tSEX\na\t1\nb\n", r"row 3: 1"),
        ("#IID\na\nb\na\n", r"0 a \(rows 2, 4\)"),
        ("#IID\n", "lists no people"),
        ("", "lists no people"),
        ("#IID\na\0\n", "row 2 has a zero byte"),
    ],
)
def test_psam_refused(tmp_path, text, words):
    path = tmp_path / "x.psam"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_psam(path)
    assert str(path) in str(error.value)


def test_odd_sexes_are_unknown_and_said(tmp_path, caplog):
    path = tmp_path / "x.psam"
    path.write_text("#IID SEX\na 3\nb 1.0\n")
    assert read_psam(path)["sex"].tolist() == [0, 0]
    assert "sex is 3, 1.0 for 2 people" in caplog.text


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("ID_1 ID_2 missing sex\n0 0 0 D\nF a 0 1\nG b 0.1 2\n", [("F", "a", 1), ("G", "b", 2)]),
        ("ID_1 ID_2 missing age SEX\n0 0 0 C D\nF a 0 3.5 NA\n", [("F", "a", 0)]),
        ("ID missing sex\n0 0 D\na 0 female\n", [("0", "a", 2)]),
        ("ID_1 ID_2 missing\n0 0 0\nx x 0\n", [("x", "x", 0)]),
    ],
)
def test_sample(tmp_path, text, people):
    path = tmp_path / "x.sample"
    path.write_text(text)
    assert rows(read_sample(path)) == people


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("F a 0 1\nG b 0.1 2\n", "expected names of the columns"),
        ("", "expected names of the columns"),
        ("ID_1 ID_2 missing\n0 0 0\n", "lists no people"),
        ("ID_1 ID_2 missing\n0 0 0\nF a\n", "row 3: 2"),
        ("ID_1 ID_2 missing\n0 0 0\nF a 0\nF a 0\n", r"rows 3, 4"),
    ],
)
def test_sample_refused(tmp_path, text, words):
    path = tmp_path / "x.sample"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_sample(path)


def test_sample_of_another_file(tmp_path):
    path = tmp_path / "x.sample"
    path.write_text("ID_1 ID_2 missing\n0 0 0\nF a 0\nG b 0\n")
    people = read_sample(path)
    for names in (("a", "b"), ("F a", "G b"), ("F_a", "G_b"), ("F", "G"), None):
        check_identifiers(people, names, 2, "x.sample", "x.bgen")
    with pytest.raises(InputError, match=r"2 people, but x\.bgen has 3"):
        check_identifiers(people, None, 3, "x.sample", "x.bgen")
    with pytest.raises(
        InputError, match=r"row 3 is 'F a', but person 1 of x.bgen is 'b' \(2 of 2 differ: .*another order\)"
    ):
        check_identifiers(people, ("b", "a"), 2, "x.sample", "x.bgen")
    with pytest.raises(InputError, match="they are other people"):
        check_identifiers(people, ("a", "c"), 2, "x.sample", "x.bgen")

"""One reader for every table of the user: what spreadsheets, R and people write is read as it is meant, or refused by
its name.
"""

from __future__ import annotations

import csv
import gzip

import pandas as pd
import pytest

from deepnull_gwas.cohort.layout import read_layout
from deepnull_gwas.cohort.projection import read_loadings
from deepnull_gwas.cohort.relatives import read_pairs
from deepnull_gwas.cohort.sample_table import read_sample_table
from deepnull_gwas.cohort.text_table import line_of, lines_of, read_text_table
from deepnull_gwas.deepnull.fold_steps import read_fold_file
from deepnull_gwas.deepnull.people_table import read_people_table
from deepnull_gwas.errors import InputError
from deepnull_gwas.scores.weights import read_weights

PEOPLE = pd.DataFrame({"sample_index": range(3), "fid": ["a", "b", "c"], "iid": ["a", "b", "c"]})
#: Of each kind: a table, and what its reader makes of a file, as plain values.
KINDS = {
    "samples": (
        pd.DataFrame({"IID": ["a", "b", "c"], "site": ["x 1", "y", "y"], "age": ["1", "2.5", "3"]}),
        lambda p: [t := read_sample_table(p), t.keys.tolist(), t.columns.to_dict("list")][1:],
    ),
    "predict": (
        pd.DataFrame({"IID": ["a", "b", "c"], "site": ["x 1", "y", "y"], "age": ["1", "2.5", "3"]}),
        lambda p: [t := read_people_table(p), t.people, t.column("site"), t.column("age")][1:],
    ),
    "folds": (
        pd.DataFrame({"IID": ["b", "a", "c"], "fold": ["0", "2", "1"]}),
        lambda p: read_fold_file(p, PEOPLE, 3).tolist(),
    ),
    "relatives": (
        pd.DataFrame({"IID1": ["b", "a"], "IID2": ["a", "c"], "KINSHIP": ["0.25", "0.2"]}),
        lambda p: read_pairs(p, PEOPLE)[["sample_index_1", "sample_index_2", "kinship"]].to_numpy().tolist(),
    ),
    "loadings": (
        pd.DataFrame({"chromosome": ["1", "X"], "position": ["5", "7"], "effect_allele": ["A", "C"],
        "other_allele": ["C", "T"]}
            | {"effect_allele_frequency": ["0.5", "NA"], "PC1": ["0.1", "-2"]}),
        lambda p: read_loadings(p)[0].astype(str).to_numpy().tolist(),
    ),
    "weights": (
        pd.DataFrame({"rsID": ["v1", "v2"], "effect_allele": ["A", "c"], "effect_weight": ["1", "-0.5"],
        "other_allele": ["G", ""]}),
        lambda p: read_weights(p, "GRCh37").table.drop(columns="row").astype(str).to_numpy().tolist(),
    ),
}  # fmt: skip


def tabs(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, sep="\t")


FORMS = {
    "semicolons.txt": lambda f: f.to_csv(index=False, sep=";"),
    "semicolons.csv": lambda f: f.to_csv(index=False, sep=";"),
    "sep.csv": lambda f: "sep=;\n" + f.to_csv(index=False, sep=";"),
    "sep-tab.txt": lambda f: "sep=\t\r\n" + tabs(f).replace("\n", "\r\n"),
    "r.csv": lambda f: f.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC),
    "r.txt": lambda f: f.to_csv(index=False, sep=" ", quoting=csv.QUOTE_ALL),
    "comments.tsv": lambda f: "## made by us\n# two columns, or three\n\n" + tabs(f),
    "comment-of-as-many-words.tsv": lambda f: f"#{' x' * f.shape[1]}\n" + tabs(f),
    "trailing-tabs.tsv": lambda f: "\t\n".join(tabs(f).split("\n")),
    "trailing-tabs-below.tsv": lambda f: "\t\t\n".join(tabs(f).split("\n")).replace("\t\t\n", "\n", 1),
    "trailing-tab-above.tsv": lambda f: tabs(f).replace("\n", "\t\n", 1),
    "trailing-commas.csv": lambda f: ",,\n".join(f.to_csv(index=False).split("\n")),
    "blank-lines.tsv": lambda f: "\n\n" + tabs(f).replace("\n", "\n\n"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_every_reader_takes_every_form(tmp_path, kind, form):
    frame, read = KINDS[kind]
    (tmp_path / "plain.tsv").write_text(tabs(frame))
    expected = read(tmp_path / "plain.tsv")
    path = tmp_path / form
    path.write_text(FORMS[form](frame))
    assert read(path) == expected
    (tmp_path / f"{form}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read(tmp_path / f"{form}.gz") == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("\n", "\n#", 2).replace("\n#", "\n", 1), "row 3 begins with a #; lines of comment"),
        (lambda t: "\n".join(f"{i}\t{r}" for i, r in enumerate(t.split("\n")) if r).replace("0\t", "", 1),
        "row names without a name"),
        (lambda t: "\n".join(f"{i or ''}\t{r}" for i, r in enumerate(t.split("\n")) if r), "column 1 of "),
        (lambda t: t.replace("\n", "\t\n", 2).replace("\t\n", "\n", 1),
        "do they end in a delimiter that the others lack?"),
        (lambda t: "sep=::\n" + t, "its first line says sep=::; expected a comma, a semicolon, a tab or a bar"),
        (lambda t: "# nothing else\n", "is empty; expected a header and "),
    ],
)  # fmt: skip
def test_every_reader_names_what_is_in_the_way(tmp_path, kind, change, words):
    frame, read = KINDS[kind]
    path = tmp_path / "t.tsv"
    path.write_text(change(tabs(frame)))
    with pytest.raises(InputError) as error:
        read(path)
    assert words in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["samples", "predict", "folds", "relatives"])
def test_ids_that_a_spreadsheet_has_rounded(tmp_path, kind):
    frame, read = KINDS[kind]
    path = tmp_path / "t.csv"
    path.write_text(frame.to_csv(index=False).replace("b,", "1.50014E+13,"))
    with pytest.raises(InputError, match=r"column I?IID1?: '1.50014E\+13' \(1 like it\) is an ID that some program"):
        read(path)
    # a study's own IDs may look like numbers
    path.write_text(frame.to_csv(index=False).replace("b,", "1e+05,"))
    if kind in ("samples", "predict"):
        read(path)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("#FID\tIID\ty\n1\t2\t3\n", ["FID", "IID", "y"]),
        ("#IID y\n1 2\n", ["IID", "y"]),
        ("#IID\n1\n", ["IID"]),
        ("#eid,y\n1,2\n", ["eid", "y"]),  # as many fields as below it
        ("##x\n#IID\ty\n1\t2\n", ["IID", "y"]),
        ("#made by us\nIID\ty\n1\t2\n", ["IID", "y"]),
        ("#a,b,c\n#d\nIID,y\n1,2\n", ["IID", "y"]),
        ("IID;Age, years\n1;2\n3;4\n", ["IID", "Age, years"]),
        ("IID,a;b\n1,2\n", ["IID", "a;b"]),
        ("IID,Sex at birth\n1,2\n3,male\n", ["IID", "Sex at birth"]),
        ('"IID" "body mass"\n"a" 2\n', ["IID", "body mass"]),
        ("IID|y\n", ["IID|y"]),
        ("sep=|\nIID|y\n1|2\n", ["IID", "y"]),
        ("IID;y\n1;2,5\n3;4,5\n", ["IID", "y"]),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_headers(tmp_path, text, header, ending):
    path = tmp_path / f"t.{ending}"
    path.write_text(text)
    assert read_layout(path).header == header
    assert read_text_table(path).column_names == header


def test_lines_of_rows(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("\n## c\n\nIID\ty\na\t1\n\n\nb\t2\nc\t3\n\nd\tx\n")
    table = read_text_table(path)
    assert [line_of(table, i) for i in range(-1, 4)] == [4, 5, 8, 9, 11]
    assert lines_of(table).tolist() == [5, 8, 9, 11]


def test_a_stray_delimiter_is_no_trailing_one(tmp_path):
    """A row that has one field too many and ends empty may have lost its place:
    only where all rows do is nothing lost.
    """
    path = tmp_path / "t.csv"
    path.write_text("IID,age,y\na,,30,\nb,1,2\n")
    with pytest.raises(InputError, match="row 2 has 4"):
        read_sample_table(path)

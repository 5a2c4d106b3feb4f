"""Fuzzing of .bim, .fam and .bed: what was planted, or a refusal that names file and row."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fuzzing import attempt, cases
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes, check_bed, write_bed
from deepnull_gwas.genotypes.bed_tables import read_bim, read_fam

#: What each code of a chromosome means, written down a second time.
CHROMOSOMES = {
    "1": "1", "01": "1", "chr1": "1", "Chr22": "22", "22": "22", "23": "X", "X": "X", "x": "X", "chrX": "X", "24": "Y",
    "Y": "Y", "25": "XY", "XY": "XY", "PAR1": "XY",
    "par2": "XY", "26": "MT", "MT": "MT", "M": "MT", "chrM": "MT", "0": None, "27": None, "-1": None, "1.0": None,
    "chr1_random": None, "GL000192.1": None, "NA": None, "XX": None,
    "1e0": None, "00": None, "chr": None,
}  # fmt: skip
IDS = [
    "rs1",
    "rs2",
    ".",
    "NA",
    "nan",
    "None",
    "1:5:A:G",
    '"rs"',
    '"',
    "#rs",
    "rs'1",
    "a,b",
    "$(id)",
    "`id`",
    "<script>",
    "{x}",
    "-rf",
    "é",
    "007",
    "1e5",
    "r" * 2000,
    "N/A",
    "true",
    "\u00a0x",
]
POSITIONS = [
    "1",
    "12",
    "007",
    "0",
    "536870911",
    "536870912",
    "2147483647",
    "2147483648",
    "3000000000",
    "99999999999",
    "1.0",
    "1e5",
    "-5",
    "1,000",
    "NA",
    "x",
    "+5",
    "0x10",
    "1_000",
    "１２",
    "--1",
    '"7"',
    "4294967297",
]
ALLELES = ["A", "C", "G", "T", "a", "0", ".", "ACGT", "<DEL>", "*", "-", "I", "D", "NA", "1", "N", '"A"', "A" * 500]
OTHER_ALLELES = ["T", "ACGT", "<DEL>", *ALLELES]
CENTIMORGANS = ["0", "1.5", "-0.1", "1e-3", "0.0"]
PEOPLE = [
    "F1",
    "1",
    "01",
    "0",
    "NA",
    "nan",
    "-9",
    "p1",
    "P1",
    '"p1"',
    '"',
    "#f",
    "é",
    "$(id)",
    "a,b",
    "{x}",
    "true",
    "None",
    "1e5",
    "1.0",
    "a" * 300,
    "\u00a0",
]


#: Positions that R and spreadsheets write, and no other reading of which is thinkable: taken as meant, or refused.
EITHER = {"1.0": 1, "1e5": 100_000, "+5": 5}


def position(text: str) -> int | None:
    """Return what a position means; None where it means nothing that PLINK would take."""
    if text in EITHER:
        return EITHER[text]
    if not re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        return None
    return int(text) if 0 <= int(text) < 2**29 else None


@st.composite
def written(draw: st.DrawFn, cells: list[list[str]]) -> tuple[list[list[str]], bytes, str | None, int]:
    """Plant rows of six fields, and write them in some form, with some damage: rows, bytes, the damage, the row that it
    is in.
    """
    # of half the files all cells are right ones, which stand first; of the others some are not
    right = [st.sampled_from(c[:3]) for c in cells]
    drawn = right if draw(st.booleans()) else [st.one_of(r, st.sampled_from(c)) for r, c in zip(right, cells)]
    rows = draw(st.lists(st.tuples(*drawn).map(list), min_size=1, max_size=6))
    separator = draw(st.sampled_from(["\t", " ", "  ", "\t \t"]))
    lines = [
        draw(st.sampled_from(["", "", "", " "])) + separator.join(r) + draw(st.sampled_from(["", "", "", " "]))
        for r in rows
    ]
    damage = draw(
        st.sampled_from([None] * 10 + ["five", "seven", "header", "blank", "nul", "latin1", "empty", "utf16"])
    )
    at = draw(st.integers(0, len(rows) - 1))
    match damage:
        case "five":
            lines[at] = separator.join(rows[at][:5])
        case "seven":
            lines[at] += separator + "7"
        case "header":
            lines.insert(0, "#CHROM ID CM POS A1 A2")
            at = 0
        case "blank":
            lines.insert(at, "")
        case "nul":
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + "\0" + lines[at][place:]
        case "latin1":
            lines[at] += "~"
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "\n", "", "\n\n"]))
    if draw(st.sampled_from([False, False, True])):
        text = text.replace("\n", "\r\n")
    data = text.encode("utf-16" if damage == "utf16" else "utf-8")
    data = data.replace(b"~", b"\xe9") if damage == "latin1" else b"" if damage == "empty" else data
    return rows, data, damage, at + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plink")


@cases(0.1)
@given(planted=written([list(CHROMOSOMES), IDS, CENTIMORGANS, POSITIONS, ALLELES, OTHER_ALLELES]))
def test_bim(folder, planted):
    rows, data, damage, at = planted
    path = folder / "g.bim"
    path.write_bytes(data)
    # PLINK 2 writes an unknown allele as a dot
    meant = [[CHROMOSOMES[r[0]], position(r[3]), r[1], *("0" if a == "." else a for a in r[4:])] for r in rows]
    readable = all(None not in m and (m[3] != m[4] or m[3] == "0") for m in meant)
    named = at if damage in ("five", "seven", "nul") and readable else None
    damage = None if damage == "header" else damage  # PLINK skips it
    found = attempt("bim", lambda: read_bim(str(path)), str(path), row=named)
    if found is None:
        assert damage is not None or not readable or any(r[3] in EITHER for r in rows), f"refused: {data!r}"
        return
    assert damage is None, f"accepted with '{damage}': {data!r}"
    assert found.to_numpy().tolist() == meant
    assert found["position"].dtype == np.int64


@cases(0.06)
@given(
    planted=written(
        [PEOPLE, PEOPLE, ["0"], ["0"], ["1", "2", "0", "-9", "x", "NA", "M", "1.0"], ["-9", "1", "0", "NA", "2.5"]]
    )
)
def test_fam(folder, planted):
    rows, data, damage, at = planted
    path = folder / "g.fam"
    path.write_bytes(data)
    # rows that begin with # are no people: comments at the head, refused further down
    head = next((i for i, r in enumerate(rows) if not r[0].startswith("#")), len(rows))
    if damage in ("five", "seven", "nul", "latin1", "blank") and at <= head:
        damage = "in a comment"
    rows = rows[head:]
    readable = len({tuple(r[:2]) for r in rows}) == len(rows) > 0 and not any(r[0].startswith("#") for r in rows)
    named = at if damage in ("five", "seven", "nul") and readable else None
    found = attempt("fam", lambda: read_fam(str(path)), str(path), row=named)
    if damage == "in a comment":
        return
    damage = None if damage == "header" else damage  # PLINK skips it
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    assert damage is None, f"accepted with '{damage}': {data!r}"
    assert found[["fid", "iid"]].to_numpy().tolist() == [r[:2] for r in rows]
    assert found["sex"].tolist() == [{"1": 1, "2": 2}.get(r[4], 0) for r in rows], "its phenotype has no meaning here"


@cases(0.005)
@pytest.mark.parametrize(
    "damage", [None, "byte less", "byte more", "row less", "row more", "magic", "sample-major", "mode", "empty", "gone"]
)
@given(n=st.integers(1, 9), m=st.integers(1, 5), seed=st.integers(0, 99))
def test_bed(folder, n, m, seed, damage):
    import pandas as pd

    dosages = np.random.default_rng(seed).integers(-1, 3, (m, n)).astype(np.int8)
    prefix = folder / "b"
    bim = pd.DataFrame({"c": 1, "i": [f"v{i}" for i in range(m)], "cm": 0, "p": 1, "a": "A", "b": "C"})
    fam = pd.DataFrame(
        {"f": [f"p{i}" for i in range(n)], "i": [f"p{i}" for i in range(n)], "x": 0, "y": 0, "s": 0, "p": -9}
    )
    write_bed(prefix, dosages, bim, fam)
    path, width = folder / "b.bed", (n + 3) // 4
    data = path.read_bytes()
    path.write_bytes(
        {
            None: data, "byte less": data[:-1], "byte more": data + b"\0", "row less": data[:-width],
            "row more": data + b"\0" * width,
            "magic": b"\x1b\x6c" + data[2:], "sample-major": data[:2] + b"\0" + data[3:],
            "mode": data[:2] + b"\x02" + data[3:], "empty": b"", "gone": b"",
        }[damage]
    )  # fmt: skip
    if damage == "gone":
        path.unlink()

    def read() -> np.ndarray:
        check_bed(path, m, n)
        return BedGenotypes([prefix]).calls_between(0, m)

    found = attempt("bed", read, str(path))
    assert (found is None) == (damage is not None)
    if found is not None:
        codes = np.stack([found >> 2 * k & 3 for k in range(4)], axis=-1).reshape(m, -1)[:, :n]
        assert np.array_equal(np.array([2, -1, 1, 0])[codes], dosages)


def test_a_missing_bed_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        check_bed(tmp_path / "no.bed", 1, 1)

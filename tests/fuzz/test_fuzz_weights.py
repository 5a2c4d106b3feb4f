"""Fuzzing of files of weights (PGS Catalog): what was planted, or a refusal that names file and line."""

from __future__ import annotations

import gzip
import math

import pytest
from fuzzing import LOOKALIKES, NUMBERS, attempt, cases, reading
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.scores.weights import read_weights

IDS = [
    "rs1",
    "rs2",
    "",
    "NA",
    ".",
    '"rs"',
    '"',
    "rs'1",
    "#rs",
    "a,b",
    "$(id)",
    "<script>",
    "{x}",
    "é",
    "1e5",
    "r" * 2000,
]
CODES = ["1", "22", "chr1", "X", "23", "", "NA", "27", "x y", "MT", "01"]
POSITIONS = [
    "1",
    "12",
    "007",
    "2147483647",
    "",
    "NA",
    "0",
    "-5",
    "1.5",
    "1,000",
    "1_000",
    "0x10",
    "x",
    "True",
    "１２",
    "9" * 30,
    "1e400",
]
ALLELES = ["A", "C", "g", "T", "ACGT", "", "*", "N", '"A"', "A/C"]
WEIGHTS = [n for n in NUMBERS if n != "-0"]
WRONG = [*LOOKALIKES, "", "NA", "True", "1 2", "0x1p3"]
COLUMNS = ["rsID", "chr_name", "chr_position", "effect_allele", "other_allele", "effect_weight"]


@st.composite
def files(draw: st.DrawFn):
    """Plant rows and write them, with some damage: rows, bytes, the damage, the line that it is in."""
    cells = {
        "rsID": IDS,
        "chr_name": CODES,
        "chr_position": POSITIONS,
        "effect_allele": ALLELES,
        "other_allele": ALLELES,
        "effect_weight": WEIGHTS,
    }
    # mostly right ones, which stand first
    sound = draw(st.booleans())
    drawn = {
        n: st.sampled_from(c[:4])
        if sound
        else st.one_of(st.sampled_from(c[:2]), st.sampled_from(c[:4]), st.sampled_from(c))
        for n, c in cells.items()
    }
    if sound:
        drawn["effect_weight"] = st.sampled_from(WEIGHTS)
    rows = draw(st.lists(st.fixed_dictionaries(drawn), min_size=1, max_size=6))
    names = draw(st.permutations(COLUMNS))
    comments = ["#genome_build=GRCh38", "#pgs_name=<script>alert(1)</script>"][: draw(st.integers(1, 2))]
    damage = draw(
        st.sampled_from(
            [None] * 10
            + ["weight", "short", "long", "blank", "nul", "latin1", "utf16", "header", "twice", "cut", "return"]
        )
    )
    at = draw(st.integers(0, len(rows) - 1))
    if damage == "weight":
        rows[at]["effect_weight"] = draw(st.sampled_from(WRONG))
    lines = [*comments, "\t".join(names), *("\t".join(r[n] for n in names) for r in rows)]
    line = len(comments) + 1 + at
    match damage:
        case "short":
            lines[line] = lines[line].rsplit("\t", 1)[0]
        case "long":
            lines[line] += "\t7"
        case "blank":
            lines.insert(line, "")
        case "nul":
            lines[line] += "\0"
        case "latin1":
            lines[line] += "~"
        case "header":
            del lines[len(comments)]
        case "twice":
            lines[len(comments)] = lines[len(comments)].replace("rsID", "effect_weight")
        case "return":
            # a lone return in a row
            lines[line] = lines[line].replace("\t", "\r\t", 1)
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n"]))
    if damage != "return" and draw(st.sampled_from([False, False, True])):
        text = text.replace("\n", "\r\n")
    data = text.encode("utf-16" if damage == "utf16" else "utf-8-sig" if draw(st.booleans()) else "utf-8")
    data = data.replace(b"~", b"\xe9") if damage == "latin1" else data
    if damage == "cut":
        data = gzip.compress(data, mtime=0)[:-3]
    elif draw(st.sampled_from([False, False, True])):
        data = gzip.compress(data, mtime=0)
    return rows, data, damage, line + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@cases(0.06)
@given(planted=files())
def test_weights(folder, planted):
    rows, data, damage, line = planted
    path = folder / "w.txt"
    path.write_bytes(data)
    absent = ("", "NA", ".", "nan")
    places = [reading(r["chr_position"], absent) for r in rows]
    whole = all(p is None or (isinstance(p, float) and p == int(p) and 0 < p < 2**31) for p in places)
    # numbers as other tools print them
    readable = whole and all(r["effect_allele"] not in absent for r in rows)
    parts = (str(path),) if damage not in ("weight", "short", "long") or not readable else (str(path), f"row {line}")
    # a row that begins with a # is a comment in the wrong place
    readable &= not any(
        b"\n#rs" in d for d in (data, gzip.decompress(data) if data[:2] == b"\x1f\x8b" and damage != "cut" else b"")
    )
    found = attempt("weights", lambda: read_weights(path, "GRCh38").table, *parts)
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    # a blank line is none; a lone return is a blank at the end of its value
    assert damage in (None, "blank", "return") and readable, f"accepted with '{damage}': {data!r}"
    for row, r, place in zip(found.itertuples(), rows, places, strict=True):
        assert row.weight == float(r["effect_weight"]) and math.isfinite(row.weight)
        assert row.id == ("" if r["rsID"] in absent else r["rsID"])
        assert row.effect_allele == r["effect_allele"].upper()
        assert row.other_allele == ("" if r["other_allele"] in absent else r["other_allele"].upper())
        assert row.position == (place or 0)
        assert row.chromosome == ("" if place is None else normalise(r["chr_name"]) or "")

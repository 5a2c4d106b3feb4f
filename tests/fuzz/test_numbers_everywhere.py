"""Every text of the lists, alone in a column, through every reader: a plain decimal number is that number, and what
looks like one is none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fuzzing import LOOKALIKES, MISSING, NUMBERS, reading

from deepnull_gwas.cohort.projection import read_loadings
from deepnull_gwas.cohort.relatives import read_pairs
from deepnull_gwas.cohort.sample_table import read_sample_table
from deepnull_gwas.deepnull import predict
from deepnull_gwas.errors import InputError
from deepnull_gwas.scores.weights import read_weights

PEOPLE = pd.DataFrame({"sample_index": [0, 1], "fid": ["a", "b"], "iid": ["a", "b"]})


def _predicted(path: Path) -> Any:
    return predict.numbers(predict.read_people_table(path), "x", predict.MISSING, "")[0]


#: Header, the columns before the text, and what gives its value.
READERS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "sample table": ("IID\tx", "a\t", lambda p: read_sample_table(p, missing_values=MISSING).columns["x"][0]),
    "predict": ("IID\tx", "a\t", _predicted),
    "relatives": ("IID1\tIID2\tKINSHIP", "a\tb\t", lambda p: read_pairs(p, PEOPLE)["kinship"][0]),
    "loadings": (
        "chromosome\tposition\teffect_allele\tother_allele\teffect_allele_frequency\tPC1", "1\t5\tA\tC\t0.5\t",
        lambda p: read_loadings(p)[0]["PC1"][0],
    ),
    "weights": ("rsID\teffect_allele\teffect_weight", "rs1\tA\t", lambda p: read_weights(p,
    "GRCh37").table["weight"][0]),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_numbers_and_what_only_looks_like_one(tmp_path, reader):
    header, before, value_of = READERS[reader]
    path = tmp_path / "t.tsv"
    for text in (*NUMBERS, *LOOKALIKES):
        path.write_text(f"{header}\n{before}{text}\n", encoding="utf-8")
        try:
            found = value_of(path)
        except InputError as error:
            assert str(path) in str(error)
            assert text not in NUMBERS, f"refused: {text}"
            continue
        meant = reading(text, MISSING)
        assert found == meant and type(meant) is (str if isinstance(found, str) else float), f"{text}: {found!r}"
        # text is a value of a sample table alone
        assert text in NUMBERS or reader == "sample table", f"accepted: {text}"

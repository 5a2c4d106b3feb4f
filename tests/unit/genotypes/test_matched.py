"""Hard calls in the order of other people, and how people are matched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.cohort.array import match_people
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes, write_bed
from deepnull_gwas.genotypes.matched import MatchedGenotypes
from dosage_files import variant_rows


def people_of(*iids: str, fid: str = "f") -> pd.DataFrame:
    return pd.DataFrame({"fid": fid, "iid": iids})


@pytest.mark.parametrize("n", [1, 4, 7, 13])
def test_people_in_another_order(tmp_path, n):
    rng = np.random.default_rng(n)
    theirs = 11
    dosages = rng.integers(-1, 3, (9, theirs)).astype(np.int8)
    rows = variant_rows(9)
    bim = rows[["chromosome", "id", "position", "position", "effect_allele", "other_allele"]]
    bim = bim.set_axis(list("cimpab"), axis=1)
    write_bed(tmp_path / "g", dosages, bim, pd.DataFrame([[0, i, 0, 0, 1, -9] for i in range(theirs)]))
    order = rng.permutation(np.concatenate([np.arange(theirs), [-1, -1]]))[:n]
    matched = MatchedGenotypes(BedGenotypes([tmp_path / "g"]), order)
    expected = np.where(order < 0, -1, dosages[:, order])
    assert (matched.n_samples, matched.n_variants, matched.bytes_per_variant) == (n, 9, (n + 3) // 4)
    assert np.array_equal(decode_int8(matched.calls_between(0, 9), n), expected)
    assert np.array_equal(decode_int8(matched.calls(np.array([7, 2])), n), expected[[7, 2]])
    # nothing behind the last person
    assert not n % 4 or not (matched.calls(np.arange(9))[:, -1] >> 2 * (n % 4)).any()


def test_people_are_matched_by_iid_where_that_is_unique():
    ours, theirs = people_of("a", "b", "c", fid="x"), people_of("c", "a", "d", "b")
    assert match_people(ours, theirs, ("t.fam", "o.psam"), 0.8).tolist() == [1, 3, 0]
    # else by both
    ours = pd.DataFrame({"fid": ["1", "2"], "iid": ["a", "a"]})
    assert match_people(ours, ours[::-1].reset_index(drop=True), ("t.fam", "o.psam"), 0.8).tolist() == [1, 0]


def test_some_people_may_lack(caplog):
    rows = match_people(people_of("a", "b", "c"), people_of("c", "a"), ("t.fam", "o.psam"), 0.8)
    assert rows.tolist() == [1, -1, 0]
    assert "1 people have no hard calls in structure.genotypes (b)" in caplog.text


def test_other_people_are_refused():
    ours, theirs = people_of("a", "b", "c"), people_of("a", "B", "C")
    with pytest.raises(
        InputError, match=r"t\.fam: 1 of the 3 people of o\.psam are among its 3 \(by IID\).*b, c there, B, C"
    ):
        match_people(ours, theirs, ("t.fam", "o.psam"), 0.8)

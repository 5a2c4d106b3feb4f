"""The file of LOCO offsets."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.whole_genome.offsets import read_offsets, write_offsets


def test_offsets_by_class_and_chromosome(tmp_path):
    path, rng = tmp_path / "offsets.parquet", np.random.default_rng(1)
    index = np.array([1, 4, 5])
    stored = {c: rng.normal(size=3) for c in ("1", "22", "all")}
    write_offsets(path, index, {"baseline": stored}, ("1", "22"))
    found = read_offsets(path)
    assert found["baseline", "autosome", "1"].tolist() == stored["1"].tolist()
    assert found["baseline", "autosome", "22"].tolist() == stored["22"].tolist()
    # where nothing is left out: chromosomes without variants in the regression, PAR, X, Y, MT
    for key in (("autosome", "7"), ("autosome", "X"), ("autosome", "XY"), ("X", "X"), ("Y", "Y"), ("MT", "MT")):
        assert found["baseline", *key].tolist() == stored["all"].tolist()
    assert ("deepnull", "autosome", "1") not in found
    with pytest.raises(KeyError):
        found["deepnull", "autosome", "1"]
    assert len(found) == len(list(found)) == 22 + 3 + 3
    assert all(key in found for key in found)


def test_one_chromosome_has_no_offset_of_its_own(tmp_path):
    path = tmp_path / "offsets.parquet"
    write_offsets(path, np.arange(2), {"deepnull": {"all": np.ones(2)}}, ("3",))
    found = read_offsets(path)
    assert ("deepnull", "autosome", "3") not in found
    assert ("deepnull", "X", "X") in found


def test_no_offsets_at_all(tmp_path):
    path = tmp_path / "offsets.parquet"
    write_offsets(path, np.empty(0, dtype=np.int64), {}, ())
    assert not len(read_offsets(path))
    assert ("baseline", "autosome", "1") not in read_offsets(path)

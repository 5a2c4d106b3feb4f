"""IDs that match in part: the reason is found, with its count and examples, and too small a part stops the run."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from deepnull_gwas.cohort.matching import systematic_differences
from deepnull_gwas.errors import InputError

PEOPLE = [f"{i:04d}" for i in range(40)]


def people(iids, fids=None):
    return pd.DataFrame({"fid": fids or [f"F{i}" for i in iids], "iid": list(iids)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda i: i.lstrip("0") or "0", "leading zeros"),
        (lambda i: f"F{int(i):03d}_{i}", "the table's IDs are FID_IID"),
        (lambda i: f"F{int(i):03d}:{i}", "the table's IDs are FID:IID"),
        (lambda i: f"UKB_{i}", "IDs of the table have the prefix 'UKB_'"),
        (lambda i: f"{i}-DNA", "IDs of the table have the suffix '-DNA'"),
        (lambda i: f"{i}.0", "end in '.0'"),
        (lambda i: f"X{i}", "IDs of the table have the prefix 'X'"),
        (lambda i: f"{i[:2]} {i[2:]}", "punctuation or blanks"),
        (lambda i: f"F{int(i):03d}", "the genotypes' family IDs"),
    ],
)
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_the_reason_is_found_whatever_the_share(small, caplog, change, reason, share):
    table = small.table.copy()
    some = int(share * small.people)
    table["IID"] = [change(i) if n < some else i for n, i in enumerate(small.iids)]
    small.write_fileset()
    small.write_table(table)
    if share < 1:
        with caplog.at_level(logging.WARNING):
            small.index()
        assert f"{some} would match but that" in caplog.text
        assert reason in caplog.text
        assert f"{change('0002')} for 0002" in caplog.text
        return
    with pytest.raises(InputError, match="not one ID in common") as error:
        small.index()
    assert f"{some} would match but that" in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (["Ab", "Cd"], ["aB", "CD"], "upper and lower case"),
        (["P001", "P002"], ["P1", "P2"], "leading zeros"),
        (["100000", "200000"], ["1e+05", "2e+05"], "1e+05"),
        (["a_1", "b_2"], ["1", "2"], "the genotypes' IDs are FID_IID, doubled"),
        (["S-1", "S-2", "S-3"], ["1", "2", "3"], "IDs of the genotypes have the prefix 'S-'"),
    ],
)
def test_other_reasons(ours, theirs, reason):
    found = systematic_differences(people(ours), theirs)
    assert [reason in d.text for d in found] == [True]
    assert [tuple(p) for p in found[0].pairs] == list(zip(theirs, ours))


def test_families(tmp_path):
    fam = people(["1", "2"], ["F01", "F02"])
    found = systematic_differences(fam, ["F1\t1", "F2\t2"], by_family=True)
    assert "the IIDs alone do agree" in found[0].text
    assert "F1 1 for F01 1" in str(found[0])


def test_what_is_not_one_reason_is_not_made_one():
    # 1 and 2 are others than 3 and 4; two people of the genotypes could be meant; numbers that share their ends by
    # chance
    assert systematic_differences(people(["1", "2"]), ["3", "4"]) == []
    assert systematic_differences(people(["01", "001"]), ["1"]) == []
    counted = [str(i) for i in range(2000, 2400)]
    assert systematic_differences(people([str(i) for i in range(100, 500)]), counted) == []


def test_too_few_in_common_stop_the_run_unless_the_config_says_otherwise(small):
    table = small.table.copy()
    table["IID"] = [i if n < 30 else f"{int(i)}" for n, i in enumerate(small.iids)]
    small.write_table(table)
    with pytest.raises(InputError) as error:
        small.index()
    message = str(error.value)
    assert "only 30 of 40 IDs of the smaller side are in both" in message
    assert "10 would match but that they differ in leading zeros" in message
    assert "30 for 0030" in message
    assert "set minimum_overlap of the cohort to 0.75 or less" in message
    assert not small.written()
    assert small.index(minimum_overlap=0.75)["in_sample_table"].sum() == 30


def test_a_table_of_more_people_is_no_small_overlap(small, caplog):
    more = small.table.assign(IID=[f"x{i}" for i in range(40)])
    small.write_table(pd.concat([small.table, more, more.assign(IID=[f"y{i}" for i in range(40)])]))
    with caplog.at_level(logging.WARNING):
        assert small.index()["in_sample_table"].all()
    assert "would match" not in caplog.text

"""Tables that a later step reads are read before the first long job, too."""

from __future__ import annotations

import pytest

from deepnull_gwas.errors import InputErrors
from deepnull_gwas.scores.other_tables import problems_of_tables


@pytest.fixture
def check(small):
    small.index()

    def function(**texts):
        tables = {}
        for name, text in texts.items():
            path = small.folder / f"{name}.txt"
            path.write_text(text)
            tables[name] = [path] if name == "scores" else path
        return problems_of_tables(small.out / "samples.parquet", "GRCh38", 5, **tables)

    return function


RIGHT = {
    "pairs": "IID1\tIID2\tKINSHIP\n0001\t0002\t0.25\n",
    "loadings": "chromosome\tposition\teffect_allele\tother_allele\teffect_allele_frequency\tPC1\n"
    "1\t5\tA\tG\t0.5\t0.1\n",
    "fold_file": "IID\tfold\n0001\t4\n",
    "scores": "#pgs_id=x\nrsID\teffect_allele\teffect_weight\nrs1\tA\t0.1\n",
    "genes": "symbol\tchromosome\tstart\tend\nAPOE\t19\t5\t9\n",
}


def test_what_is_right_passes(check):
    assert check() == []
    assert check(**RIGHT) == []


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("pairs", "IID1\tIID2\n0001\t0002\n", "expected IID1, IID2 and KINSHIP"),
        ("pairs", "IID1\tIID2\tKINSHIP\nx\ty\t0.25\n", "none of its 1 pairs is of this cohort"),
        ("loadings", "chromosome\tposition\n1\t5\n", "loadings.txt"),
        ("fold_file", "IID\tfold\n0001\t5\n", "expected a whole number from 0 to 4"),
        ("fold_file", "IID\tpart\n0001\t1\n", "no column 'fold'"),
        ("scores", "#pgs_id=x\nrsID\teffect_allele\teffect_weight\nrs1\tA\tx\n", "scores.txt"),
        ("genes", "symbol\tstart\tend\nAPOE\t5\t9\n", "names no column chromosome"),
    ],
)
def test_each_is_refused_with_the_message_of_its_step(check, name, text, part):
    problems = check(**(RIGHT | {name: text}))
    assert len(problems) == 1
    assert part in problems[0]
    assert f"{name}.txt" in problems[0]


def test_all_comes_in_one_message(check, small):
    problems = check(fold_file="IID\tpart\n0001\t1\n", scores="nothing\n")
    assert len(problems) == 2
    from deepnull_gwas.cohort.preflight import preflight_cohort

    with pytest.raises(InputErrors) as error:
        preflight_cohort(
            small.out / "samples.parquet", [small.study(phenotype="heigth")], small.out / "p.tsv", problems=problems
        )
    assert len(error.value.problems) == 3
    assert "heigth" in error.value.problems[2]

"""What `init` makes of files: which build, which columns, which words; what it cannot see stays open."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
import yaml

from deepnull_gwas.config import read_config
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.propose import write
from deepnull_gwas.propose.builds import KNOWN, LENGTHS, Evidence
from deepnull_gwas.propose.columns import missing_values_of, roles_of
from deepnull_gwas.propose.genotypes import look_at, resolve
from deepnull_gwas.propose.samples import look_at_samples
from dosage_files import variant_rows, write_bgen


def test_known_variants_tell_the_build():
    for number, build in enumerate(("GRCh37", "GRCh38"), 1):
        evidence = Evidence()
        evidence.add_known((place[0], place[number], name) for name, place in KNOWN.items())
        assert evidence.suggestion() == build and evidence.known[build] == len(KNOWN)
    # an older build: known variants are elsewhere, or the chromosomes are longer than in both
    elsewhere, longer = Evidence(), Evidence()
    elsewhere.add_known((place[0], place[1] - 1000, name) for name, place in KNOWN.items())
    longer.add_end("3", 199_000_000)
    for evidence in (elsewhere, longer):
        assert evidence.suggestion() is None and evidence.fits_none()
    evidence = Evidence()
    evidence.add_known([("1", 11856378, "rs1801133"), ("1", 113834946, "rs2476601")])
    assert evidence.suggestion() is None and not evidence.fits_none(), "they contradict each other"


def test_no_known_variant_fits_both_builds_and_all_lie_on_their_chromosome():
    for name, (chromosome, *places) in KNOWN.items():
        assert places[0] != places[1], name
        for build, place in zip(("GRCh37", "GRCh38"), places):
            assert 0 < place <= LENGTHS[build][int(chromosome) - 1]


def test_lengths_of_contigs_and_ends_of_chromosomes_tell_the_build():
    evidence = Evidence()
    evidence.add_length("chr1", 248956422)
    assert evidence.suggestion() == "GRCh38"
    evidence = Evidence()
    evidence.add_end("13", 115_100_000)
    assert evidence.suggestion() == "GRCh37" and "beyond its end in GRCh38" in evidence.words()[0]


COLUMNS = {
    "sex": ([1.0, 2.0], "sex", None),
    "AgeAtVisit": (list(np.arange(60.0)), "covariate", None),
    "PC1": (list(np.arange(60.0)), "component", None),
    "batch": ([1.0, 2.0, 3.0], "groups", None),
    "site": (["a", "b", "c"], "groups", None),
    "POP": (["FIN", "GBR"], "labels", None),
    "smoker": ([0.0, 1.0], "covariate", None),
    "bmi": (list(np.arange(60.0)), "phenotype", "quantitative"),
    "crp": (list(np.exp(np.linspace(0, 6, 60))), "phenotype", "quantitative"),
    "gout": ([0.0, 1.0], "phenotype", "binary"),
    "gout12": ([1.0, 2.0], "phenotype", "binary"),
    "self_report": (["Yes", "No"], "phenotype", "binary"),
    "genotype": (["wild", "mutant"], "phenotype", None),
    "plink": ([0.0, 1.0, 2.0], "phenotype", None),
    "code": ([7.0, 11.0], "phenotype", None),
    "remark": ([f"text {i}" for i in range(60)], "left out", None),
    "one": ([1.0], "left out", None),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_taken_for_what_they_are(name):
    values, use, trait = COLUMNS[name]
    repeated = np.resize(np.array(values, dtype=object if isinstance(values[0], str) else float), 60)
    (role,) = roles_of({name: repeated}, [], [])
    assert (role.use, role.trait) == (use, trait) and role.why and role.values
    if name == "self_report":
        assert (role.case_value, role.control_value) == ("Yes", "No")
    assert (role.transform == "rank_inverse_normal") == (name == "crp")
    # the user's word goes first
    if name in ("smoker", "gout"):
        assert roles_of({name: repeated}, [name], [])[0].use == "phenotype"
        assert roles_of({name: repeated}, [], [name])[0].use == "covariate"
        assert roles_of({"gout": repeated}, ["other"], [])[0].use == "left out"


def test_what_stands_for_missing_values_is_seen():
    columns = {
        "height": pd.Series(["170", "-9", "165.5", None]),
        "crp": pd.Series(["0.2", "Unknown", "3", "4"]),
        "change": pd.Series(["-8", "-9", "9", "3"]),
        "words": pd.Series(["a", "b", "unknown", "c"]),
    }
    found = missing_values_of(columns)
    assert set(found) == {"-9", "Unknown"}
    assert found["-9"] == "1 times in column height, whose other values are 165.5 to 170"


def write_cohort(folder, chromosomes=("20", "21")):
    """Write one fileset per chromosome and a table whose IDs have lost their zeros."""
    ids = [f"0{i}" for i in range(10, 40)]
    people = pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": 0, "ph": -9})
    rng = np.random.default_rng(3)
    for c in chromosomes:
        rows = {"c": c, "id": [f"v{i}" for i in range(6)], "cm": 0, "p": np.arange(6) + 1, "a1": "A", "a2": "G"}
        write_bed(folder / f"x_chr{c}", rng.binomial(2, 0.3, (6, 30)).astype(np.int8), pd.DataFrame(rows), people)
    lines = [f"{int(i)},{'MF'[n % 2]},{40 + n},{n}.5" for n, i in enumerate(ids)]
    (folder / "t.csv").write_text("\n".join(['id,sex,age,"level,1"', *lines]) + "\n")


def test_one_file_of_several_chromosomes_stands_for_all(tmp_path):
    write_cohort(tmp_path)
    for path in ("x_chr20.bim", "x_chr21", "x_chr{chromosome}", "."):
        found, filesets, notes = resolve(str(tmp_path / path))
        assert found == str(tmp_path / "x_chr{chromosome}") and len(filesets) == 2
        assert bool(notes) == ("chr2" in path)
    with pytest.raises(InputError, match=r"no such file: .*nothing .*there are .*x_chr\{chromosome\}"):
        resolve(str(tmp_path / "nothing"))


def test_the_proposal_is_a_configuration_with_open_lines(tmp_path):
    """It says what is wrong with the IDs, leaves the build open, and is sound once that is filled in."""
    write_cohort(tmp_path)
    found = look_at(str(tmp_path / "x_chr20.bed"))
    assert (found.variants, found.chromosomes, found.has_dosages, len(found.people)) == (12, ["20", "21"], False, 30)
    samples = look_at_samples(str(tmp_path / "t.csv"), found.people)
    assert samples.sample_id == "id" and samples.common == 0
    assert "zeros" in " ".join(samples.notes)
    samples = look_at_samples(str(tmp_path / "t.csv"), found.people.assign(iid=found.people["iid"].str[1:]))
    assert samples.sex == "sex" and "of 30 people of whom the genotype files do not" in samples.sex_note
    choices = write.Choices("c", found.path, str(tmp_path / "t.csv"))
    text = write.config_text(found, samples, choices)
    sheet, studies, undecided = write.sheet_text(samples, "c")
    assert studies == ["level_1"] and not undecided
    assert "\nlevel_1\tc\tlevel,1\tquantitative\tsex,age\t\tnone\t\t\t\n" in sheet
    (tmp_path / "config").mkdir()
    (tmp_path / "config/studies.tsv").write_text(sheet)
    place = tmp_path / "config/config.yaml"
    place.write_text(text)
    with pytest.raises(InputErrors, match=r'genome_build: found "FILL_IN", allowed: GRCh37, GRCh38'):
        read_config(place, tmp_path)
    place.write_text(text.replace("genome_build: FILL_IN", "genome_build: GRCh37"))
    config = read_config(place, tmp_path)
    assert config.studies[0].phenotype == "level,1" and config.cohorts["c"].sex == "sex"
    assert config.cohorts["c"].filesets == ("x_chr20", "x_chr21")


def test_names_of_files_and_columns_do_no_harm(tmp_path):
    """They come from somebody else's files: they stay values, whatever they look like."""
    write_cohort(tmp_path, ("20",))
    odd = 'a: {b} #c\x1b[31m "\\'
    table = (tmp_path / "t.csv").read_text().replace("age,", '"' + odd.replace('"', '""').replace("\x1b", "") + '",')
    (tmp_path / "t.csv").write_text(table)
    found = look_at(str(tmp_path / "x_chr20"))
    samples = look_at_samples(str(tmp_path / "t.csv"), found.people.assign(iid=found.people["iid"].str[1:]))
    path = "data/: {x} # \"y'.pgen"
    text = write.config_text(found, samples, write.Choices("c", path, "no", "GRCh37"))
    cohort = yaml.safe_load(text)["cohorts"]["c"]
    assert cohort["genotypes"] == path and cohort["samples"] == "no" and cohort["genome_build"] == "GRCh37"


@pytest.mark.parametrize("reference", ["first", "last"])
def test_the_order_of_alleles_in_a_bgen_is_left_open_with_what_was_seen(tmp_path, reference):
    """More variants than are looked at; whoever has the file without its whole length is told so later."""
    n, m = 30, 500
    rng = np.random.default_rng(5)
    people = pd.DataFrame({"fid": "0", "iid": [f"p{i}" for i in range(n)], "sex": 1})
    dosages = rng.binomial(2, 0.2, (m, n)).astype(float)
    write_bgen(tmp_path / "x.bgen", dosages, variant_rows(m), people, reference, bits=8)
    (tmp_path / "t.tsv").write_text("IID\ty\n" + "".join(f"p{i}\t{i}.5\n" for i in range(n)))
    found = look_at(str(tmp_path / "x.bgen"))
    rarer, looked = found.second_rarer
    assert looked == 400 and found.variants == m and (rarer > 350 if reference == "first" else rarer < 50)
    assert write.allele_evidence(found).endswith(f"where the reference is {reference}")
    samples = look_at_samples(str(tmp_path / "t.tsv"), found.people)
    text = write.config_text(found, samples, write.Choices("c", "x.bgen", "t.tsv", "GRCh38"))
    assert yaml.safe_load(text)["cohorts"]["c"]["bgen_reference"] == "FILL_IN"
    assert yaml.safe_load(text)["qc"] == {"preset": "imputed"}


def test_the_head_of_a_vcf_tells_fields_and_build(tmp_path):
    head = [
        "##fileformat=VCFv4.3",
        "##contig=<ID=chr20,length=64444167>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">',
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="d">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tp1\tp2",
    ]
    rows = [f"chr20\t{i + 1}\tv{i}\tA\tG\t.\t.\t.\tGT:DS\t0/1:1\t0/0:0.1" for i in range(5)]
    with gzip.open(tmp_path / "x.vcf.gz", "wt") as file:
        file.write("\n".join([*head, *rows]) + "\n")
    found = look_at(str(tmp_path / "x.vcf.gz"))
    assert found.fields == ["DS", "GT"] and found.has_dosages and list(found.people["iid"]) == ["p1", "p2"]
    assert found.evidence.suggestion() == "GRCh38"
    (tmp_path / "t.tsv").write_text("IID\ty\np1\t1.5\np2\t2.5\n")
    samples = look_at_samples(str(tmp_path / "t.tsv"), found.people)
    text = write.config_text(found, samples, write.Choices("c", "x.vcf.gz", "t.tsv"))
    cohort = yaml.safe_load(text)["cohorts"]["c"]
    assert cohort["vcf_field"] == "DS" and cohort["genome_build"] == "FILL_IN"
    assert "variants on X and Y" in text.replace("\n    # ", " ")

"""What a run will need, known from the headers of its files."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import yaml

from deepnull_gwas import resources
from deepnull_gwas.cli import main
from deepnull_gwas.config import load_config
from deepnull_gwas.errors import InputError
from deepnull_gwas.logs import SNAKEMAKE_MB
from deepnull_gwas.resources import size as size_of
from deepnull_gwas.resources import steps
from dosage_files import UNIT, variant_rows, write_bgen, write_pgen

ROOT = Path(__file__).resolve().parents[3]
SHEET = "study\tcohort\tphenotype\ttrait\tcovariates\nbmi\tukb\tbmi\tquantitative\tage\nt2d\tukb\tt2d\tbinary\tage\n"


def headers(folder, people: int, variants: int, bed: bool = True) -> dict:
    """Write the headers of a cohort: a .bed of holes, as long as it would be."""
    (folder / "g.fam").write_text("".join(f"{i} {i} 0 0 1 -9\n" for i in range(people)))
    (folder / "g.bim").write_text("".join(f"1 v{i} 0 {i + 1} A G\n" for i in range(variants if not bed else 1)))
    with open(folder / "g.bed", "wb") as file:
        if bed:
            file.truncate(3 + (people + 3) // 4 * variants)
    (folder / "t.tsv").write_text("IID\tage\tbmi\tt2d\n")
    (folder / "studies.tsv").write_text(SHEET)
    return {
        "studies": "studies.tsv",
        "cohorts": {"ukb": {"genotypes": "g", "samples": "t.tsv", "genome_build": "GRCh38"}},
        "association": {"chunks": 20},
    }


@pytest.mark.parametrize("bed", [True, False])
def test_sizes_come_from_headers(tmp_path, bed):
    config = load_config(headers(tmp_path, 1001, 30_000, bed), tmp_path)
    size = resources.cohort_size(config.cohorts["ukb"], tmp_path)
    assert (size.people, size.variants) == (1001, 30_000)


def test_a_missing_file_is_named(tmp_path):
    config = load_config(headers(tmp_path, 10, 10), tmp_path)
    (tmp_path / "g.fam").unlink()
    with pytest.raises(InputError, match=r"g\.fam: no such file"):
        resources.cohort_size(config.cohorts["ukb"], tmp_path)


def test_needs_grow_with_the_cohort(tmp_path):
    """No step of a larger cohort is expected to need less, and the steps that hold people or variants need more."""
    plans = []
    for name, people, variants in (("small", 1000, 10_000), ("large", 50_000, 10_000_000)):
        folder = tmp_path / name
        folder.mkdir()
        plans.append(
            {r.rule: r for r in resources.plan_run(load_config(headers(folder, people, variants), folder), folder)}
        )
    small, large = plans
    assert list(small) == list(large)
    for rule, row in small.items():
        assert large[rule].mb >= row.mb
        assert large[rule].seconds >= row.seconds
    for rule in ("index_cohort", "filter_cohort", "train_folds", "associate", "merge_sumstats", "compute_pcs"):
        assert large[rule].mb > row.mb


def test_plan_prints_every_rule_and_the_sums(tmp_path, capsys):
    config = headers(tmp_path, 4000, 100_000)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["plan", "--configfile", "config.yaml", "--directory", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "cohort ukb: 4,000 people, 100,000 variants; 2 studies in 1 batch, 20 chunks" in text
    rows = {
        line.split()[0]: line.split()[1:] for line in text.splitlines() if line and line.split()[0] in resources.STEPS
    }
    assert rows["associate"][0] == "20"
    assert rows["train_folds"][0] == "2"
    assert "simulate_genotypes" not in rows
    assert "Disk:" in text
    # what stays on disk for each variant cannot be less than beta, se and p of two studies with two arms, 24 bytes each
    assert sum(resources.disk_mb(load_config(config, tmp_path), tmp_path).values()) > 100_000 * 4 * 24 / 1e6


def test_plan_names_a_missing_configuration(tmp_path, capsys):
    assert main(["plan", "--configfile", "nowhere.yaml", "--directory", str(tmp_path)]) == 1
    assert "nowhere.yaml: no such file" in capsys.readouterr().err


def test_memory_and_time_double_at_each_attempt():
    need = resources.Estimate(1234, 600)
    assert [resources.memory_mb(need, k) for k in (1, 2)] == [1700, 3400]
    assert resources.limit_minutes(need, 2) == 2 * resources.limit_minutes(need, 1)
    assert resources.limit_minutes(need) >= 10


def test_long_alleles_count(tmp_path):
    """What a .bim has beyond short alleles is budgeted by its bytes: an allele may be as long as a chromosome arm."""
    given = headers(tmp_path, 100, 1000, bed=False)
    short = {r.rule: r for r in resources.plan_run(load_config(given, tmp_path), tmp_path)}
    rows = (tmp_path / "g.bim").read_text().splitlines()
    (tmp_path / "g.bim").write_text("\n".join([*rows[:-1], rows[-1].replace("A", "A" * 200_000_000)]) + "\n")
    size_of._of_files.cache_clear()
    config = load_config(given, tmp_path)
    assert resources.cohort_size(config.cohorts["ukb"], tmp_path).text_bytes == pytest.approx(200e6, rel=1e-3)
    long = {r.rule: r for r in resources.plan_run(config, tmp_path)}
    for rule in ("index_cohort", "filter_cohort", "prune_variants", "associate"):
        assert long[rule].mb >= short[rule].mb + 100
    assert long["train_folds"].mb == short["train_folds"].mb


def test_stress_cohorts_lie_within_the_estimates(tmp_path, monkeypatch):
    """The committed runs of cohorts that are extreme in one way (benchmarks/stress.py)."""
    measured = json.loads((ROOT / "docs/stress.json").read_text())
    assert sum(len(case["rules"]) for case in measured.values()) > 25
    for name, case in measured.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "studies.tsv").write_text(case["studies"])
        for file in ("g.bed", "g.bim", "g.fam", "samples.tsv", "pairs.tsv"):
            (folder / file).touch()
        config = load_config(yaml.safe_load(case["config"]), folder)
        size = resources.Size(**case["size"])
        for module in (steps, size_of):
            monkeypatch.setattr(module, "cohort_size", lambda *_, size=size: size)
        for row in case["rules"]:
            rule = row["rule"]
            needs = [resources.estimate(rule, config, w, folder) for w, _ in resources.jobs_of(rule, config)]
            asked = max(resources.memory_mb(need) for need in needs) - SNAKEMAKE_MB
            assert row["peak_mb"] <= asked, (name, row, asked)
            if row["peak_mb"] > 1000:
                assert asked <= 1.5 * row["peak_mb"], (name, row, asked)


def test_measured_peaks_lie_below_the_estimates(tmp_path):
    """The committed measurements:
    never above what is asked for, and not far below it once a step takes more than 1 GB.
    """
    measured = json.loads((ROOT / "docs/resources.json").read_text())
    assert sum(len(case["rules"]) for case in measured.values()) > 60
    for name, case in measured.items():
        (tmp_path / "studies.tsv").write_text(case["studies"])
        config = load_config(yaml.safe_load(case["config"]), tmp_path)
        for row in case["rules"]:
            rule = row["rule"]
            needs = [resources.estimate(rule, config, w, tmp_path) for w, _ in resources.jobs_of(rule, config)]
            # without what is added for Snakemake's own processes
            asked = max(resources.memory_mb(need) for need in needs) - SNAKEMAKE_MB
            assert row["peak_mb"] <= asked, (name, row, asked)
            if row["peak_mb"] > 1000:
                assert asked <= 1.5 * row["peak_mb"], (name, row, asked)


def seconds_of_associate(folder: Path, config: dict, **association) -> float:
    """Estimate the time of the association job of a config."""
    config = load_config(config | {"association": {"chunks": 1, "threads": 1} | association}, folder)
    wildcards = next(iter(resources.jobs_of("associate", config)))[0]
    return resources.estimate("associate", config, wildcards, folder).seconds


def test_rare_variants_are_seen_in_the_bed(tmp_path):
    config = headers(tmp_path, 4000, 60)
    rare, common = bytearray(b"\xff" * 1000), bytearray(b"\x9b" * 1000)
    rare[::50] = b"\xfb" * 20
    # one in three variants is rare
    (tmp_path / "g.bed").write_bytes(b"\x6c\x1b\x01" + bytes(rare + common + common) * 20)
    cohort = load_config(config, tmp_path).cohorts["ukb"]
    assert resources.rare_share(cohort, tmp_path) == pytest.approx(1 / 3, abs=0.01)
    (tmp_path / "g.bed").unlink()
    (tmp_path / "g.bim").write_text("".join(f"1 v{i} 0 {i + 1} A G\n" for i in range(60)))
    size_of._rare_of_files.cache_clear()
    assert resources.rare_share(cohort, tmp_path) == resources.RARE_GUESS


def test_time_of_the_association_knows_how_binary_traits_are_tested(tmp_path):
    config = headers(tmp_path, 300_000, 400) | {"structure": {"pcs": 0}}
    covariates = ",".join(f"c{i}" for i in range(12))
    (tmp_path / "studies.tsv").write_text(
        f"study\tcohort\tphenotype\ttrait\tcovariates\nb\tukb\tb\tbinary\t{covariates}\n"
    )
    every = {"refine_below": 1}

    # a .bed of holes has rare variants only: measured with benchmarks/association.py (R0), both arms, CPU-s of the
    # whole job
    for measured, settings in ((5.8, {"firth": "always"}), (4.4, {"refine_by": "spa"})):
        estimate = seconds_of_associate(tmp_path, config, **every, **settings)
        assert measured / 2 < estimate < 2 * measured, (settings, estimate)
    few = seconds_of_associate(tmp_path, config)
    assert few < seconds_of_associate(tmp_path, config, **every)
    assert few < seconds_of_associate(tmp_path, config, missing_genotypes="drop")
    # common variants: .15 to .3 s a test at this size (two arms)
    (tmp_path / "g.bed").write_bytes(b"\x6c\x1b\x01" + b"\x9b" * (75_000 * 400))
    size_of._rare_of_files.cache_clear()
    always = seconds_of_associate(tmp_path, config, **every, firth="always")
    assert 0.15 * 800 < always < 0.3 * 800
    assert seconds_of_associate(tmp_path, config, **every, firth="always", firth_form="approximate") < always / 3


def imputed_cohort(folder: Path, kind: str, people: int, variants: int) -> dict:
    """Write a small file of a format, and the configuration of a cohort of it."""
    rng = np.random.default_rng(1)
    rows = variant_rows(variants)
    ids = [f"p{i}" for i in range(people)]
    table = pd.DataFrame({"fid": ids, "iid": ids, "sex": 1})
    dosages = np.round(rng.uniform(0, 2, (variants, people)) / UNIT) * UNIT
    own = {}
    if kind == "pgen":
        write_pgen(folder / "g", dosages, rows, table)
    elif kind.startswith("bgen"):
        write_bgen(folder / "g.bgen", dosages, rows, table, "first", int(kind[4:]))
        own, kind = {"bgen_reference": "first"}, "bgen"
    else:
        head = ["##fileformat=VCFv4.3", '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">', "##contig=<ID=1>"]
        head.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *ids]))
        for row, v in zip(dosages, rows.itertuples()):
            front = [v.chromosome, str(v.position), v.id, v.other_allele, v.effect_allele, ".", "PASS", ".", "DS"]
            head.append("\t".join([*front, *(f"{x:.5f}" for x in row)]))
        text = ("\n".join(head) + "\n").encode()
        own = {"vcf_field": "DS"}
        if kind == "vcf":
            (folder / "g.vcf").write_bytes(text)
        elif kind == "vcf.gz":
            (folder / "g.vcf.gz").write_bytes(gzip.compress(text))
        else:
            (folder / "plain.vcf").write_bytes(text)
            with (
                pysam.VariantFile(str(folder / "plain.vcf")) as source,
                pysam.VariantFile(str(folder / "g.bcf"), "wb", header=source.header) as file,
            ):
                for record in source:
                    file.write(record)
    (folder / "t.tsv").write_text("IID\tage\tbmi\tt2d\n")
    (folder / "studies.tsv").write_text(SHEET)
    cohort = {"genotypes": f"g.{kind}", "samples": "t.tsv", "genome_build": "GRCh38", **own}
    return {"studies": "studies.tsv", "cohorts": {"ukb": cohort}, "association": {"chunks": 20}}


@pytest.mark.parametrize(
    ("kind", "rate"),
    [("pgen", 740e6), ("bgen8", 222e6), ("bgen16", 161e6), ("vcf", 740e6), ("vcf.gz", 740e6), ("bcf", 740e6)],
)
def test_formats_tell_how_large_they_are_and_how_fast(tmp_path, kind, rate, capsys):
    pytest.importorskip("pgenlib", reason="the package Pgenlib is not installed")
    given = imputed_cohort(tmp_path, kind, 150, 400)
    config = load_config(given, tmp_path)
    size = resources.cohort_size(config.cohorts["ukb"], tmp_path)
    assert size.people == 150
    # a VCF is no longer than its first rows make it
    assert size.variants == pytest.approx(400, rel=0.02 if "cf" in kind else 0)
    assert size.decoding_rate == rate
    jobs = {r.rule: r.jobs for r in resources.plan_run(config, tmp_path)}
    assert jobs.get("import_vcf", 0) == ("cf" in kind)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(given))
    assert main(["plan", "--configfile", "config.yaml", "--directory", str(tmp_path)]) == 0
    assert ("imported from VCF" in capsys.readouterr().out) == ("cf" in kind)


def test_decoding_is_part_of_the_estimates(tmp_path, monkeypatch):
    """Of a biobank: what takes one pass takes as long as decoding it, and blocks of dosages more than packed ones."""
    people, variants = 50_000, 10_000_000
    config = load_config(headers(tmp_path, 10, 10), tmp_path)
    plans = {}
    for name, rate in (("bed", math.inf), ("pgen", 740e6), ("bgen", 161e6)):
        size = resources.Size(people, variants, decoding_rate=rate, calls_rate=rate)
        for module in (steps, size_of):
            monkeypatch.setattr(module, "cohort_size", lambda *_, size=size: size)
        plans[name] = {r.rule: r for r in resources.plan_run(config, tmp_path)}
    for rule in ("count_genotypes", "associate"):
        bed, pgen, bgen = (plans[name][rule] for name in ("bed", "pgen", "bgen"))
        chunk = people * variants / 20
        assert bed.seconds < pgen.seconds < bgen.seconds
        threads = 1 if rule == "count_genotypes" else bed.threads
        assert bgen.seconds - pgen.seconds == pytest.approx(chunk * (1 / 161e6 - 1 / 740e6) / threads, rel=1e-6)
    block = config.association["variants_per_block"]
    assert plans["bgen"]["associate"].mb - plans["bed"]["associate"].mb > 2 * people * block / 1e6


def test_a_file_that_is_no_vcf_is_named(tmp_path):
    (tmp_path / "g.vcf.gz").write_bytes(gzip.compress(b"hello\n"))
    (tmp_path / "t.tsv").write_text("IID\tage\tbmi\tt2d\n")
    (tmp_path / "studies.tsv").write_text(SHEET)
    cohort = {"genotypes": "g.vcf.gz", "samples": "t.tsv", "genome_build": "GRCh38", "vcf_field": "DS"}
    config = load_config({"studies": "studies.tsv", "cohorts": {"ukb": cohort}}, tmp_path)
    with pytest.raises(InputError, match=r"g\.vcf\.gz: no line #CHROM .* begins with 'hello'"):
        resources.cohort_size(config.cohorts["ukb"], tmp_path)


def jobs_of_genome(folder: Path, config: dict) -> tuple[dict[str, int], dict[str, float]]:
    """Return the number of jobs of the rules of the whole-genome regression, and the disk space by kind."""
    config = load_config(config, folder)
    rules = {r.rule: r.jobs for r in resources.plan_run(config, folder) if r.rule.endswith("_blocks")}
    return rules, resources.disk_mb(config, folder)


def test_the_whole_genome_regression_is_planned_for_the_studies_whose_model_it_is(tmp_path):
    config = headers(tmp_path, 20_000, 100_000)
    none, linear = jobs_of_genome(tmp_path, config)
    assert not none and not any("whole-genome" in kind for kind in linear)
    lines = SHEET.replace("covariates\n", "covariates\tassociation_model\n").splitlines()
    sheet = [lines[0], f"{lines[1]}\twhole_genome", f"{lines[2]}\tlinear"]
    (tmp_path / "studies.tsv").write_text("\n".join(sheet) + "\n")
    assert jobs_of_genome(tmp_path, config)[0] == {"fit_blocks": 20, "refit_blocks": 20, "stack_blocks": 1}
    one_pass = config | {"whole_genome": {"passes": 1, "parts": 3}}
    assert jobs_of_genome(tmp_path, one_pass)[0] == {"fit_blocks": 3, "stack_blocks": 1}
    both = config | {"association": config["association"] | {"model": "whole_genome"}}
    (tmp_path / "studies.tsv").write_text(SHEET)
    found, disk = jobs_of_genome(tmp_path, both)
    assert found == {"fit_blocks": 20, "refit_blocks": 20, "stack_blocks": 2}
    # what two arms of two studies predict of everybody, by chromosome and kind
    assert 4 * 20_000 * 22 * 4 * 8 / 1e6 < disk["parts of the whole-genome regression (temporary)"] < 2_000
    # a part of few variants needs no less memory for people, and less time
    needs = [
        resources.estimate(
            "refit_blocks",
            load_config(both | {"whole_genome": {"parts": p}}, tmp_path),
            {"cohort": "ukb", "batch": "main"},
            tmp_path,
        )
        for p in (1, 20)
    ]
    assert needs[0].mb == needs[1].mb and needs[0].seconds > 5 * needs[1].seconds

"""The configuration: defaults, and what each thing becomes."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from config_cases import ROW, SIMULATED, problems, write_sheet
from deepnull_gwas.config import SCHEMAS, input_files, load_config, path_from, read_config
from deepnull_gwas.errors import InputErrors

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_config_is_valid_and_states_the_defaults():
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config = load_config(given, ROOT)
    bare = {k: v for k, v in given.items() if k in ("studies", "cohorts")}
    # the demo predicts phenotypes, which is no default
    bare |= {"structure": {"colour_by": ["site"]}, "scores": {"method": "clump"}}
    assert load_config(bare, ROOT) == config, "config.yaml shows another default than the schema has"
    assert given["qc"] == {"preset": "imputed"}
    assert config.qc["sex_check"] == "warn"
    # which column colours the figure of the demo is no default
    assert given["structure"].pop("colour_by") == ["site"]
    assert config.structure.pop("colour_by") == ["site"]
    for part in ("structure", "deepnull", "association", "scores", "report", "verify"):
        assert given[part] == getattr(config, part), f"config.yaml does not show every key of {part}"
    assert [s.name for s in config.studies_of("demo")] == ["lung_function", "height", "asthma"]
    assert list(config.batches("demo")) == ["main"]
    assert config.study("demo", "asthma").trait == "binary"


def keys_of(schema: dict, root: dict) -> set[str]:
    if "$ref" in schema:
        return keys_of(root["$defs"][schema["$ref"].rsplit("/")[-1]], root)
    found = set(schema.get("properties", {}))
    for child in [*schema.get("properties", {}).values(), schema.get("additionalProperties")]:
        if isinstance(child, dict):
            found |= keys_of(child, root)
    return found


def described(schema: dict, root: dict, path: str = "") -> list[str]:
    """List the keys without a description."""
    missing = []
    for key, child in schema.get("properties", {}).items():
        target = root.get("$defs", {}).get(child.get("$ref", "").rsplit("/")[-1], child)
        if "description" not in child and "description" not in target and "$ref" not in child:
            missing.append(f"{path}{key}")
        missing += described(target, root, f"{path}{key}.")
    return missing


@pytest.mark.parametrize("name", ["config", "studies"])
def test_every_key_is_described_in_schema_and_readme(name):
    schema = yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text())
    assert not described(schema, schema)
    readme = (ROOT / "config/README.md").read_text()
    undocumented = [k for k in sorted(keys_of(schema, schema)) if f"`{k}`" not in readme]
    assert not undocumented, f"config/README.md says nothing of {undocumented}"
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema)


def test_config_yaml_and_its_commented_cohort_name_every_key():
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    text = (ROOT / "config/config.yaml").read_text()
    absent = [
        k
        for k in keys_of(schema, schema) - {"pathvars", "results", "logs", "benchmarks", "resources"}
        if not re.search(rf"\b{k}:", text)
    ]
    assert not absent


def test_defaults_of_a_bare_config(load):
    config = load()
    study = config.study("c", "s")
    assert (study.batch, study.arms, study.pcs, study.transform) == ("main", ("baseline", "deepnull"), 10, "none")
    assert config.cohorts["c"].simulate["people"] == 4000
    assert config.cohorts["c"].simulate["phenotypes"]["y"]["heritability"] == 0.3
    assert config.cohorts["c"].chunks == config.association["chunks"] == 4
    assert config.seed == 1


def test_a_cohort_overrides_single_keys(load):
    config = load(cohort=SIMULATED | {"qc": {"maf": 0.2}, "structure": {"pcs": 3}, "chunks": 2}, qc={"mac": 5})
    cohort = config.cohorts["c"]
    assert (cohort.qc["maf"], cohort.qc["mac"], cohort.qc["sample_call_rate"]) == (0.2, 5, 0.95)
    assert (cohort.structure["pcs"], cohort.chunks, config.study("c", "s").pcs) == (3, 2, 3)


def test_presets_of_quality_control(load):
    array, imputed, none = (load(qc={"preset": p}).cohorts["c"].qc for p in ("array", "imputed", "none"))
    assert (array["sample_call_rate"], array["sex_check"], array["duplicate_variants"]) == (0.98, "exclude", "exclude")
    assert (imputed["sample_call_rate"], imputed["sex_check"]) == (0.95, "warn")
    assert {k: none[k] for k in ("maf", "mac", "hwe_p", "sex_check")} == {
        "maf": 0,
        "mac": 0,
        "hwe_p": 0,
        "sex_check": "off",
    }
    assert load().cohorts["c"].qc == imputed
    # a cohort with a preset of its own starts afresh; without, it inherits what the whole config says
    own = load(cohort=SIMULATED | {"qc": {"preset": "none", "mac": 3}}, qc={"maf": 0.3}).cohorts["c"].qc
    assert (own["maf"], own["mac"], own["hwe_p"]) == (0, 3, 0)
    inherited = load(cohort=SIMULATED | {"qc": {"mac": 3}}, qc={"preset": "imputed", "maf": 0.3}).cohorts["c"].qc
    assert (inherited["maf"], inherited["mac"], inherited["sample_call_rate"]) == (0.3, 3, 0.95)


def test_genes_are_named_where_a_position_means_something(load, tmp_path):
    assert load(report={"genes": "auto"}).shipped_genes("c") is None, "a simulated cohort"
    (tmp_path / "own.bed").write_text("1\t0\t5\tA\n")
    config = load(report={"genes": str(tmp_path / "own.bed")})
    assert config.gene_table == "own.bed" and "own.bed" in input_files(config)
    assert load(report={"genes": "none"}).gene_table is None
    with pytest.raises(InputErrors, match=r"config: report.genes: no such file: ow.bed; did you mean 'own.bed'"):
        load(report={"genes": "ow.bed"})


def test_numbers_that_yaml_reads_as_text(load):
    assert load(qc=yaml.safe_load("hwe_p: 1e-6")).qc["hwe_p"] == 1e-6


def test_a_date_as_yaml_reads_it_and_as_text(load):
    assert load().metadata_date is None
    assert load(metadata_date=yaml.safe_load("2026-11-23")).metadata_date == "2026-11-23"
    assert load(metadata_date="2026-11-23").metadata_date == "2026-11-23"
    for wrong in ("23.11.2026", "2026-13-01", "20261123", "today", "2026-11-23T10:00:00"):
        with pytest.raises(InputErrors, match=r"config: metadata_date: found .*expected a day as year-month-day"):
            load(metadata_date=wrong)


def test_the_config_given_is_not_changed(load):
    cohort = copy.deepcopy(SIMULATED)
    load(cohort=cohort)
    assert cohort == SIMULATED


def test_settings_hold_what_the_study_depends_on_only(load):
    row = ROW | {
        "covariates": "age, site",
        "categorical_covariates": "site",
        "include": "age > 3",
        "pcs": "2",
        "arms": "deepnull",
    }
    first = load(row | {"batch": "one"}).study("c", "s").settings()
    second = load(row | {"batch": "two", "arms": "baseline"}, ROW | {"study": "t"}).study("c", "s").settings()
    assert first == second
    assert first["covariates"] == ["age", "site"]
    assert first["pcs"] == 2


def test_the_model_of_the_association_is_that_of_the_study_else_of_the_config(load):
    rows = [ROW | {"study": s, "association_model": m} for s, m in [("a", ""), ("b", "linear"), ("c", "whole_genome")]]
    for given, expected in ({}, "linear"), ({"association": {"model": "whole_genome"}}, "whole_genome"):
        config = load(*rows, **given)
        assert [config.study("c", s).association_model for s in "abc"] == [expected, "linear", "whole_genome"]
    # a study without it depends on nothing that it did not depend on before
    assert "model" not in config.study("c", "b").settings()
    assert config.study("c", "c").settings()["model"] == "whole_genome"
    assert config.study("c", "c").model is None, "the column `model` is DeepNull's"


@pytest.mark.parametrize(
    ("relatives", "linear", "whole_genome"),
    [(None, False, True), ("exclude", False, False), ("keep", True, True), ("pairs.tsv", False, True)],
)
def test_relatives_stay_where_the_model_takes_them_into_account(load, tmp_path, relatives, linear, whole_genome):
    (tmp_path / "pairs.tsv").touch()
    rows = [ROW | {"study": m, "association_model": m} for m in ("linear", "whole_genome")]
    for given in ({"structure": {"relatives": relatives}}, {} if relatives is None else None):
        if given is not None:
            config = load(*rows, **given)
            cohort = config.cohorts["c"]
            assert [cohort.keeps_relatives(s) for s in config.studies] == [linear, whole_genome]
            assert cohort.table_of_relatives == ("pairs.tsv" if relatives == "pairs.tsv" else None)
            assert ("pairs.tsv" in input_files(config)) == (relatives == "pairs.tsv")


def test_blocks_are_spread_over_as_many_jobs_as_chunks_unless_said(load):
    assert load(association={"chunks": 7}).parts("c") == 7
    assert load(cohort=SIMULATED | {"chunks": 3}, association={"chunks": 7}).parts("c") == 3
    assert load(whole_genome={"parts": 5}).parts("c") == 5


def test_batches_keep_the_order_of_the_sheet(load):
    config = load(*[ROW | {"study": s, "batch": b} for s, b in [("a", "z"), ("b", "main"), ("c", "z")]])
    assert {b: [s.name for s in studies] for b, studies in config.batches("c").items()} == {
        "z": ["a", "c"],
        "main": ["b"],
    }


@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
@pytest.mark.parametrize("name", ["studies.tsv", "studies.csv"])
def test_sheets_of_any_editor(tmp_path, name, newline, encoding):
    write_sheet(
        tmp_path,
        ROW | {"covariates": "age,sex"},
        {},
        ROW | {"study": "# left out"},
        name=name,
        newline=newline,
        encoding=encoding,
    )
    text = (tmp_path / name).read_bytes().replace(b"# left out", b"t")
    (tmp_path / name).write_bytes(text + b"# a comment" + newline.encode())
    config = load_config({"studies": name, "cohorts": {"c": SIMULATED}}, tmp_path)
    assert [s.name for s in config.studies] == ["s", "t"]
    assert config.studies[0].covariates == ("age", "sex")


def test_cohorts_without_studies_are_left_alone(tmp_path):
    write_sheet(tmp_path, ROW)
    other = {"genotypes": "nowhere/x", "samples": "nowhere.tsv", "genome_build": "GRCh37"}
    config = load_config({"studies": "studies.tsv", "cohorts": {"c": SIMULATED, "other": other}}, tmp_path)
    assert list(config.cohorts) == ["c"]


def test_pattern_gives_filesets_in_numeric_order(tmp_path):
    write_sheet(tmp_path, ROW)
    (tmp_path / "s.tsv").touch()
    for code in ("10", "2", "X", "1", "1_old", "25"):
        for extension in ("bed", "bim", "fam"):
            (tmp_path / f"chr{code}.{extension}").touch()
    for base, pattern in [(tmp_path, "chr{chromosome}"), (Path("."), f"{tmp_path}/chr{{chromosome}}")]:
        cohort = {"genotypes": pattern, "samples": str(tmp_path / "s.tsv"), "genome_build": "GRCh38"}
        config = load_config({"studies": str(tmp_path / "studies.tsv"), "cohorts": {"c": cohort}}, base)
        assert [Path(p).name for p in config.cohorts["c"].filesets] == ["chr1", "chr2", "chr10", "chrX", "chr25"]


def test_parsing_is_fast_and_light(tmp_path):
    write_sheet(tmp_path, *[ROW | {"study": f"s{i}"} for i in range(100)])
    config = {"studies": "studies.tsv", "cohorts": {"c": SIMULATED}}
    load_config(config, tmp_path)
    start = time.process_time()
    assert len(load_config(config, tmp_path).studies) == 100
    assert time.process_time() - start < 0.5  # about 0.03 s on one core; the rest is room for a busy machine
    heavy = ("numpy", "pandas", "torch", "pyarrow", "numba")
    code = f"import sys, deepnull_gwas.config; print([m for m in {heavy!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize("start", ["sep=,\n", "# ours\n", "\n\n", "## a, b\n# c\n"])
@pytest.mark.parametrize("end", ["", ",,"])
def test_sheets_with_more_around_them(tmp_path, start, end):
    lines = [
        "study,cohort,phenotype,trait,covariates",
        'a,c,y,binary,"age,`height, cm`, `b`"',
        "# out",
        "b,c,`y z`,binary,",
    ]
    (tmp_path / "s.csv").write_text(start + "".join(f"{line}{end}\n" for line in lines))
    config = load_config({"studies": "s.csv", "cohorts": {"c": SIMULATED}}, tmp_path)
    assert [s.name for s in config.studies] == ["a", "b"]
    assert config.studies[0].covariates == ("age", "height, cm", "b")
    assert config.studies[1].phenotype == "y z"


def test_a_config_without_cohorts_is_put_over_that_of_the_project(tmp_path):
    """As the Snakefile does it; one with cohorts stands for itself."""
    write_sheet(tmp_path, ROW)
    (tmp_path / "config").mkdir()
    project = {"studies": "studies.tsv", "seed": 5, "qc": {"preset": "none", "mac": 3}, "cohorts": {"c": SIMULATED}}
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(project))
    (tmp_path / "few.yaml").write_text("qc: {mac: 7}\n")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"studies": "studies.tsv", "cohorts": {"c": SIMULATED}}))
    over, own = (read_config(tmp_path / name, tmp_path) for name in ("few.yaml", "own.yaml"))
    assert (over.seed, over.qc["preset"], over.qc["mac"]) == (5, "none", 7)
    assert (own.seed, own.qc["preset"], own.qc["mac"]) == (1, "imputed", 20)


def test_what_predicts_is_the_configs_or_the_studys(load):
    config = load(ROW | {"study": "a"}, ROW | {"study": "b", "model": "splines", "deepnull_covariates": "age"})
    assert config.deepnull["model"] == "auto"
    assert config.study("c", "a").deepnull_settings() == {}
    assert config.study("c", "b").deepnull_settings() == {"model": "splines", "covariates": ["age"]}
    assert "model" not in config.study("c", "b").settings(), "another model must not assemble the study again"
    assert load(deepnull={"recipe": "original"}).deepnull["recipe"] == "original"
    assert load(deepnull={"recipe": {"ensemble": 8}}).deepnull["recipe"]["start"] == "splines"
    (found,) = problems(load, deepnull={"recipe": "orignal"})
    assert "deepnull.recipe" in found
    assert "did you mean 'original'" in found
    (found,) = problems(load, ROW | {"deepnull_covariates": "age,age"})
    assert "column deepnull_covariates: 'age' is listed 2 times" in found
    (found,) = problems(load, ROW | {"model": "spline"})
    assert "did you mean 'splines'" in found


def test_covariates_of_the_prediction_alone(load):
    row = ROW | {"deepnull_covariates": "age,smoking,site,PC1", "categorical_covariates": "site"}
    study = load(row).study("c", "s")
    # PC1 is a computed component, not a column
    assert study.deepnull_only == ("smoking", "site")
    assert study.settings()["deepnull_only"] == ["smoking", "site"]
    assert load(row | {"arms": "baseline"}).study("c", "s").deepnull_only == ()
    assert load(deepnull={"covariates": ["smoking"]}).study("c", "s").deepnull_only == ("smoking",)
    # the study's own goes before the config's
    assert load(row, deepnull={"covariates": ["bmi"]}).study("c", "s").deepnull_only == ("smoking", "site")
    (found,) = problems(load, row | {"categorical_covariates": "sites"})
    assert "'sites' is not among the covariates (age, smoking, site, PC1); list it in both columns" in found
    assert "did you mean 'site'" in found
    (found,) = problems(load, ROW | {"deepnull_covariates": f"age,{ROW['phenotype']}"})
    assert "column deepnull_covariates" in found
    assert "is the phenotype itself" in found
    (found,) = problems(load, deepnull={"covariates": [ROW["phenotype"]]})
    assert "config: deepnull.covariates" in found


def test_files_of_weights(load, tmp_path):
    assert load().scores["method"] == "none"
    (tmp_path / "w.txt").write_text("")
    config = load(ROW | {"score_file": "w.txt"}, scores={"method": "file"})
    assert config.study("c", "s").score_file == "w.txt"
    # weights change neither who is analysed nor the prediction
    assert config.study("c", "s").settings() == load().study("c", "s").settings()
    (found,) = problems(load, ROW | {"score_file": "W.txt"}, scores={"method": "clump"})
    assert found == "studies.tsv: row 2, column score_file: no such file: W.txt; did you mean 'w.txt'?"
    (found,) = problems(load, ROW | {"score_file": "w.txt"})
    assert "scores.method is none" in found
    (found,) = problems(load, ROW | {"score_file": "w.txt", "arms": "baseline"}, scores={"method": "file"})
    assert "for studies with the arm deepnull only" in found
    (found,) = problems(load, scores={"method": "file"})
    assert "no row of studies.tsv has a score_file" in found
    (found,) = problems(load, scores={"method": "ridge"})
    assert found == 'config: scores.method: found "ridge", allowed: none, clump, file'


def test_paths_inside_the_working_folder_are_relative(tmp_path):
    """A project that moves keeps the names of its files, so that nothing is computed again."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    outside = tmp_path.parent / "elsewhere"
    assert path_from(str(tmp_path / "data/g"), tmp_path) == "data/g"
    assert path_from(str(tmp_path / "link/g"), tmp_path) == "link/g"
    assert path_from(str(outside / "g"), tmp_path) == str(outside / "g")
    assert path_from("data/g", tmp_path) == "data/g"
    assert path_from(None, tmp_path) is None
    # the folder itself may be named through a link
    other = tmp_path.parent / f"{tmp_path.name}-link"
    other.symlink_to(tmp_path)
    assert path_from(str(other / "data/g"), tmp_path) == "data/g"
    assert path_from(str(tmp_path / "data/g"), other) == "data/g"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("extension", ["pgen", "bgen"])
def test_dosages_per_chromosome(tmp_path, extension):
    write_sheet(tmp_path, ROW)
    touch(tmp_path, "s.tsv", "array.bed", "array.bim", "array.fam")
    for code in ("10", "2", "X", "1", "1_old"):
        touch(tmp_path, *(f"chr{code}.{e}" for e in ("pgen", "pvar", "psam", "bgen", "sample")))
    cohort = {"genotypes": f"chr{{chromosome}}.{extension}", "samples": "s.tsv", "genome_build": "GRCh38"}
    cohort |= {"bgen_reference": "first", "hard_call_threshold": 0.2} if extension == "bgen" else {}
    cohort["structure"] = {"genotypes": str(tmp_path / "array")}
    loaded = load_config({"studies": "studies.tsv", "cohorts": {"c": cohort}}, tmp_path)
    config = loaded.cohorts["c"]
    assert config.filesets == tuple(f"chr{code}.{extension}" for code in ("1", "2", "10", "X"))
    assert config.structure_filesets == ("array",)
    assert "genotypes" not in config.structure
    assert (config.bgen_reference, config.hard_call_threshold) == (
        ("first", 0.2) if extension == "bgen" else (None, 0.1)
    )
    # a job of any other format depends on neither
    assert ("hard_call_threshold" in config.settings()) == (extension == "bgen")
    others = ["chr1.pvar", "chr1.psam"] if extension == "pgen" else ["chr1.sample"]
    assert {f"chr1.{extension}", *others, "array.bim", "s.tsv"} <= set(files_read(loaded, tmp_path))


def test_a_sample_of_another_name_and_the_reference(tmp_path):
    """One .sample for all chromosomes, or one for each; a FASTA for each chromosome, in numeric order."""
    write_sheet(tmp_path, ROW)
    touch(tmp_path, "s.tsv", "all.sample", "c2.bgen", "c10.bgen", "c2_s4.sample", "c10_s4.sample")
    touch(tmp_path, "chr10.fa.gz", "chr2.fa.gz", "chrUn.fa.gz")
    cohort = {"genotypes": "c{chromosome}.bgen", "samples": "s.tsv", "genome_build": "GRCh38", "bgen_reference": "last"}

    def load(**own):
        return load_config({"studies": "studies.tsv", "cohorts": {"c": cohort | own}}, tmp_path)

    loaded = load(bgen_sample=str(tmp_path / "c{chromosome}_s4.sample"), reference="chr{chromosome}.fa.gz")
    assert loaded.cohorts["c"].filesets == ("c2.bgen", "c10.bgen")
    assert loaded.cohorts["c"].bgen_samples == ("c2_s4.sample", "c10_s4.sample")
    assert loaded.cohorts["c"].reference == ("chr2.fa.gz", "chr10.fa.gz")
    assert loaded.cohorts["c"].settings()["bgen_samples"] == ["c2_s4.sample", "c10_s4.sample"]
    assert {"c10_s4.sample", "chr10.fa.gz"} <= set(files_read(loaded, tmp_path))
    assert load(bgen_sample="all.sample").cohorts["c"].bgen_samples == ("all.sample", "all.sample")
    assert "bgen_samples" not in load().cohorts["c"].settings()
    (tmp_path / "c10_s4.sample").unlink()
    with pytest.raises(InputErrors, match=r"bgen_sample: no such file: c10_s4\.sample; did you mean 'c2_s4.sample'"):
        load(bgen_sample="c{chromosome}_s4.sample")


def files_read(config, folder) -> list[str]:
    with chdir(folder):
        return input_files(config)


def test_a_compressed_pvar_is_a_file_of_the_fileset(tmp_path):
    write_sheet(tmp_path, ROW)
    touch(tmp_path, "s.tsv", "x.pgen", "x.pvar.zst", "x.psam")
    cohort = {"genotypes": "x.pgen", "samples": "s.tsv", "genome_build": "GRCh38"}
    config = load_config({"studies": "studies.tsv", "cohorts": {"c": cohort}}, tmp_path)
    assert files_read(config, tmp_path) == ["x.pgen", "x.pvar.zst", "x.psam", "s.tsv"]

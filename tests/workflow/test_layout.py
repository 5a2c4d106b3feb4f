"""What must agree with what: library list, environments, rules, scripts, logs."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from deepnull_gwas.resources import STEPS
from workflow_runs import CONFIG, Run, small_cohort

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    name: (path, body)
    for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), flags=re.M | re.S)
}

VCF_COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
VCF_CONFIG = """
studies: vcf.tsv
cohorts:
  c: {genotypes: g.vcf, vcf_field: DS, samples: samples.tsv, genome_build: GRCh38}
"""


def test_library_list_is_complete():
    listed = (ROOT / "workflow/library.txt").read_text().split()
    library = ROOT / "src/deepnull_gwas"
    files = [*library.rglob("*.py"), *(library / "site/app").iterdir()]
    assert sorted(listed) == sorted(str(p.relative_to(library)) for p in files), (
        "workflow/library.txt must name every file of the library (a remote module fetches only these)"
    )


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_is_complete(name):
    path, body = RULES[name]
    assert body.lstrip().startswith('"""'), f"{path.name}: rule {name} has no docstring"
    for part in ("log:", "benchmark:", "threads:", "mem_mb=", "runtime=", "script:", "conda:"):
        assert part in body, f"{path.name}: rule {name} has no {part}"
    assert f"../scripts/{name}.py" in body
    assert f"<logs>/{name}" in body
    assert f"<benchmarks>/{name}" in body
    for function in ("memory_for", "minutes_for", "seconds_for"):
        assert f'{function}("{name}")' in body, f"{path.name}: rule {name} does not take its resources from the library"
    threads = STEPS[name].threads
    threads = f'PLAN.{threads}["threads"]' if isinstance(threads, str) else threads
    assert f"threads: {threads}\n" in body, f"{path.name}: rule {name} and resources.STEPS differ in threads"
    for banned in ("lambda", "run:", "{prefix}"):
        assert banned not in body


def test_every_rule_has_an_estimate():
    assert set(STEPS) == set(RULES), "resources.STEPS must name every rule of the workflow, and no other"


def test_scripts_are_thin_and_all_used():
    scripts = {p.stem: p.read_text() for p in (ROOT / "workflow/scripts").glob("*.py")}
    assert set(scripts) == set(RULES)
    for name, text in scripts.items():
        assert len(text.splitlines()) <= 25, f"{name}.py has more than 25 lines"
        assert "log_to(snakemake.log[0], snakemake.resources)" in text


def test_conda_environment_agrees_with_the_lock_file():
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split() if "==" in line)
    environment = yaml.safe_load((ROOT / "envs/deepnull-gwas.yaml").read_text())["dependencies"]
    pip = next(d["pip"] for d in environment if isinstance(d, dict))
    found = dict(
        re.match(r"([\w.-]+) ?==?([\w.]+)$", d).groups()
        for d in [d for d in environment if isinstance(d, str)] + pip
        if "=" in d
    )
    found.pop("python")
    names = {"matplotlib-base": "matplotlib", "pytorch": "torch"}
    for name, version in found.items():
        assert lock[names.get(name, name)] == version, name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {
        re.match(r"[\w.-]+", d)[0].lower()
        for d in [*project["dependencies"], *project["optional-dependencies"]["network"]]
    }
    assert needed - {"snakemake"} == {names.get(n, n) for n in found}


def test_the_library_never_imports_snakemake():
    for path in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", path.read_text(), flags=re.M), path


def test_layers_of_the_library():
    """A module imports only from its own folder, from those listed above it in the design, and from `genotypes`."""
    order = ["genotypes", "cohort", "deepnull", "verify", "whole_genome", "association"]
    order += ["genes", "results", "scores", "report", "site"]
    allowed = {folder: set(order[: i + 1]) for i, folder in enumerate(order)} | {"simulate": {"simulate", "genotypes"}}
    heavy = {"torch": {"deepnull"}, "matplotlib": {"report"}}
    for_all = {"errors", "jit", "tables", "traits", "logs", "text", "packages"}
    for folder, may in allowed.items():
        for path in (ROOT / "src/deepnull_gwas" / folder).rglob("*.py"):
            text = path.read_text()
            for used in re.findall(r"from deepnull_gwas\.(\w+)", text):
                assert used in may | for_all, f"{path}: imports {used}"
            for package, where in heavy.items():
                if re.search(rf"^\s*(import|from) {package}\b", text, flags=re.M):
                    assert folder in where, f"{path}: imports {package}"


def test_the_second_implementation_shares_nothing_with_the_first():
    """Not a reader of genotypes, not a kernel, not a tail: only reading of tables, and the words for errors."""
    for path in (ROOT / "src/deepnull_gwas/verify").rglob("*.py"):
        text = path.read_text()
        used = set(re.findall(r"(?:from|import) deepnull_gwas\.(\w+)", text))
        assert used <= {"verify", "errors", "tables", "traits"}, f"{path}: imports {used}"
        packages = set(re.findall(r"^\s*(?:import|from) (\w+)", text, flags=re.M)) - {"deepnull_gwas", "__future__"}
        assert packages <= set(sys.stdlib_module_names) | {"numpy", "pgenlib", "zstandard"}, (
            f"{path}: imports {packages}"
        )


def test_only_one_folder_knows_how_genotypes_are_stored():
    """Nobody above `genotypes` takes packed genotypes apart or names a file of theirs; the second implementation does
    the former.
    """
    library, masks = ROOT / "src/deepnull_gwas", re.compile(r"& 3\b|0x55|>> 1\b")
    for path in library.rglob("*.py"):
        text, name = path.read_text(), str(path.relative_to(library))
        # a hash is halved there, not a genotype
        if path.parent.name not in ("genotypes", "verify") and name != "deepnull/folds.py":
            assert not masks.search(text), path
        # exported command lines name the files that other engines read
        if path.parent.name != "genotypes" and name != "deepnull/exports.py":
            assert not re.search(r"\}\.(bed|bim|fam)\b|endswith\(.\.(bed|bim|fam)\b", text), path
    for path in (ROOT / "workflow").rglob("*.smk"):
        assert not re.search(r"\.(bed|bim|fam)\b", path.read_text()), path


def test_models_have_the_same_names_wherever_a_user_chooses_one(capsys):
    """The registry is what is fitted; the command line asks it for help, and the schemas repeat it."""
    from deepnull_gwas.cli import main
    from deepnull_gwas.deepnull.registry import KINDS

    names = ["auto", *KINDS]
    schemas = {
        n: yaml.safe_load((ROOT / f"workflow/schemas/{n}.schema.yaml").read_text()) for n in ("config", "studies")
    }
    assert schemas["config"]["properties"]["deepnull"]["properties"]["model"]["enum"] == names
    assert [n for n in schemas["studies"]["properties"]["model"]["enum"] if n] == names
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert f"what predicts: {', '.join(names)} (" in " ".join(capsys.readouterr().out.split())


def test_numba_is_taken_from_one_place():
    """Its settings must be there before it is imported (:mod:`deepnull_gwas.jit`)."""
    for path in (ROOT / "src").rglob("*.py"):
        if path.name != "jit.py":
            assert not re.search(r"^\s*(import numba|from numba)\b", path.read_text(), flags=re.M), path


def test_every_rule_names_what_it_is_made_from(tmp_path):
    """A rule that left a producer out of `made_from` would take results of former settings for up to date after a kill
    (test_faults).
    """
    shutil.copytree(ROOT / "config", tmp_path / "config")
    needed: dict[str, set[str]] = {}
    (tmp_path / "g.vcf").write_text("##fileformat=VCFv4.3\n" + "\t".join([*VCF_COLUMNS, "p1"]) + "\n")
    (tmp_path / "samples.tsv").write_text("IID\ty\np1\t1\n")
    (tmp_path / "vcf.tsv").write_text("study\tcohort\tphenotype\ttrait\ny\tc\ty\tquantitative\n")
    (tmp_path / "vcf.yaml").write_text(VCF_CONFIG)
    # a cohort with hard calls beside its genotypes and one without, and the whole-genome regression in both
    (tmp_path / "a").mkdir()
    small_cohort(tmp_path / "a", n=60, m=40)
    for extension in ("bed", "bim", "fam"):
        shutil.copy(tmp_path / f"a/g.{extension}", tmp_path / f"a/array.{extension}")
    cohort = CONFIG["cohorts"]["c"] | {"genotypes": "a/g", "samples": "a/samples.tsv"}
    cohorts = {"c": cohort | {"structure": {"genotypes": "a/array"}}, "d": cohort}
    (tmp_path / "array.tsv").write_text((tmp_path / "vcf.tsv").read_text() + "y\td\ty\tquantitative\n")
    config = {"studies": "array.tsv", "cohorts": cohorts, "association": {"model": "whole_genome"}}
    (tmp_path / "array.yaml").write_text(yaml.safe_dump(config))
    # with one pass over the blocks there are other edges
    one_pass = {"association": {"model": "whole_genome"}, "whole_genome": {"passes": 1}}
    (tmp_path / "one_pass.yaml").write_text(yaml.safe_dump(one_pass))
    # the demo has every other kind of step but one
    for arguments in (
        ["--", "all", "exports", "verify"],
        ["--configfile", "config/validity/config.yaml", "one_pass.yaml", "--", "validity"],
        ["--configfile", "vcf.yaml", "--", "results/c/genotypes.json"],
        ["--configfile", "array.yaml", "--", "all", "exports", "verify"],
    ):
        graph = Run(tmp_path).snakemake("--rulegraph", *arguments).stdout
        names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
        for name in names.values():
            needed.setdefault(name, set())
        for producer, consumer in re.findall(r"(\d+) -> (\d+)", graph):
            needed[names[consumer]].add(names[producer])
    assert set(needed) == set(RULES) | {"all", "exports", "verify", "validity"}
    for name, (path, body) in RULES.items():
        listed = re.search(r"made_from\(([^)]*)\)", body)
        assert set(re.findall(r"\w+", listed[1]) if listed else []) == needed[name], f"{path.name}: {name}"


def test_every_rule_that_reads_files_of_the_user_knows_their_state():
    """See above: what a killed job was to be made with includes the content of the user's files."""
    paths = (ROOT / "workflow/rules/paths.smk").read_text()
    readers = set(
        re.findall(r"^def (\w+)\((?:wildcards|extension)\):(?:(?!^def ).)*?\blocal\(", paths, flags=re.M | re.S)
    )
    assert {"sample_table", "fold_file", "score_file"} < readers
    for name, (path, body) in RULES.items():
        inputs, _, params = body.partition("    params:\n")
        for reader in readers:
            if re.search(rf"={reader}\b", inputs):
                assert re.search(rf"state_of\([^=]*\b{reader}\b", params), f"{path.name}: {name}: {reader}"


def test_genotypes_are_taken_apart_in_one_folder():
    """Above `genotypes` nobody masks a packed byte; the second implementation of `verify` does so on purpose."""
    masks = re.compile(r"& ?(np\.uint8\()?3\b|0x5{2,}\b|(packed|words?|row|codes?)\w*(\[[^\]]*\])? ?>> ?")
    for path in sorted((ROOT / "src/deepnull_gwas").rglob("*.py")):
        if not {"genotypes", "verify"} & set(path.relative_to(ROOT / "src/deepnull_gwas").parts):
            assert not (found := masks.search(path.read_text())), f"{path}: {found.group()}"


def test_no_file_of_a_format_is_named_outside_its_reader():
    """Files of genotypes are named by their format (``genotypes/files.py``); messages may speak of them."""
    # an extension that follows a name or a placeholder, or stands alone; "the .fam" of a message does neither
    extension = re.compile(r"(^|[\w}*\"'])\.(bed|bim|fam)\b|^(bed|bim|fam)$")
    for path in sorted((ROOT / "src/deepnull_gwas").rglob("*.py")):
        if path.name.startswith("bed") and path.parent.name == "genotypes":
            continue
        tree = ast.parse(path.read_text())
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                assert not (found := extension.search(node.value)), f"{path}:{node.lineno}: {found.group()}"
    rules, scripts = (ROOT / "workflow/rules").glob("*.smk"), (ROOT / "workflow/scripts").glob("*.py")
    for path in [ROOT / "Snakefile", *sorted(rules), *sorted(scripts)]:
        assert not (found := re.search(r"\.(bed|bim|fam)\b", path.read_text())), f"{path}: {found.group()}"

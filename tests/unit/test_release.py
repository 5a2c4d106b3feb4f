"""The version stands everywhere the same, a release writes it everywhere, and what names dependencies agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import release  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Names of packages that conda has under another one; extras that a conda package has built in.
OF_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake[reports]": "snakemake"}
ADDRESS = "https://forge.example/people/deepnull-gwas"


@pytest.fixture
def copy(tmp_path) -> Path:
    """Return a folder with the files that a release changes, under version control."""
    for name in (*release.PLACES, "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for command in (
        "git init --quiet --initial-branch main",
        "git add .",
        "git -c user.name=a -c user.email=a@b.example commit --quiet --message first",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    return tmp_path


def found(root: Path) -> dict[tuple[str, str], str]:
    """Return what stands at every place that a release writes."""
    return {
        (name, what): re.search(pattern, (root / name).read_text(encoding="utf-8"))[2]
        for name, places in release.PLACES.items()
        for pattern, what in places
    }


def test_version_and_date_are_the_same_everywhere():
    from deepnull_gwas import RELEASED, __version__

    known = {"version": __version__, "date": RELEASED}
    assert found(ROOT) == {place: known[place[1]] for place in found(ROOT)}


def test_a_release_writes_version_date_and_address(copy):
    with pytest.raises(release.Refused, match="--repository"):
        release.write("9.8.7", "2031-02-03", None, copy)
    files = release.write("9.8.7", "2031-02-03", ADDRESS, copy)
    assert set(found(copy).values()) == {"9.8.7", "2031-02-03"}
    changes = (copy / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased\n\n## 9.8.7 (2031-02-03)\n" in changes and not release.unreleased(changes)
    urls = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls["Repository"] == ADDRESS and urls["Issues"] == f"{ADDRESS}/issues"
    assert yaml.safe_load((copy / "CITATION.cff").read_text(encoding="utf-8"))["repository-code"] == ADDRESS
    assert 'github("people/deepnull-gwas", path' in (copy / "docs/clusters.md").read_text(encoding="utf-8")
    diff = subprocess.run(["git", "diff", "--name-only"], cwd=copy, capture_output=True, text=True, check=True)
    assert diff.stdout.split() == files
    # the next one needs no address
    release.write("9.8.8", "2031-03-03", None, copy)
    assert "9.8.8" in found(copy).values()


def test_what_stands_in_the_way_of_a_release_is_said_at_once(copy):
    release.check("9.8.7", copy)
    subprocess.run(["git", "tag", "v1.0.0"], cwd=copy, check=True)
    (copy / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 1.0.0 (2030-01-01)\n\n* All.\n")
    with pytest.raises(release.Refused) as said:
        release.check("0.9.9", copy)
    assert "0.9.9 is not above the last one, 1.0.0" in str(said.value)
    assert "not committed:\n M CHANGELOG.md" in str(said.value) and "nothing under" in str(said.value)
    for version, why in (("1.0.0", "a tag v1.0.0 already"), ("v2", "found 'v2'")):
        with pytest.raises(release.Refused, match=why):
            release.check(version, copy)


def test_the_conda_recipe_asks_for_what_the_package_needs():
    recipe = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8"))

    def of_conda(needed: str) -> str:
        name, bounds = re.fullmatch(r"([\w\[\]-]+)(.*)", needed).groups()
        return f"{OF_CONDA.get(name, name).lower()} {bounds}"

    wanted = {f"python {PROJECT['requires-python']}", *map(of_conda, PROJECT["dependencies"])}
    assert set(recipe["requirements"]["run"]) == wanted
    (network,) = PROJECT["optional-dependencies"]["network"]
    assert recipe["requirements"]["run_constraints"] == [of_conda(network)]
    (name, target), *others = PROJECT["scripts"].items()
    assert not others and recipe["build"]["python"]["entry_points"] == [f"{name} = {target}"]


def test_the_citation_names_the_software_and_the_paper():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(about) and about["license"] == PROJECT["license"]
    assert [a["name"] for a in about["authors"]] == [a["name"] for a in PROJECT["authors"]]
    (paper,) = about["references"]
    assert paper["doi"] in PROJECT["urls"]["The method (DeepNull)"] and len(paper["authors"]) == 8


@pytest.mark.parametrize("name", ["fault", "idea"])
def test_forms_for_issues_are_what_the_forge_reads(name):
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text(encoding="utf-8"))
    assert set(form) == {"name", "description", "body"}
    for part in form["body"]:
        assert (
            part["type"] in ("markdown", "textarea")
            and ("value" if part["type"] == "markdown" else "label") in (part["attributes"])
        )

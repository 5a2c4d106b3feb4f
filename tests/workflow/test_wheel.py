"""The package as built: what wheel and sdist hold, and the whole path of a new user from the wheel alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from workflow_runs import ROOT, once, small_cohort

pytestmark = [pytest.mark.workflow, pytest.mark.oracle("git")]
#: What of the checkout is the workflow but for the library.
PROJECT = ("Snakefile", "workflow/", "config/", "resources/", "envs/", "profiles/")
BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""
#: What the columns of the odd table are called, and hold.
HEADER = "sample;Sex;Age (years);Height, cm;Asthma;gout;centre;scale;remark"


def listed() -> list[str]:
    """Return the files of the checkout, those not yet committed too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(name for name in set(names) if name and (ROOT / name).is_file())


@pytest.fixture(scope="session")
def built(shared_folder) -> Path:
    """Return a folder with sdist and wheel, built from a copy of the checkout (a build leaves files behind)."""

    def make(folder: Path) -> None:
        for name in listed():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "tree" / name).write_bytes((ROOT / name).read_bytes())
            (folder / "tree" / name).chmod((ROOT / name).stat().st_mode)
        (folder / "dist").mkdir()
        command = [sys.executable, "-c", BUILD, str(folder / "dist")]
        subprocess.run(command, cwd=folder / "tree", check=True, capture_output=True)

    return once(shared_folder / "built", make) / "dist"


@pytest.fixture(scope="session")
def installed(built, shared_folder) -> Path:
    """Return an environment that holds nothing but the wheel; what it depends on is taken from where the tests run."""

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        # packages as folders: an editable installation among them has no effect there
        (site / "packages.pth").write_text("".join(f"{p}\n" for p in sys.path if p.endswith("-packages")))
        (wheel,) = built.glob("*.whl")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "--quiet"]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
        # kernels that numba has compiled for the checkout serve here too, where the files are the same and as old
        for file in (ROOT / "src/deepnull_gwas").rglob("*.py"):
            there = site / file.relative_to(ROOT / "src")
            os.utime(there, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        for file in (ROOT / "src/deepnull_gwas").rglob("__pycache__/*.nb?"):
            shutil.copy2(file, site / file.relative_to(ROOT / "src"))

    return once(shared_folder / "installed", make)


class User:
    """Somebody who has installed the wheel, in a folder of their own."""

    def __init__(self, installed: Path, folder: Path):
        self.bin, self.folder = installed / "bin", folder

    def __call__(self, *arguments: str, code: int = 0, folder: str = ".") -> str:
        """Run a command line; returns what it printed."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE", "PYTHON", "VIRTUAL"))}
        done = subprocess.run(
            [str(self.bin / arguments[0]), *arguments[1:]],
            cwd=self.folder / folder,
            env=clean | {"PATH": f"{self.bin}:{clean['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, done.stdout[-6000:]
        return done.stdout


@pytest.fixture
def user(installed, tmp_path) -> User:
    """Return a user in a new folder."""
    return User(installed, tmp_path)


def test_wheel_and_sdist_hold_what_the_checkout_holds(built):
    """Byte for byte, and nothing else; with the modes of scripts."""
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = listed()
    expected = {name.removeprefix("src/"): name for name in names if name.startswith("src/")}
    expected |= {f"deepnull_gwas/_project/{name}": name for name in names if name.startswith(PROJECT)}
    assert {"deepnull_gwas/_project/Snakefile", "deepnull_gwas/_project/profiles/generic/status.sh"} < set(expected)
    with zipfile.ZipFile(wheel) as file:
        inside = {info.filename: info for info in file.infolist() if ".dist-info/" not in info.filename}
        assert sorted(inside) == sorted(expected)
        for name, source in expected.items():
            assert file.read(name) == (ROOT / source).read_bytes(), name
            mode = inside[name].external_attr >> 16
            assert bool(mode & 0o100) == bool((ROOT / source).stat().st_mode & 0o100), name
    with tarfile.open(sdist) as file:
        packed = {m.name.partition("/")[2]: m for m in file.getmembers() if m.isfile()}
        wanted = [n for n in names if n.startswith(("src/", "tests/", "docs/", "scripts/", *PROJECT))]
        assert not set(wanted) - set(packed), "the source distribution lacks files of the checkout (MANIFEST.in)"
        for name in wanted:
            assert file.extractfile(packed[name]).read() == (ROOT / name).read_bytes(), name


def test_the_environment_is_sound_and_runs_what_was_installed(user, installed):
    pip = [sys.executable, "-m", "pip", "--python", str(installed / "bin/python"), "check"]
    said = subprocess.run(pip, capture_output=True, text=True)
    assert said.returncode == 0 and "No broken requirements" in said.stdout, said.stdout
    where = "import deepnull_gwas.project as p; print(p.__file__); print(p.project_folder())"
    library, project = user("python", "-c", where).split()
    assert library.startswith(str(installed)) and project.startswith(str(installed))
    assert "no such file" in user("deepnull-gwas", "check", code=1)


def write_odd_cohort(folder: Path) -> None:
    """Write genotypes as .pgen, and a table with semicolons, odd names and codings, in another order."""
    small_cohort(folder, n=240, m=260)
    people = [line.split() for line in (folder / "g.fam").read_text().splitlines()]
    rows = (folder / "samples.tsv").read_text().splitlines()[1:]
    lines = [HEADER]
    sexes = {p[1]: p[4] for p in people}
    for i, row in enumerate(rows):
        _, iid, age, y, case = row.split("\t")
        height = "-9" if i % 60 == 5 else f"{170 + 5 * float(y):.2f}"
        words = ["M" if sexes[iid] == "1" else "F", age, height, "Yes" if case == "1" else "No", str(1 + i % 2)]
        remark = '"re;mark"' if i == 7 else f"remark {i}"
        lines.append(";".join([iid, *words, str(1 + i % 3), str(i % 3), remark]))
    (folder / "odd table.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.oracle("plink2")
def test_the_whole_path_from_the_wheel(user, tmp_path):
    """`init` on a PGEN and an odd table, `check`, `plan`, `run`, `report`, `verify`, in an empty folder."""
    write_odd_cohort(tmp_path)
    subprocess.run(["plink2", "--bfile", "g", "--make-pgen", "--out", "p", "--silent"], cwd=tmp_path, check=True)
    said = user("deepnull-gwas", "init", "mine", "--genotypes", "p.pvar", "--samples", "odd table.csv")
    assert "column sample has the IDs of 240 of the 240 people" in said
    assert "-9, 4 times in column Height, cm" in said and "column Sex agrees with the genotype files" in said
    assert re.search(r"config.yaml, line \d+: genome_build\. Seen: neither IDs", said)
    assert "studies.tsv: phenotype scale: 0, 1, 2" in said
    config = tmp_path / "mine/config/config.yaml"
    sheet = config.with_name("studies.tsv").read_text()
    assert "\nAsthma\tp\tAsthma\tbinary\tSex,Age (years),centre\tcentre\tnone\tYes\tNo\t\n" in sheet
    assert "\nHeight_cm\tp\tHeight, cm\tquantitative\t" in sheet and "\n#scale\tp\tscale\t" in sheet
    # what is open stops everything, and nothing is written over
    assert 'genome_build: found "FILL_IN"' in user("deepnull-gwas", "check", code=1, folder="mine")
    assert "not overwritten" in user("deepnull-gwas", "init", "mine", "--genotypes", "p", "--samples", "x", code=1)
    # completed; a model that takes a second
    text = config.read_text().replace("genome_build: FILL_IN", "genome_build: GRCh38")
    text = text.replace("  pcs: 10", "  pcs: 0").replace("  chunks: 4", "  chunks: 1")
    config.write_text(text + "deepnull: {model: splines, folds: 3, compare: false}\n")
    keep = [row for row in sheet.splitlines() if row.startswith(("study\t", "Height_cm\t"))]
    config.with_name("studies.tsv").write_text("\n".join(keep) + "\n")
    said = user("deepnull-gwas", "check", folder="mine")
    assert "study Height_cm: Height, cm, quantitative; 236 people" in said and "Sound. Next:" in said
    assert "associate" in user("deepnull-gwas", "plan", folder="mine")
    user("deepnull-gwas", "run", "--cores", "2", folder="mine")
    results = tmp_path / "mine/results"
    assert json.loads((results / "p/Height_cm/study.json").read_text())["n"] > 200
    assert all((results / f"p/Height_cm/{arm}/sumstats.tsv.gz").is_file() for arm in ("baseline", "deepnull"))
    said = user("deepnull-gwas", "report", folder="mine")
    page = Path(re.search(r"Report: (.*)", said)[1])
    assert page == results / "report.html" and page.stat().st_size > 1e5
    # by another door: the same workflow, the same results, nothing to do
    where = "import deepnull_gwas.project as p; print(p.project_folder() / 'Snakefile')"
    snakefile = user("python", "-c", where).strip()
    assert "Nothing to be done" in user("python", "-m", "snakemake", "-s", snakefile, "-n", "all", folder="mine")


@pytest.mark.realdata
def test_init_on_a_real_cohort(user, real_data, tmp_path):
    """GEUVADIS: 40 expression phenotypes, PCs of its own, populations as labels; eight variants tell the build."""
    place = real_data("geuvadis")
    said = user(
        *("deepnull-gwas", "init", "g", "--genotypes", str(place), "--samples", str(place / "geuvadis343.samples.tsv")),
    )
    assert "This speaks for GRCh37" in said and "(40 studies)" in said
    config = yaml.safe_load((tmp_path / "g/config/config.yaml").read_text())
    cohort = config["cohorts"]["geuvadis343"]
    assert cohort["genome_build"] == "FILL_IN" and cohort["sex"] == "SEX" and cohort["sample_id"] == "IID"
    assert config["qc"] == {"preset": "array"} and config["structure"]["colour_by"] == ["POP"]
    rows = [row.split("\t") for row in (tmp_path / "g/config/studies.tsv").read_text().splitlines() if row[0] != "#"]
    assert len(rows) == 41 and all(row[4] == "SEX,PC1,PC2,PC3,PHASE1" and row[9] == "0" for row in rows[1:])


@pytest.fixture
def fresh(built, tmp_path) -> Path:
    """Return an environment with the wheel and what it asks for, downloaded: without torch."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("no uv in this environment")
    folder = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (wheel,) = built.glob("*.whl")
    command = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the packages cannot be downloaded here: {done.stderr[-300:]}")
    yield folder
    # a gigabyte
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_whole_path_on_a_real_cohort_in_a_fresh_environment(fresh, real_data, tmp_path):
    """GEUVADIS without torch: refused where networks are asked for, else the same path to verified results."""
    user, place = User(fresh, tmp_path), real_data("geuvadis")
    user(
        *("deepnull-gwas", "init", "g", "--genotypes", str(place), "--samples", str(place / "geuvadis343.samples.tsv")),
        *("--build", "GRCh37", "--phenotypes", "ENSG00000100298,ENSG00000130489"),
    )
    for command in ("check", "run"):
        assert "torch, which is not installed" in user("deepnull-gwas", command, code=1, folder="g")
    with open(tmp_path / "g/config/config.yaml", "a") as config:
        config.write("deepnull: {model: splines, compare: false}\n")
    assert "Sound." in user("deepnull-gwas", "check", folder="g")
    user("deepnull-gwas", "run", "--cores", "2", folder="g")
    assert "Report: " in user("deepnull-gwas", "report", folder="g")
    user("deepnull-gwas", "verify", "--cores", "2", folder="g")
    assert (tmp_path / "g/results/geuvadis343/ENSG00000130489/deepnull/leads.tsv").is_file()


def test_every_help_is_there_at_once(user):
    """Nothing heavy is imported for it; `predict` asks the registry for the names of the models, which takes numpy."""
    heavy = {"pandas", "scipy", "numba", "torch", "polars", "pyarrow", "matplotlib", "snakemake"}
    code = (
        "import sys; from deepnull_gwas.cli import main, parser\n"
        "names = list(next(a for a in parser()._actions if a.choices).choices)\n"
        "for name in names:\n    try:\n        main([name, '--help'])\n    except SystemExit:\n        pass\n"
        f"print('loaded', sorted({heavy} & set(sys.modules)), names)"
    )
    said = user("python", "-c", code)
    for name in ("init", "check", "plan", "run", "report", "verify", "repeat", "predict", "convert"):
        assert f"usage: deepnull-gwas {name}" in said.replace("usage: -c", "usage: deepnull-gwas"), name
    assert "loaded [] [" in said

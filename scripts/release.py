"""Make a release: check, write the version where it stands, build, tag. Nothing is changed unless `--do` is given.

    python scripts/release.py 0.2.0 --repository https://github.com/OWNER/deepnull-gwas    # what would happen
    python scripts/release.py 0.2.0 --do

It works in a copy of the last commit. Without `--do` that copy is shown and removed; with it, commit and tag are
taken over into the branch. Nothing is pushed or uploaded: the last lines say how. Run `make lint` and `make test`
before: what they check is not repeated here.

`--repository` is needed once, for the first release: the address goes into pyproject.toml, CITATION.cff and the
documentation.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What a release changes, by file: a pattern whose second group is replaced, and by what of the release.
PLACES = {
    "pyproject.toml": [(r'(?m)^(version = ")([^"]+)', "version")],
    "src/deepnull_gwas/__init__.py": [
        (r'(?m)^(__version__ = ")([^"]+)', "version"),
        (r'(?m)^(RELEASED = ")([^"]+)', "date"),
    ],
    "CITATION.cff": [(r"(?m)^(version: )(\S+)", "version"), (r'(?m)^(date-released: ")([^"]+)', "date")],
    "packaging/conda/recipe.yaml": [(r'(?m)^(  version: ")([^"]+)', "version")],
    "docs/clusters.md": [(r'(tag="v)([^"]+)', "version")],
}
VERSION = re.compile(r"\d+\.\d+\.\d+")


class Refused(Exception):
    """The release cannot be made; the message says why, and what to do."""


def run(*command: str, folder: Path = ROOT) -> str:
    """Run a command; return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def check(version: str, root: Path = ROOT) -> None:
    """Check that this commit can be released under a version.

    Raises
    ------
    Refused
        With all that stands in the way.
    """
    problems = []
    if not VERSION.fullmatch(version):
        problems.append(f"version: found '{version}', expected three numbers, such as 0.2.0")
    elif run("git", "tag", "--list", f"v{version}", folder=root):
        problems.append(f"there is a tag v{version} already")
    tags = [t.removeprefix("v") for t in run("git", "tag", "--list", "v*", folder=root).split()]
    older = [numbers(t) for t in tags if VERSION.fullmatch(t)]
    if VERSION.fullmatch(version) and older and numbers(version) <= max(older):
        problems.append(f"version {version} is not above the last one, {'.'.join(map(str, max(older)))}")
    if changed := run("git", "status", "--porcelain", folder=root):
        problems.append(f"files are not committed:\n{changed.rstrip()}")
    if not unreleased((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        problems.append("CHANGELOG.md has nothing under '## Unreleased'")
    if problems:
        raise Refused("\n".join(problems))


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers, to compare."""
    return tuple(int(part) for part in version.split("."))


def unreleased(changes: str) -> str:
    """Return what the change log has for the next release."""
    found = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changes, flags=re.M | re.S)
    return found[1].strip() if found else ""


def write(version: str, date: str, repository: str | None, root: Path) -> list[str]:
    """Write a version, its date and the address of the repository wherever they stand.

    Returns
    -------
    The files that were changed.
    """
    values = {"version": version, "date": date}
    changed = []
    for name, places in PLACES.items():
        text = (root / name).read_text(encoding="utf-8")
        for pattern, what in places:
            text, count = re.subn(pattern, rf"\g<1>{values[what]}", text)
            if count != 1:
                raise Refused(f"{name}: expected one place for the {what} ({pattern}), found {count}")
        changed.append((name, text))
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    changed.append(("CHANGELOG.md", changes.replace("## Unreleased\n", f"## Unreleased\n\n## {version} ({date})\n", 1)))
    texts = dict(changed)
    _write_repository(texts, repository)
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    return sorted(texts)


def _write_repository(texts: dict[str, str], repository: str | None) -> None:
    """Put the address of the repository into the files that name it."""
    project = texts["pyproject.toml"]
    known = re.search(r'(?m)^Repository = "([^"]+)"', project)
    if known is None and repository is None:
        raise Refused("pyproject.toml names no Repository: give its address with --repository https://...")
    if repository is None or (known and known[1] == repository):
        return
    address = repository.rstrip("/")
    lines = f'Repository = "{address}"\nIssues = "{address}/issues"\nChangelog = "{address}/blob/main/CHANGELOG.md"\n'
    project = re.sub(r"(?m)^(?:Repository|Issues|Changelog) = .*\n", "", project)
    texts["pyproject.toml"] = project.replace("[project.urls]\n", "[project.urls]\n" + lines, 1)
    citation = re.sub(r"(?m)^repository-code: .*\n", "", texts["CITATION.cff"])
    texts["CITATION.cff"] = citation.replace("license: MIT\n", f'license: MIT\nrepository-code: "{address}"\n', 1)
    owner = "/".join(address.split("/")[-2:])
    texts["docs/clusters.md"] = re.sub(r'(github\(")[^"]+', rf"\g<1>{owner}", texts["docs/clusters.md"])


def build(root: Path, out: Path) -> tuple[Path, Path]:
    """Build wheel and source distribution; return both, after a look at what they hold."""
    run(
        sys.executable,
        "-m",
        "uv",
        "build",
        "--quiet",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(out),
        str(root),
        folder=root,
    )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    with tarfile.open(sdist) as file:
        packed = [name.partition("/")[2] for name in file.getnames()]
    for wanted in ("deepnull_gwas/cli/__init__.py", "deepnull_gwas/_project/Snakefile"):
        if wanted not in names:
            raise Refused(f"{wheel.name} lacks {wanted}")
    for wanted in ("Snakefile", "workflow/schemas/config.schema.yaml", "LICENSE"):
        if wanted not in packed:
            raise Refused(f"{sdist.name} lacks {wanted}")
    return wheel, sdist


def release(version: str, repository: str | None, really: bool) -> None:
    """Make a release, or show what it would change."""
    check(version)
    date = datetime.date.today().isoformat()
    with tempfile.TemporaryDirectory() as folder:
        copy, out = Path(folder, "copy"), ROOT / "dist" if really else Path(folder, "dist")
        run("git", "worktree", "add", "--detach", "--quiet", str(copy))
        try:
            files = write(version, date, repository, copy)
            print(run("git", "diff", folder=copy))
            wheel, sdist = build(copy, out)
            print(f"built: {wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB), {sdist.name}")
            if not really:
                print("nothing was changed; --do commits this, tags it, and leaves both files in dist/")
                return
            run("git", "add", *files, folder=copy)
            run("git", "commit", "--quiet", "-m", f"chore(release): {version}", folder=copy)
            commit = run("git", "rev-parse", "HEAD", folder=copy).strip()
        finally:
            run("git", "worktree", "remove", "--force", str(copy))
    run("git", "merge", "--ff-only", "--quiet", commit)
    run("git", "tag", "--annotate", f"v{version}", "--message", f"deepnull-gwas {version}")
    print(f"committed and tagged v{version}. To publish it:\n  git push --follow-tags\n  uv publish dist/*{version}*")


def main() -> int:
    """Run the command line."""
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("version", help="version to release, such as 0.2.0")
    about.add_argument("--repository", metavar="URL", help="address of the repository; needed for the first release")
    about.add_argument("--do", action="store_true", help="commit and tag, instead of showing what would be done")
    given = about.parse_args()
    try:
        release(given.version, given.repository, given.do)
    except Refused as refused:
        print(f"release: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What mkdocs is told about this site beyond mkdocs.yml: pages outside docs/, and pages that are generated.

Nothing is written into docs/: the pages exist while the site is built. Links between files work as they stand in the
repository, and are pointed at the pages of the site here.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# mkdocs puts the folder of a hook on the path while it loads it
import tutorial_page  # isort: skip
import reference_pages  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
#: Pages of the site that are files elsewhere in the repository.
ELSEWHERE = {
    "configuration.md": "config/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "conduct.md": "CODE_OF_CONDUCT.md",
    "security.md": "SECURITY.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not under docs/."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for page, text in {
        "reference/config.md": reference_pages.config_page(),
        "reference/studies.md": reference_pages.sheet_page(),
        "reference/cli.md": reference_pages.cli_page(),
    }.items():
        files.append(File.generated(config, page, content=text))
    _add_tutorial(files, config)
    return files


def _add_tutorial(files: Files, config: MkDocsConfig) -> None:
    """Add the notebook as a page, with what it printed and drew."""
    images: list[bytes] = []

    def write_image(png: bytes) -> str:
        images.append(png)
        return f"deepnull_{len(images)}.png"

    text = tutorial_page.as_markdown(tutorial_page.read_notebook(), write_image)
    files.append(File.generated(config, "tutorial/deepnull.md", content=text))
    for number, png in enumerate(images, 1):
        files.append(File.generated(config, f"tutorial/deepnull_{number}.png", content=png))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the pages of the site."""
    source = ELSEWHERE.get(page.file.src_uri, "docs/" + page.file.src_uri)
    return rewrite_links(markdown, source, page.file.src_uri)


def rewrite_links(markdown: str, source: str, page: str) -> str:
    """Return a text whose relative links lead from its page of the site to other pages.

    Parameters
    ----------
    markdown
        The text.
    source
        The file that it stands in, from the top of the repository.
    page
        Its page, from the top of the site's sources.

    A link to a file that has no page (a script, say) becomes its name.

    >>> rewrite_links("[config](../config/README.md#qc)", "docs/imputed.md", "imputed.md")
    '[config](configuration.md#qc)'
    >>> rewrite_links("[method](../docs/method.md)", "config/README.md", "configuration.md")
    '[method](method.md)'
    >>> rewrite_links("[recipe](../Dockerfile)", "docs/containers.md", "containers.md")
    'recipe'
    """

    def pointed(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or ":" in path:
            return match.group()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = next((name for name, origin in ELSEWHERE.items() if origin == place), None)
        if found is None and place == "README.md":
            found = "index.md"
        if found is None and place.startswith("docs/"):
            found = place.removeprefix("docs/")
        if found is None or not found.endswith(".md"):
            return text
        return f"[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    parts, at = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(pointed, markdown[at : fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*parts, _LINK.sub(pointed, markdown[at:])])

"""The tutorial: its text source made into a notebook, run, and shown as a page.

    python scripts/docs/tutorial_page.py [OUT]     # run docs/tutorial/deepnull.py, write docs/tutorial/deepnull.ipynb
    python scripts/docs/tutorial_page.py --text    # take over what is no code, without running it

The notebook is committed with what it printed, so that it can be read where it lies; the site shows the same.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "docs/tutorial/deepnull.py"
NOTEBOOK = SOURCE.with_suffix(".ipynb")


def read_source() -> nbformat.NotebookNode:
    """Read the text source as a notebook without outputs."""
    notebook = jupytext.read(SOURCE)
    for number, cell in enumerate(notebook.cells):
        # chosen at random otherwise, and the file would be another each time
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def read_notebook() -> nbformat.NotebookNode:
    """Read the committed notebook, with its outputs."""
    return nbformat.read(NOTEBOOK, as_version=4)


def run(notebook: nbformat.NotebookNode, folder: str | Path) -> nbformat.NotebookNode:
    """Run a notebook in a folder; an error in a cell is raised."""
    from nbclient import NotebookClient

    # what differs between two runs is kept out of the file
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(folder)}}, record_timing=False)
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return outputs with pieces of the same stream joined: where they are cut is chance."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        before = joined[-1] if joined else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before["text"] += output.text
        else:
            joined.append(output)
    return joined


def as_markdown(notebook: nbformat.NotebookNode, write_image) -> str:
    """Return a notebook as a page.

    Parameters
    ----------
    notebook
        With outputs.
    write_image
        Function that takes the bytes of a PNG, and returns the path by which the page finds it.
    """
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [shown for output in cell.outputs if (shown := _shown(output, write_image))]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any], write_image) -> str:
    """Return what a cell printed, drew or returned, as Markdown."""
    data = output.get("data", {})
    if "image/png" in data:
        inside = f"![figure]({write_image(base64.b64decode(data['image/png']))})"
    elif "text/html" in data:
        # a table of pandas, without the styles that it brings along
        table = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S)
        return re.sub(r'<table[^>]*class="dataframe"[^>]*>', "<table>", table)
    else:
        text = output.get("text") or data.get("text/plain", "")
        inside = f"```text\n{text.rstrip()}\n```"
    return f'<div class="output" markdown>\n\n{inside}\n\n</div>'


def write(notebook: nbformat.NotebookNode, out: str | Path) -> None:
    """Write a notebook."""
    Path(out).write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")


def take_text() -> nbformat.NotebookNode:
    """Return the source as a notebook, with the outputs of the committed one: their code has to be the same."""
    notebook, known = read_source(), read_notebook()
    code, known_code = ([c for c in n.cells if c.cell_type == "code"] for n in (notebook, known))
    if [c.source for c in code] != [c.source for c in known_code]:
        sys.exit(f"{SOURCE}: code has changed, too: run it (make tutorial)")
    for cell, before in zip(code, known_code):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return notebook


def main(out: str = str(NOTEBOOK)) -> None:
    """Run the tutorial and write the notebook."""
    if out == "--text":
        write(take_text(), NOTEBOOK)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        write(run(read_source(), folder), out)
    print(f"{out}: {Path(out).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

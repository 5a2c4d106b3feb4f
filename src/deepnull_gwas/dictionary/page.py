"""The data dictionary as a page of documentation."""

from __future__ import annotations

from collections.abc import Sequence

from deepnull_gwas.dictionary.files import File

HEAD = (
    "# Data dictionary\n\n"
    "<!-- Made by `python -m deepnull_gwas.dictionary > docs/data_dictionary.md`; tests compare it with the files of "
    "runs. -->\n\n"
    "Every file of a run, under the folder of results, with its columns or keys. Words in braces stand for names "
    "from your data: `{cohort}`, `{study}`, `{batch}`, `{arm}` (`baseline` or `deepnull`), `{chunk}` (a number), "
    "`{kind}` (`svg` or `pdf`). Tables for people are tab-separated, with `NA` for a missing value (`#NA` in "
    "GWAS-SSF); tables between steps are Parquet. What is marked *only* is there in these cases only. `object` "
    "is any JSON below a key.\n"
)


def page(sections: Sequence[tuple[str, Sequence[File]]]) -> str:
    """Return the dictionary as Markdown; ``sections``: heading and files of each."""
    lines = [HEAD]
    for heading, files in sections:
        lines += [f"## {heading}", ""]
        for file in files:
            lines += [f"### `{file.path}`", "", _sentence(file), ""]
            if file.fields:
                what = "column" if file.is_table else "key"
                lines += [f"| {what} | type | what it is |", "| --- | --- | --- |"]
                for field in file.fields:
                    only = f" (*only* {field.when})" if field.when else ""
                    lines.append(f"| `{field.name}` | {field.type} | {_cell(field.doc)}{only} |")
                lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _sentence(file: File) -> str:
    parts = [f"{file.about[0].upper()}{file.about[1:]}."]
    if file.rows:
        parts.append(f"One row: {file.rows}.")
    if file.when:
        parts.append(f"*Only* {file.when}.")
    return " ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

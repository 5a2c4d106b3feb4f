"""Captions of the report: reStructuredText without a warning, whatever the users' names are."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from docutils.utils import Reporter
from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).resolve().parents[3]
CAPTIONS = sorted((ROOT / "workflow/report").glob("*.rst"))
# as Snakemake 9 adds to every caption
LINKS = """

.. _Workflow: javascript:show_panel('workflow')
.. _Statistics: javascript:show_panel('statistics')
{% for cat in categories %}
.. _{{ cat.name }}: javascript:app.showCategory('{{ cat.name|urlencode }}')
{% endfor %}
{% for res in files %}
.. _{{ res.target }}: javascript:app.showResultInfo('{{ res.path|urlencode }}')
{% endfor %}
"""


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("names", [("height", []), ("y_", ["site", "`x_", "*"]), ("a__b-_", ["|x|_"])])
def test_caption_is_sound(path, names):
    study, columns = names
    wildcards = SimpleNamespace(cohort=study, study=study, batch=study, arm="deepnull")
    snakemake = SimpleNamespace(wildcards=wildcards, params=SimpleNamespace(settings={"colour_by": columns}))
    categories = [SimpleNamespace(name=name) for name in (f"cohort {study}", "all studies")]
    files = [SimpleNamespace(target=f"{p.stem}.svg", path=f"results/{p.stem}.svg") for p in CAPTIONS]
    for shown in (categories, categories[:1]):
        text = Environment(undefined=StrictUndefined).from_string(path.read_text() + LINKS)
        text = text.render(snakemake=snakemake, categories=shown, files=files)
        settings = {"halt_level": Reporter.WARNING_LEVEL}
        body = publish_parts(text, writer="html", settings_overrides=settings)["body"]
        assert "system-message" not in body
        assert "``" not in body


def test_captions_name_what_is_drawn():
    """Every output for the report has a caption, and every caption an output."""
    rules = "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
    captions = set(re.findall(r'caption="../report/(\w+)\.rst"', rules))
    assert captions == {p.stem for p in CAPTIONS} - {"workflow"}
    # colons end the name of a link's target
    for kind in ("category", "subcategory"):
        for value in re.findall(rf"\b{kind}=(.*),", rules):
            assert ":" not in value
    text = (ROOT / "workflow/report/pcs.rst").read_text()
    assert "colour_by" in text and "third against the fourth" in text

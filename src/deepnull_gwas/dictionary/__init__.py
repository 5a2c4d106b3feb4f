"""The data dictionary: every published file, and every column and key of it, with its unit and meaning.

Schemas are taken from the modules that write the tables; what has none there is described here. A test compares all of
it with the files of a run, and docs/data_dictionary.md with :func:`text`.
"""

from deepnull_gwas.dictionary.files import Field, File, file_of
from deepnull_gwas.dictionary.of_batches import BATCHES
from deepnull_gwas.dictionary.of_cohorts import COHORTS
from deepnull_gwas.dictionary.of_runs import RUNS
from deepnull_gwas.dictionary.of_studies import STUDIES
from deepnull_gwas.dictionary.page import page

#: Every file that a run publishes.
FILES = (*RUNS, *STUDIES, *BATCHES, *COHORTS)


def text() -> str:
    """Return the dictionary as Markdown."""
    return page([("Of the run", RUNS), ("Of a study", STUDIES), ("Of a batch", BATCHES), ("Of a cohort", COHORTS)])


__all__ = ["FILES", "Field", "File", "file_of", "text"]

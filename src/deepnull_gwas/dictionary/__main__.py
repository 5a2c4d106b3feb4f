"""Print the data dictionary as Markdown."""

import sys

from deepnull_gwas.dictionary import text

sys.stdout.write(text())

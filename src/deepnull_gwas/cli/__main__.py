"""``python -m deepnull_gwas.cli``."""

import sys

from deepnull_gwas.cli import main

sys.exit(main())

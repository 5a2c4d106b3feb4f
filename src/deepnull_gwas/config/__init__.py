"""The configuration: validated as a whole before any job, defaults filled from the schemas, as plain dataclasses.

Read each time that Snakemake parses the workflow (on a cluster: in every job), so it imports light modules only.

========================================  ==============================================
:mod:`.model`                             what a configuration is, once it is read
:mod:`.schema`                            defaults, and what does not fit the schemas
:mod:`.yaml_text`, :mod:`.values`         the text of a configuration, and its values
:mod:`.places`                            paths
:mod:`.cohorts`, :mod:`.sheet`            cohorts, and the studies sheet
:mod:`.checks`                            checks across them
:mod:`.load`                              all of it, in order
========================================  ==============================================
"""

from deepnull_gwas.config.load import check_recorded, load_config, read_config, read_given
from deepnull_gwas.config.model import (
    RELATIVES,
    RESERVED_STUDIES,
    Cohort,
    Config,
    Study,
    folders_of,
    input_files,
    published_files,
    subject_of,
)
from deepnull_gwas.config.places import path_from
from deepnull_gwas.config.schema import SCHEMAS
from deepnull_gwas.config.sheet import study_of

__all__ = [
    "RELATIVES",
    "RESERVED_STUDIES",
    "SCHEMAS",
    "Cohort",
    "Config",
    "Study",
    "check_recorded",
    "folders_of",
    "input_files",
    "load_config",
    "path_from",
    "published_files",
    "read_config",
    "read_given",
    "study_of",
    "subject_of",
]

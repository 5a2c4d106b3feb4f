# What all rules share: the library on the path, the validated config, the folders, and the digest of the code of a
# rule. In files of their own: paths and products (files of a job), targets (files of a run), settings (parameters of a
# job), lineage (what a job was made from), needs (memory and time).
# No arithmetic on data: the library does that.

import functools
import hashlib
import sys
import time
from pathlib import Path

from snakemake.sourcecache import LocalSourceFile

# Every file of the library, named one by one: a workflow used as a remote module fetches only what it is asked for.
LIBRARY_FILES = [
    line.strip()
    for line in Path(workflow.source_path("../library.txt")).read_text().splitlines()
    if line.strip()
]
# Those of a folder are read where they are, in the checkout, or around these files in an installed package: copies of
# them all would take every start of snakemake a fifth of a second.
CHECKOUT = workflow.current_basedir
if type(CHECKOUT) is LocalSourceFile:
    rules_folder = Path(CHECKOUT.get_path_or_uri(secret_free=True))
    library_folder = rules_folder / "../../src/deepnull_gwas"
    if not library_folder.is_dir():
        library_folder = rules_folder.parents[2]
    LIBRARY = {name: library_folder / name for name in LIBRARY_FILES}
else:
    LIBRARY = {
        name: Path(workflow.source_path(f"../../src/deepnull_gwas/{name}"))
        for name in LIBRARY_FILES
    }
sys.path.append(str(LIBRARY["__init__.py"].parent.parent))
for schema in ("config", "studies"):
    workflow.source_path(f"../schemas/{schema}.schema.yaml")

from snakemake import __version__ as snakemake_version

from deepnull_gwas import __version__ as library_version
from deepnull_gwas import resources
from deepnull_gwas.config import load_config, subject_of
from deepnull_gwas.errors import InputError
from deepnull_gwas.garbage import collect_seldom
from deepnull_gwas.genotypes.formats import files_of
from deepnull_gwas.imports import files_imported_by

collect_seldom()
# one that is installed in this Python goes before the files beside these rules
if f'__version__ = "{library_version}"' not in LIBRARY["__init__.py"].read_text():
    raise WorkflowError(
        f"deepnull-gwas {library_version} is installed in this Python ({resources.__file__}), and these rules are of "
        "another version: run `deepnull-gwas run` for the installed one, or `pip uninstall deepnull-gwas` for these"
    )
try:
    PLAN = load_config(
        config,
        schemas=Path(workflow.source_path("../schemas/config.schema.yaml")).parent,
        files=workflow.configfiles,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

# of a module the files are those of the workflow that uses it
if workflow.is_main_process and Path("config/config.yaml").is_file():
    given_files = [Path(file).resolve() for file in workflow.configfiles]
    if given_files and Path("config/config.yaml").resolve() not in given_files:
        logger.info(
            f"{', '.join(map(str, workflow.configfiles))}: has cohorts, so it stands for itself: "
            "config/config.yaml is not read (config/README.md)"
        )

SCRIPTS = {
    step: Path(workflow.source_path(f"../scripts/{step}.py"))
    for step in resources.STEPS
}
LONG_RANGE_LD = Path(workflow.source_path("../../resources/long_range_ld.tsv"))
GENES = {
    build: Path(workflow.source_path(f"../../resources/genes.{build}.tsv"))
    for build in ("GRCh37", "GRCh38")
}
# Read here and not in the functions below: those run when everything is parsed, and then, in a module, the folders are
# those of the workflow that uses it.
RESULTS, BENCHMARKS = map(workflow.pathvars.apply, ("<results>", "<benchmarks>"))
# of a hosted module an address, of which git knows nothing
HOME = str(
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent.parent
)
# of this run: what is younger was made by it
STARTED = time.time()
SIMULATED = "|".join([name for name, c in PLAN.cohorts.items() if c.simulate]) or "(?!)"


# Snakemake writes the categories of the report into every caption, as reStructuredText's targets of links: no two may
# be the same there, where a colon ends a name and capitals are small ones. Subcategories are not written.
RUN_IN_REPORT = "all studies"


wildcard_constraints:
    # by name: a file in the results of a cohort that is not in this config is a file like any other
    cohort="|".join(PLAN.cohorts),
    study=r"(?!(?:qc|structure|associations|simulated|genotypes|imported)/)[A-Za-z0-9][A-Za-z0-9_-]*",
    batch=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    arm="baseline|deepnull",
    chunk=r"\d+",
    fileset=r"\d+",


@functools.cache
def library_sources():
    """Return the source of every file of the library, by name."""
    return {name: path.read_text() for name, path in LIBRARY.items()}


@functools.cache
def script_of(rule):
    """Return the text of a rule's script."""
    return SCRIPTS[rule].read_text()


@functools.cache
def code_of(rule):
    """Return a digest of a rule's script and of every library file that it imports, directly or not.

    As a parameter of a job it makes the job run again when the code that it computes with has changed.
    """
    sources = library_sources()
    script = script_of(rule)
    digest = hashlib.sha256(script.encode())
    for name in files_imported_by(script, sources):
        digest.update(f"{name}\n{sources[name]}".encode())
    return digest.hexdigest()[:16]

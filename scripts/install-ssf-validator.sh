#!/bin/sh
# Installs the GWAS Catalog's validator of summary statistics in an environment of its own, .cache/ssf-validator:
# the last version for Python 3.11 needs numpy < 2 and pandas 1.5, which the workflow cannot live with.
set -eu
cd "$(dirname "$0")/.."
target=.cache/ssf-validator
[ -x "$target/bin/gwas-ssf" ] && exit 0
uv=${UV:-.venv/bin/uv}
"$uv" venv --quiet --clear --python "${PYTHON:-python3}" "$target"
"$uv" pip install --quiet --python "$target/bin/python" 'gwas-sumstats-tools==1.0.25' 'numpy<2' six 'click<8.2'

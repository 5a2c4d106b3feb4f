#!/bin/sh
# Installs the S3 storage plugin of Snakemake beside the virtual environment, in .cache/s3, to be put on PYTHONPATH: its botocore wants
# python-dateutil 2, the lock file has 4. With --test also an S3 server for the tests (moto), in an environment of its own, .cache/moto.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
target=.cache/s3
if [ ! -d "$target/snakemake_storage_plugin_s3" ]; then
  # just what the lock file does not have
  "$uv" pip install --quiet --python .venv/bin/python --target "$target" --no-deps snakemake-storage-plugin-s3==0.3.6 \
    boto3==1.44.5 botocore==1.44.5 s3transfer==0.19.3 jmespath==1.1.0 python-dateutil==2.9.0.post0 six==1.17.0
fi
if [ "${1:-}" = --test ] && [ ! -x .cache/moto/bin/moto_server ]; then
  "$uv" venv --quiet --clear --python "${PYTHON:-python3}" .cache/moto
  "$uv" pip install --quiet --python .cache/moto/bin/python 'moto[server]==5.2.5'
fi

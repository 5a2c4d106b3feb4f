#!/bin/sh
# Renews requirements.lock from pyproject.toml. torch is held at the version whose CPU build we test with; its local
# version label (+cpu) and the packages of its CUDA build are left out, so that the lock serves machines with and without a GPU
# (an ordinary `torch` wheel asks for its CUDA packages by itself).
set -eu
cd "$(dirname "$0")/.."
UV_FIND_LINKS="${PIP_FIND_LINKS:-}" .venv/bin/uv pip compile -q --extra network --extra dev --extra docs --extra slurm --extra generic --no-header --no-annotate --no-emit-find-links \
  --python-version 3.11 --constraint scripts/lock-constraints.txt pyproject.toml |
  sed -e 's/^torch==\([0-9.]*\)+cpu$/torch==\1/' |
  grep -v -E '^(nvidia-|cuda-|triton==)' >requirements.lock

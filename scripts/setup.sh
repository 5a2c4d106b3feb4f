#!/bin/sh
# Makes the virtual environment: setup.sh [folder]. Needs python3 >= 3.11; installs what requirements.lock pins, and the library itself.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: Python 3.11 or later is needed, $("$python" --version) found; name another with: make PYTHON=python3.12" >&2
  exit 1
}
# Debian and Ubuntu ship venv without the pip that it installs
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv
  else
    echo "setup: this Python cannot make virtual environments; install its venv package (Debian, Ubuntu: sudo apt-get install python3-venv)" >&2
    exit 1
  fi
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' requirements.lock)"
# uv reads neither pip's settings nor its variables: pass on where pip would look for wheels (say, a CPU build of torch)
# Compiled once here: else, where Python may not write into the environment, each of some hundred jobs compiles what it imports.
UV_FIND_LINKS="${PIP_FIND_LINKS:-}" "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" -r requirements.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable .
"$venv/bin/python" -m compileall -q src
echo "setup: $venv is ready"

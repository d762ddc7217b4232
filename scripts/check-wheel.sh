#!/bin/sh
# Installs a wheel into a venv of its own, as a user would, and evaluates a fresh submission with it.
# Usage: scripts/check-wheel.sh WHEEL [PYTHON]
set -eu

wheel=$(realpath "$1")
constraints=$(realpath "$(dirname "$0")/../constraints.txt")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${2:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$wheel"
cd "$folder"
venv/bin/haet-eval --version
venv/bin/haet-eval new entry --team "The release"
venv/bin/haet-eval pack entry
venv/bin/haet-eval entry.zip --sandbox process
venv/bin/haet-eval verify results/*.json
venv/bin/haet-eval leaderboard results --all

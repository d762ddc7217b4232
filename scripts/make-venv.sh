#!/bin/sh
# Makes a virtual environment, or says what the machine lacks for that.
# Usage: scripts/make-venv.sh PYTHON FOLDER
set -eu

python=$1
folder=$2

fail() { echo "make-venv: $*" >&2; exit 4; }

command -v "$python" >/dev/null || fail "there is no $python here.
On Debian or Ubuntu: sudo apt-get install python3 python3-venv python3-pip
Another interpreter is chosen with: make PYTHON=/path/to/python3.11 …"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$python" --version) is too old: \
haet-eval needs Python 3.11 or newer. Choose one with: make PYTHON=/path/to/python3.11 …"

"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python comes without venv and pip.
On Debian or Ubuntu: sudo apt-get install python3-venv python3-pip"

rm -rf "$folder"
"$python" -m venv "$folder"

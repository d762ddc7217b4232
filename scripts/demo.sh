#!/bin/sh
# Evaluates an example submission: in Docker where an engine answers, else in local processes.
# Usage: scripts/demo.sh HAET_EVAL; HAET_SANDBOX=docker or =process overrules the choice.
set -eu

haet_eval=$1
submission=submissions/digits-cnn

say() { echo "demo: $*" >&2; }

if [ -z "${HAET_SANDBOX:-}" ]; then
    if timeout 20 docker info >/dev/null 2>&1; then
        HAET_SANDBOX=docker
    else
        HAET_SANDBOX=process
        say "no Docker engine answers, so this run uses local processes: the count is the same, but such"
        say "processes do not hold hostile code, and the record is not official."
    fi
fi
export HAET_SANDBOX

if [ "$HAET_SANDBOX" = docker ]; then
    say "the sandbox image is built; the first time that downloads PyTorch once more and writes 6 GB"
    scripts/base-image.sh
    "$haet_eval" image >&2
fi

say "$haet_eval $submission --sandbox $HAET_SANDBOX"
"$haet_eval" "$submission"
say "next, write your own: $haet_eval new my-first-try
demo: (\`. $(dirname "$haet_eval")/activate\` puts haet-eval on the path of this shell)"

#!/bin/sh
# Makes sure that a Docker engine answers on this machine (Debian, Ubuntu). Does nothing where one does.
# Usage: scripts/start-docker.sh
set -eu

wait_seconds=60
log=${TMPDIR:-/tmp}/dockerd.log

say() { echo "start-docker: $*" >&2; }
fail() { say "$*"; exit 4; }
answers() { timeout 20 docker info >/dev/null 2>&1; }

if answers; then
    say "an engine answers already"
    exit 0
fi

[ "$(id -u)" -eq 0 ] || fail "no engine answers; to start one this script must run as root (sudo $0)"

if ! command -v dockerd >/dev/null; then
    command -v apt-get >/dev/null || fail "no dockerd here and no apt-get to install it: install Docker Engine by hand"
    say "installing docker.io"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >/dev/null
fi

if ! answers; then # the package may have started it
    say "starting dockerd, its log is $log"
    nohup setsid dockerd >"$log" 2>&1 </dev/null &
fi

waited=0
until answers; do
    [ "$waited" -lt "$wait_seconds" ] || { tail -n 20 "$log" >&2 || true; fail "no answer after $wait_seconds s"; }
    sleep 1
    waited=$((waited + 1))
done
say "engine $(docker version --format '{{.Server.Version}}') is up"

#!/bin/sh
# Provides the image that the Dockerfile starts from: pulls it, or, where no registry can be reached, builds
# a stand-in from Debian packages under the same tag. Does nothing where the image is there.
# Usage: scripts/base-image.sh
set -eu

image=python:3.11-slim-bookworm
pull_seconds=120
certificates=/etc/ssl/certs/ca-certificates.crt

say() { echo "base-image: $*" >&2; }
fail() { say "$*"; exit 4; }

if docker image inspect "$image" >/dev/null 2>&1; then
    say "$image is there already"
    exit 0
fi

say "pulling $image"
if timeout "$pull_seconds" docker pull -q "$image" >/dev/null 2>&1; then
    exit 0
fi

say "cannot pull it; building a stand-in from Debian packages"
[ "$(id -u)" -eq 0 ] || fail "the stand-in must be built as root (sudo $0)"
if ! command -v mmdebstrap >/dev/null; then
    command -v apt-get >/dev/null || fail "no mmdebstrap here and no apt-get to install it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base.tar"
docker import "$work/base.tar" haet-eval-base:bookworm >/dev/null
rm "$work/base.tar"

# A machine that cannot pull images often sits behind a proxy or a mirror: its certificates and its package
# index are needed inside as well. Options that name local folders stay outside, and so does an index with a
# password, which submissions could read.
cp "$certificates" "$work/ca-certificates.crt"
{
    echo "[global]"
    echo "cert = $certificates"
    python3 -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.\(index-url\)='\(http[^'@]*\)'\$/\1 = \2/p" | tail -n 1
} >"$work/pip.conf"
cat >"$work/Dockerfile" <<END
FROM haet-eval-base:bookworm
COPY ca-certificates.crt $certificates
COPY pip.conf /etc/pip.conf
CMD ["python3"]
END
DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" "$work" >/dev/null
say "built the stand-in $image"

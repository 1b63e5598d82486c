#!/usr/bin/env bash
# Builds the container image with what there is: a Docker engine, or buildah or podman, which need none.
# image.sh [NAME:TAG] [OPTION...]; the options go to the builder.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

name="${1:-analytics:latest}"
(($# == 0)) || shift

# A label of the image; a folder without git has none.
revision="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
options=(--build-arg "REVISION=$revision" --tag "$name" "$@" .)

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    exec docker build "${options[@]}"
fi

# Isolation by chroot needs no rights beyond root's own, so it works inside another container too. The image format of OCI
# has no health check, Docker's has.
for builder in buildah podman; do
    if command -v "$builder" >/dev/null; then
        exec "$builder" build --isolation=chroot --format docker --layers "${options[@]}"
    fi
done
die "there is no Docker engine, buildah or podman; on Debian: apt-get install buildah"

#!/usr/bin/env bash
# Builds the container image with a Docker engine, or else with buildah or podman.
# image.sh [NAME:TAG] [OPTION...]; the options are passed to the builder.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

name="${1:-analytics:latest}"
(($# == 0)) || shift

# A label of the image; `unknown` without git.
revision="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
options=(--build-arg "REVISION=$revision" --tag "$name" "$@" .)

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    exec docker build "${options[@]}"
fi

# Isolation by chroot needs only root, so it works inside another container too. The Docker image format has a health check, the OCI
# format has none.
for builder in buildah podman; do
    if command -v "$builder" >/dev/null; then
        exec "$builder" build --isolation=chroot --format docker --layers "${options[@]}"
    fi
done
die "there is no Docker engine, buildah or podman; on Debian: apt-get install buildah"

#!/usr/bin/env bash
# Installs the C and C++ libraries that the package links, with their headers. Does nothing if all are installed.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

command -v swift >/dev/null || die "swift is not on PATH; install a Swift 6.3 toolchain first: https://www.swift.org/install/linux/"

packages=(
    # for a Swift toolchain that was unpacked from its archive: to fetch packages, compile C and C++, and link
    binutils ca-certificates git libc6-dev libstdc++-12-dev pkg-config tzdata libcurl4 libncurses6 libxml2
    # the broker, the store, the cache
    librabbitmq-dev libmongoc-dev libbson-dev libhiredis-dev
    # JSON, gzip, the embedded store
    libsimdjson-dev zlib1g-dev libsqlite3-dev
    # countries of addresses
    libmaxminddb-dev
)

apt_install "${packages[@]}"

#!/usr/bin/env bash
# Asks a service random questions about random logs and compares each answer with a second implementation (Tests/Oracle): with embedded
# backends, then with real ones that are removed afterwards. The first argument is the service's binary; the others are passed to compare.py.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

(($# > 0)) || die "usage: scripts/oracle.sh BINARY [options of Tests/Oracle/compare.py]"
binary="$1"
shift
export LOG_LEVEL="${LOG_LEVEL:-error}" STACK_DIR="$PWD/.stack/oracle"
STACK_PORT_OFFSET="${STACK_PORT_OFFSET:-$(free_port_offset 2600 2700 2800)}"
export STACK_PORT_OFFSET

cleanup() { scripts/stack.sh down --wipe >/dev/null 2>&1 || true; }
trap cleanup EXIT

Tests/Oracle/compare.py --binary "$binary" "$@"
cleanup
scripts/stack.sh up >/dev/null
while IFS='=' read -r name value; do
    export "$name=$value"
done < <(scripts/stack.sh env)
Tests/Oracle/compare.py --binary "$binary" --real "$@"

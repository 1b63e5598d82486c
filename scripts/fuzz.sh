#!/usr/bin/env bash
# Fuzzes what comes over a wire: messages, dead letters, cached counts, AMQP frames, and what stores give back (Tests/FuzzTests).
#
#   scripts/fuzz.sh [inputs [seed]]     so many mutations of each corpus (default: 1000000, a seed of its own, which is printed)
#
# What a decoder was given last is in .build/fuzz/NAME.input after a trap, its length in the first 8 bytes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

export FUZZ_INPUTS="${1:-${FUZZ_INPUTS:-1000000}}" FUZZ_SEED="${2:-${FUZZ_SEED:-$RANDOM}}"
say "FUZZ_INPUTS=$FUZZ_INPUTS FUZZ_SEED=$FUZZ_SEED"
exec swift test --no-parallel --filter FuzzTests

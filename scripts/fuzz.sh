#!/usr/bin/env bash
# Fuzzes the decoders of input: messages, dead letters, cached counts, AMQP frames, and data read from stores (Tests/FuzzTests).
#
#   scripts/fuzz.sh [inputs [seed]]     the number of mutations of each corpus (default: 1000000, with a random seed, which is printed)
#
# After a trap the last input of a decoder is in .build/fuzz/NAME.input; the first 8 bytes are its length.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

export FUZZ_INPUTS="${1:-${FUZZ_INPUTS:-1000000}}" FUZZ_SEED="${2:-${FUZZ_SEED:-$RANDOM}}"
say "FUZZ_INPUTS=$FUZZ_INPUTS FUZZ_SEED=$FUZZ_SEED"
exec swift test --no-parallel --filter FuzzTests

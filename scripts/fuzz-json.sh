#!/bin/sh
# Fuzzes the C++ shims for JSON and BSON under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/fuzz-json.sh [inputs [seed]]     inputs generated from a seed, the same each time (default: 1000000 inputs, seed 1)
#   scripts/fuzz-json.sh --libfuzzer [secs]  coverage-guided, with libFuzzer (clang only; default: 60 seconds)
#
# The inputs run twice: with the processor's vector instructions and with the portable code.
set -eu
cd "$(dirname "$0")/.."

build=${BUILD_DIR:-.build/fuzz}
mkdir -p "$build"
sources="Tests/Fuzz/json_fuzz.cpp Sources/CSimdJSON/*.cpp Sources/CMongoShims/json_bson.cpp"
flags="-std=c++17 -O1 -g -Wall -Wextra -ISources/CSimdJSON/include -ISources/CMongoShims/include $(pkg-config --cflags libbson-1.0)"
flags="$flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
libraries="-lsimdjson $(pkg-config --libs libbson-1.0)"

if [ "${1:-}" = --libfuzzer ]; then
  seconds=${2:-60}
  ${CXX:-clang++} $flags -fsanitize=fuzzer $sources -o "$build/json_libfuzzer" $libraries
  mkdir -p "$build/corpus"
  "$build/json_libfuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=4096 \
    -dict=Tests/Fuzz/json.dict -artifact_prefix="$build/" "$build/corpus"
  exit
fi

inputs=${1:-1000000}
seed=${2:-1}
for variant in vector portable; do
  define=
  [ $variant = portable ] && define=-DCJSON_PORTABLE
  ${CXX:-g++} $flags -DFUZZ_DRIVER $define $sources -o "$build/json_fuzz_$variant" $libraries
  echo "$variant:"
  "$build/json_fuzz_$variant" "$inputs" "$seed"
done

#!/usr/bin/env bash
# Checks the format of the sources, that what is parsed is parsed by its bytes and cannot be kept and, where promtool is there, the alert rules and their tests.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
shopt -s nullglob

swift format lint --strict --recursive --parallel Sources Tests Package.swift

scripts/check-json-lending.sh

scripts/lint-text.py --self-test
scripts/lint-text.py

if command -v promtool >/dev/null; then
    [[ ! -f prometheus/prometheus.yml ]] || promtool check config --syntax-only prometheus/prometheus.yml
    rules=(prometheus/rules/*.yml)
    ((${#rules[@]} == 0)) || promtool check rules "${rules[@]}"
    tests=(prometheus/tests/*.yml)
    ((${#tests[@]} == 0)) || promtool test rules "${tests[@]}"
fi

if command -v shellcheck >/dev/null; then
    shellcheck -x --severity=warning scripts/*.sh scripts/lib/*.sh
fi

#!/usr/bin/env bash
# Checks that the sources are formatted, that text is parsed by bytes, and that lent JSON values cannot be kept. With promtool, checks the alert rules and runs
# their tests; with shellcheck, checks the scripts.
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

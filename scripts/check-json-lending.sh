#!/usr/bin/env bash
# Checks that values that the JSON parser lends cannot be kept: the compiler must refuse every file in Tests/JSONLending except Allowed.swift,
# at the line marked `// refused`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp Sources/CSimdJSON/include/cjson.h "$work"
echo 'module CSimdJSON { header "cjson.h" export * }' >"$work/module.modulemap"
swiftc -swift-version 6 -parse-as-library -emit-module -emit-module-path "$work/AnalyticsJSON.swiftmodule" \
    -module-name AnalyticsJSON -I "$work" Sources/AnalyticsJSON/*.swift

compile() {
    swiftc -swift-version 6 -parse-as-library -emit-sil -o "$work/out.sil" -module-name Lending -I "$work" "$1" 2>&1
}

compile Tests/JSONLending/Allowed.swift || {
    echo "Tests/JSONLending/Allowed.swift does not compile" >&2
    exit 1
}
for file in Tests/JSONLending/*.swift; do
    [[ $file != */Allowed.swift ]] || continue
    line=$(grep -n '// refused$' "$file" | cut -d: -f1)
    if messages=$(compile "$file"); then
        echo "$file:$line: compiles, but must not" >&2
        exit 1
    fi
    grep -q "^[^ ]*$(basename "$file"):$line:[0-9]*: error: " <<<"$messages" || {
        echo "$messages" >&2
        echo "$file:$line: is refused for another reason" >&2
        exit 1
    }
done

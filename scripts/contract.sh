#!/usr/bin/env bash
# Sends the service what its document (openapi.json) allows and forbids, with schemathesis, and checks that it answers as the document says.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

usage() {
    cat <<'USAGE'
usage: scripts/contract.sh BINARY [SECONDS]

BINARY serves with embedded backends in a folder of its own. The examples of the document and the limits of each parameter are always the same
requests; with SECONDS, random ones follow for so long. CONTRACT_PORT: the port (4390).
USAGE
}

[[ $# -ge 1 && $1 != help ]] || {
    usage
    exit 0
}
binary="$1"
phases=(--phases examples,coverage)
[[ -z ${2:-} ]] || phases=(--phases examples,coverage,fuzzing --max-examples 20 --max-time "$2")
port="${CONTRACT_PORT:-4390}"
url="http://127.0.0.1:$port"
[[ -x $binary ]] || die "$binary is missing: swift build"
python="$(python_with contract)"

work="$(mktemp -d)"
pid=""
cleanup() {
    [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD ADMIN_TOKEN_FILE ALLOW_ANONYMOUS
export PORT="$port" DATA_DIR="$work/data" LOG_LEVEL=warning ADMIN_TOKEN="the-token-of-scripts-contract-for-this-run"
"$binary" serve >"$work/serve.log" 2>&1 &
pid=$!
for _ in $(seq 300); do
    ! "$binary" health --url "$url" >/dev/null 2>&1 || break
    sleep 0.1
done

# With a key from the start: the first one closes access without a key, and generated requests make some. It also has schemathesis test that
# each operation refuses requests without a key, and with a wrong one.
key="$("$binary" keys create --project default --scope admin 2>>"$work/serve.log")" || die "no key: $(tail -n 1 "$work/serve.log")"

# check KEY ARGUMENT...: the same requests each time. What is accepted and refused is judged by Tests/HTTP/contract_rules.py.
status=0
check() {
    local key="$1" result=0
    shift
    PYTHONPATH=Tests/HTTP SCHEMATHESIS_HOOKS=contract_rules "$python" -m schemathesis.cli run "$url/openapi.json" "$@" \
        --header "Authorization: Bearer $key" --generation-with-security-parameters false \
        "${phases[@]}" --exclude-checks positive_data_acceptance,negative_data_rejection \
        --generation-deterministic --generation-allow-x00 false --no-shrink \
        --continue-on-failure --request-timeout 30 --no-color >"$work/out" 2>&1 || result=$?
    if ((result)); then
        cat "$work/out" >&2
        status="$result"
    else
        tail -n 12 "$work/out" >&2
    fi
}

# /api/v1/live never ends. Projects, keys, accounts and sign-in come last, and with the administrator's token: a generated request may archive a
# project, give it a rate, or revoke a key. Routes that need a session are called without one, and signing in with addresses that have no password:
# they must refuse. Sign-in with a provider needs one, and a browser: Tests/IntegrationTests/OIDCTests.swift tests it.
managed='^/api/v1/(projects|accounts|audit|auth)'
check "$key" --exclude-path /api/v1/live --exclude-path-regex "$managed"
check "$ADMIN_TOKEN" --include-path-regex "$managed" --exclude-path-regex '^/api/v1/auth/oidc'
exit "$status"

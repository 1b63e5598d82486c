#!/usr/bin/env bash
# Runs every check: lint, the oracle, a short chaos run, the API's document against the service, and all tests, with a separate stack of real services
# that is removed afterwards. Arguments are passed to `swift test`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

# One run at a time per checkout: two runs would share the stack's folder.
mkdir -p .stack
exec 9>.stack/test.lock
flock -n 9 || {
    say "another 'make test' runs in this checkout; waiting for it"
    flock 9
}

# The tests connect only to their own stack, never to a developer's services.
unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD
export STACK_DIR="$PWD/.stack/test"

scripts/install-deps.sh
scripts/stack.sh install
scripts/lint.sh
swift build --build-tests
# The tests call the service with another gRPC implementation.
if TEST_GRPC_PYTHON="$(python_with grpc)"; then
    export TEST_GRPC_PYTHON
else
    unset TEST_GRPC_PYTHON
    say "warning: grpcio cannot be installed from PyPI, so the tests with Python's gRPC client are skipped"
fi
# The tests send invalid requests with another HTTP client.
if TEST_HTTP_PYTHON="$(python_with http)"; then
    export TEST_HTTP_PYTHON
else
    unset TEST_HTTP_PYTHON
    say "warning: requests cannot be installed from PyPI, so only Python's built-in HTTP clients are used"
fi

# This runs before the tests, so that their summary is the last line. With arguments, which select tests, it is skipped.
status=0
if (($# == 0)); then
    python3 -m unittest discover -s Tests/Oracle -p '*_test.py' || status=$?
    Tests/Chaos/chaos.py --short --binary .build/debug/analytics 9>&- || status=$?
    scripts/oracle.sh .build/debug/analytics --logs 3 --queries 60 --live-seconds 3 9>&- || status=$?
    if python_with contract >/dev/null; then
        scripts/contract.sh .build/debug/analytics 9>&- || status=$?
    else
        say "warning: PyPI does not provide schemathesis, so the document of the API is not tested against the service"
    fi
fi

# Removes the stack of a killed run.
STACK_PORT_OFFSET="" scripts/stack.sh down --wipe 2>/dev/null || true

# Ports that do not collide with a developer's stack or with the tests of another checkout.
STACK_PORT_OFFSET="${STACK_PORT_OFFSET:-$(free_port_offset 1000 1100 1200 1300 1400 1500)}"
export STACK_PORT_OFFSET

units=""
# Keeps the services' logs for the analysis of failures. Prints nothing, so that the summary of the tests is the last line.
finish() {
    [[ -z $units ]] || kill "$units" 2>/dev/null || true
    rm -rf .stack/test-log
    [[ ! -d $STACK_DIR/log ]] || cp -r "$STACK_DIR/log" .stack/test-log
    scripts/stack.sh down --wipe
}
trap 'finish >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/stack.sh up >&2
while IFS='=' read -r name value; do
    export "$name=$value"
done < <(scripts/stack.sh env --test)

# The tests that need no services run beside the others, which mostly wait. Not by `swift test`, which locks the build folder.
if (($# == 0)); then
    services='ContractTests|IntegrationTests'
    .build/debug/analyticsPackageTests.xctest --testing-library swift-testing --no-parallel --skip "$services" >.stack/unit-test.out 2>&1 9>&- &
    units=$!
    set -- --filter "$services"
fi
# Not parallel: the tests share two cores and the services, and have deadlines.
swift test --skip-build --no-parallel "$@" 9>&- 2>&1 | tee .stack/test.out || status=$?
outputs=(.stack/test.out)
if [[ -n $units ]]; then
    wait "$units" || status=$?
    cat .stack/unit-test.out
    outputs+=(.stack/unit-test.out)
fi
if ((status)); then
    say "what failed:"
    { grep -hE '✘ .* recorded an issue|error:' "${outputs[@]}" || true; } | cut -c1-600 | head -20
fi
# The summaries are the last lines.
grep -hE 'Test run with' "${outputs[@]}" || true
exit "$status"

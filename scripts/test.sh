#!/usr/bin/env bash
# Everything that is checked: the format, the alert rules, the oracle of questions, a short chaos run, and all tests, with a stack of real services of
# their own that is gone afterwards. Arguments go to `swift test`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

# One run at a time in a checkout: they would share the stack's folder.
mkdir -p .stack
exec 9>.stack/test.lock
flock -n 9 || {
    say "another 'make test' runs in this checkout; waiting for it"
    flock 9
}

# Nothing but what the stack says decides where the tests connect to, and no test reads a developer's own services.
unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD
export STACK_DIR="$PWD/.stack/test"

scripts/install-deps.sh
scripts/stack.sh install
scripts/lint.sh
swift build --build-tests
# Another implementation of gRPC asks the service in the tests.
if TEST_GRPC_PYTHON="$(python_with grpcio==1.84.0 grpcio_tools==1.84.0)"; then
    export TEST_GRPC_PYTHON
else
    unset TEST_GRPC_PYTHON
    say "warning: PyPI does not give grpcio, so what asks over gRPC is left out"
fi
# Another client of HTTP sends what is refused.
if TEST_HTTP_PYTHON="$(python_with requests==2.32.5)"; then
    export TEST_HTTP_PYTHON
else
    unset TEST_HTTP_PYTHON
    say "warning: PyPI does not give requests, so Python's own clients are asked alone"
fi

# Before the tests, whose own last line is to be the last one. Arguments choose among the tests: then it is left out.
status=0
if (($# == 0)); then
    python3 -m unittest discover -s Tests/Oracle -p '*_test.py' || status=$?
    Tests/Chaos/chaos.py --short --binary .build/debug/analytics 9>&- || status=$?
    scripts/oracle.sh .build/debug/analytics --logs 3 --queries 60 --live-seconds 3 9>&- || status=$?
fi

# What a run that was killed has left behind.
STACK_PORT_OFFSET="" scripts/stack.sh down --wipe 2>/dev/null || true

# Beside a developer's stack, and beside the tests of another checkout.
STACK_PORT_OFFSET="${STACK_PORT_OFFSET:-$(free_port_offset 1000 1100 1200 1300 1400 1500)}"
export STACK_PORT_OFFSET

# The services' logs stay for whoever looks into a failure. Silent: the tests' own last line is to be the last one.
finish() {
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

# One at a time: they share two cores and the services, and have deadlines.
swift test --skip-build --no-parallel "$@" 9>&- 2>&1 | tee .stack/test.out || status=$?
if ((status)); then
    # Once more, where whoever looks at the end finds it: what failed, then the last line.
    say "what failed:"
    { grep -E '✘ .* recorded an issue|error:' .stack/test.out || true; } | cut -c1-600 | head -20
    { grep -E 'Test run with' .stack/test.out || true; } | tail -1
fi
exit "$status"

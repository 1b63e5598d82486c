#!/usr/bin/env bash
# Measures rates and latencies of a service of its own, each kind of request beside its floor: /health/live, which is the HTTP server
# and nothing else. `make demo` measures the whole way to stored and rolled up.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

usage() {
    cat <<'USAGE'
usage: scripts/bench.sh [embedded|real...]

With none named, both. Needs `make build`. BENCH_SECONDS: for each kind of request (10). BENCH_PORT: where the service listens (4200).
BENCH_EVENTS: events of the long ranges (2000000). BENCH_SKIP=requests or BENCH_SKIP=ranges leaves a part out.
The load, the service and its backends share this machine's cores.
USAGE
}

binary=.build/release/analytics
port="${BENCH_PORT:-4200}"
url="http://127.0.0.1:$port"
work="$PWD/.stack/bench"
duration="${BENCH_SECONDS:-10}"
events="${BENCH_EVENTS:-2000000}"
forget=(nothing)
pid=""

cleanup() {
    [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    STACK_DIR="$work/stack" scripts/stack.sh down --wipe >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

# measure WHAT KIND CONNECTIONS [PATH]
measure() {
    local requests rate median slow worst failures
    {
        read -r requests rate median slow worst
        read -r failures
    } < <(wrk -t2 -c"$3" -d"${duration}s" --timeout 20s -s scripts/bench/requests.lua "$url${4:-/}" -- "$2" | tail -n 2)
    printf '%-44s %4s %9s %9s %9s %9s' "$1" "$3" "$rate" "$median" "$slow" "$worst"
    [[ $failures == 0 ]] && printf '\n' || printf '   %s of %s failed\n' "$failures" "$requests"
}

serve() {
    rm -rf "$work/data"
    mkdir -p "$work"
    PORT="$port" DATA_DIR="$work/data" LOG_LEVEL=warning "$binary" serve >"$work/serve.log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        ! "$binary" health --url "$url" >/dev/null 2>&1 || break
        sleep 0.1
    done
}

stop() {
    kill "$pid"
    wait "$pid" 2>/dev/null || true
    pid=""
}

requests() {
    serve
    printf '%-44s %4s %9s %9s %9s %9s\n' "$1" "conn" "req/s" "p50 ms" "p99 ms" "max ms"
    measure "floor: GET /health/live" get 32 /health/live
    measure "POST an event, 202" event 32
    measure "POST an event, wait=stored, one client" wait 2
    measure "POST a batch of 500, 202 (x 500 events)" batch 8
    measure "GET counts, all time, by type" get 16 /api/v1/events/counts
    measure "GET the newest 50 events" get 16 "/api/v1/events?limit=50"
    printf 'peak memory %s MB\n\n' "$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$pid/status")"
    stop
}

# range SHAPE EVENTS: questions over a long range, uncached, while events of the present hour come in; and the memory that all of it took.
range() {
    serve
    python3 scripts/bench/ranges.py --port "$port" --pid "$pid" --shape "$1" --events "$2"
    stop
    "${forget[@]}"
}

bench() {
    [[ ${BENCH_SKIP:-} == requests ]] || requests "$1"
    [[ ${BENCH_SKIP:-} == ranges ]] || {
        "${forget[@]}"
        echo "$1, long ranges, one source asked for, 500 events/s coming in"
        range month "$events"
        range year "$events"
        range wide 300000
        echo
    }
}

# Between two shapes: each begins with empty stores.
nothing() { :; }
forget_services() {
    scripts/stack.sh down --wipe >/dev/null
    # A port is free a moment after its server has ended.
    for _ in $(seq 60); do
        ! scripts/stack.sh free || break
        sleep 0.5
    done
    scripts/stack.sh start mongodb rabbitmq redis
}

[[ "${1:-}" != help ]] || {
    usage
    exit 0
}
[[ -x $binary ]] || die "$binary is missing: make build"
apt_install wrk
unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD
[[ $# -gt 0 ]] || set -- embedded real
for backends in "$@"; do
    case "$backends" in
        embedded) bench "SQLite and memory" ;;
        real)
            export STACK_DIR="$work/stack" STACK_PORT_OFFSET="${STACK_PORT_OFFSET:-2200}"
            scripts/stack.sh install
            scripts/stack.sh start mongodb rabbitmq redis
            set -a
            # shellcheck disable=SC1090
            source <(scripts/stack.sh env)
            set +a
            forget=(forget_services)
            bench "MongoDB, RabbitMQ and Redis"
            scripts/stack.sh down --wipe >/dev/null
            ;;
        *) die "unknown: $backends (embedded or real)" ;;
    esac
done

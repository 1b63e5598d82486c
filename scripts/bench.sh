#!/usr/bin/env bash
# Starts a service and measures it: requests, compared with /health/live, which measures the HTTP server alone; readers of live events; counts over long
# ranges; questions about users and properties, compared with MongoDB and DuckDB. docs/performance.md explains the lines.
# `make demo` measures the whole path until events are stored and rolled up.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

usage() {
    cat <<'USAGE'
usage: scripts/bench.sh [embedded|real...]
       scripts/bench.sh growth [embedded|real]
       scripts/bench.sh reads

The default is both backends, for growth `real`. Needs `make build`. BENCH_PORT: where the service listens (4200). BENCH_BINARY: the service.
BENCH_SECONDS: seconds for each kind of request (10). BENCH_SKIP: parts to leave out, of "requests live ranges questions".
BENCH_EVENTS: events of the long ranges (2000000), and of the questions (5000000).
BENCH_READERS: clients that listen to live events (1000).
BENCH_LIVE: seconds of questions while 5,000 events/s arrive (300). BENCH_STRICT=1: exit status 1 if a figure of a question or of live events is above its bound.
BENCH_QUESTIONS: more options for scripts/bench/questions.py.

reads measures with MongoDB's profiler what each kind of question reads at 5 million events (BENCH_EVENTS), while more arrive. Its exit status is 1 if
a question reads more than its range needs.

growth fills a service with 50 million events in ten steps and measures after each (BENCH_GROWTH: options for scripts/bench/growth.py).
It continues after a kill. It keeps everything in .stack/growth; remove that folder to start over.

The load, the service and its backends share this machine's cores.
USAGE
}

binary="${BENCH_BINARY:-.build/release/analytics}"
port="${BENCH_PORT:-4200}"
url="http://127.0.0.1:$port"
work="$PWD/.stack/bench"
duration="${BENCH_SECONDS:-10}"
forget=(nothing)
keeps=""
pid=""
# Options for questions.py and growth.py that describe the backends.
stores=()

cleanup() {
    [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    if [[ -n $keeps ]]; then
        STACK_DIR="$work/stack" scripts/stack.sh down >/dev/null 2>&1 || true
    else
        STACK_DIR="$work/stack" scripts/stack.sh down --wipe >/dev/null 2>&1 || true
        rm -rf "$work"
    fi
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
    [[ -n $keeps ]] || rm -rf "$work/data"
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

# range SHAPE EVENTS: questions over a long range, uncached, while events of the present hour arrive; and the peak memory.
range() {
    serve
    python3 scripts/bench/ranges.py --port "$port" --pid "$pid" --shape "$1" --events "$2"
    stop
    "${forget[@]}"
}

# Gives columns to the properties that questions use.
set_properties() {
    if "$binary" help projects set | grep -e --properties >/dev/null; then
        DATA_DIR="$work/data" LOG_LEVEL=warning "$binary" projects set --properties data.plan,data.amount >/dev/null
    else
        say "this service has no columns for data.plan and data.amount"
    fi
}

questions() {
    local options=(--events "${BENCH_EVENTS:-5000000}" --live "${BENCH_LIVE:-300}") more
    [[ ${BENCH_STRICT:-} != 1 ]] || options+=(--strict)
    read -r -a more <<<"${BENCH_QUESTIONS:-}"
    rm -rf "$work/parquet"
    serve
    set_properties
    "$python" scripts/bench/questions.py --port "$port" --pid "$pid" --work "$work" "${stores[@]}" "${options[@]}" "${more[@]}"
    stop
}

# Measures what readers of live events cost.
live() {
    local options=(--readers "${BENCH_READERS:-1000}" --seconds "$duration")
    [[ ${BENCH_STRICT:-} == 1 ]] || options+=(--bound 0)
    serve
    python3 scripts/bench/live.py --port "$port" --pid "$pid" "${options[@]}"
    echo
    stop
}

skips() { [[ " ${BENCH_SKIP:-} " == *" $1 "* ]]; }

bench() {
    local events="${BENCH_EVENTS:-2000000}"
    skips requests || requests "$1"
    skips live || {
        "${forget[@]}"
        live
    }
    skips ranges || {
        "${forget[@]}"
        echo "$1, long ranges, counts of one source, 500 events/s arriving"
        range month "$events"
        range year "$events"
        range wide 300000
        echo
    }
    skips questions || {
        "${forget[@]}"
        echo "$1, questions about users and properties"
        questions
        echo
    }
}

# growth BACKENDS: keeps its data in .stack/growth.
growth() {
    local old more
    keeps=yes
    work="$PWD/.stack/growth/$1"
    mkdir -p "$work"
    flock -n "$work/lock" true || {
        # The stack belongs to the other run.
        trap - EXIT
        die "another run is at work in $work"
    }
    # A killed run leaves its service behind.
    old="$(cat "$work/service.pid" 2>/dev/null || true)"
    if [[ -n $old && "$(readlink "/proc/$old/exe")" == "$(realpath "$binary")" ]]; then
        kill "$old"
        while [[ -d /proc/$old ]]; do sleep 0.1; done
    fi
    stores=(--folder "$work/data")
    [[ $1 == embedded ]] || start_stack "${STACK_PORT_OFFSET:-2300}"
    read -r -a more <<<"${BENCH_GROWTH:-}"
    serve
    echo "$pid" >"$work/service.pid"
    set_properties
    "$python" scripts/bench/growth.py --port "$port" --pid "$pid" --work "$work" "${stores[@]}" "${more[@]}"
    stop
    say "the data is kept in $work, the lines in growth.csv"
}

# start_stack OFFSET
start_stack() {
    export STACK_DIR="$work/stack" STACK_PORT_OFFSET="$1"
    scripts/stack.sh install
    scripts/stack.sh start mongodb rabbitmq redis
    set -a
    # shellcheck disable=SC1090
    source <(scripts/stack.sh env)
    set +a
    stores=(--folder "$STACK_DIR/mongodb" --mongodb "$MONGODB_URI")
}

# Called between two shapes: each begins with empty stores.
nothing() { :; }
forget_services() {
    scripts/stack.sh down --wipe >/dev/null
    # A port becomes free a moment after its server has ended.
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
python="$(python_with bench)"
if [[ "${1:-}" == growth ]]; then
    [[ "${2:-real}" =~ ^(embedded|real)$ ]] || die "unknown: $2 (embedded or real)"
    growth "${2:-real}"
    exit
fi
if [[ "${1:-}" == reads ]]; then
    start_stack "${STACK_PORT_OFFSET:-2200}"
    serve
    set_properties
    "$python" scripts/bench/reads.py --port "$port" --pid "$pid" --work "$work" "${stores[@]}" --events "${BENCH_EVENTS:-5000000}"
    stop
    exit
fi
[[ $# -gt 0 ]] || set -- embedded real
for backends in "$@"; do
    case "$backends" in
        embedded)
            stores=(--folder "$work/data")
            bench "SQLite and memory"
            ;;
        real)
            start_stack "${STACK_PORT_OFFSET:-2200}"
            forget=(forget_services)
            bench "MongoDB, RabbitMQ and Redis"
            scripts/stack.sh down --wipe >/dev/null
            ;;
        *) die "unknown: $backends (embedded or real)" ;;
    esac
done

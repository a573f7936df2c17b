#!/usr/bin/env bash
# Builds Tendril and runs hub and worker until Ctrl-C, SIGTERM or the death of one.
#
#   PORT=8080         where clients connect
#   WORKER_PORT=8081  the worker's health page (the next free port when it is taken)
#   DATA_DIR=./data   database, images and this machine's secrets
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"
# shellcheck source=scripts/settings.sh
. "$ROOT/scripts/settings.sh"

main() {
    PORT=${PORT:-8080}
    DATA_DIR=${DATA_DIR:-$ROOT/data}
    [[ $PORT =~ ^[0-9]{1,5}$ ]] && ((PORT >= 1 && PORT <= 65535)) || fail "PORT must be 1 to 65535, not '$PORT'"
    port_is_free "$PORT" || fail "port $PORT is taken by another program; choose one: PORT=$((PORT + 10)) make run"
    choose_worker_port
    need_rust
    need_node
    need_curl
    build
    mkdir -p "$DATA_DIR"
    DATA_DIR=$(cd "$DATA_DIR" && pwd)
    # Two systems on one database would each believe to be alone.
    exec 9>"$DATA_DIR/lock"
    flock -n 9 || fail "another 'make run' uses $DATA_DIR; end it, or choose another DATA_DIR"
    development_settings "$DATA_DIR"
    # The worker's way to the hub, and the links that the hub hands out.
    export WebAPI__BaseUrl=${WebAPI__BaseUrl:-http://localhost:$PORT}
    # No load balancer has to notice that the hub leaves.
    export Drain__Delay=${Drain__Delay:-0}
    # What is read by a program or from a file holds no colours.
    [ -t 1 ] || export NO_COLOR=1
    cd "$ROOT"
    trap 'stop 0' INT TERM HUP
    trap 'stop $?' EXIT
    say "Starting"
    # In this order: at its first start the hub makes the secret that both share.
    start HUB_PID 'hub   ' 36 "$PORT" "$BIN/hub-api"
    await_health hub "$PORT" "$HUB_PID"
    start WORKER_PID 'worker' 33 "$WORKER_PORT" "$BIN/analysis-worker"
    await_health worker "$WORKER_PORT" "$WORKER_PID"
    announce
    watch_both
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

choose_worker_port() {
    if [ -n "${WORKER_PORT:-}" ]; then
        port_is_free "$WORKER_PORT" || fail "port $WORKER_PORT (WORKER_PORT) is taken by another program"
        return
    fi
    WORKER_PORT=$((PORT + 1))
    until port_is_free "$WORKER_PORT"; do
        WORKER_PORT=$((WORKER_PORT + 1))
        ((WORKER_PORT < PORT + 100)) || fail "no free port for the worker above $PORT; set WORKER_PORT"
    done
}

build() {
    BIN=$(bin_dir)
    [ -z "${TENDRIL_BIN_DIR:-}" ] || return 0
    build_pages
    say "Building (the first time takes some minutes)"
    cargo build --locked --release --manifest-path "$ROOT/Cargo.toml" -p hub-api -p analysis-worker </dev/null
}

# Each process has its own session: Ctrl-C reaches this script alone, which then
# ends them in order. Should this script be killed, the kernel ends them.
LOG_PIDS=()
start() {
    local -n pid=$1
    local name=$2 colour=$3 port=$4 binary=$5 log
    exec {log}> >(prefix "$name" "$colour")
    LOG_PIDS+=($!)
    PORT=$port setpriv --pdeathsig TERM setsid "$binary" </dev/null >&"$log" 2>&1 9>&- {log}>&- &
    pid=$!
    exec {log}>&-
}

# Puts the process's name before each line of its log.
prefix() {
    trap '' INT TERM HUP
    local label="$1 |"
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then label=$(printf '\033[%sm%s\033[0m' "$2" "$1 |"); fi
    while IFS= read -r line || [ -n "$line" ]; do printf '%s %s\n' "$label" "$line"; done
}

await_health() {
    local name=$1 port=$2 pid=$3
    for ((i = 0; i < 300; i++)); do
        is_up "$pid" || { wait "$pid" || true; fail "the $name ended while it started; its log above says why"; }
        curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$port/health" 2>/dev/null && return
        sleep 0.1
    done
    fail "the $name was not healthy within 30 s; its log above says why"
}

announce() {
    local url=http://localhost:$PORT token make=make
    [ "$DATA_DIR" = "$ROOT/data" ] || make="make DATA_DIR=$DATA_DIR"
    token=$("$BIN/hub-api" token --user 42) || fail "could not make a token"
    printf '%s\n' "$url" >"$DATA_DIR/running"
    [ -f "$DATA_DIR/leaf.png" ] || node "$ROOT/scripts/demo/draw-leaf.mjs" "$DATA_DIR/leaf.png"
    cat <<EOF

  Tendril runs at $url        (Ctrl-C ends it; data is in $DATA_DIR)

  Open it in a browser, sign in as user 42 and send a photo.

  A token for user 42, for programs:
  $token

  Try, in another terminal in this folder:
    $make demo
    curl -H "Authorization: Bearer \$($make -s token)" -F image=@$DATA_DIR/leaf.png $url/api/v1/plantanalyses/analyze-async
    curl -H "Authorization: Bearer \$($make -s token)" $url/api/v1/plantanalyses

EOF
}

# Returns only through the EXIT trap. Both are asked for twice a second, since
# `wait -n` does not see one that ended before it was called; sleeping in the
# background lets signals through at once.
watch_both() {
    local name=hub code=0
    while is_up "$HUB_PID" && is_up "$WORKER_PID"; do
        sleep 0.5 &
        wait $! || true
    done
    is_up "$HUB_PID" && name=worker
    if [ "$name" = hub ]; then wait "$HUB_PID" || code=$?; else wait "$WORKER_PID" || code=$?; fi
    printf 'error: the %s ended by itself (exit code %s)\n' "$name" "$code" >&2
    exit 1
}

is_up() { kill -0 "$1" 2>/dev/null; }

# The worker first, so that it can still hand its results to the hub.
stop() {
    local code=$1
    trap '' INT TERM HUP
    trap - EXIT
    rm -f "$DATA_DIR/running"
    say "Ending"
    end_process worker "${WORKER_PID:-}"
    end_process hub "${HUB_PID:-}"
    # Their last lines are still on the way to the terminal.
    for pid in "${LOG_PIDS[@]}"; do wait "$pid" || true; done
    exit "$code"
}

end_process() {
    local name=$1 pid=$2
    [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 300; i++)); do
        is_up "$pid" || return 0
        sleep 0.1
    done
    printf 'the %s did not end within 30 s and is killed\n' "$name" >&2
    kill -KILL "$pid" 2>/dev/null || true
}

main

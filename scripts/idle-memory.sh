#!/usr/bin/env bash
# Prints what an idle connection costs in user memory, for each transport: of
# the crate's smallest hub, and with --hub of hub-api with a token, a user and
# a log for each connection. CONNECTIONS (10000) of each.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

CONNECTIONS=${CONNECTIONS:-10000}
PORT=${PORT:-18099}
WORK=
HUB=

build() {
    need_rust
    cargo build --locked --release --manifest-path "$ROOT/Cargo.toml" "$@"
}

raise_limit() {
    ulimit -n "$((CONNECTIONS + 1000))" 2>/dev/null ||
        fail "$((CONNECTIONS + 1000)) open files are not allowed here: lower CONNECTIONS"
}

measure() { "$(target_dir)/release/examples/idle_memory" --connections "$CONNECTIONS" "$@"; }

# Tokens as an identity provider makes them: HS256 under the hub's secret.
tokens() {
    python3 - "$1" "$2" <<'PYTHON'
import base64
import hashlib
import hmac
import json
import sys
import time


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


secret, count = sys.argv[1].encode(), int(sys.argv[2])
head = encode(b'{"alg":"HS256","typ":"JWT"}')
for number in range(count):
    claims = {"userId": str(1000 + number), "exp": int(time.time()) + 7200}
    text = head + b"." + encode(json.dumps(claims).encode())
    print((text + b"." + encode(hmac.new(secret, text, hashlib.sha256).digest())).decode())
PYTHON
}

start_hub() {
    local secret=$1
    ASPNETCORE_ENVIRONMENT=Development PORT=$PORT DATA_DIR=$WORK/data Jwt__Secret=$secret RUST_LOG=warn \
        "$(target_dir)/release/hub-api" >"$WORK/hub.txt" 2>&1 &
    HUB=$!
    for _ in $(seq 100); do
        kill -0 "$HUB" 2>/dev/null || { cat "$WORK/hub.txt" >&2; fail "the hub did not start"; }
        (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return
        sleep 0.1
    done
    fail "the hub does not answer"
}

stop_hub() {
    [ -z "$HUB" ] || { kill -9 "$HUB" && wait "$HUB"; } 2>/dev/null || true
    HUB=
}

measure_hub() {
    local secret transport
    WORK=$(mktemp -d)
    trap 'stop_hub; rm -rf "$WORK"' EXIT
    secret=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
    tokens "$secret" "$((CONNECTIONS + 50))" >"$WORK/tokens"
    for transport in ws sse lp; do
        rm -rf "$WORK/data"
        start_hub "$secret"
        measure --transport "$transport" --address "127.0.0.1:$PORT" \
            --path /hubs/plantanalysis --pid "$HUB" --tokens "$WORK/tokens"
        stop_hub
    done
}

cd "$ROOT"
raise_limit
case "${1:-}" in
    --hub)
        build -p signalr --example idle_memory
        build -p hub-api
        measure_hub
        ;;
    '')
        build -p signalr --example idle_memory
        measure
        ;;
    *) fail "unknown option $1" ;;
esac

#!/usr/bin/env bash
# Runs Autobahn's fuzzing client against the crate's WebSocket codec and fails
# on any case that it finds wrong. Compression (cases 12 and 13) is left out:
# the crate never negotiates it.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

PORT=${PORT:-9001}
WORK=$(target_dir)/autobahn
SERVER=

# The suite runs on Python 2 alone.
python2() {
    if command -v python2.7 >/dev/null && python2.7 -c '' 2>/dev/null; then
        python2.7 "$@"
    else
        PYENV_VERSION=${PYENV_VERSION:-2.7.18} python "$@"
    fi
}

install_suite() {
    [ -x "$WORK/python/bin/wstest" ] && return
    python2 -c 'import sys; sys.exit(sys.version_info[0] != 2)' 2>/dev/null ||
        fail "Autobahn's suite needs Python 2.7: pyenv install 2.7.18"
    say "Installing Autobahn's suite (a minute, once)"
    {
        python2 -m pip install -q virtualenv
        python2 -m virtualenv -q "$WORK/python"
        "$WORK/python/bin/pip" install -q autobahntestsuite==0.8.2
    } >&2
}

write_specification() {
    cat >"$WORK/specification.json" <<JSON
{
  "outdir": "$WORK/reports",
  "servers": [{ "agent": "signalr", "url": "ws://127.0.0.1:$PORT" }],
  "cases": ["*"],
  "exclude-cases": ["12.*", "13.*"],
  "exclude-agent-cases": {}
}
JSON
}

serve() {
    cargo build --locked --release -p signalr --example echo --manifest-path "$ROOT/Cargo.toml"
    "$(target_dir)/release/examples/echo" "127.0.0.1:$PORT" &
    SERVER=$!
    trap 'kill "$SERVER" 2>/dev/null || true' EXIT
    for _ in $(seq 100); do
        kill -0 "$SERVER" 2>/dev/null || fail "the echo server did not start; is port $PORT free?"
        (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return
        sleep 0.1
    done
    fail "the echo server does not answer"
}

judge() {
    python3 - "$WORK/reports/index.json" <<'PYTHON'
import collections
import json
import sys

cases = json.load(open(sys.argv[1]))["signalr"]
counts = collections.Counter(case["behavior"] for case in cases.values())
wrong = []
for name, case in sorted(cases.items()):
    fine = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
    if case["behavior"] not in fine or case["behaviorClose"] not in fine:
        wrong.append(name)
        print(f"{name}: {case['behavior']}, close {case['behaviorClose']}")
    elif case["behavior"] == "NON-STRICT":
        print(f"{name}: NON-STRICT")
print(f"{len(cases)} cases:", ", ".join(f"{n} {b}" for b, n in counts.most_common()))
sys.exit(bool(wrong))
PYTHON
}

need_rust
mkdir -p "$WORK"
install_suite
serve
write_specification
rm -rf "$WORK/reports"
"$WORK/python/bin/wstest" -m fuzzingclient -s "$WORK/specification.json" >"$WORK/suite.txt" 2>&1 ||
    { tail -20 "$WORK/suite.txt" >&2; fail "the suite did not run"; }
judge

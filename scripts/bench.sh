#!/usr/bin/env bash
# Runs the benchmarks of the hot paths, measures upload to event with the real
# binaries (RUNS, default 200), and loads hub-api and the bare floor in turns
# (TURNS, default 3): a table with their ratios, and a line in
# docs/bench-history.jsonl. PARTS=1 measures PostgreSQL and two hubs as well;
# ONLY=name measures what has that in its name, and nothing else. A turn
# measures for ten seconds, or for MINUTES.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

# Half of ten thousand sockets are the load tester's, the other half the server's.
OPEN_FILES=20000

need_rust
cd "$ROOT"
if [ -z "${ONLY:-}" ]; then
    cargo bench --locked --workspace --exclude e2e --benches
fi
cargo build --locked --release -p hub-api -p analysis-worker
export TENDRIL_BIN_DIR
TENDRIL_BIN_DIR=$(target_dir)/release
if [ -z "${ONLY:-}" ]; then
    cargo run --locked --release -q -p e2e --example latency -- --runs "${RUNS:-200}"
fi

compare=(--turns "${TURNS:-3}")
if [ -n "${ONLY:-}" ]; then
    # A part of the table is no line of the history.
    compare+=(--only "$ONLY" --no-history)
fi
if [ -n "${MINUTES:-}" ]; then
    compare+=(--seconds "$((MINUTES * 60))")
fi
if [ -n "${PARTS:-}" ]; then
    need_servers
    compare+=(--with-parts)
fi
ulimit -n "$OPEN_FILES" 2>/dev/null ||
    fail "$OPEN_FILES open files are not allowed here: raise the limit (ulimit -n)"
cargo run --locked --release -q -p load --example compare -- "${compare[@]}"

#!/usr/bin/env bash
# Runs the benchmarks of the hot paths, then measures upload to event with the
# real binaries (RUNS, default 200).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
cd "$ROOT"
cargo bench --locked --workspace --exclude e2e --benches
cargo build --locked --release -p hub-api -p analysis-worker
TENDRIL_BIN_DIR=$(target_dir)/release cargo run --locked --release -q -p e2e --example latency -- --runs "${RUNS:-200}"

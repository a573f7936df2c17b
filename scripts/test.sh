#!/usr/bin/env bash
# Runs every test: what each crate tests by itself, then the real binaries with
# the official client. Arguments go to the end-to-end test runner (a name to filter by).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
need_node
npm_packages "$ROOT/crates/e2e/clients"
npm_packages "$ROOT/scripts/demo"
cd "$ROOT"

say "Building"
cargo build --locked --workspace --all-targets

if [ $# -eq 0 ]; then
    say "Unit and integration tests"
    cargo test --locked --workspace --exclude e2e
    node --test scripts/demo/demo.test.mjs
fi

say "End-to-end tests"
# Most of these wait for processes and networks, so more run at once than there are cores.
TENDRIL_BIN_DIR=$(target_dir)/debug cargo test --locked -p e2e -- --test-threads 4 "$@"

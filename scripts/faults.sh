#!/usr/bin/env bash
# Runs the fault suite: everything is killed, frozen, restarted and cut off in a
# random order under load, and then everything that was accepted is looked for.
# Arguments go to the suite (--seed N, --set embedded|production|both, ..).
# `rolling` as the first one restarts two hubs under load instead.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
need_node
need_servers
python_packages "$ROOT/crates/private-services/moto"
npm_packages "$ROOT/crates/e2e/clients"
cd "$ROOT"

suite=faults
if [ "${1:-}" = rolling ]; then
    suite=rolling
    shift
fi
say "Building hub, worker and suite"
cargo build --locked --quiet -p hub-api -p analysis-worker --bins
cargo build --locked --quiet -p e2e --example "$suite"
export TENDRIL_BIN_DIR
TENDRIL_BIN_DIR=$(target_dir)/debug
exec "$TENDRIL_BIN_DIR/examples/$suite" "$@"

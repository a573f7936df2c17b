#!/usr/bin/env bash
# Watches the operators' page in Chromium for MINUTES (60) while RATE (1000)
# notifications a second go through a release hub: the page's heap, nodes and
# frames every ten seconds, as target/dashboard-soak/*.csv, and a summary.
# Fails where the page's memory grows. TENDRIL_BIN_DIR: binaries that are there.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_node
need_chromium
build_pages
cd "$ROOT"
if [ -z "${TENDRIL_BIN_DIR:-}" ]; then
    need_rust
    cargo build --locked --release -p hub-api -p load </dev/null
fi
TENDRIL_BIN_DIR=$(bin_dir)
export TENDRIL_BIN_DIR
npm run --silent --prefix crates/web-client dashboard-soak

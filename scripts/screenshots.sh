#!/usr/bin/env bash
# Takes the pictures of the pages for docs/images: light, dark, and on a phone.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
need_node
need_chromium
# Redis, for the picture of two hubs.
need_servers
build_pages
cd "$ROOT"
cargo build --locked -p hub-api -p analysis-worker </dev/null
TENDRIL_BIN_DIR=$(target_dir)/debug
export TENDRIL_BIN_DIR
npm run --silent --prefix crates/web-client screenshots

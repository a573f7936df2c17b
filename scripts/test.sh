#!/usr/bin/env bash
# Runs every test: what each crate tests by itself, then the real binaries with
# the official client. Arguments go to the end-to-end test runner (a name to filter by).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
need_node
need_chromium
need_servers
build_pages
python_packages "$ROOT/crates/private-services/moto"
npm_packages "$ROOT/crates/e2e/clients"
npm_packages "$ROOT/crates/signalr/tests/clients/js"
npm_packages "$ROOT/scripts/demo"
python_packages "$ROOT/crates/signalr/tests/clients/python"
cd "$ROOT"

# The whole workspace is named for one target of it, so that the features of
# third-party crates are those of all tests, and none of them is built twice.
stories() { cargo test --locked --workspace --test stories -- "$@"; }

# The stories on PostgreSQL, RabbitMQ and Redis. `make run` has the embedded
# parts whatever is set here.
if [ "${TENDRIL_SET:-embedded}" = production ]; then
    say "End-to-end tests on the production parts"
    stories --test-threads 4 --skip make_run:: "$@"
    exit
fi

if [ $# -gt 0 ]; then
    say "End-to-end tests named $*"
    stories --test-threads 4 "$@"
    exit
fi

# One build for all: it makes the binaries that the end-to-end tests run, too.
say "Building the tests"
cargo test --locked --workspace --no-run
say "Unit, integration and end-to-end tests"
node --test scripts/demo/demo.test.mjs
npm run --silent --prefix crates/web-client check
# Most of the end-to-end tests wait for processes and networks, so more run at
# once than there are cores.
export TENDRIL_BIN_DIR
TENDRIL_BIN_DIR=$(target_dir)/debug
RUST_TEST_THREADS=4 cargo test --locked --workspace --no-fail-fast
say "The pages in Chromium, and the TypeScript client"
npm test --silent --prefix crates/web-client
say "End-to-end tests on the production parts"
TENDRIL_SET=production stories --test-threads 4 --skip make_run::

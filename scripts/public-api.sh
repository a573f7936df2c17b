#!/usr/bin/env bash
# Compares the public API of the crate signalr with crates/signalr/public-api.txt,
# one line an item, so that every change of it is seen in a review.
#
#   scripts/public-api.sh            fails when they differ
#   scripts/public-api.sh --renew    writes the file anew
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

LISTING=$ROOT/crates/signalr/public-api.txt

need_rust
# rustdoc writes its JSON with a nightly compiler alone.
cargo +nightly --version >/dev/null 2>&1 ||
    fail "the listing needs a nightly compiler: rustup toolchain install nightly --profile minimal"
command -v python3 >/dev/null || apt_install python3
cd "$ROOT"
# Its own folder: artifacts of another compiler would be built anew each time.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/public-api
cargo +nightly rustdoc -q --locked -p signalr --lib -- -Z unstable-options --output-format json
actual=$(mktemp)
trap 'rm -f "$actual"' EXIT
python3 "$ROOT/scripts/public-api.py" "$CARGO_TARGET_DIR/doc/signalr.json" >"$actual"
if [ "${1:-}" = --renew ]; then
    cp "$actual" "$LISTING"
    chmod 644 "$LISTING"
    say "$(wc -l <"$LISTING") public items"
elif ! diff -u "$LISTING" "$actual"; then
    fail "the public API has changed; when it was meant to: scripts/public-api.sh --renew"
fi

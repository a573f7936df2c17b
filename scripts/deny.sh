#!/usr/bin/env bash
# Runs cargo-deny with deny.toml, installing it where it is missing.
# With --optional an unreachable advisory database is said, and no failure.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_rust
cd "$ROOT"
optional=
if [ "${1:-}" = --optional ]; then optional=yes; shift; fi
if ! cargo deny --version >/dev/null 2>&1; then
    say "Installing cargo-deny (some minutes, once)"
    cargo install cargo-deny --locked </dev/null
fi
if [ -n "$optional" ] && ! cargo deny fetch db >/dev/null 2>&1; then
    say "The advisory database cannot be reached: vulnerabilities were NOT checked"
    exit 0
fi
exec cargo deny --locked --all-features check "$@"

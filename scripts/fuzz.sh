#!/usr/bin/env bash
# Fuzzes what reads a client's bytes, each target for some minutes.
#
#   scripts/fuzz.sh [minutes] [target..]     default: 10 minutes, all targets
#   scripts/fuzz.sh --minimise [target..]    renews the kept corpus from what was found
#
# An input that shows a fault ends the run and is kept in
# crates/signalr/fuzz/artifacts. What else is found goes to crates/signalr/fuzz/found.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

ALL=(json_parse messagepack_parse handshake websocket connection)
FOLDER=$ROOT/crates/signalr/fuzz
# One input, and all of them together, must do with this much.
LIMITS=(-timeout=25 -rss_limit_mb=1024 -max_len=4096)

need_fuzzer() {
    need_rust
    cargo +nightly --version >/dev/null 2>&1 ||
        fail "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal"
    if ! cargo fuzz --version >/dev/null 2>&1; then
        say "Installing cargo-fuzz (half a minute, once)"
        cargo install --locked cargo-fuzz --version 0.13.2 </dev/null
    fi
}

fuzz() {
    local target=$1 seconds=$2
    say "Fuzzing $target for $((seconds / 60)) minutes"
    mkdir -p "$FOLDER/found/$target"
    nice -n 19 cargo +nightly fuzz run "$target" "$FOLDER/found/$target" "$FOLDER/corpus/$target" -- \
        -max_total_time="$seconds" "${LIMITS[@]}" -print_final_stats=1
}

# Some dozen short inputs that together reach most of what any input reaches.
minimise() {
    local target=$1 work
    say "Choosing the corpus of $target"
    work=$(mktemp -d)
    mkdir -p "$FOLDER/found/$target" "$work"/{all,merged,kept}
    find "$FOLDER/found/$target" "$FOLDER/corpus/$target" -type f -size -350c -exec cp {} "$work/all/" \;
    nice -n 19 cargo +nightly fuzz run "$target" "$work/merged" "$work/all" -- \
        -set_cover_merge=1 -merge_control_file="$work/control" -rss_limit_mb=2048
    python3 "$FOLDER/choose.py" "$work/control" "$work/kept" 48
    # Inputs that once showed a fault are kept whatever they reach.
    find "$FOLDER/corpus/$target" -type f ! -name 'fault-*' -delete
    cp "$work"/kept/* "$FOLDER/corpus/$target/"
    rm -rf "$work"
    say "$(find "$FOLDER/corpus/$target" -type f | wc -l) inputs are kept for $target"
}

minutes=10
act=fuzz
case "${1:-}" in
    --minimise) act=minimise; shift ;;
    [0-9]*) minutes=$1; shift ;;
esac
[[ $minutes =~ ^[0-9]+$ ]] || fail "$minutes is no number of minutes"
targets=("$@")
[ $# -gt 0 ] || targets=("${ALL[@]}")

need_fuzzer
cd "$ROOT/crates/signalr"
for target in "${targets[@]}"; do
    "$act" "$target" $((minutes * 60))
done

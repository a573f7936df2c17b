#!/usr/bin/env bash
# Sends a photo to a running system and shows what its owner's client hears.
#
#   PHOTO=path   the photo to send (else one is drawn)
#   DATA_DIR     of the system that `make run` started (./data)
#   URL, TOKEN   another system, and a token that it accepts
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"
# shellcheck source=scripts/settings.sh
. "$ROOT/scripts/settings.sh"

data_dir=${DATA_DIR:-$ROOT/data}
if [ -z "${URL:-}" ]; then
    [ -f "$data_dir/running" ] || fail "nothing runs here: start Tendril with 'make run' in another terminal"
    URL=$(<"$data_dir/running")
fi
[ -n "${TOKEN:-}" ] || TOKEN=$(development_token "$data_dir" "${USER_ID:-42}")
[ -z "${PHOTO:-}" ] || [ -r "$PHOTO" ] || fail "cannot read the photo '$PHOTO'"
need_node
npm_packages "$ROOT/scripts/demo"
export URL TOKEN PHOTO=${PHOTO:-}
exec node "$ROOT/scripts/demo/demo.mjs"

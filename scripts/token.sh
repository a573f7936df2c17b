#!/usr/bin/env bash
# Prints a token for USER_ID (42) that the system started by `make run` accepts.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"
# shellcheck source=scripts/settings.sh
. "$ROOT/scripts/settings.sh"

development_token "${DATA_DIR:-$ROOT/data}" "${USER_ID:-42}"

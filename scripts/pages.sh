#!/usr/bin/env bash
# Builds the pages that the hub's binary holds (crates/web-client/dist), and the example with React.
# Does nothing while they are as new as their sources. A cargo build afterwards takes them in.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

need_node
build_pages

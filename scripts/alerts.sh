#!/usr/bin/env bash
# Tests the alert rules of deploy/prometheus with Prometheus' own tool.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/prerequisites.sh
. "$ROOT/scripts/prerequisites.sh"

command -v promtool >/dev/null || apt_install prometheus
cd "$ROOT/deploy/prometheus"
promtool check rules alerts.yml
promtool check config --syntax-only prometheus.yml
promtool test rules alerts.test.yml

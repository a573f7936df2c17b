# Installs what a fresh Debian lacks; sourced by the other scripts.
# It says what it installs, asks nothing, and never touches what is there.
# shellcheck shell=bash

say() {
    if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
        printf '\033[1m==> %s\033[0m\n' "$*" >&2
    else
        printf '==> %s\n' "$*" >&2
    fi
}
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Installs Debian packages, through sudo where the caller is not root.
apt_install() {
    command -v apt-get >/dev/null ||
        fail "$* is missing and this is no Debian: install it yourself, then try again"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "$* is missing: install it as root (apt-get install $*)"
        as_root=(sudo)
    fi
    say "Installing from Debian: $*"
    "${as_root[@]}" apt-get update -qq </dev/null >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
}

node_is_recent() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]
}

need_node() {
    node_is_recent && return
    apt_install nodejs npm
    node_is_recent || fail "Node 18 or newer is needed, this system offers $(node --version 2>/dev/null || echo none)"
}

# The browser of the pages' tests.
need_chromium() {
    command -v "${CHROMIUM:-chromium}" >/dev/null || apt_install chromium fonts-liberation
}

need_rust() {
    if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null || fail "no Rust toolchain found: get one from https://rustup.rs, then try again"
    # SQLite and the cryptography library are compiled from C.
    command -v cc >/dev/null || apt_install gcc libc6-dev
}

need_curl() { command -v curl >/dev/null || apt_install curl ca-certificates; }

# PostgreSQL, RabbitMQ and Redis, of which tests start private ones. Debian would
# start its own right after installing them; that is refused, as nobody asked for it.
need_servers() {
    local missing=()
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
    ls /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server >/dev/null 2>&1 || missing+=(rabbitmq-server)
    command -v redis-server >/dev/null || missing+=(redis-server)
    [ ${#missing[@]} -eq 0 ] && return
    local policy=/usr/sbin/policy-rc.d as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    if command -v apt-get >/dev/null && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
        # shellcheck disable=SC2064
        trap "${as_root[*]} rm -f $policy" EXIT
    fi
    apt_install "${missing[@]}"
    [ -z "$(trap -p EXIT)" ] || { "${as_root[@]}" rm -f "$policy"; trap - EXIT; }
}

# Installs a folder's npm packages as its lock file says, unless they are there.
npm_packages() {
    local folder=$1
    [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ] && return
    say "Installing npm packages of ${folder#"$ROOT"/}"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error </dev/null >&2
    # `npm ci` may keep an older date than the lock file's.
    touch "$folder/node_modules/.package-lock.json"
}

# The pages, from their TypeScript; not by cargo, which must build without Node and a network.
build_pages() {
    local folder=$ROOT/crates/web-client
    npm_packages "$folder"
    local sources=("$folder"/{client,page,react-example,build.mjs,package-lock.json,tsconfig.base.json}
        "$ROOT/docs/clients/try.html")
    [ -f "$folder/react-example/dist/index.html" ] && [ -f "$folder/dist/index.html" ] &&
        [ -z "$(find "${sources[@]}" \( -name node_modules -o -name dist \) -prune \
            -o -type f -newer "$folder/dist/index.html" -print -quit)" ] && return
    say "Building the pages"
    npm run --silent --prefix "$folder" build </dev/null >&2
}

# Makes a folder's Python environment (.venv) from its requirements.txt, unless it is there.
python_packages() {
    local folder=$1
    [ "$folder/.venv/installed" -nt "$folder/requirements.txt" ] && return
    command -v python3 >/dev/null && python3 -c "import venv, ensurepip" 2>/dev/null ||
        apt_install python3 python3-venv
    say "Installing Python packages of ${folder#"$ROOT"/}"
    rm -rf "$folder/.venv"
    python3 -m venv "$folder/.venv" >&2
    "$folder/.venv/bin/pip" install --quiet --disable-pip-version-check --no-input \
        -r "$folder/requirements.txt" </dev/null >&2
    touch "$folder/.venv/installed"
}

# Where both services' binaries are; a test has its own.
bin_dir() { echo "${TENDRIL_BIN_DIR:-$(target_dir)/release}"; }

target_dir() { echo "${CARGO_TARGET_DIR:-$ROOT/target}"; }

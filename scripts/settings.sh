# The settings under which `make run` runs both services; sourced by the scripts
# that talk to them. What the environment sets already is left alone.
# shellcheck shell=bash

# In Development the hub makes its secrets at the first start and keeps them
# under DATA_DIR/secrets, readable by their owner alone.
development_settings() {
    export DATA_DIR=$1
    export ASPNETCORE_ENVIRONMENT=${ASPNETCORE_ENVIRONMENT:-Development}
}

# Prints a token for a user, made with the development secret.
development_token() {
    local data_dir=$1 user=$2 hub
    hub=$(bin_dir)/hub-api
    [ -d "$data_dir/secrets" ] && [ -x "$hub" ] ||
        fail "there is no system under $data_dir yet: start one with 'make run'"
    (
        development_settings "$(cd "$data_dir" && pwd)"
        cd "$ROOT" && "$hub" token --user "$user"
    )
}

# The settings under which `make run` runs both services; sourced by the scripts
# that talk to them. What the environment sets already is left alone.
# shellcheck shell=bash

development_settings() {
    export DATA_DIR=$1
    local name value
    while IFS='=' read -r name value; do
        case $name in
            Jwt__Secret | ZIRAAI_INTERNAL_SECRET) [ -n "${!name:-}" ] || export "$name=$value" ;;
        esac
    done <"$DATA_DIR/secrets.env"
    export ASPNETCORE_ENVIRONMENT=${ASPNETCORE_ENVIRONMENT:-Development}
    export Jwt__Issuer=${Jwt__Issuer:-tendril} Jwt__Audience=${Jwt__Audience:-tendril}
}

# Prints a token for a user, made with the development secret.
development_token() {
    local data_dir=$1 user=$2 hub
    hub=$(target_dir)/release/hub-api
    [ -s "$data_dir/secrets.env" ] && [ -x "$hub" ] ||
        fail "there is no system under $data_dir yet: start one with 'make run'"
    (
        development_settings "$data_dir"
        "$hub" token --user "$user"
    )
}

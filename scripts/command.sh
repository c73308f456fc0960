# shellcheck shell=bash
# Sourced by the operators' scripts: runs the command `telemetry` wherever it is, from any directory.
#
# It tries, in this order, the .venv beside the scripts, `telemetry` on the PATH, and a container of docker-compose.yml.
# A person's paths are relative to the directory where the script was called; settings come from .env beside
# docker-compose.yml.

set -euo pipefail
called_from=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$0" .sh)

fail() {
    printf '%s: %s\n' "$script" "$*" >&2
    exit 1
}

# Prints the comment at the top of a script.
print_help() {
    sed -n '2,/^[^#]*$/{s/^# \{0,1\}//p;}' "$root/scripts/$script.sh"
}

has_docker() {
    command -v docker >/dev/null && docker compose version >/dev/null 2>&1
}

# Runs `telemetry` with these arguments, in place of this shell.
run_telemetry() {
    local arguments=() option='' argument telemetry=''
    if [ -x "$root/.venv/bin/python" ]; then
        telemetry="$root/.venv/bin/python -m telemetry"
    elif command -v telemetry >/dev/null; then
        telemetry=$(command -v telemetry)
    fi
    if [ -z "$telemetry" ]; then
        run_in_container "$@"
    fi
    for argument in "$@"; do
        case $option$argument in
        --to[!=]* | --from[!=]* | --identity[!=]*)
            [[ $argument == /* || $argument == - ]] || argument=$called_from/$argument
            ;;
        --to=* | --from=* | --identity=*)
            [[ ${argument#*=} == /* ]] || argument=${argument%%=*}=$called_from/${argument#*=}
            ;;
        esac
        case $argument in
        --to | --from | --identity) option=$argument ;;
        *) option='' ;;
        esac
        arguments+=("$argument")
    done
    cd "$root"
    # shellcheck disable=SC2086  # the command is two words
    exec $telemetry "${arguments[@]}"
}

# Runs it beside the receiver, in a container with the same settings, network and volumes and memory of its own.
run_in_container() {
    local arguments=() key='' terminal=()
    has_docker || fail "neither .venv, nor the command telemetry, nor Docker Compose is there:" \
        "run scripts/start.sh once, which makes .venv, or install Docker."
    while [ $# -gt 0 ]; do
        case $1 in
        --to | --to=* | --from | --from=*)
            fail "with Docker backups are in the volume backups; set TELEMETRY_BACKUPS in .env to a folder of your own."
            ;;
        --identity)
            key=${2:?}
            arguments+=(--identity -)
            shift
            ;;
        --identity=*)
            key=${1#*=}
            arguments+=(--identity -)
            ;;
        *) arguments+=("$1") ;;
        esac
        shift
    done
    if [ -n "$key" ] && [[ $key != /* ]]; then
        key=$called_from/$key
    fi
    [ -z "$key" ] || [ -r "$key" ] || fail "the key file $key cannot be read."
    [ -t 0 ] && [ -z "$key" ] || terminal=(-T)
    cd "$root"
    # The key goes in on standard input, since the container's user could not read its file.
    exec docker compose run --rm --no-deps "${terminal[@]}" receiver "${arguments[@]}" <"${key:-/dev/stdin}"
}

#!/usr/bin/env bash
# Writes .env from .env.template, with passwords and a token of your own, for Docker Compose and for the server itself.
# It leaves an existing .env alone. It needs only bash.
#
# Usage: scripts/make-env.sh [NAME]
#   NAME   the sender who uses the new token (letters, digits, dots, dashes); default: team

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,6s/^# \{0,1\}//p' scripts/make-env.sh
    exit 0
    ;;
-*)
    printf 'make-env: unknown option %s; see --help\n' "$1" >&2
    exit 2
    ;;
esac

sender=${1:-team}
if [[ ! $sender =~ ^[A-Za-z0-9._-]{1,64}$ ]]; then
    printf 'make-env: a sender is named with letters, digits, dots, dashes and underscores.\n' >&2
    exit 2
fi
if [ -e .env ]; then
    printf 'make-env: there is an .env already, and it is left as it is. Move it away to have a new one.\n' >&2
    exit 1
fi

secret() {
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

token=$(secret)
declare -A value=(
    [CLICKHOUSE_PASSWORD]=$(secret)
    [TELEMETRY_READER_PASSWORD]=$(secret)
    [TELEMETRY_INGEST_TOKENS]=$sender:$token
    [TELEMETRY_HASH_KEY]=$(secret)
    [GRAFANA_ADMIN_PASSWORD]=$(secret)
)
umask 077
new=.env.$$
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
    name=${line#\# }
    name=${name%%=*}
    if [[ $line == "# $name="* && -n ${value[$name]:-} ]]; then
        line="$name=${value[$name]}"
        unset "value[$name]"
    fi
    printf '%s\n' "$line"
done <.env.template >"$new"
if [ ${#value[@]} -gt 0 ]; then
    printf 'make-env: .env.template lacks %s; take it from the release again.\n' "${!value[*]}" >&2
    exit 1
fi
# Do not overwrite an .env that another run has made meanwhile.
ln "$new" .env

cat <<END
Wrote .env, which you alone can read. Keep a copy in a password store: TELEMETRY_HASH_KEY cannot be made again.

  Start the stack:   docker compose up -d
  In the shell that starts Claude Code:

    export CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp
    export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317
    export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer $token"
END

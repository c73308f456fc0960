#!/usr/bin/env bash
# Tests the running server from end to end, and prints a line for each check: every port, the tokens, both users of
# ClickHouse, the database and its tables, and a test record sent over OTLP/HTTP and OTLP/gRPC and found again.
#
#   scripts/test-connection.sh               this machine's server, as the settings describe it
#   scripts/test-connection.sh --host NAME   one on another machine
#   scripts/test-connection.sh --url URL     with its ClickHouse at another address
#
# It removes and changes nothing; its two test records (service telemetry-check) stay in otel_logs. With TLS it trusts
# the server's own certificate. Exits 0 when all is well, 1 when a line says FAIL, 2 for wrong options.

# shellcheck source=scripts/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

case "${1:-}" in
-h | --help)
    print_help
    exit 0
    ;;
esac
if [ -x "$root/.venv/bin/python" ] || command -v telemetry >/dev/null; then
    run_telemetry test-connection "$@"
fi
# In a container of its own, the command reaches the receiver by its name.
run_telemetry test-connection --host receiver "$@"

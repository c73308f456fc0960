#!/usr/bin/env bash
# Removes telemetry from the running server, embedded or on a ClickHouse server: all of it, or the old. Asks first.
#
#   scripts/reset-data.sh                     everything; shows what would be removed, and asks
#   scripts/reset-data.sh --older-than 30     whole days (UTC) that ended at least 30 days ago
#   scripts/reset-data.sh --yes               without asking
#
# Settings, passwords, tables and backups stay. Exits 0 when the rows are gone or there were none, 1 when nothing was
# removed, 2 for wrong options.

# shellcheck source=scripts/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

case "${1:-}" in
-h | --help)
    print_help
    exit 0
    ;;
esac
run_telemetry reset "$@"

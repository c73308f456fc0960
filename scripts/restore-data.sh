#!/usr/bin/env bash
# Puts a backup into the tables of the running server, embedded or on a ClickHouse server; see docs/backup.md.
#
#   scripts/restore-data.sh                      the newest backup, into a server that has no rows yet
#   scripts/restore-data.sh --list               lists the backups, and changes nothing
#   scripts/restore-data.sh BACKUP               the backup of that name
#   scripts/restore-data.sh --verify [BACKUP]    into a scratch engine only, and counts the rows
#   scripts/restore-data.sh --force              in place of the rows that are there, which are deleted
#   scripts/restore-data.sh --add                beside the rows that are there
#   scripts/restore-data.sh --identity FILE      an encrypted backup, with its key
#   scripts/restore-data.sh --from DIR           from another folder than TELEMETRY_BACKUP_DIR
#
# All checksums are compared, and everything is loaded and counted, before a row is touched. Exits 0 when the rows are
# in place, 1 with what to do about it when not, 2 for wrong options.

# shellcheck source=scripts/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

case "${1:-}" in
-h | --help)
    print_help
    exit 0
    ;;
esac
run_telemetry restore "$@"

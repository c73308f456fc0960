#!/usr/bin/env bash
# Backs up the tables of the running server, embedded or on a ClickHouse server, while it runs; see docs/backup.md.
#
#   scripts/backup-data.sh                            into backups/, and keeps the newest 7 there
#   scripts/backup-data.sh --verify                   then restores it into a scratch engine and counts the rows
#   scripts/backup-data.sh --recipient age1…          encrypts it; `telemetry backup-key FILE` makes a key
#   scripts/backup-data.sh --to DIR --keep N --full   another folder and number, and every day read out again
#
# TELEMETRY_BACKUP_DIR, TELEMETRY_BACKUP_KEEP and TELEMETRY_BACKUP_RECIPIENT set the same for good.
# Exits 0 when the backup is complete and on disk, 1 with what to do about it when not, 2 for wrong options.

# shellcheck source=scripts/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

case "${1:-}" in
-h | --help)
    print_help
    exit 0
    ;;
esac
run_telemetry backup "$@"

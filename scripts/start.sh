#!/usr/bin/env bash
# Runs the server in embedded mode; sets up .venv first if needed. Settings: docs/configuration.md.
# Ctrl-C, or SIGTERM to this script, stores the requests under way and exits 0.

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

case "${1:-}" in
-h | --help)
    sed -n '2,3s/^# //p' scripts/start.sh
    exit 0
    ;;
esac

# shellcheck disable=SC2119  # no extras are wanted, and setup takes none of the script's arguments
setup
printf 'Starting the server ...\n' >&2
# In place of this shell, so that signals reach the server itself.
exec .venv/bin/python -m telemetry serve "$@"

#!/usr/bin/env bash
# Runs every test; sets up .venv with the test dependencies first if need be. Arguments go to pytest.

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

setup dev
exec .venv/bin/python -m pytest "$@"

#!/usr/bin/env bash
# Runs every test; sets up .venv with the test dependencies first if need be. Arguments go to pytest.
# Files of tests run in parallel, one process a core; -n 0 runs all in one process, as a debugger wants it.

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

setup dev
exec .venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"

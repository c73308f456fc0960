#!/usr/bin/env bash
# Runs every test; sets up .venv with the test dependencies first if needed. Arguments go to pytest.
# Files of tests run in parallel, three processes a core; -n 0 runs all in one process, as a debugger needs it.

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

setup dev
exec .venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"

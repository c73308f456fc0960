# shellcheck shell=bash
# Sourced by start.sh and test.sh: makes .venv with the pinned dependencies of requirements.lock, once.
# Usage: setup EXTRA..., for example `setup dev`. Needs Python 3.11 or newer with venv, and a package index.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer with venv is needed (Debian: apt install python3 python3-venv), or set PYTHON to one."
}

setup() {
    local extras stamp python
    extras=$(IFS=,; printf '%s' "$*")
    stamp=".venv/installed-${extras:-run}"
    # What was installed with extras serves a run without them.
    [ -n "$extras" ] || [ -e "$stamp" ] || [ ! -e .venv/installed-dev ] || stamp=.venv/installed-dev
    if [ ! -e "$stamp" ] || ! cmp -s <(cat requirements.lock pyproject.toml) "$stamp"; then
        python=$(find_python)
        [ -x .venv/bin/python ] || "$python" -m venv .venv || fail "Making .venv failed; remove it and try again."
        printf 'Installing dependencies into .venv (the first time takes a minute or two) ...\n' >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
            --editable ".${extras:+[$extras]}" ||
            fail "Installing failed: a package index must be reachable. What pip printed above says more."
        cat requirements.lock pyproject.toml >"$stamp"
    fi
}

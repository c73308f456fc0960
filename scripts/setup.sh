# shellcheck shell=bash
# Sourced by start.sh and test.sh: makes .venv with the dependencies of the lock files, once, and shows how far it is.
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
    local LC_ALL=C
    local extras stamp python
    extras=$(IFS=,; printf '%s' "$*")
    stamp=".venv/installed-${extras:-run}"
    # An installation with extras also serves a run without them.
    [ -n "$extras" ] || [ -e "$stamp" ] || [ ! -e .venv/installed-dev ] || stamp=.venv/installed-dev
    if [ ! -e "$stamp" ] || ! cmp -s <(cat requirements*.lock pyproject.toml) "$stamp"; then
        python=.venv/bin/python
        [ -x "$python" ] || python=$(find_python)
        if [ -n "$extras" ]; then
            printf 'Setting up .venv with what tests need: 1.7 GB on disk, two or three minutes the first time.\n' >&2
        else
            printf 'Setting up .venv: 250 MB to fetch, 0.7 GB on disk, a minute or two the first time.\n' >&2
        fi
        "$python" scripts/install.py "$@" || exit 1
        cat requirements*.lock pyproject.toml >"$stamp"
    fi
    if [ "${TELEMETRY_TRANSFORM:-}" = native ] || grep -Eqs '^(export )?TELEMETRY_TRANSFORM=["'"'"']?native' .env; then
        build_native
    elif [ -e .venv/native-sources ] && ! native_is_current; then
        # Built of sources that have changed since: requests become rows in SQL again.
        rm -f "$(platlib)/telemetry_native.abi3.so" .venv/native-sources
    fi
}

platlib() {
    .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'
}

native_sources() {
    local LC_ALL=C
    cat native/Cargo.* native/src/*.rs
}

native_is_current() {
    cmp -s <(native_sources) .venv/native-sources
}

# Builds the native pass with the crates of native/Cargo.lock, once, and puts it into .venv.
build_native() {
    native_is_current && return
    command -v cargo >/dev/null ||
        fail "TELEMETRY_TRANSFORM=native needs Rust 1.80 or newer (https://rustup.rs); or set it to auto."
    printf 'Building the native pass: a minute or two.\n' >&2
    cargo build --quiet --release --locked --manifest-path native/Cargo.toml --target-dir .venv/native ||
        fail "The native pass was not built; cargo says why above. TELEMETRY_TRANSFORM=auto does without it."
    cp .venv/native/release/libtelemetry_native.so "$(platlib)/telemetry_native.abi3.so"
    # 120 MB, which the next build makes again in a minute.
    rm -rf .venv/native
    native_sources >.venv/native-sources
}

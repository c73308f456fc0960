#!/usr/bin/env bash
# Writes a CycloneDX SBOM (JSON) of what a run installs: every package of the lock, with its version and hashes.
#
#   scripts/sbom.sh FILE            of requirements.lock, and of requirements-postgres.lock as the image has it
#   scripts/sbom.sh FILE EXTRA...   of the locks of other extras: aws, bench, dev, postgres
#
# cyclonedx-py makes it, which the extra dev brings: run scripts/test.sh once. The same locks give the same file, and
# nothing is fetched. Exits 0 when it is written, 1 when not, 2 for wrong options.

set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,/^[^#]*$/{s/^# \{0,1\}//p;}' scripts/sbom.sh
    exit 0
    ;;
'' | -*)
    printf 'sbom: name the file to write; no option is known but --help\n' >&2
    exit 2
    ;;
esac

file=$1
[[ $file == /* ]] || file=$called_from/$file
shift
[ $# -gt 0 ] || set -- postgres
locks=(requirements.lock)
for extra in "$@"; do
    locks+=("requirements-$extra.lock")
done
tool=.venv/bin/cyclonedx-py
[ -x "$tool" ] || tool=$(command -v cyclonedx-py) || {
    printf 'sbom: cyclonedx-py is not installed: run scripts/test.sh once, or pip install cyclonedx-bom.\n' >&2
    exit 1
}
# It warns that the lock tells no dependencies of packages on each other, which is so.
cat "${locks[@]}" | PYTHONWARNINGS=ignore "$tool" requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
    --output-file "$file" -

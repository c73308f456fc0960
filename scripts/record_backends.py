#!/usr/bin/env python3
"""Record the answers of real systems, by which the adapters are tested where the programs are not found.

    scripts/record_backends.py prometheus=/usr/bin/prometheus victoriametrics=/usr/bin/victoria-metrics

Each program is run on loopback and filled, and the contract's tests are run on it; all that they ask and all that it
answers is written to `tests/data/backends/<name>/`, when they pass. Programs can be named in the environment as well:
`TELEMETRY_TEST_PROMETHEUS=/usr/bin/prometheus scripts/record_backends.py`. The ways to get them: docs/connectors.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.connectors.conftest import RECORD  # noqa: E402  the checkout is on the path from here on
from tests.connectors.replay import FILE  # noqa: E402
from tests.connectors.subject import Subject, found  # noqa: E402

LARGEST = 200_000
"""Bytes of one system's recordings: what is more is no example."""


def main(arguments: list[str]) -> int:
    """Record the systems that are named, or all that the environment names; return the exit status."""
    subjects = {one.name: one for one in found() if one.started is not None}
    for argument in arguments:
        name, _, path = argument.partition("=")
        if name not in subjects or not (path or subjects[name].program):
            print(f"{argument}: write NAME=PATH, with one of {', '.join(subjects)}", file=sys.stderr)  # noqa: T201
            return 2
        if path:
            os.environ[subjects[name].variable] = path
    names = [argument.partition("=")[0] for argument in arguments]
    chosen = [one for one in subjects.values() if one.name in names or (not names and one.program)]
    if not chosen:
        print("no program is named: see --help in the file's first lines", file=sys.stderr)  # noqa: T201
        return 2
    return max(_record(one) for one in chosen)


def _record(subject: Subject) -> int:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603  our own tests
            [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/connectors",
             "-k", f"{subject.name}-real"],
            cwd=ROOT,
            env={**os.environ, RECORD: folder, "PYTHONPATH": str(ROOT)},
            check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"{subject.name}: the tests fail, so nothing is recorded", file=sys.stderr)  # noqa: T201
            return 1
        made = Path(folder) / subject.name / FILE
        size = made.stat().st_size
        if size > LARGEST:
            print(f"{subject.name}: {size:,} bytes, more than {LARGEST:,}", file=sys.stderr)  # noqa: T201
            return 1
        subject.recordings.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, subject.recordings / FILE)
        print(f"{subject.name}: {size:,} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

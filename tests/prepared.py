"""A store with the schema in it, made once a run, which fixtures copy where a server would migrate an empty one.

Only a store that does not exist yet is filled, so that a test which restarts a server keeps its tables. Its key is all
that the schema is made of: a store made by other code is never copied. Outside pytest nothing is prepared, and servers
migrate as they do for people; so do those that are constructed with `Server` itself.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from clickhouse.engine import CONFIG
from clickhouse.migrations import SCHEMA

ROOT = Path(__file__).parent.parent
_MAKE = """
import os, sys
from pathlib import Path
from clickhouse.engine import Engine
from clickhouse.migrations import migrate
os.umask(0o077)
engine = Engine(Path(sys.argv[1]), connections=1)
engine.use("telemetry")
migrate(engine, retention_days=90)
engine.close()
"""
_folder: list[Path] = []


def keep_in(folder: Path) -> None:
    """Keep what is prepared below a folder that all processes of this run of the tests share."""
    _folder[:] = [folder]


def fill(data: Path, environment: Mapping[str, str] | None = None) -> None:
    """Make the data directory of a server, with the schema in it, unless it is there or the server keeps no tables."""
    given = environment or {}
    if _folder and not data.exists() and not given.get("CLICKHOUSE_URL"):
        data.mkdir(mode=0o700)
        copy(data / "clickhouse")


def copy(store: Path) -> None:
    """Copy the prepared store to a path that is not there yet."""
    # A database's metadata is a symbolic link, relative to the store.
    shutil.copytree(_made(_folder[0]), store, symlinks=True)


def key() -> str:
    """Return a digest of the schema's sources: its statements, the code that applies them, and the engine."""
    code = [CONFIG, *sorted(CONFIG.parent.glob("*.py")), *sorted(SCHEMA.glob("*.sql"))]
    digest = hashlib.sha256(f"{_MAKE} {version('chdb-core')}".encode())
    for path in code:
        digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _made(folder: Path) -> Path:
    """Return the prepared store; whichever process of the run asks first makes it, the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / key()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not store.exists():
            making = folder / f"{store.name}.part"
            shutil.rmtree(making, ignore_errors=True)
            # In a process of its own: a process has one engine at most.
            subprocess.run(
                [sys.executable, "-c", _MAKE, making],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                timeout=100,
                check=True,
            )
            making.rename(store)
    return store

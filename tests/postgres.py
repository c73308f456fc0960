"""A PostgreSQL server on a free port, with a database of its own for each test that asks."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import eventually, free_port

_PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"))
BINARIES = next((place for place in _PLACES if (place / "initdb").exists()), None)


def need() -> Path:
    """Return where PostgreSQL's programs are; skip the test without them, or fail it where CI installs them."""
    if BINARIES is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is missing: .ci/run installs it.")
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql).")
    return BINARIES


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. `url` is that of its first database."""

    url: str

    def database(self) -> str:
        """Make a database, and return its address."""
        import psycopg  # noqa: PLC0415  only where there is a server

        name = f"d{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url.replace("/postgres", f"/{name}")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server as a user without privileges, as PostgreSQL demands."""
    programs = need()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, password = folder / "data", secrets.token_hex(8)
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o644)
    port = free_port()
    command = [programs / "initdb", "-D", data, "-U", "tester", "--auth=scram-sha-256"]
    command += [f"--pwfile={folder / 'password'}", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=100, **as_user)
    settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
    server = subprocess.Popen(
        [
            programs / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            *(part for one in settings for part in ("-c", one)),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    try:
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        eventually(lambda: subprocess.run(ready, check=False, timeout=180).returncode == 0, 180)
        yield Postgres(f"postgresql://tester:{password}@127.0.0.1:{port}/postgres")
    finally:
        server.terminate()
        server.wait(180)
        shutil.rmtree(folder)

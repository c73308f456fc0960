"""The two users of the ClickHouse interface in embedded mode, and where their passwords come from.

A password that is not set is generated at the first start and kept in the data directory, readable by its owner alone,
as lines that a shell can read: `. data/credentials.env`.
"""

import os
import secrets
from pathlib import Path

from clickhouse.http.app import User
from clickhouse.http.policy import Role
from telemetry.settings import Settings

FILE = "credentials.env"
_WRITER, _READER = "CLICKHOUSE_PASSWORD", "TELEMETRY_READER_PASSWORD"


def users(settings: Settings, directory: Path) -> list[User]:
    """Give both users; generates and keeps what passwords are missing."""
    given = {
        _WRITER: settings.clickhouse_password.get_secret_value(),
        _READER: settings.reader_password.get_secret_value(),
    }
    kept = _read(directory / FILE)
    missing = [name for name, password in given.items() if not (password or kept.get(name))]
    if missing:
        kept |= {name: secrets.token_urlsafe(24) for name in missing}
        _write(directory / FILE, kept)
    return [
        User(settings.clickhouse_user, given[_WRITER] or kept[_WRITER], Role.WRITER),
        User(settings.reader_user, given[_READER] or kept[_READER], Role.READER),
    ]


def reader_password(settings: Settings) -> str:
    """Give the reader's password as a client on this machine finds it, "" when there is none yet."""
    return settings.reader_password.get_secret_value() or _read(settings.data_dir / FILE).get(_READER, "")


def writer_password(settings: Settings) -> str:
    """Give the password of the user who writes, as a client on this machine finds it, "" when there is none yet."""
    return settings.clickhouse_password.get_secret_value() or _read(settings.data_dir / FILE).get(_WRITER, "")


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines) if value}


def _write(path: Path, values: dict[str, str]) -> None:
    """Replace the file in one step, so that a crash leaves the old one or the new one."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(f"{name}={value}\n" for name, value in values.items()))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

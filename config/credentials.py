"""The two users of the ClickHouse interface in embedded mode, the web process's token, the key of hashes.

The token, and a password or key that is not set, are generated at the first start and kept in the data directory,
readable by its owner alone, as lines that a shell can read: `. data/credentials.env`.
"""

import secrets
from pathlib import Path

from config import private_file
from config.data_directory import StartError
from config.settings import Settings

FILE = "credentials.env"
LEAST_CHARACTERS = 10
STORE = "clickhouse"
"""The folder of the embedded tables in the data directory."""
NO_KEY = "off"
_HASH = "TELEMETRY_HASH_KEY"
_WRITER, _READER, _WEB = "CLICKHOUSE_PASSWORD", "TELEMETRY_READER_PASSWORD", "TELEMETRY_WEB_TOKEN"


def passwords(settings: Settings, directory: Path) -> tuple[str, str]:
    """Return the writer's and the reader's password; generate and keep those that are missing.

    For the embedded server alone, which they guard. Raises OSError, and StartError when a chosen one is too short.
    """
    given = {
        _WRITER: settings.clickhouse_password.get_secret_value(),
        _READER: settings.reader_password.get_secret_value(),
    }
    kept = _read(directory / FILE)
    if short := [name for name, password in given.items() if 0 < len(password) < LEAST_CHARACTERS]:
        raise StartError(
            f"{' and '.join(short)}: a password of this server needs {LEAST_CHARACTERS} characters or more, since"
            " anyone who reaches it can try some: set the output of `openssl rand -hex 32`, or nothing to have one"
            " generated."
        )
    missing = [name for name, password in given.items() if not (password or kept.get(name))]
    if missing:
        kept |= {name: secrets.token_urlsafe(24) for name in missing}
        _write(directory / FILE, kept)
    return given[_WRITER] or kept[_WRITER], given[_READER] or kept[_READER]


def reader_password(settings: Settings) -> str:
    """Return the reader's password as a client on this machine finds it, "" when there is none yet."""
    return settings.reader_password.get_secret_value() or _read(settings.data_dir / FILE).get(_READER, "")


def writer_password(settings: Settings) -> str:
    """Return the password of the user who writes, as a client on this machine finds it, "" when there is none yet."""
    return settings.clickhouse_password.get_secret_value() or _read(settings.data_dir / FILE).get(_WRITER, "")


def made_web_token(directory: Path) -> str:
    """Return the generated token of the web process; generate and keep it when there is none. Raises OSError."""
    kept = _read(directory / FILE)
    if not kept.get(_WEB):
        kept |= {_WEB: secrets.token_urlsafe(24)}
        _write(directory / FILE, kept)
    return kept[_WEB]


def web_token(settings: Settings) -> str:
    """Return the generated token of the web process as this machine's user finds it, "" when there is none yet."""
    return _read(settings.data_dir / FILE).get(_WEB, "")


def made_hash_key(settings: Settings, directory: Path) -> str:
    """Return the key of hashes, "" for none; generate and keep one for a data directory that has no tables yet.

    Hashes must agree with those that are stored. So a store from before keys were generated goes on without, and a
    ClickHouse server, whose tables other receivers may fill, has the key that the settings say. Raises OSError.
    """
    is_new = not ((directory / FILE).exists() or (directory / STORE).exists() or settings.clickhouse_url)
    if is_new and not settings.hash_key.get_secret_value():
        _write(directory / FILE, {_HASH: secrets.token_hex(32)})
    return hash_key(settings)


def hash_key(settings: Settings) -> str:
    """Return the key of hashes, as every process on this machine finds it, "" for none."""
    key = settings.hash_key.get_secret_value()
    if not key and not settings.clickhouse_url:
        key = _read(settings.data_dir / FILE).get(_HASH, "")
    return "" if key.lower() == NO_KEY else key


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines) if value}


def _write(path: Path, values: dict[str, str]) -> None:
    private_file.replace(path, "".join(f"{name}={value}\n" for name, value in values.items()))

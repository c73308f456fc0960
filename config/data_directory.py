"""The data directory, held by one process at a time through a lock that ends with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.closing import close_to_others
from config.settings import Settings


class StartError(Exception):
    """The server cannot start; the text has the remedy."""


class InUseError(StartError):
    """Another process holds the data directory; the text has the remedy."""


@contextmanager
def data_directory(settings: Settings) -> Iterator[Path]:
    """Make the data directory, for this user alone, and lock it against a second server."""
    directory = settings.data_dir
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_closed = close_to_others(directory)
        descriptor = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StartError(
            f"The data directory {directory} cannot be used ({error.strerror}): set TELEMETRY_DATA_DIR to a"
            " writable one."
        ) from None
    if not is_closed:
        os.close(descriptor)
        raise StartError(
            "Other users can enter the data directory, and it cannot be closed to them: run `chmod o-rwx` on it as its"
            " owner, or set TELEMETRY_DATA_DIR to a directory below it, which is then made for this user alone."
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUseError(
            f"Another server uses the data directory {directory}: stop it, or set TELEMETRY_DATA_DIR to another one."
        ) from None
    try:
        yield directory
    finally:
        with suppress(OSError):
            os.close(descriptor)

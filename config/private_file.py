"""Files that their owner alone may read: one that a person asked for, and small ones that are replaced as a whole."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """Yield a file to write, truncated, with mode 0600; None and `-` are standard output. Raises OSError.

    A pipe, a device, or a file of another owner keeps its mode.
    """
    if path is None or str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            # Closed before it is filled: an older file may have been open to all.
            with suppress(PermissionError):
                os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
        yield file


def replace(path: Path, text: str) -> None:
    """Replace a file in one step, with mode 0600, so that a crash leaves the old one or the new one. Raises OSError."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

"""Opens a file that a person asked for, readable by its owner alone, also where it was there with another mode."""

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

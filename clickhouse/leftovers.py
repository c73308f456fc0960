"""Removes the folders that the engines of killed processes have left in the directory for temporary files.

chDB makes a folder `clickhouse-embedded-<uuid>` there: for an engine over memory alone, with the definitions of its
tables in it, and for a moment whenever it is imported. It removes the folder when the engine is closed, but not after
a SIGKILL.

A live engine holds a lock on the file `status` in its folder, from before the first byte is written in it. So a folder
belongs to a dead process when that file has content and can be locked. A folder whose file is empty is still being
made, or its process was killed in that moment: it is removed when it is an hour old.

Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/StatusFile.cpp
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME: Final = "clickhouse-embedded-"
_HOUR: Final = 3600


def remove_leftovers(folder: Path | None = None) -> int:
    """Remove the folders of dead processes of this user below `folder`, by default TMPDIR; return how many.

    A folder that cannot be read or removed is left for the next time, since nothing depends on it.
    """
    removed = 0
    for entry in list(os.scandir(folder or tempfile.gettempdir())):
        if not entry.name.startswith(_NAME):
            continue
        with suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                removed += _remove(Path(entry.path), time.time() - found.st_mtime)
    return removed


def _remove(left: Path, age: float) -> bool:
    try:
        status = os.open(left / "status", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        if age > _HOUR:
            shutil.rmtree(left)
        return age > _HOUR
    try:
        # Held until the folder is gone, so that no two processes remove it.
        fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_dead = os.fstat(status).st_size > 0 or age > _HOUR
        if is_dead:
            shutil.rmtree(left)
        return is_dead
    finally:
        os.close(status)

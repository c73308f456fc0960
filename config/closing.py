"""Closes a directory, such as the data directory, to all but its owner: others cannot reach anything below it.

A directory that others cannot enter hides all of its content, whatever the files' own modes are: nothing below needs a
change. A directory that belongs to another user is a mounted volume. Its group is then the platform's choice, as
Kubernetes makes it (`fsGroup`: root's, 0770 with setgid), and is left; access for all others is not.
"""

import stat
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

_OTHERS = stat.S_IRWXO
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def close_to_others(directory: Path, what: str = "The data directory") -> bool:
    """Close a directory as far as this process may. Return whether others are kept out. Raises OSError.

    `what` names it in the log.

    A directory with the sticky bit is one that many share, such as /tmp, and is never changed.
    """
    before = directory.stat().st_mode
    if before & _GROUP_AND_OTHERS and not before & stat.S_ISVTX:
        with suppress(PermissionError):
            directory.chmod(stat.S_IMODE(before) & ~_GROUP_AND_OTHERS)
            text = f"{what} was open to others, and is closed now."
            log.warning(text, mode=f"{stat.S_IMODE(before):04o}")
    # Some file systems accept a change of mode and ignore it.
    return not directory.stat().st_mode & _OTHERS

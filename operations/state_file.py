"""The state of connections and questions in a backup: a copy of its SQLite file, in one instant, while others write.

Credentials are in it as they are kept: encrypted. The key to them is in no backup. A state in PostgreSQL is not copied.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from operations import partition_file
from operations.errors import OperationError
from operations.partition_file import Written

_PIECE: Final = 1 << 20
_WAIT_SECONDS: Final = 30


class Outcome(StrEnum):
    """What a restore did with the state."""

    ABSENT = "absent"
    """The backup has none, or the state is not a file here."""
    RESTORED = "restored"
    KEPT = "kept"
    """There are connections here, which were left as they are."""


@dataclass(frozen=True, slots=True)
class StateFile:
    """The state of an installation. `upgrade` brings the tables of a file to this version, or raises OperationError."""

    path: Path
    upgrade: Callable[[Path], None]

    def save(self, target: Path, recipient: str | None) -> Written | None:
        """Write a copy to a new file, compressed and, given a key, encrypted; None where there is no state.

        Raises OperationError.
        """
        if not self.path.is_file():
            return None
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            copy = Path(folder) / self.path.name
            _copy(self.path, copy)
            return partition_file.write(target, _pieces(copy), recipient)

    @contextmanager
    def unpacked(self, source: Path, identity: Any) -> Iterator[Path]:
        """Yield a copy of a saved state with this version's tables, in a folder for this user alone.

        Raises OperationError for one that is damaged, or of a newer version.
        """
        with tempfile.TemporaryDirectory(prefix="telemetry-state-") as folder:
            copy = Path(folder) / self.path.name
            with copy.open("xb") as file:
                file.writelines(partition_file.read(source, identity))
            self.upgrade(copy)
            yield copy

    def put(self, copy: Path, *, replaces: bool) -> Outcome:
        """Put an unpacked state in place, in one step for all who have it open. Connections that are here stay.

        With `replaces` they are replaced. Raises OperationError.
        """
        if not replaces and self.path.is_file() and _connections(self.path):
            return Outcome.KEPT
        try:
            # Made before SQLite makes it, and readable by its owner alone.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise OperationError(
                f"The state cannot be put into {self.path.parent} ({error.strerror}): set TELEMETRY_DATA_DIR to the"
                " server's data directory. The tables are restored."
            ) from None
        _copy(copy, self.path)
        return Outcome.RESTORED


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(_opened(source)) as one, closing(_opened(target)) as other:
            one.backup(other)
    except sqlite3.Error as error:
        raise OperationError(
            f"The state {source.name} cannot be copied ({error.sqlite_errorname}): see whether the disk of the data"
            " directory is whole and has room."
        ) from None


def _connections(path: Path) -> int:
    try:
        with closing(_opened(path)) as database:
            ((count,),) = database.execute("SELECT count(*) FROM observability_connections").fetchall()
            return int(count)
    except sqlite3.OperationalError:
        return 0  # no tables yet
    except sqlite3.Error as error:
        raise OperationError(
            f"The state that is here cannot be read ({error.sqlite_errorname}): remove {path}, or use --force."
        ) from None


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_WAIT_SECONDS)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece

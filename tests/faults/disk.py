"""Faults of the disk under the spool: full, read-only, not allowed, and a bit that flips.

Full and read-only are real file systems, which root alone can mount. From other users the permission is taken by the
directory's mode, which does not hold for root; from root by the flag that makes a directory immutable.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import orjson

from tests.faults.load import sending
from tests.faults.proxy import Fault
from tests.faults.report import Line
from tests.faults.stage import PATIENCE_SECONDS, Stage, pause
from tests.server import eventually

_SMALL = "256k"


def is_root() -> bool:
    """Whether file systems can be mounted."""
    return os.geteuid() == 0


def full(stage: Stage, seconds: float) -> Line:
    """Fill a small file system while the server is away: clients are told to try later, acknowledged records stay."""
    stage.kill()
    with _mounted(stage.receiver.data):
        stage.start()
        line = _fill(stage, seconds, f"the disk is full ({_SMALL}B)", "telemetry_spool_errors_total")
        stage.kill()
    stage.start()
    return line


def bound(stage: Stage, seconds: float) -> Line:
    """Fill the spool to its own bound."""
    stage.kill()
    stage.start(TELEMETRY_SPOOL_BYTES=str(1 << 20))
    return _fill(stage, seconds, "the spool holds all that it may (1 MiB)", "telemetry_refused_records_total")


def read_only(stage: Stage, seconds: float) -> Line:
    """Make the data directory read-only under way."""
    return _break(stage, seconds, "the disk is read-only", _read_only)


def not_allowed(stage: Stage, seconds: float) -> Line:
    """Take the permission to write into the spool under way."""
    return _break(stage, seconds, "writing is not permitted", _immutable if is_root() else _unwritable)


def flipped(stage: Stage, seconds: float) -> Line:
    """Flip a bit in one file that waits: its block is set aside and counted, and all others are stored."""
    stage.proxy.fail(Fault.REFUSED)
    with sending(stage):
        pause(seconds)
        eventually(lambda: stage.receiver.waiting > 2, PATIENCE_SECONDS)
        stage.kill()
        blocks = sorted((stage.receiver.data / "spool" / "batches").glob("*/*.block"))
        content = bytearray(blocks[1].read_bytes())
        content[-1] ^= 1
        blocks[1].write_bytes(content)
        stage.proxy.fail(Fault.NONE)
        stage.start()
    verdict = stage.settle()
    aside = [
        path
        for path in (stage.receiver.data / "spool" / "corrupt").iterdir()
        if path.name.endswith(blocks[1].name)
    ]
    assert [path.read_bytes() for path in aside] == [bytes(content)]
    assert stage.receiver.process.metric("telemetry_corrupt_spool_files_total") == 1
    records = int(orjson.loads(content.split(b"\n")[1])["records"])
    return Line(
        "a bit flips in a file of the spool", 1, verdict, "that block is set aside and counted", records
    )


def _fill(stage: Stage, seconds: float, name: str, sign: str) -> Line:
    """Let the spool fill until the receiver says that it cannot hold more, then let the server come back."""
    stage.proxy.fail(Fault.REFUSED)
    with sending(stage):
        eventually(lambda: stage.receiver.process.metric(sign) > 0, PATIENCE_SECONDS)
        pause(seconds)
        stage.proxy.fail(Fault.NONE)
    refused = stage.receiver.process.metric("telemetry_refused_records_total")
    return Line(name, 1, stage.settle(), f"{refused:,.0f} records refused, to be sent again")


def _break(
    stage: Stage, seconds: float, name: str, broken: Callable[[Path], AbstractContextManager[None]]
) -> Line:
    """Break the spool while the server is away, go on while it is back, then repair the spool."""

    def errors() -> float:
        return stage.receiver.process.metric("telemetry_spool_errors_total")

    with sending(stage):
        stage.proxy.fail(Fault.REFUSED)
        pause(seconds / 2)
        with broken(stage.receiver.data):
            before = errors()
            pause(seconds / 2)
            eventually(lambda: errors() > before, PATIENCE_SECONDS)
            stage.proxy.fail(Fault.NONE)
            acknowledged = stage.ledger.acknowledged
            eventually(lambda: stage.ledger.acknowledged > acknowledged, PATIENCE_SECONDS)
    return Line(name, 1, stage.settle())


def _mounted(data: Path) -> AbstractContextManager[None]:
    return _held(
        ["mount", "-t", "tmpfs", "-o", f"size={_SMALL},mode=700", "tmpfs", data],
        undo=["umount", "--lazy", data],
    )


def _read_only(data: Path) -> AbstractContextManager[None]:
    # Over itself: open files stay as they were, and files that are opened from now on are found here.
    return _held(
        ["mount", "--bind", data, data],
        ["mount", "-o", "remount,bind,ro", data],
        undo=["umount", "--lazy", data],
    )


def _immutable(data: Path) -> AbstractContextManager[None]:
    batches = data / "spool" / "batches"
    return _held(["chattr", "+i", batches], undo=["chattr", "-i", batches])


def _unwritable(data: Path) -> AbstractContextManager[None]:
    batches = data / "spool" / "batches"
    return _held(["chmod", "500", batches], undo=["chmod", "700", batches])


@contextmanager
def _held(*commands: Sequence[str | Path], undo: Sequence[str | Path]) -> Iterator[None]:
    try:
        for command in commands:
            subprocess.run(command, check=True, timeout=30)
        yield
    finally:
        subprocess.run(undo, check=True, timeout=30)

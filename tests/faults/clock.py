"""The clock of the receiver's host is set while it runs, by days back and forth, and between a kill and the restart.

libfaketime sets it for the whole process, the engine included; where it is not installed nothing is set, and the line
says so. Its monotonic clock stays, as a real one does.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.faults.load import sending
from tests.faults.proxy import Fault
from tests.faults.report import Line
from tests.faults.stage import Stage, pause

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
STEPS: Sequence[str] = ("-1d", "+1d", "+0", "-30d")


def stepped(stage: Stage, seconds: float) -> Line:
    """Set the clock again and again, with the server away and back, and across a restart."""
    now = stage.receiver.data.with_name("faketime")
    now.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    is_there = LIBRARY.exists()
    stage.kill()
    stage.start(**(environment if is_there else {}))
    with sending(stage):
        for number, step in enumerate(STEPS):
            stage.proxy.fail(Fault.NONE if number % 2 else Fault.CUT_AFTER)
            now.write_text(f"{step}\n")
            pause(seconds / len(STEPS))
        stage.kill()
        now.write_text("-2d\n")
        stage.proxy.fail(Fault.NONE)
        stage.start(**(environment if is_there else {}))
    note = "" if is_there else "libfaketime is not installed: the clock stood as it was"
    return Line("the clock is set", len(STEPS) + 1, stage.settle(), note)

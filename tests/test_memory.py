"""Free pages and pages of code go back to the system, and memory in use stays as it is."""

import asyncio
import ctypes
import mmap
import re
import subprocess
import sys
from pathlib import Path

import chdb
import pytest

from telemetry.tuning import Code, give_back_large_buffers, give_back_pages
from tests.server import ROOT

_BUFFERS, _BYTES = 1000, 100_000
_LET_GO = """
import chdb
from telemetry.tuning import Code
from tests.test_memory import resident_bytes
print(chdb.query("SELECT 1", "CSV").bytes().decode().strip())
print(resident_bytes("RssFile"))
Code().let_go()
print(resident_bytes("RssFile"))
print(chdb.query("SELECT 2", "CSV").bytes().decode().strip())
"""


def resident_bytes(kind: str = "VmRSS") -> int:
    found = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone can give pages back")
def test_free_pages_between_what_is_in_use_go_back() -> None:
    give_back_large_buffers()
    kept = [bytes([number % 256]) * _BYTES for number in range(_BUFFERS)]
    del kept[::2]
    before = resident_bytes()

    async def trim_until_stopped() -> None:
        stopping = asyncio.Event()
        trimming = asyncio.create_task(give_back_pages(stopping))
        await asyncio.sleep(0)
        stopping.set()  # it trims once more, and ends
        await asyncio.wait_for(trimming, 180)

    asyncio.run(trim_until_stopped())
    assert before - resident_bytes() > _BUFFERS * _BYTES // 4
    assert all(buffer == bytes([2 * place + 1 & 255]) * _BYTES for place, buffer in enumerate(kept))


def test_code_that_is_let_go_runs_all_the_same() -> None:
    """Its pages are no longer resident, and come back as they are needed."""
    # A process of its own, since it opens an engine.
    done = subprocess.run(
        [sys.executable, "-c", _LET_GO], cwd=ROOT, capture_output=True, text=True, timeout=180, check=True
    )
    one, before, after, two = done.stdout.split()
    assert (one, two) == ("1", "2")
    assert int(after) < int(before) / 2


def test_only_code_that_is_loaded_and_unchanged_is_let_go() -> None:
    """Neither what can be written to, nor a mapping of a library's file that was not made to run it."""
    with Path(chdb.__path__[0], "_chdb.abi3.so").open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        held.madvise(mmap.MADV_WILLNEED)
        parts = set(Code().mappings)
        ours = f"{Path(file.name).resolve()}"
        lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
        held.close()
    mapped = [
        (tuple(int(address, 16) for address in addresses.split("-")), rights, int(offset, 16))
        for addresses, rights, offset, *_, path in (line for line in lines if len(line) == 6)
        if path == ours
    ]
    let_go = [(rights, offset) for addresses, rights, offset in mapped if addresses in parts]
    assert {rights for rights, _ in let_go} == {"r--p", "r-xp"}
    whole = Path(ours).stat().st_size
    assert not [
        addresses for addresses, _, _ in mapped if addresses in parts and addresses[1] - addresses[0] >= whole
    ]

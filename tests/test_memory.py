"""Free pages go back to the system, and memory in use stays as it is."""

import asyncio
import ctypes
import re
from pathlib import Path

import pytest

from telemetry.tuning import give_back_free_pages, give_back_large_buffers

_BUFFERS, _BYTES = 1000, 100_000


def resident_bytes() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
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
        trimming = asyncio.create_task(give_back_free_pages(stopping))
        await asyncio.sleep(0)
        stopping.set()  # it trims once more, and ends
        await asyncio.wait_for(trimming, 180)

    asyncio.run(trim_until_stopped())
    assert before - resident_bytes() > _BUFFERS * _BYTES // 4
    assert all(buffer == bytes([2 * place + 1 & 255]) * _BYTES for place, buffer in enumerate(kept))

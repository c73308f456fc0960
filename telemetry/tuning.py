"""Keeps the process fast and small: Python's collector and lock, malloc, and pages that only the start needed.

A step that the C library or the kernel does not offer is left out.
"""

import asyncio
import contextlib
import ctypes
import gc
import sys
import time
from pathlib import Path

# Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 256 << 10
_KEPT_BYTES = 16 << 20
_ARENAS = 2
# Source: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
_TRIM_SECONDS = 0.5
# A process that computed less since the last look has answered nothing, and has nothing new to give back.
_IDLE_CPU_SECONDS = 0.02
# Source: https://man7.org/linux/man-pages/man2/madvise.2.html, since Linux 5.4
_MADV_PAGEOUT = 21
_ENGINE = "_chdb.abi3.so"
# Requests that wait are young objects that live on, and no cycles are among them.
_COLLECT_AFTER = (50_000, 20, 100)
# The engine's threads call Python functions, and must not wait 5 ms (the default) for Python's lock each time.
_SWITCH_SECONDS = 0.0005


def give_back_large_buffers() -> None:
    """Put large requests and blocks on their own pages, which go back at once; by default malloc keeps them.

    malloc still keeps some smaller ones: clearing a page for each request costs as much as decoding it.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def after_start() -> None:
    """Page out what only the start needed, and set the collector and the lock for serving."""
    page_out(_ENGINE)
    # Objects of now live on, so the collector need not look at them again.
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)


async def give_back_free_pages(stopping: asyncio.Event) -> None:
    """Return to the system the free pages between those in use, twice a second: requests leave tens of MiB of them.

    Once more after the last of them; an idle process is left asleep.
    """
    libc = ctypes.CDLL(None)
    used, is_busy = 0.0, False
    while hasattr(libc, "malloc_trim") and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _TRIM_SECONDS)
        now = time.process_time()
        was_busy, is_busy = is_busy, now - used > _IDLE_CPU_SECONDS
        used = now
        if was_busy or is_busy:
            await asyncio.to_thread(libc.malloc_trim, _KEPT_BYTES)


def page_out(library: str) -> None:
    """Page out all mapped pages of the file of this name; a page that is needed again is read from the file.

    Linking the engine touches 200 MiB of its file, most of them once.
    """
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, *_, path = line.split(maxsplit=5)
        if Path(path).name == library:
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(start, end - start, _MADV_PAGEOUT)

"""Keeps resident memory small: what only starting needed is paged out, and what is freed is given back.

All of it asks the C library and the kernel, and does nothing where these cannot.
"""

import asyncio
import contextlib
import ctypes
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
# Source: https://man7.org/linux/man-pages/man2/madvise.2.html, since Linux 5.4
_MADV_PAGEOUT = 21


def give_back_large_buffers() -> None:
    """Let large requests and blocks have pages of their own, which go back at once; by default malloc keeps them.

    Of what is smaller some is kept: to clear a page for each request costs as much as to decode it.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


async def give_back_free_pages(stopping: asyncio.Event) -> None:
    """Give back the free pages between what is in use, twice a second: requests leave tens of MiB of them."""
    libc = ctypes.CDLL(None)
    while hasattr(libc, "malloc_trim") and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _TRIM_SECONDS)
        await asyncio.to_thread(libc.malloc_trim, _KEPT_BYTES)


def page_out(library: str) -> None:
    """Page out what is mapped of the file of this name. What is needed after all comes back from the file.

    Linking the engine touches 200 MiB of its file, most of them once.
    """
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, *_, path = line.split(maxsplit=5)
        if Path(path).name == library:
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(start, end - start, _MADV_PAGEOUT)

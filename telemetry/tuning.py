"""Keeps the process fast and small: Python's collector and lock, malloc, and pages that only the start needed.

A step that the C library or the kernel does not offer is left out.
"""

import asyncio
import contextlib
import ctypes
import gc
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 256 << 10
_KEPT_BYTES = 16 << 20
_ARENAS = 2
# Source: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
_LOOK_SECONDS, _REST_SECONDS = 0.5, 2.0
# To let code go costs 8 ms of CPU, nearly all of it when the pages are needed again.
_BUSY_LOOKS, _QUIET_LOOKS = 4, 20
# A process that computed less since the last look has answered nothing, and has nothing new to give back.
_IDLE_CPU_SECONDS = 0.02
# Source: https://man7.org/linux/man-pages/man2/madvise.2.html
_MADV_DONTNEED = 4
# Source: https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html
# A library's name ends in .so, or in .so and a number.
_MAPPING = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S+) \S+ \S+ \d+ +(?P<path>/\S*\.so\S*)\n"
    r"(?:[A-Z]\w+:.*\n)*?Anonymous: +(?P<anonymous>\d+) kB",
    re.MULTILINE,
)
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
    """Set the collector and the lock for serving."""
    # Objects of now live on, so the collector need not look at them again.
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)


async def give_back_pages(stopping: asyncio.Event) -> None:
    """Return pages to the system: free ones between those in use twice a second, of which requests leave tens of MiB.

    Once more after the last of them; an idle process looks every two seconds whether there were any. The pages of code
    go back after the start, under load every two seconds, and ten seconds after it: what seldom runs does not stay, and
    clients that send now and then find what they need.
    """
    libc, code = ctypes.CDLL(None), Code()
    code.let_go()
    used, busy, quiet = time.process_time(), 0, 0
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS if quiet <= _QUIET_LOOKS else _REST_SECONDS)
        now = time.process_time()
        busy, quiet = (busy + 1, 0) if now - used > _IDLE_CPU_SECONDS else (0, quiet + 1)
        used = now
        if quiet <= 1 and hasattr(libc, "malloc_trim"):
            await asyncio.to_thread(libc.malloc_trim, _KEPT_BYTES)
        if quiet == _QUIET_LOOKS or (busy and busy % _BUSY_LOOKS == 0):
            code.let_go()


class Code:
    """The pages of libraries' code and constants that are mapped at the time of making this.

    Linking the engine and the start touch 200 MiB of them, most of them once.
    """

    def __init__(self) -> None:
        self._madvise = ctypes.CDLL(None).madvise
        self._madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.mappings = list(_unchanged(Path("/proc/self/smaps").read_text()))

    def let_go(self) -> None:
        """Unmap them. A page that is needed again is mapped again from the kernel's cache of files.

        The cache keeps them as long as nothing else needs the memory, so nothing is read from the disk a second time.
        """
        for start, end in self.mappings:
            self._madvise(start, end - start, _MADV_DONTNEED)


def _unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield the addresses of loaded libraries that nothing has written to, and nothing can write to.

    A library is loaded at addresses that follow each other, some of them code, and never unmapped. Other mappings of
    its file may go at any time, and something else take their addresses.
    """
    library: list[re.Match[str]] = []
    for mapping in [*_MAPPING.finditer(smaps), None]:
        if (
            mapping
            and library
            and mapping["path"] == library[-1]["path"]
            and mapping["start"] == library[-1]["end"]
        ):
            library.append(mapping)
            continue
        if any("x" in part["rights"] for part in library):
            for part in library:
                if "w" not in part["rights"] and int(part["anonymous"]) == 0:
                    yield int(part["start"], 16), int(part["end"], 16)
        library = [mapping] if mapping else []

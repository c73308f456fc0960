"""Work that an answer does beside its other work: a further statement, while the first is still being answered.

A call asks more than the statement that it shows: how new the data are, how complete, what is not collected. These do
not depend on each other, and the store answers them at the same time. Where many calls are answered at once, the store
has enough to do: then this work waits until its result is wanted.
"""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Final, TypeVar

T = TypeVar("T")

MOST: Final = 4
"""Threads of a process."""
_free: Final = threading.Semaphore(MOST)


def beside(work: Callable[[], T]) -> Callable[[], T]:
    """Begin work in a thread of its own. What is returned waits for it, and returns or raises what it did.

    Where MOST are at work, it is done when it is waited for. Work whose end is not waited for, since its caller failed
    meanwhile, ends by itself. It keeps no process alive.
    """
    if not _free.acquire(blocking=False):
        return functools.cache(work)
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            made.set_exception(error)
        finally:
            _free.release()

    threading.Thread(target=copy_context().run, args=(run,), name="beside", daemon=True).start()
    return made.result
